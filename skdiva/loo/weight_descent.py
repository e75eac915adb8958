"""Steps on the weights along the dataset derivative.

    w <- clip(w - learning_rate * d / mean|d|, 0, 2),    a = a_start * w,   w = 1 at the start,

with d the derivative of the loss with respect to w, per unit of start weight. Dividing by the mean
of |d| leaves the step without a scale. Rows that share a source share one w, and its derivative is
the weighted mean of theirs (paper section 3.4; a few steps, since more overfit the loss).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from skdiva.loo.own_blocks import n_groups_with_weight
from skdiva.loo.problem import Evaluation, evaluate, predict_leave_one_out

LARGEST_FACTOR = 2.0
CLASS_FLOOR = 0.01  # factor kept by the rows of a class that would otherwise lose all its weight


class Descent(NamedTuple):
    """What the steps found.

    Attributes
    ----------
    start : Evaluation
        At the start weights.
    final : Evaluation
        At the final weights, before they are scaled to mean 1; without a derivative.
    factor : tensor of shape (n,)
        w, the final weights over the start weights.
    sample_weight : tensor of shape (n,)
        Final weights scaled to mean 1.
    loss_path : list of float
        Loss at the start and after every step.
    n_iter : int
        Steps tried.
    n_steps : int
        Steps taken: fewer if the derivative vanishes, or a step would leave fewer than two rows
        (groups) with weight.
    """

    start: Evaluation
    final: Evaluation
    factor: Tensor
    sample_weight: Tensor
    loss_path: list
    n_iter: int
    n_steps: int


def descend(
    problem,
    sample_weight,
    alpha,
    *,
    learning_rate=0.5,
    max_iter=3,
    ties=None,
    classes=None,
    on_step=None,
):
    """Take a few normalised steps on the weights.

    Parameters
    ----------
    problem : Problem
    sample_weight : tensor of shape (n,)
        Start weights; rows at zero stay there.
    alpha : float
    learning_rate : float, default=0.5
        In units of the mean absolute derivative.
    max_iter : int, default=3
    ties : int64 tensor of shape (n,), optional
        Codes of the sources whose rows share one factor.
    classes : int64 tensor of shape (n,), optional
        Codes of the classes that must keep some weight: see ``CLASS_FLOOR``.
    on_step : callable, optional
        Called as ``on_step(step, loss)`` after every evaluation.

    Returns
    -------
    Descent
    """
    if ties is None:
        ties = torch.arange(sample_weight.shape[0], device=sample_weight.device)
    tied = _Ties(ties, sample_weight)
    factor = torch.ones_like(tied.weight)
    start = None
    path, n_iter, n_steps = [], 0, 0
    for n_iter in range(1, max_iter + 1):
        current = evaluate(problem, sample_weight * factor[ties], alpha)
        start = start or current
        path.append(current.loss)
        if on_step is not None:
            on_step(n_iter - 1, current.loss)
        slope = tied.mean(current.derivative)
        scale = tied.mean_over_rows(slope.abs())
        if scale == 0:
            break
        proposed = (factor - learning_rate * slope / scale).clamp(0, LARGEST_FACTOR)
        if classes is not None:
            proposed = _keep_classes(proposed, ties, classes, sample_weight)
        weight = problem.layout.arrange(sample_weight * proposed[ties])
        if n_groups_with_weight(problem.layout, weight) < 2:  # nothing would be left to leave out
            break
        factor = proposed
        n_steps += 1
    weight = sample_weight * factor[ties]
    final = predict_leave_one_out(problem, weight, alpha)
    if n_steps:
        path.append(final.loss)
        if on_step is not None:
            on_step(n_steps, final.loss)
    return Descent(start, final, factor[ties], weight / weight.mean(), path, n_iter, n_steps)


class _Ties:
    """Weighted means over the rows of a source; sources without start weight have none."""

    def __init__(self, codes, sample_weight):
        self.codes, self.row_weight = codes, sample_weight
        n_ties = int(codes.max()) + 1
        self.weight = sample_weight.new_zeros(n_ties).index_add_(0, codes, sample_weight)

    def mean(self, row_values):
        total = torch.zeros_like(self.weight)
        total.index_add_(0, self.codes, self.row_weight * row_values)
        return total / torch.where(self.weight > 0, self.weight, 1.0)

    def mean_over_rows(self, values):
        return float((self.weight * values).sum() / self.weight.sum())


def _keep_classes(factor, ties, classes, sample_weight):
    """Raise factors to ``CLASS_FLOOR`` in a class that lost all but that share of its weight."""
    n_classes = int(classes.max()) + 1
    before, after = (
        sample_weight.new_zeros(n_classes).index_add_(0, classes, weight)
        for weight in (sample_weight, sample_weight * factor[ties])
    )
    starved = (after < CLASS_FLOOR * before)[classes]
    return factor.index_put((ties[starved],), factor[ties[starved]].clamp(min=CLASS_FLOOR))
