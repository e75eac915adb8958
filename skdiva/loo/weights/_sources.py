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
leave-one-out residual of the source. F also decreases a little by chance, so that the weights are
finally shrunk toward their common weight, see ``_source_shrinkage.py``.

The loss of classes is the squared error at the best common scale of the outputs
(`ScaledSquaredError`). Wrong labels shrink the outputs, so a loss that depends on their scale would
favor as many wrong labels in training as there are in validation.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from skdiva.loo._fitted_ridge import Evaluation, FittedRidge
from skdiva.loo._objective import validation_units
from skdiva.loo._problem import RidgeProblem
from skdiva.loo._targets import ClassTargets
from skdiva.loo.noise import NoiseModel, TransitionNoise
from skdiva.loo.weights._curation import Curation, SourceMeans, curate
from skdiva.loo.weights._descent import Descent
from skdiva.loo.weights._source_search import SourceSearch

_LEAST_TRUST = 1e-3
_LEAST_RATIO = 1e-3  # of class shares; the weights cannot become as small
_TINY = 1e-300


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
        objective. Further steps follow the steepest descent, with a line search. The last step
        ends at the shrunk weights.
    on_step : callable, optional
        Called as ``on_step(step, loss)`` after every step, with the loss of the problem before the
        weights are shrunk.
    noise_model : NoiseModel, default=TransitionNoise()
        See `curate`. Not used for numeric targets.

    Returns
    -------
    Descent
        Its relative weights have mean 1, weighted by the start weights. The largest is at most
        10,000 times the smallest. All are 1 if the effective number of held-out predictions is less
        than two. Its ``source_interval`` holds approximate 95 % intervals of the relative weights
        of the sources, which contain these weights.

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
    n_iter = min(len(path), max_iter)
    point, interval = search.shrunk(point)
    path = path[:1] if point is search.start else [*path[:-1], point.evaluation]
    relative = point.log_weight.exp()[sources].to(sample_weight.dtype)
    weight = sample_weight * relative
    return Descent(
        path[0],
        path[-1],
        relative,
        weight / weight.mean(),
        [evaluation.loss for evaluation in path],
        n_iter=n_iter,
        n_steps=len(path) - 1,
        source_interval=interval,
    )


def trust_prior(
    problem: RidgeProblem,
    curation: Curation,
    sample_weight: Tensor,
    sources: Tensor,
    labels: Tensor,
) -> Tensor:
    """Contributions (n,) to the prior for classes, from label probabilities and class shares.

    Their means over the sources are the prior means m. A contribution is m plus a first-order term,
    the relative deviation of the row from its source.
    """
    outputs = curation.final.loo_predictions
    trust = 1 - curation.noise.wrong_probability(outputs, labels, hedged=False).double()
    trust = trust.clamp(min=_LEAST_TRUST)
    weight = sample_weight.double()
    of_class, of_source = SourceMeans(labels, weight), SourceMeans(sources, weight)
    usual = of_class.mean(trust)
    wanted = _validation_class_shares(problem, len(usual)) / of_class.weight.clamp(min=_TINY)
    wanted = wanted * weight.sum()  # class share in validation divided by that in training
    wanted = wanted.clamp(min=_LEAST_RATIO)
    rows = torch.zeros_like(trust)
    for power, values, sign in ((2, trust, 1), (2, usual[labels], -1), (1, wanted[labels], 1)):
        mean = of_source.mean(values).clamp(min=_TINY)
        relative = values / mean[sources]
        rows += power * sign * (mean.log()[sources] + relative - 1)
    return torch.where(weight > 0, rows, 0.0)


def noise_prior(start: Evaluation, sample_weight: Tensor, sources: Tensor) -> Tensor:
    """Contributions (n,) to the prior for numeric targets: weights inverse to the noise.

    See `trust_prior`.
    """
    squares = start.loo_residuals.double().square().sum(dim=1)
    means = SourceMeans(sources, sample_weight.double())
    noise = means.mean(squares)
    usual = max(means.mean_over_rows(noise), _TINY)
    known = (noise > 0)[sources]
    of_row = torch.where(known, noise[sources], 1.0)
    return torch.where(known, 1 - squares / of_row - (of_row / usual).log(), 0.0)


def _validation_class_shares(problem: RidgeProblem, n_classes: int) -> Tensor:
    """Share of every class in the weights of the held-out predictions."""
    weight, _ = validation_units(problem)
    targets = problem.targets if problem.validation is None else problem.validation[1]
    assert isinstance(targets, ClassTargets)
    by_class = weight.new_zeros(n_classes).index_add_(0, targets.labels, weight)
    return by_class / by_class.sum()
