"""Early stopping of the weight updates on held-out leave-one-out errors.

Half of the held-out predictions, drawn by group, make the steps; the other half says after each
step whether it is predicted better, by a measure that outputs which merely grow cannot improve: the
share of wrong classes, or the absolute error. Then they change places. Steps are taken only if the
gain exceeds its standard error, so that zero steps are an answer.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from skdiva.loo._fitted_ridge import Evaluation, FittedRidge
from skdiva.loo._objective import validation_predictions, validation_units
from skdiva.loo._problem import RidgeProblem
from skdiva.loo._targets import ClassTargets, ValueTargets
from skdiva.loo.weights._descent import Descent, descend, no_step, steps

LEARNING_RATE = 0.25  # small: the number of steps is what is chosen


def descend_with_early_stopping(
    problem: RidgeProblem,
    sample_weight: Tensor,
    alpha: float,
    *,
    max_iter: int = 3,
    classes: Tensor | None = None,
    on_step: Callable[[int, float], object] | None = None,
) -> Descent:
    """Take as many steps, at most ``max_iter``, as lower the error of held-out predictions.

    Parameters
    ----------
    problem : Problem or JointProblem
        Ridge problem.
    sample_weight : tensor of shape (n,)
        Start weights; rows at zero stay there.
    alpha : float
        Ridge penalty, positive.
    max_iter : int, default=3
        Largest number of steps.
    classes : int64 tensor of shape (n,), optional
        As in `descend`.
    on_step : callable, optional
        As in `descend`.

    Returns
    -------
    Descent
        Its ``n_iter`` is ``max_iter``.

    Raises
    ------
    ValueError
        As `evaluate`.
    """
    start = FittedRidge(problem, sample_weight, alpha)
    n_steps = choose_n_steps(start, sample_weight, max_iter=max_iter, classes=classes)
    if n_steps:
        descent = descend(
            problem, sample_weight, alpha, learning_rate=LEARNING_RATE, classes=classes,
            max_iter=n_steps, on_step=on_step, start=start,
        )  # fmt: skip
        return descent._replace(n_iter=max_iter)
    evaluation = start.evaluation()
    if on_step is not None:
        on_step(0, evaluation.loss)
    return no_step(evaluation, sample_weight, max_iter)


def choose_n_steps(
    start: FittedRidge, sample_weight: Tensor, *, max_iter: int, classes: Tensor | None = None
) -> int:
    """Number of steps with the largest gain on held-out predictions that did not make them.

    Parameters
    ----------
    start : FittedRidge
        At the start weights.
    sample_weight : tensor of shape (n,)
        Start weights.
    max_iter : int
        Largest number of steps.
    classes : int64 tensor of shape (n,), optional
        As in `descend`.

    Returns
    -------
    int
        0 if no gain exceeds its standard error.
    """
    problem = start.problem
    weight, units = validation_units(problem)
    n_units = int(units.max()) + 1
    if n_units < 2:  # one validation row: none is left to evaluate the steps that it makes
        return 0
    generator = torch.Generator().manual_seed(0)
    first_half = (torch.randperm(n_units, generator=generator) < n_units // 2).to(units.device)
    gains = weight.new_zeros(max_iter, n_units)
    for half in (first_half, ~first_half):
        makes_steps = half[units]
        halved = restricted_to(problem, makes_steps)
        path = steps(
            halved, sample_weight, start.alpha, learning_rate=LEARNING_RATE, max_iter=max_iter,
            classes=classes, start=start.with_objective(halved),
        )  # fmt: skip
        errors = [held_out_errors(problem, evaluation) for evaluation, _ in path]
        errors += [errors[-1]] * (max_iter + 1 - len(errors))  # the steps that were not possible
        for step in range(max_iter):
            gain = (errors[0] - errors[step + 1]) * weight * ~makes_steps
            gains[step].index_add_(0, units, gain)
    best = int(gains.sum(dim=1).argmax())
    standard_error = gains[best].std() * n_units**0.5
    return best + 1 if gains[best].sum() > standard_error else 0


def restricted_to(problem: RidgeProblem, held_out: Tensor) -> RidgeProblem:
    """Return the problem with the loss of some of its held-out predictions only.

    Parameters
    ----------
    problem : RidgeProblem
    held_out : bool tensor of shape (m,)
        Mask, in the order of `validation_units`.

    Returns
    -------
    RidgeProblem
    """
    if problem.validation is None:
        weight = problem.validation_weight * held_out
        return problem.replace(validation_weight=problem.layout.restore(weight))
    features, targets = problem.validation
    rows = torch.nonzero(held_out)[:, 0]
    return problem.replace(validation=(features[rows], targets.select(rows)))


def held_out_errors(problem: RidgeProblem, evaluation: Evaluation) -> Tensor:
    """Error of every held-out prediction: a wrong class, or the mean absolute error, (m,)."""
    predictions, targets = validation_predictions(problem, evaluation)
    if isinstance(targets, ClassTargets):
        return (predictions.argmax(dim=1) != targets.labels).double()
    assert isinstance(targets, ValueTargets)
    return (predictions.double() - targets.values).abs().mean(dim=1)
