"""Early stopping of the weight updates on held-out leave-one-out errors.

The held-out predictions are split in half at random, by group. The loss of one half determines the
steps, and the error of the other half is measured after each step. The error is the share of wrong
classes, or the absolute error, which do not improve if outputs merely become larger. Then the two
halves swap roles. Steps are taken only if the reduction of the error exceeds its standard error, so
the number of steps may be zero.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from skdiva.loo._fitted_ridge import Evaluation, FittedRidge
from skdiva.loo._objective import validation_predictions, validation_units
from skdiva.loo._problem import RidgeProblem
from skdiva.loo._targets import ClassTargets, ValueTargets
from skdiva.loo.weights._descent import Descent, descend, no_step, steps

LEARNING_RATE = 0.25  # small, because the number of steps is chosen


class Half(NamedTuple):
    """Half of the held-out predictions, whose loss determines steps.

    Attributes
    ----------
    makes_steps : bool tensor of shape (m,)
        Mask of the half, in the order of `validation_units`.
    problem : RidgeProblem
        Problem whose loss is that of the half.
    start : Evaluation
        Results of this problem at the start weights.
    """

    makes_steps: Tensor
    problem: RidgeProblem
    start: Evaluation


def descend_with_early_stopping(
    problem: RidgeProblem,
    sample_weight: Tensor,
    alpha: float,
    *,
    max_iter: int = 3,
    classes: Tensor | None = None,
    on_step: Callable[[int, float], object] | None = None,
) -> Descent:
    """Take the number of steps that reduces the error of held-out predictions most.

    Parameters
    ----------
    problem : Problem or JointProblem
        Ridge problem.
    sample_weight : tensor of shape (n,)
        Start weights. Weights of zero remain zero.
    alpha : float
        Ridge penalty, positive.
    max_iter : int, default=3
        Maximum number of steps.
    classes : int64 tensor of shape (n,), optional
        See `descend`.
    on_step : callable, optional
        See `descend`.

    Returns
    -------
    Descent
        Weights after these steps. Its ``n_iter`` is ``max_iter``.

    Raises
    ------
    ValueError
        See `evaluate`.
    """
    start, halves = evaluate_halves(problem, sample_weight, alpha)
    n_steps = choose_n_steps(
        problem, halves, sample_weight, alpha, max_iter=max_iter, classes=classes
    )
    if n_steps:
        descent = descend(
            problem, sample_weight, alpha, learning_rate=LEARNING_RATE, classes=classes,
            max_iter=n_steps, on_step=on_step, start=start,
        )  # fmt: skip
        return descent._replace(n_iter=max_iter)
    if on_step is not None:
        on_step(0, start.loss)
    return no_step(start, sample_weight, max_iter)


def evaluate_halves(
    problem: RidgeProblem, sample_weight: Tensor, alpha: float
) -> tuple[Evaluation, list[Half]]:
    """Split the held-out predictions in half at random, and evaluate the start weights.

    Parameters
    ----------
    problem : Problem or JointProblem
        Ridge problem.
    sample_weight : tensor of shape (n,)
        Start weights.
    alpha : float
        Ridge penalty, positive.

    Returns
    -------
    start : Evaluation
        Results at the start weights.
    halves : list of Half
        Both halves, or none if there is only one unit of predictions, which cannot be split.
    """
    fit = FittedRidge(problem, sample_weight, alpha)
    _, units = validation_units(problem)
    n_units = int(units.max()) + 1
    if n_units < 2:
        return fit.evaluation(), []
    generator = torch.Generator().manual_seed(0)
    first_half = (torch.randperm(n_units, generator=generator) < n_units // 2).to(units.device)
    halves = []
    for half in (first_half, ~first_half):
        makes_steps = half[units]
        halved = restricted_to(problem, makes_steps)
        halves.append(Half(makes_steps, halved, fit.with_objective(halved).evaluation()))
    return fit.evaluation(), halves


def choose_n_steps(
    problem: RidgeProblem,
    halves: list[Half],
    sample_weight: Tensor,
    alpha: float,
    *,
    max_iter: int,
    classes: Tensor | None = None,
) -> int:
    """Choose the number of steps that reduces the error of held-out predictions most.

    The error is that of the half of the predictions that does not determine the steps.

    Parameters
    ----------
    problem : RidgeProblem
        Problem with all held-out predictions.
    halves : list of Half
        See `evaluate_halves`.
    sample_weight : tensor of shape (n,)
        Start weights.
    alpha : float
        Ridge penalty, positive.
    max_iter : int
        Maximum number of steps.
    classes : int64 tensor of shape (n,), optional
        See `descend`.

    Returns
    -------
    int
        Number of steps, 0 if the largest reduction does not exceed its standard error.
    """
    if not halves:
        return 0
    weight, units = validation_units(problem)
    gains = weight.new_zeros(max_iter, int(units.max()) + 1)
    for half in halves:
        path = steps(
            half.problem, sample_weight, alpha, learning_rate=LEARNING_RATE, max_iter=max_iter,
            classes=classes, start=half.start,
        )  # fmt: skip
        errors = [held_out_errors(problem, evaluation) for evaluation, _ in path]
        errors += [errors[-1]] * (max_iter + 1 - len(errors))  # steps that could not be taken
        for step in range(max_iter):
            gain = (errors[0] - errors[step + 1]) * weight * ~half.makes_steps
            gains[step].index_add_(0, units, gain)
    best = int(gains.sum(dim=1).argmax())
    standard_error = gains[best].std() * gains.shape[1] ** 0.5
    return best + 1 if gains[best].sum() > standard_error else 0


def restricted_to(problem: RidgeProblem, held_out: Tensor) -> RidgeProblem:
    """Return the problem with its loss restricted to some of the held-out predictions.

    Parameters
    ----------
    problem : RidgeProblem
    held_out : bool tensor of shape (m,)
        Mask of these predictions, in the order of `validation_units`.

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
    """Error (m,) of every held-out prediction: 1 for a wrong class, or the absolute error."""
    predictions, targets = validation_predictions(problem, evaluation)
    if isinstance(targets, ClassTargets):
        return (predictions.argmax(dim=1) != targets.labels).double()
    assert isinstance(targets, ValueTargets)
    return (predictions.double() - targets.values).abs().mean(dim=1)
