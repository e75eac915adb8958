"""One weight per source of rows: few parameters, so that steps may go on until they settle.

With a share s_k of the start weight and a factor w_k for every source, sum_k s_k w_k = 1, minimise

    F(w) = N log J(w) + 1/2 sum_k (log w_k - m_k)^2,    N = (sum_i c_i l_i)^2 / sum_i (c_i l_i)^2,

where J is the mean loss of the predictions that judge, l_i those losses at the start (summed over
the rows of a group) and N the number of judges that they are worth: few if few rows make up most of
the loss. The second term is a prior: sources differ by a factor of about e, around what is known
beforehand of classes, exp(m_k): the square of the trust in the labels of a source, as rows get it
in `learn_weights`, over that in labels of the same classes elsewhere; times the share of its
classes in judging over that in training. For numbers, exp(m_k) is one over the mean squared
leave-one-out residual of the source. Chance lowers F a little too: sources that
are alike may part.

Classes are judged by squared error at the best common scale of the outputs (`ScaledSquaredError`):
wrong labels shrink the outputs, so a loss that minds their size would ask for as many wrong labels
in training as there are among the judges.
"""

import copy
import math
from typing import NamedTuple

import torch
from torch import Tensor

from skdiva.loo._evaluation import Evaluation, evaluate, predict_leave_one_out
from skdiva.loo._losses import LogLoss, ScaledSquaredError
from skdiva.loo._objective import judged_predictions, judges, row_losses
from skdiva.loo.weights._curation import curate
from skdiva.loo.weights._descent import Descent, Ties

_LARGEST_LOG_FACTOR = math.log(100)
_LEAST_TRUST = 1e-3
_TINY = 1e-300
_TRIALS = 3  # points looked at along one direction
_LARGEST_TRIAL = 4.0  # times the point before
_SETTLED = 0.05  # a step that lowers F by less is the last
_LEAST_JUDGES = 2  # fewer can be predicted exactly, and log J has no bottom


class _Point(NamedTuple):
    """Factors of the sources, and what they lead to."""

    log_factor: Tensor  # (n_sources,)
    evaluation: Evaluation
    loss: object  # that judges
    mean_loss: float
    objective: float


def descend_by_source(
    problem, sample_weight, alpha, ties, *, labels=None, max_iter=3, on_step=None
):
    """Learn one factor per source, its weight over the start weight.

    The paper's section 3.4 ties the weights of a source and steps along their derivative. Here the
    steps have a loss, a prior and lengths of their own: see the top of this file.

    Parameters
    ----------
    problem : Problem
    sample_weight : tensor of shape (n,)
        Start weights, at least 0, with a sum above 0.
    alpha : float
        Ridge penalty, at least 0.
    ties : int64 tensor of shape (n,)
        Codes of the sources.
    labels : int64 tensor of shape (n,), optional
        Codes of the classes, in input order, if the targets are classes.
    max_iter : int, default=3
        Largest number of steps: to the prior if F falls, then along steepest descent, each as far
        as F falls.
    on_step : callable, optional
        Called as ``on_step(step, loss)`` after every step, with the loss of the problem.

    Returns
    -------
    Descent
        Its factors have mean 1 over the start weights. The largest is at most 10,000 times the
        smallest. All are 1 if the loss is that of fewer than two judges.

    Raises
    ------
    ValueError
        As `evaluate`.

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
    >>> exact, noisy = descend_by_source(problem, weight, 0.1, source).factor[:2]
    >>> bool(noisy < exact / 2)
    True
    """
    if labels is None:
        start = evaluate(problem, sample_weight, alpha)
        prior = _precision(start, sample_weight, ties)
    else:
        start, prior = _prior(problem, sample_weight, alpha, ties, labels)
    search = _Search(problem, sample_weight, alpha, ties, start, prior)
    points = []
    for step, point in enumerate(search.points(max_iter)):
        points.append(point)
        if on_step is not None:
            on_step(step, point.evaluation.loss)
    factor = points[-1].log_factor.exp()[ties].to(sample_weight.dtype)
    weight = sample_weight * factor
    return Descent(
        start,
        points[-1].evaluation,
        factor,
        weight / weight.mean(),
        [point.evaluation.loss for point in points],
        n_iter=min(len(points), max_iter),
        n_steps=len(points) - 1,
    )


def _prior(problem, sample_weight, alpha, ties, labels):
    """Evaluation at the start, and m (n_sources,)."""
    curation = curate(problem, sample_weight, alpha, labels)
    outputs = curation.final.loo_predictions
    trust = 1 - curation.noise.wrong_probability(outputs, labels, hedged=False).double()
    trust = trust.clamp(min=_LEAST_TRUST)
    weight = sample_weight.double()
    of_class, of_source = Ties(labels, weight), Ties(ties, weight)
    usual = of_class.mean(trust)
    wanted = _class_weights_of_judges(problem, len(usual)) / of_class.weight.clamp(min=_TINY)
    wanted = wanted * weight.sum()  # in judging over that in training, by class
    trusted, usual, wanted = (of_source.mean(x) for x in (trust, usual[labels], wanted[labels]))
    present = of_source.weight > 0
    ratio = torch.where(present, trusted / usual.clamp(min=_TINY), 1.0)
    return curation.start, 2 * ratio.log() + torch.where(present, wanted, 1.0).log()


