"""Steps on the weights along the dataset derivative.

    w <- clip(w - learning_rate * d / mean|d|, 0, 2),    a = a_start * w,   w = 1 at the start,

with d the derivative of the loss with respect to w, per unit of start weight. Dividing by the mean
of |d| leaves the step without a scale. Rows that share a source share one w, and its derivative is
the weighted mean of theirs (paper section 3.4; a few steps, since more overfit the loss).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from skdiva.loo._evaluation import Evaluation, evaluate, predict_leave_one_out
from skdiva.loo.ridge._group_blocks import n_groups_with_weight

LARGEST_FACTOR = 2.0
CLASS_FLOOR = 0.01  # factor kept by the rows of a class that would otherwise lose all its weight


class Descent(NamedTuple):
    """What the steps found.

    Attributes
    ----------
    start : Evaluation
        At the start weights.
    final : Evaluation
        At the final weights, before they are scaled to mean 1.
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
    evaluations, factors = [], []
    for current, factor in steps(
        problem, sample_weight, alpha,
        learning_rate=learning_rate, max_iter=max_iter, ties=ties, classes=classes,
    ):  # fmt: skip
        evaluations.append(current)
        factors.append(factor)
        if on_step is not None:
            on_step(len(factors) - 1, current.loss)
    weight = sample_weight * factors[-1]
    n_steps = len(factors) - 1
    return Descent(
        start=evaluations[0],
        final=evaluations[-1],
        factor=factors[-1],
        sample_weight=weight / weight.mean(),
        loss_path=[evaluation.loss for evaluation in evaluations],
        n_iter=min(n_steps + 1, max_iter),
        n_steps=n_steps,
    )


def no_step(start, sample_weight, n_iter):
    """Return the `Descent` that stays at the start weights."""
    ones, mean_one = torch.ones_like(sample_weight), sample_weight / sample_weight.mean()
    return Descent(start, start, ones, mean_one, [start.loss], n_iter, n_steps=0)


def steps(problem, sample_weight, alpha, *, learning_rate, max_iter, ties=None, classes=None):
    """Yield what `descend` passes through: evaluations with the factors (n,) they belong to.

    The first is at the start weights; the last has no derivative if all ``max_iter`` steps were
    taken.
    """
    if ties is None:
        ties = torch.arange(sample_weight.shape[0], device=sample_weight.device)
    tied = Ties(ties, sample_weight)
    factor = torch.ones_like(tied.weight)
    for _ in range(max_iter):
        current = evaluate(problem, sample_weight * factor[ties], alpha)
        yield current, factor[ties]
        slope = tied.mean(current.derivative)
        scale = tied.mean_over_rows(slope.abs())
        if scale == 0:
            return
        factor = (factor - learning_rate * slope / scale).clamp(0, LARGEST_FACTOR)
        if classes is not None:
            factor = keep_classes(factor, classes, sample_weight, ties)
        if leaves_too_little(problem, sample_weight * factor[ties]):
            return
    yield predict_leave_one_out(problem, sample_weight * factor[ties], alpha), factor[ties]


def leaves_too_little(problem, sample_weight):
    """Whether fewer than two rows (groups) have weight: nothing would be left to leave out."""
    return n_groups_with_weight(problem.layout, problem.layout.arrange(sample_weight)) < 2


class Ties:
    """Weighted means over the rows of a source; sources without start weight have none."""

    def __init__(self, codes, sample_weight):
        self.codes, self.row_weight = codes, sample_weight
        n_ties = int(codes.max()) + 1
        self.weight = sample_weight.new_zeros(n_ties).index_add_(0, codes, sample_weight)

    def mean(self, row_values):
        """Mean over the rows of every source."""
        total = torch.zeros_like(self.weight)
        total.index_add_(0, self.codes, self.row_weight * row_values)
        return total / torch.where(self.weight > 0, self.weight, 1.0)

    def mean_over_rows(self, values):
        """Mean over all rows of a value per source."""
        return float((self.weight * values).sum() / self.weight.sum())


def keep_classes(factor, classes, sample_weight, ties=None):
    """Raise factors to ``CLASS_FLOOR`` in a class that lost all but that share of its weight.

    ``factor`` is that of the rows, or of the sources that ``ties`` name.
    """
    if ties is None:
        ties = torch.arange(len(factor), device=factor.device)
    n_classes = int(classes.max()) + 1
    before, after = (
        sample_weight.new_zeros(n_classes).index_add_(0, classes, weight)
        for weight in (sample_weight, sample_weight * factor[ties])
    )
    starved = (after < CLASS_FLOOR * before)[classes]
    return factor.index_put((ties[starved],), factor[ties[starved]].clamp(min=CLASS_FLOOR))
