"""Curated weights: every row keeps the share of its weight by which its label is trusted.

A noise model fitted to leave-one-out outputs says how likely every label is right. Outputs at the
weights that are left, to which wrong labels contribute no longer, tell more of them apart, so the
noise model is fitted to them anew. The two constraints on relative weights (weights over start
weights) are here too: rows of a source share one, and every class keeps some.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from skdiva.loo._fitted_ridge import Evaluation, FittedRidge
from skdiva.loo._problem import RidgeProblem
from skdiva.loo.noise import LabelPosterior, NoiseModel, TransitionNoise

CLASS_FLOOR = 0.01  # relative weight of the rows of a class that would otherwise lose all of it


class Curation(NamedTuple):
    """Curated weights, and answers at them.

    Attributes
    ----------
    start : Evaluation
        At the start weights.
    final : Evaluation
        At the curated weights; without a derivative.
    relative_weight : tensor of shape (n,)
        Curated weights over start weights, in [0, 1].
    noise : LabelPosterior
        Fitted to the leave-one-out outputs at the curated weights.
    """

    start: Evaluation
    final: Evaluation
    relative_weight: Tensor
    noise: LabelPosterior


def curate(
    problem: RidgeProblem,
    sample_weight: Tensor,
    alpha: float,
    labels: Tensor,
    *,
    sources: Tensor | None = None,
    noise_model: NoiseModel = TransitionNoise(),  # noqa: B008 - it is frozen
    start: FittedRidge | None = None,
) -> Curation:
    """Take from every row the share of its weight by which its label is likely to be wrong.

    Parameters
    ----------
    problem : Problem or JointProblem
        Of classes.
    sample_weight : tensor of shape (n,)
        Start weights.
    alpha : float
        Ridge penalty, positive.
    labels : int64 tensor of shape (n,)
        Codes of the classes, in input order.
    sources : int64 tensor of shape (n,), optional
        Codes of the sources whose rows share one relative weight, the weighted mean of theirs.
    noise_model : NoiseModel, default=TransitionNoise()
        What is fitted to the leave-one-out outputs.
    start : FittedRidge, optional
        The problem at the start weights, if it was factorized before.

    Returns
    -------
    Curation
        Curated weights, and answers at them.

    Raises
    ------
    ValueError
        As `evaluate`.
    """
    before = (start or FittedRidge(problem, sample_weight, alpha)).evaluation()
    posterior = noise_model.fit(before.loo_predictions, labels, sample_weight)
    wrong = posterior.wrong_probability(before.loo_predictions, labels, hedged=False)
    trust = (1 - wrong).to(sample_weight.dtype)
    if sources is not None:
        trust = SourceMeans(sources, sample_weight).mean(trust)[sources]
    trust = keep_trainable(problem, sample_weight, trust, labels)
    if bool((trust == 1).all()):  # the weights are the same, and so are all answers
        return Curation(before, before._replace(derivative=None), trust, posterior)
    final = FittedRidge(problem, sample_weight * trust, alpha).evaluation(derivative=False)
    posterior = noise_model.fit(final.loo_predictions, labels, sample_weight)
    return Curation(before, final, trust, posterior)


def keep_trainable(
    problem: RidgeProblem, sample_weight: Tensor, trust: Tensor, labels: Tensor
) -> Tensor:
    """Trust (n,) that leaves some weight to every class, and two rows (groups) with weight."""
    trust = keep_classes(trust, labels, sample_weight)
    layout = problem.layout
    if layout.n_groups_with_weight(layout.arrange(sample_weight * trust)) < 2:
        return torch.ones_like(trust)
    return trust


def keep_classes(
    relative_weight: Tensor, classes: Tensor, sample_weight: Tensor, sources: Tensor | None = None
) -> Tensor:
    """Raise relative weights to ``CLASS_FLOOR`` in classes that lost all but that share of weight.

    Parameters
    ----------
    relative_weight : tensor of shape (n,) or (n_sources,)
        Of the rows, or of the sources that ``sources`` name.
    classes : int64 tensor of shape (n,)
    sample_weight : tensor of shape (n,)
        Start weights.
    sources : int64 tensor of shape (n,), optional

    Returns
    -------
    tensor of the shape of ``relative_weight``
    """
    if sources is None:
        sources = torch.arange(len(relative_weight), device=relative_weight.device)
    before = sample_weight.new_zeros(int(classes.max()) + 1)
    after = before.index_add(0, classes, sample_weight * relative_weight[sources])
    before = before.index_add(0, classes, sample_weight)
    places = sources[(after < CLASS_FLOOR * before)[classes]]
    floored = relative_weight[places].clamp(min=CLASS_FLOOR)
    return relative_weight.index_put((places,), floored)


class SourceMeans:
    """Weighted means over the rows of a source; sources without start weight have none.

    Parameters
    ----------
    codes : int64 tensor of shape (n,)
        Source of every row.
    sample_weight : tensor of shape (n,)

    Attributes
    ----------
    weight : tensor of shape (n_sources,)
        Sum of the weights of every source.
    """

    def __init__(self, codes: Tensor, sample_weight: Tensor):
        self.codes, self.row_weight = codes, sample_weight
        n_sources = int(codes.max()) + 1
        self.weight = sample_weight.new_zeros(n_sources).index_add_(0, codes, sample_weight)

    def mean(self, row_values: Tensor) -> Tensor:
        """Mean over the rows of every source, (n_sources,)."""
        total = torch.zeros_like(self.weight)
        total.index_add_(0, self.codes, self.row_weight * row_values)
        return total / torch.where(self.weight > 0, self.weight, 1.0)

    def mean_over_rows(self, values: Tensor) -> float:
        """Mean over all rows of a value per source."""
        return float((self.weight * values).sum() / self.weight.sum())