def _precision(start, sample_weight, ties):
    """For numbers, m (n_sources,): the best weight of a source is one over the noise in it."""
    squares = start.loo_residuals.double().square().sum(dim=1)
    tied = Ties(ties, sample_weight.double())
    noise = tied.mean(squares)
    noise = noise / max(tied.mean_over_rows(noise), _TINY)
    return -torch.where(noise > 0, noise, 1.0).log()


def _class_weights_of_judges(problem, n_classes):
    """Share of every class in the weights of the rows that judge."""
    weight, _ = judges(problem)
    targets = problem.targets if problem.validation is None else problem.validation[1]
    by_class = weight.new_zeros(n_classes).index_add_(0, targets.labels, weight)
    return by_class / by_class.sum()


class _Search:
    """The objective F of one problem, and steps down it."""

    def __init__(self, problem, sample_weight, alpha, ties, start, prior):
        self.problem, self.sample_weight = problem, sample_weight
        self.alpha, self.ties = alpha, ties
        self.judge_weight, self.units = judges(problem)
        tied = Ties(ties, sample_weight.double())
        self.share = tied.weight / tied.weight.sum()
        self.prior = self._centered(prior)
        loss, losses = self._losses(start)
        self.n_judges = self._effective_judges(losses)
        self.start = self._point(torch.zeros_like(self.share), start, loss, losses)

    def points(self, max_iter):
        """Yield the start and where every step leads to."""
        yield self.start
        if self.n_judges < _LEAST_JUDGES:
            return
        point, n_steps = self.start, 0
        favoured = self._at(self.prior)
        if self.start.objective - favoured.objective > _SETTLED:
            yield favoured
            point, n_steps = favoured, 1
        while n_steps < max_iter and (lower := self._lower_point(point)) is not None:
            yield lower
            settled = point.objective - lower.objective < _SETTLED
            point, n_steps = lower, max_iter if settled else n_steps + 1

    def _lower_point(self, point):
        """Lowest point found along steepest descent, or None if none is lower."""
        if point.mean_loss == 0:
            return None
        gradient = self._gradient(point)
        direction = -gradient / torch.where(self.share > 0, self.share, 1.0)
        direction = self._balanced(direction)
        size = float(direction.abs().max())
        if size == 0:
            return None
        direction /= size
        slope = float(gradient @ direction)
        length, best = min(1.0, size), None
        for _ in range(_TRIALS):
            trial = self._at(point.log_factor + length * direction)
            if best is None or trial.objective < best.objective:
                best = trial
            # The lowest point of the parabola through what is known is the next to look at.
            bend = (trial.objective - point.objective - slope * length) / length**2
            lowest = -slope / (2 * bend) if bend > 0 else math.inf
            lowest = min(lowest, _LARGEST_TRIAL * length)
            if best.objective < point.objective and abs(lowest - length) < 0.3 * length:
                break
            length = lowest
        return best if best.objective < point.objective else None

    def _gradient(self, point):
        """Derivative of F with respect to the logarithms of the factors, their mean kept."""
        problem = copy.copy(self.problem)
        problem.loss = point.loss
        factor = point.log_factor.exp()
        weight = self._row_weight(factor)
        derivative = evaluate(problem, weight, self.alpha).derivative
        gradient = torch.zeros_like(self.share)
        gradient.index_add_(0, self.ties, (weight * derivative).double())
        gradient *= self.n_judges / point.mean_loss
        gradient += point.log_factor - self.prior
        return gradient - self.share * factor * gradient.sum()

    def _at(self, log_factor):
        log_factor = self._centered(log_factor)
        weight = self._row_weight(log_factor.exp())
        evaluation = predict_leave_one_out(self.problem, weight, self.alpha)
        return self._point(log_factor, evaluation, *self._losses(evaluation))

    def _centered(self, log_factor):
        """Factors between the bounds, of mean 1; sources without weight stay where they are."""
        log_factor = log_factor.clamp(-_LARGEST_LOG_FACTOR, _LARGEST_LOG_FACTOR)
        log_factor = log_factor - (self.share @ log_factor.exp()).log()
        return torch.where(self.share > 0, log_factor, 0.0)

    def _losses(self, evaluation):
        """The loss that judges, and its value (m,) for every judge."""
        predictions, targets = judged_predictions(self.problem, evaluation)
        loss = self.problem.loss
        if isinstance(loss, LogLoss):
            loss = ScaledSquaredError.at_best_scale(predictions, targets, self.judge_weight)
        return loss, row_losses(loss, predictions, targets).double()

    def _point(self, log_factor, evaluation, loss, losses):
        mean = float(self.judge_weight @ losses / self.judge_weight.sum())
        fit = self.n_judges * math.log(mean) if mean > 0 else -math.inf
        objective = fit + 0.5 * float((log_factor - self.prior).square().sum())
        return _Point(log_factor, evaluation, loss, mean, objective)

    def _effective_judges(self, losses):
        by_unit = losses.new_zeros(int(self.units.max()) + 1)
        by_unit.index_add_(0, self.units, self.judge_weight * losses)
        squares = float(by_unit.square().sum())
        return float(by_unit.sum()) ** 2 / squares if squares > 0 else 0.0

    def _row_weight(self, factor):
        return self.sample_weight * factor[self.ties].to(self.sample_weight.dtype)

    def _balanced(self, direction):
        """Take off what all sources have in common; those without weight stay where they are."""
        common = self.share @ direction
        return torch.where(self.share > 0, direction - common, 0.0)
