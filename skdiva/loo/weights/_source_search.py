"""Minimization of the objective of the weights of sources, which ``_sources.py`` describes."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from skdiva.loo._fitted_ridge import Evaluation, FittedRidge
from skdiva.loo._losses import LogLoss, Loss, ScaledSquaredError, row_losses
from skdiva.loo._objective import validation_predictions, validation_units
from skdiva.loo.weights._curation import SourceMeans
from skdiva.loo.weights._source_shrinkage import SourceNoise, shrink

LARGEST_LOG_WEIGHT = math.log(100)
_ROUNDING = 1e-12  # rounding error of logarithms of relative weights
_TRIALS = 3  # points evaluated along one direction
_LARGEST_TRIAL = 4.0  # step length, relative to the previous one
_SETTLED = 0.05  # a step that lowers F by less than this is the last one
_LEAST_PREDICTIONS = 2  # fewer can be predicted exactly, and log J is then unbounded


@dataclass
class Point:
    """Relative weights of the sources, and the results at these weights.

    Attributes
    ----------
    log_weight : tensor of shape (n_sources,), float64
        Logarithms of the relative weights.
    fit : FittedRidge or None
        Factorization at these weights, until the gradient is computed or another point is better.
    evaluation : Evaluation
        Results at these weights.
    loss : Loss
        Loss of the held-out predictions.
    mean_loss : float
        Mean loss J.
    objective : float
        Objective F.
    """

    log_weight: Tensor
    fit: FittedRidge | None
    evaluation: Evaluation
    loss: Loss
    mean_loss: float
    objective: float


def lower_of(first: Point, second: Point) -> Point:
    """Return the point with the lower objective; the other one drops its factorization."""
    lower, higher = (second, first) if second.objective < first.objective else (first, second)
    higher.fit = None
    return lower


class FirstStep(NamedTuple):
    """Point before the first step along the gradient, its direction, and contributions of the rows.

    Attributes
    ----------
    origin : tensor of shape (n_sources,)
        Log weights before the step.
    origin_rows : tensor of shape (n,)
        Contributions of the rows to them.
    direction : tensor of shape (n_sources,)
        Steepest descent.
    rows : tensor of shape (n,)
        Contributions of the rows to it, up to a constant per source.
    """

    origin: Tensor
    origin_rows: Tensor
    direction: Tensor
    rows: Tensor


class SourceSearch:
    """Minimization of the objective F of a problem.

    Parameters
    ----------
    start : FittedRidge
        Factorization at the start weights.
    sample_weight : tensor of shape (n,)
        Start weights.
    sources : int64 tensor of shape (n,)
        Source codes.
    prior_rows : tensor of shape (n,), float64
        Contributions of the rows to the prior; their means over the sources are the prior means m
        of the logarithms of the relative weights.

    Attributes
    ----------
    start : Point
        Point at the start weights.
    """

    def __init__(
        self, start: FittedRidge, sample_weight: Tensor, sources: Tensor, prior_rows: Tensor
    ):
        self.problem, self.alpha = start.problem, start.alpha
        self.sample_weight, self.sources = sample_weight, sources
        self._validation_weight, self._units = validation_units(self.problem)
        means = SourceMeans(sources, sample_weight.double())
        self.share = means.weight / means.weight.sum()
        self.prior_rows = prior_rows
        self.prior = self._centered(means.mean(prior_rows))
        evaluation = start.evaluation()
        loss, losses = self._losses(evaluation)
        self.n_effective = self._effective_number(losses)
        self.start = self._point(torch.zeros_like(self.share), start, evaluation, loss, losses)
        self._first_step: FirstStep | None = None

    def points(self, max_iter: int) -> Iterator[Point]:
        """Yield the start point and the point after every step, without shrinkage."""
        yield self.start
        if self.n_effective < _LEAST_PREDICTIONS:
            return
        point, n_steps = self.start, 0
        favored = self.start
        if float(self.prior.abs().max()) > _ROUNDING:  # otherwise the prior is the start point
            favored = self.at(self.prior)
        if self.start.objective - favored.objective > _SETTLED:
            self.start.fit = None
            yield favored
            point, n_steps = favored, 1
        elif favored is not self.start:
            favored.fit = None
        while n_steps < max_iter and (lower := self._lower_point(point)) is not None:
            yield lower
            settled = point.objective - lower.objective < _SETTLED
            point, n_steps = lower, max_iter if settled else n_steps + 1

    def shrunk(self, point: Point) -> tuple[Point, Tensor]:
        """Return the point at shrunk weights, and intervals (n_sources, 2) of the weights.

        Parameters
        ----------
        point : Point
            Last of the `points`. If it is not the start point, its factorization is dropped. The
            start point is returned if no other weights are left or if they are not better.
        """
        noise = SourceNoise(self.problem, self.sample_weight, self.sources)
        rows = self._contributions(point)
        log_weight, interval = shrink(noise, point.log_weight, rows, self.prior_rows)
        # Around the middle of their range, the log weights are within the bounds.
        present = log_weight[self.share > 0]
        middle = (present.max() + present.min()) / 2
        centered = self._centered(log_weight - middle)
        interval += self.share @ (centered - log_weight)
        if float(centered.abs().max()) <= _ROUNDING:
            final = self.start
        else:
            point.fit = None
            final = lower_of(self.start, self.at(log_weight - middle))
        low, high = interval.clamp(-2 * LARGEST_LOG_WEIGHT, 2 * LARGEST_LOG_WEIGHT).unbind(dim=1)
        # If the shrunk weights are not better, the weights are 1, which may lie outside.
        low, high = low.minimum(final.log_weight), high.maximum(final.log_weight)
        return final, torch.stack([low, high], dim=1).exp()

    def _contributions(self, point: Point) -> Tensor:
        """Contributions (n,) of the rows to the log weights, to first order.

        The point is the prior or the start, plus a multiple of the first direction. If there are
        no steps, it is the one by which F would decrease if it had the curvature of its prior.
        """
        if self._first_step is None:
            return self.prior_rows
        origin, origin_rows, direction, rows = self._first_step
        moved = point.log_weight - origin
        moved = moved - self.share @ moved
        length = self.share @ (moved * direction) / (self.share @ direction.square())
        if float(length) > 0:
            return origin_rows + length * rows
        return origin_rows + self.share[self.sources] * rows

    def _lower_point(self, point: Point) -> Point | None:
        """Lowest point found along the steepest descent; None if none is lower than ``point``."""
        if point.mean_loss == 0:
            return None
        row_gradient = self._row_gradient(point)
        gradient = self._summed(row_gradient, point)
        direction = -gradient / torch.where(self.share > 0, self.share, 1.0)
        # Subtract the weighted mean; sources without weight keep their relative weight.
        direction = torch.where(self.share > 0, direction - self.share @ direction, 0.0)
        size = float(direction.abs().max())
        if size == 0:
            return None
        if self._first_step is None:
            self._first_step = self._rows_of_step(point, direction, row_gradient)
        direction /= size
        slope = float(gradient @ direction)
        length, best = min(1.0, size), None
        for _ in range(_TRIALS):
            trial = self.at(point.log_weight + length * direction)
            best = trial if best is None else lower_of(best, trial)
            # Next, try the minimum of the parabola through both values with the known slope.
            bend = (trial.objective - point.objective - slope * length) / length**2
            lowest = -slope / (2 * bend) if bend > 0 else math.inf
            lowest = min(lowest, _LARGEST_TRIAL * length)
            if best.objective < point.objective and abs(lowest - length) < 0.3 * length:
                break
            length = lowest
        return best if best is not None and best.objective < point.objective else None

    def _rows_of_step(self, point: Point, direction: Tensor, row_gradient: Tensor) -> FirstStep:
        """Contributions of the rows to the first direction, which is a mean over them."""
        rows = -row_gradient * self.sample_weight.double().sum()
        origin_rows = self.prior_rows
        if point is self.start:  # the prior then contributes to the direction
            origin_rows = torch.zeros_like(rows)
            rows = (
                rows + self.prior_rows / torch.where(self.share > 0, self.share, 1.0)[self.sources]
            )
        return FirstStep(point.log_weight, origin_rows, direction.clone(), rows)

    def gradient(self, point: Point) -> Tensor:
        """Derivative of F with respect to the log weights, with the mean weight kept at 1.

        The factorization of the point is dropped, as it is not needed again.
        """
        return self._summed(self._row_gradient(point), point)

    def _row_gradient(self, point: Point) -> Tensor:
        """Derivative (n,) of N log J by the log weight of each row, over its start weight."""
        assert point.fit is not None
        fit = point.fit.with_objective(self.problem.replace(loss=point.loss))
        point.fit = None
        relative = point.log_weight.exp()[self.sources]
        return relative * fit.derivative.double() * (self.n_effective / point.mean_loss)

    def _summed(self, row_gradient: Tensor, point: Point) -> Tensor:
        """Gradient of F from the derivatives of `_row_gradient`."""
        gradient = torch.zeros_like(self.share)
        gradient.index_add_(0, self.sources, self.sample_weight.double() * row_gradient)
        gradient += point.log_weight - self.prior
        return gradient - self.share * point.log_weight.exp() * gradient.sum()

    def at(self, log_weight: Tensor) -> Point:
        """Return the point at relative weights that are clipped to the bounds and to mean 1."""
        log_weight = self._centered(log_weight)
        fit = FittedRidge(self.problem, self._row_weight(log_weight.exp()), self.alpha)
        evaluation = fit.evaluation(derivative=False)
        return self._point(log_weight, fit, evaluation, *self._losses(evaluation))

    def _centered(self, log_weight: Tensor) -> Tensor:
        """Clip log weights to the bounds, then scale weights to mean 1; 0 for empty sources."""
        log_weight = log_weight.clamp(-LARGEST_LOG_WEIGHT, LARGEST_LOG_WEIGHT)
        log_weight = log_weight - (self.share @ log_weight.exp()).log()
        return torch.where(self.share > 0, log_weight, 0.0)

    def _losses(self, evaluation: Evaluation) -> tuple[Loss, Tensor]:
        """Loss of the held-out predictions, and its values (m,)."""
        predictions, targets = validation_predictions(self.problem, evaluation)
        loss, budget = self.problem.loss, self.problem.budget
        if isinstance(loss, LogLoss):
            loss = ScaledSquaredError.at_best_scale(
                predictions, targets, self._validation_weight, budget
            )
        return loss, row_losses(loss, predictions, targets, budget).double()

    def _point(
        self, log_weight: Tensor, fit: FittedRidge, results: Evaluation, loss: Loss, losses: Tensor
    ) -> Point:
        mean = float(self._validation_weight @ losses / self._validation_weight.sum())
        likelihood = self.n_effective * math.log(mean) if mean > 0 else -math.inf
        objective = likelihood + 0.5 * float((log_weight - self.prior).square().sum())
        return Point(log_weight, fit, results, loss, mean, objective)

    def _effective_number(self, losses: Tensor) -> float:
        """Effective number N of held-out predictions."""
        by_unit = losses.new_zeros(int(self._units.max()) + 1)
        by_unit.index_add_(0, self._units, self._validation_weight * losses)
        squares = float(by_unit.square().sum())
        return float(by_unit.sum()) ** 2 / squares if squares > 0 else 0.0

    def _row_weight(self, relative: Tensor) -> Tensor:
        return self.sample_weight * relative[self.sources].to(self.sample_weight.dtype)
