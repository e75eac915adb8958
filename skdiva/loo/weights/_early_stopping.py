"""How many steps on the weights to take: as many as help predictions that did not make them.

Half of the judges, drawn by group, make the steps; the other half says after each whether it
predicts them better, by a measure that outputs which merely grow cannot game: the share of wrong
classes, or the absolute error. Then they change places. Steps are taken only if the gain exceeds
its standard error, so that none is an answer.
"""

import copy

import torch

from skdiva.loo._evaluation import evaluate
from skdiva.loo._objective import judged_predictions, judges
from skdiva.loo._targets import ClassTargets
from skdiva.loo.weights._descent import descend, no_step, steps

_LEARNING_RATE = 0.25  # small: the number of steps is what is chosen


def descend_if_it_helps(problem, sample_weight, alpha, *, max_iter=3, classes=None, on_step=None):
    """Take as many steps, at most ``max_iter``, as lower the error of judges kept apart.

    Parameters
    ----------
    problem : Problem
    sample_weight : tensor of shape (n,)
    alpha : float
    max_iter : int, default=3
    classes : int64 tensor of shape (n,), optional
        As in `descend`, as ``on_step``.
    on_step : callable, optional

    Returns
    -------
    Descent
        Its ``n_iter`` is ``max_iter``.
    """
    how = {"learning_rate": _LEARNING_RATE, "classes": classes}
    n_steps = _choose_n_steps(problem, sample_weight, alpha, max_iter, how)
    if n_steps:
        how |= {"max_iter": n_steps, "on_step": on_step}
        return descend(problem, sample_weight, alpha, **how)._replace(n_iter=max_iter)
    start = evaluate(problem, sample_weight, alpha)
    if on_step is not None:
        on_step(0, start.loss)
    return no_step(start, sample_weight, max_iter)


def _choose_n_steps(problem, sample_weight, alpha, max_iter, how):
    weight, units = judges(problem)
    n_units = int(units.max()) + 1
    if n_units < 2:  # one validation row: nobody is left to judge what it makes
        return 0
    generator = torch.Generator().manual_seed(0)
    first_half = (torch.randperm(n_units, generator=generator) < n_units // 2).to(units.device)
    gains = weight.new_zeros(max_iter, n_units)
    for half in (first_half, ~first_half):
        makers = half[units]
        halved = _judged_by(problem, makers)
        path = steps(halved, sample_weight, alpha, max_iter=max_iter, **how)
        errors = [_errors(problem, evaluation) for evaluation, _ in path]
        errors += [errors[-1]] * (max_iter + 1 - len(errors))  # the steps that were not possible
        for step in range(max_iter):
            gain = (errors[0] - errors[step + 1]) * weight * ~makers
            gains[step].index_add_(0, units, gain)
    best = int(gains.sum(dim=1).argmax())
    standard_error = gains[best].std() * n_units**0.5
    return best + 1 if gains[best].sum() > standard_error else 0


def _judged_by(problem, rows):
    """The same problem with the loss of some of the judges only."""
    problem = copy.copy(problem)
    if problem.validation is None:
        problem.validation_weight = problem.validation_weight * rows
    else:
        features, targets = problem.validation
        rows = torch.nonzero(rows)[:, 0]
        problem.validation = features[rows], targets.select(rows)
    return problem


def _errors(problem, evaluation):
    """Error of every judge: whether the class is wrong, or mean absolute error of the targets."""
    predictions, targets = judged_predictions(problem, evaluation)
    if isinstance(targets, ClassTargets):
        return (predictions.argmax(dim=1) != targets.labels).double()
    return (predictions.double() - targets.values).abs().mean(dim=1)
