"""Learning of one weight per source of rows.

As there are few parameters, steps are taken until the objective converges. Let s_k be the share of
source k in the start weight, and w_k its relative weight, with sum_k s_k w_k = 1. The objective is

    F(w) = N log J(w) + 1/2 sum_k (log w_k - m_k)^2,    N = (sum_i c_i l_i)^2 / sum_i (c_i l_i)^2.

J is the mean loss of the held-out predictions, and l_i are their losses at the start (summed over
the rows of a group) with validation weights c_i. N is the effective number of predictions, which is
small if a few rows make up most of the loss. The second term is a prior, by which log w_k has a
standard deviation of 1 around m_k.

For classes, exp(m_k) = (q_k / q)^2 v. Here, q_k is the mean probability that labels of the source
are correct, and q that of labels of the same classes in all sources. They are squared as in
`learn_weights`. v is the share of a class in validation divided by its share in training, averaged
over the rows of the source. For numeric targets, exp(m_k) is one over the mean squared
leave-one-out residual of the source. F also decreases a little by chance, so that sources of equal
quality may get different weights.

The loss of classes is the squared error at the best common scale of the outputs
(`ScaledSquaredError`). Wrong labels shrink the outputs, so a loss that depends on their scale would
favor as many wrong labels in training as there are in validation.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from skdiva.loo._fitted_ridge import Evaluation, FittedRidge
from skdiva.loo._losses import LogLoss, Loss, ScaledSquaredError, row_losses
from skdiva.loo._objective import validation_predictions, validation_units
from skdiva.loo._problem import RidgeProblem
from skdiva.loo._targets import ClassTargets
from skdiva.loo.noise import NoiseModel, TransitionNoise
from skdiva.loo.weights._curation import Curation, SourceMeans, curate
from skdiva.loo.weights._descent import Descent

_LARGEST_LOG_WEIGHT = math.log(100)
_LEAST_TRUST = 1e-3
_TINY = 1e-300
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


def descend_by_source(
    problem: RidgeProblem,
    sample_weight: Tensor,
    alpha: float,
    sources: Tensor,
    *,
    labels: Tensor | None = None,
    max_iter: int = 3,
    on_step: Callable[[int, float], object] | None = None,
    noise_model: NoiseModel = TransitionNoise(),  # noqa: B008 - it is frozen
) -> Descent:
    """Learn one relative weight (weight divided by start weight) per source.

    As in section 3.4 of the paper, all rows of a source share one weight, which is updated along
    its derivative. Unlike in the paper, the objective has its own loss and a prior, and the step
    lengths are chosen by a line search. The top of ``_sources.py`` gives the details.

    Parameters
    ----------
    problem : Problem or JointProblem
        Ridge problem.
    sample_weight : tensor of shape (n,)
        Start weights, at least 0, with a sum above 0.
    alpha : float
        Ridge penalty, at least 0.
    sources : int64 tensor of shape (n,)
        Source codes.
    labels : int64 tensor of shape (n,), optional
        Class codes in input order, if the targets are classes.
    max_iter : int, default=3
        Maximum number of steps. The first step goes to the prior weights if this lowers the
        objective. Further steps follow the steepest descent, with a line search.
    on_step : callable, optional
        Called as ``on_step(step, loss)`` after every step, with the loss of the problem.
    noise_model : NoiseModel, default=TransitionNoise()
        See `curate`. Not used for numeric targets.

    Returns
    -------
    Descent
        Its relative weights have mean 1, weighted by the start weights. The largest is at most
        10,000 times the smallest. All are 1 if the effective number of held-out predictions is less
        than two.

    Raises
    ------
    ValueError
        See `evaluate`.

    References
    ----------
    Dukler et al., "DIVA: Dataset Derivative of a Learning Task", ICLR 2022, section 3.4.

    Examples
    --------
    >>> import torch
    >>> from skdiva.loo import Problem, SquaredError, ValueTargets, descend_by_source
    >>> features = torch.linspace(-1, 1, 40, dtype=torch.float64)[:, None]
    >>> source = torch.arange(40) % 2
    >>> noise = source * torch.randn(40, generator=torch.Generator().manual_seed(0))
    >>> targets = ValueTargets(features + noise[:, None])
    >>> problem = Problem(features, targets, loss=SquaredError())
    >>> weight = torch.ones(40, dtype=torch.float64)
    >>> exact, noisy = descend_by_source(problem, weight, 0.1, source).relative_weight[:2]
    >>> bool(noisy < exact / 2)
    True
    """
    fit = FittedRidge(problem, sample_weight, alpha)
    start = fit.evaluation()
    if labels is None:
        prior = noise_prior(start, sample_weight, sources)
    else:
        curation = curate(
            problem, sample_weight, alpha, labels, noise_model=noise_model, start=start
        )
        prior = trust_prior(problem, curation, sample_weight, sources, labels)
    search = SourceSearch(fit, sample_weight, sources, prior)
    del fit  # the search drops it as soon as it is not needed
    path = []
    for step, point in enumerate(search.points(max_iter)):
        path.append(point.evaluation)
        if on_step is not None:
            on_step(step, path[-1].loss)
    relative = point.log_weight.exp()[sources].to(sample_weight.dtype)
    weight = sample_weight * relative
    return Descent(
        path[0],
        path[-1],
        relative,
        weight / weight.mean(),
        [evaluation.loss for evaluation in path],
        n_iter=min(len(path), max_iter),
        n_steps=len(path) - 1,
    )


def trust_prior(
    problem: RidgeProblem,
    curation: Curation,
    sample_weight: Tensor,
    sources: Tensor,
    labels: Tensor,
) -> Tensor:
    """Prior m (n_sources,) for classes, from label probabilities and class shares."""
    outputs = curation.final.loo_predictions
    trust = 1 - curation.noise.wrong_probability(outputs, labels, hedged=False).double()
    trust = trust.clamp(min=_LEAST_TRUST)
    weight = sample_weight.double()
    of_class, of_source = SourceMeans(labels, weight), SourceMeans(sources, weight)
    usual = of_class.mean(trust)
    wanted = _validation_class_shares(problem, len(usual)) / of_class.weight.clamp(min=_TINY)
    wanted = wanted * weight.sum()  # class share in validation divided by that in training
    trusted, usual, wanted = (of_source.mean(x) for x in (trust, usual[labels], wanted[labels]))
    present = of_source.weight > 0
    ratio = torch.where(present, trusted / usual.clamp(min=_TINY), 1.0)
    return 2 * ratio.log() + torch.where(present, wanted, 1.0).log()


def noise_prior(start: Evaluation, sample_weight: Tensor, sources: Tensor) -> Tensor:
    """Prior m (n_sources,) for numeric targets: weights inverse to the noise of the sources."""
    squares = start.loo_residuals.double().square().sum(dim=1)
    means = SourceMeans(sources, sample_weight.double())
    noise = means.mean(squares)
    noise = noise / max(means.mean_over_rows(noise), _TINY)
    return -torch.where(noise > 0, noise, 1.0).log()


def lower_of(first: Point, second: Point) -> Point:
    """Return the point with the lower objective; the other one drops its factorization."""
    lower, higher = (second, first) if second.objective < first.objective else (first, second)
    higher.fit = None
    return lower


def _validation_class_shares(problem: RidgeProblem, n_classes: int) -> Tensor:
    """Share of every class in the weights of the held-out predictions."""
    weight, _ = validation_units(problem)
    targets = problem.targets if problem.validation is None else problem.validation[1]
    assert isinstance(targets, ClassTargets)
    by_class = weight.new_zeros(n_classes).index_add_(0, targets.labels, weight)
    return by_class / by_class.sum()


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
    prior : tensor of shape (n_sources,), float64
        Prior means m of the logarithms of the relative weights.

    Attributes
    ----------
    start : Point
        Point at the start weights.
    """

    def __init__(self, start: FittedRidge, sample_weight: Tensor, sources: Tensor, prior: Tensor):
        self.problem, self.alpha = start.problem, start.alpha
        self.sample_weight, self.sources = sample_weight, sources
        self._validation_weight, self._units = validation_units(self.problem)
        means = SourceMeans(sources, sample_weight.double())
        self.share = means.weight / means.weight.sum()
        self.prior = self._centered(prior)
        evaluation = start.evaluation()
        loss, losses = self._losses(evaluation)
        self.n_effective = self._effective_number(losses)
        self.start = self._point(torch.zeros_like(self.share), start, evaluation, loss, losses)

    def points(self, max_iter: int) -> Iterator[Point]:
        """Yield the start point and the point after every step."""
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

    def _lower_point(self, point: Point) -> Point | None:
        """Lowest point found along the steepest descent; None if none is lower than ``point``."""
        if point.mean_loss == 0:
            return None
        gradient = self.gradient(point)
        direction = -gradient / torch.where(self.share > 0, self.share, 1.0)
        # Subtract the weighted mean; sources without weight keep their relative weight.
        direction = torch.where(self.share > 0, direction - self.share @ direction, 0.0)
        size = float(direction.abs().max())
        if size == 0:
            return None
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

    def gradient(self, point: Point) -> Tensor:
        """Derivative of F with respect to the log weights, with the mean weight kept at 1.

        The factorization of the point is dropped, as it is not needed again.
        """
        assert point.fit is not None
        relative = point.log_weight.exp()
        weight = self._row_weight(relative)
        fit = point.fit.with_objective(self.problem.replace(loss=point.loss))
        point.fit = None
        gradient = torch.zeros_like(self.share)
        gradient.index_add_(0, self.sources, (weight * fit.derivative).double())
        gradient *= self.n_effective / point.mean_loss
        gradient += point.log_weight - self.prior
        return gradient - self.share * relative * gradient.sum()

    def at(self, log_weight: Tensor) -> Point:
        """Return the point at relative weights that are clipped to the bounds and to mean 1."""
        log_weight = self._centered(log_weight)
        fit = FittedRidge(self.problem, self._row_weight(log_weight.exp()), self.alpha)
        evaluation = fit.evaluation(derivative=False)
        return self._point(log_weight, fit, evaluation, *self._losses(evaluation))

    def _centered(self, log_weight: Tensor) -> Tensor:
        """Clip log weights to the bounds, then scale weights to mean 1; 0 for empty sources."""
        log_weight = log_weight.clamp(-_LARGEST_LOG_WEIGHT, _LARGEST_LOG_WEIGHT)
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
