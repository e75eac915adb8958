"""Shrinkage of the learned weights of sources toward their common weight, and their intervals.

To first order, the log weight of a source is a mean over its rows, whose variance within the source
gives a standard error. Let z be the deviation from the common log weight divided by its standard
error. The deviation is multiplied by max(0, 1 - c^2 / z^2), the nonnegative garrote, so that
sources that differ no more than by chance get the same weight, and large differences hardly change.
The threshold c is 1.96 or, for more than three sources, sqrt(2 log 2K), which is about the largest
of K values of |z| if all sources are alike. The common log weight is a mean in which sources that
differ count little. The prior of classes alone is often more significant than the learned weight,
as the derivative adds noise; the larger z of both counts if they have the same sign.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from skdiva.loo._problem import RidgeProblem
from skdiva.loo.weights._curation import SourceMeans

_LEAST_THRESHOLD = 1.96  # an interval of this size contains 95 % of a normal distribution
_USUAL_ROWS = 10.0  # rows that the variance over all sources counts as, besides those of a source
_REPEATS = 5  # the common log weight depends on the shrinkage, and vice versa
_HALF = 0.5 - 1e-9  # of the total weight, up to rounding
_TINY = 1e-300


class Shrunk(NamedTuple):
    """Log weights after shrinkage, and intervals.

    Attributes
    ----------
    log_weight : tensor of shape (n_sources,)
        Log weights, up to a common constant.
    interval : tensor of shape (n_sources, 2)
        Log weights before shrinkage, plus and minus c standard errors, up to the same constant.
        They contain the log weights after shrinkage.
    """

    log_weight: Tensor
    interval: Tensor


class SourceNoise:
    """Variances of means over the rows of sources.

    Parameters
    ----------
    problem : RidgeProblem
        Its groups of rows are independent of each other.
    sample_weight : tensor of shape (n,)
        Start weights.
    sources : int64 tensor of shape (n,)
        Source codes.
    """

    def __init__(self, problem: RidgeProblem, sample_weight: Tensor, sources: Tensor):
        layout = problem.layout
        self.sources = sources
        self.means = SourceMeans(sources, sample_weight.double())
        self.share = self.means.weight / self.means.weight.sum()
        n_sources = len(self.share)
        units = layout.restore(layout.unit_numbers(problem.device))
        # Rows of a source that are left out together are one unit.
        keys, self._units = torch.unique(units * n_sources + sources, return_inverse=True)
        self._source_of_unit = keys % n_sources
        squares = self._sum_of_squares(torch.ones_like(self.means.row_weight))
        self.n_units = self.means.weight.square() / squares.clamp(min=_TINY)

    def variances(self, rows: Tensor) -> Tensor:
        """Variance (n_sources,) of the mean of ``rows`` (n,) over every source."""
        mean = self.means.mean(rows)
        within = self._sum_of_squares(rows - mean[self.sources])
        within = within * (self.n_units / self.means.weight.clamp(min=_TINY)).square()
        between = self.n_units * (mean - self.share @ mean).square()
        usual = (within + between).sum() / (self.n_units.sum() - 1).clamp(min=1.0)
        own = within + _USUAL_ROWS * usual
        own = own / (self.n_units - 1).clamp(min=0.0).add(_USUAL_ROWS)
        return torch.where(self.share > 0, own / self.n_units.clamp(min=_TINY), 0.0)

    def _sum_of_squares(self, rows: Tensor) -> Tensor:
        """Sum (n_sources,) of the squares of the sums of weighted ``rows`` over every unit."""
        by_unit = rows.new_zeros(len(self._source_of_unit))
        by_unit.index_add_(0, self._units, self.means.row_weight * rows)
        return torch.zeros_like(self.share).index_add_(0, self._source_of_unit, by_unit.square())


def shrink(noise: SourceNoise, log_weight: Tensor, rows: Tensor, prior_rows: Tensor) -> Shrunk:
    """Shrink log weights toward the common one.

    Parameters
    ----------
    noise : SourceNoise
    log_weight : tensor of shape (n_sources,)
        Learned log weights.
    rows : tensor of shape (n,)
        Contributions of the rows to the log weights, up to a constant per source.
    prior_rows : tensor of shape (n,)
        Contributions of the rows to the prior log weights, whose means these are.

    Returns
    -------
    Shrunk
    """
    n_sources = int((noise.share > 0).sum())
    threshold = max(_LEAST_THRESHOLD, math.sqrt(2 * math.log(2 * n_sources)))
    prior = noise.means.mean(prior_rows)
    variance, prior_variance = noise.variances(rows), noise.variances(prior_rows)
    # Start at the weighted median, which bad sources do not affect, and then add similar sources.
    order = log_weight.argsort()
    median = order[(noise.share[order].cumsum(0) < _HALF).sum()]
    counted = torch.zeros_like(noise.share)
    counted[median] = 1.0
    for _ in range(_REPEATS):
        difference, error = _deviation(log_weight, variance, counted)
        prior_difference, prior_error = _deviation(prior, prior_variance, counted)
        z, prior_z = difference / error, prior_difference / prior_error
        z = torch.where(z * prior_z > 0, torch.maximum(z.abs(), prior_z.abs()), z.abs())
        factor = 1 - (threshold / z.clamp(min=threshold)).square()
        counted = noise.share * (1 - factor)
        if not counted.sum() > 0:
            break
        counted = counted / counted.sum()
    common = log_weight - difference
    bounds = torch.tensor([-threshold, threshold], dtype=error.dtype, device=error.device)
    interval = log_weight[:, None] + bounds * error[:, None]
    return Shrunk(common + factor * difference, interval)


def _deviation(values: Tensor, variance: Tensor, counted: Tensor) -> tuple[Tensor, Tensor]:
    """Deviations from the weighted mean, and their standard errors."""
    of_mean = (counted.square() * variance).sum()
    squared = ((1 - 2 * counted) * variance + of_mean).clamp(min=_TINY)
    return values - counted @ values, squared.sqrt()
