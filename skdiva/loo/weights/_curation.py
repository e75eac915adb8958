"""Curated weights: the weight of every row times the probability that its label is correct.

A noise model fitted to leave-one-out outputs estimates these probabilities. At the curated weights,
wrong labels contribute little to the outputs, which makes them easier to identify. The noise model
is therefore fitted again to the new outputs. This module also contains the two constraints on
relative weights (weights divided by start weights): all rows of a source have the same relative
weight, and every class keeps some weight.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from skdiva.loo._fitted_ridge import Evaluation, FittedRidge
from skdiva.loo._problem import RidgeProblem
from skdiva.loo.noise import (
    GivenLabels,
    LabelPosterior,
    LabelSignal,
    NoiseModel,
    TransitionNoise,
    label_signal,
    random_labels,
)

_LEAST_SHARE = 0.5  # of the weight of a class, unless there is evidence that its labels are wrong
CLASS_FLOOR = 0.01  # minimum relative weight in a class that would otherwise lose all its weight


class Curation(NamedTuple):
    """Curated weights and the results at these weights.

    Attributes
    ----------
    start : Evaluation
        Results at the start weights.
    final : Evaluation
        Results at the curated weights, without a derivative.
    relative_weight : tensor of shape (n,)
        Curated weights divided by start weights, in [0, 1].
    noise : LabelPosterior
        Class probabilities, fitted to the leave-one-out outputs at the curated weights. Without
        signal, `GivenLabels`, which takes all labels for correct.
    signal : LabelSignal
        What the outputs at the start weights say about the labels. If it is not significant, all
        labels are taken for correct.
    """

    start: Evaluation
    final: Evaluation
    relative_weight: Tensor
    noise: LabelPosterior
    signal: LabelSignal


def curate(
    problem: RidgeProblem,
    sample_weight: Tensor,
    alpha: float,
    labels: Tensor,
    *,
    sources: Tensor | None = None,
    noise_model: NoiseModel = TransitionNoise(),  # noqa: B008 - it is frozen
    start: Evaluation | None = None,
) -> Curation:
    """Multiply the weight of every row by the probability that its label is correct.

    Parameters
    ----------
    problem : Problem or JointProblem
        Classification problem.
    sample_weight : tensor of shape (n,)
        Start weights.
    alpha : float
        Ridge penalty, positive.
    labels : int64 tensor of shape (n,)
        Class codes in input order.
    sources : int64 tensor of shape (n,), optional
        Source codes. All rows of a source get the same relative weight, the weighted mean over
        these rows.
    noise_model : NoiseModel, default=TransitionNoise()
        Model that is fitted to the leave-one-out outputs.
    start : Evaluation, optional
        Results at the start weights, if they are known already.

    Returns
    -------
    Curation
        Curated weights and the results at these weights.

    Raises
    ------
    ValueError
        See `evaluate`.
    """
    # Only the results are kept, as a factorization may be as large as the features.
    before = start or FittedRidge(problem, sample_weight, alpha).evaluation()
    unchanged = before._replace(derivative=None), torch.ones_like(sample_weight)
    signal = label_signal(before.loo_predictions, labels, sample_weight)
    if not signal.is_significant:
        return Curation(before, *unchanged, GivenLabels(), signal)
    posterior = noise_model.fit(before.loo_predictions, labels, sample_weight)
    wrong = posterior.wrong_probability(before.loo_predictions, labels, hedged=False)
    trust = (1 - wrong).to(sample_weight.dtype)
    if sources is not None:
        trust = SourceMeans(sources, sample_weight).mean(trust)[sources]
    trust = keep_trainable(problem, sample_weight, trust, labels)
    if bool((trust == 1).all()):  # same weights, and therefore the same results
        return Curation(before, *unchanged, posterior, signal)
    final = FittedRidge(problem, sample_weight * trust, alpha).evaluation(derivative=False)
    posterior = noise_model.fit(final.loo_predictions, labels, sample_weight)
    return Curation(before, final, trust, posterior, signal)


def keep_trainable(
    problem: RidgeProblem, sample_weight: Tensor, trust: Tensor, labels: Tensor
) -> Tensor:
    """Adjust relative weights ``trust`` (n,) so that the model can be trained.

    Every class keeps some weight. If fewer than two rows (or groups) would have positive weight,
    all relative weights are 1.
    """
    trust = keep_classes(trust, labels, sample_weight)
    layout = problem.layout
    if layout.n_groups_with_weight(layout.arrange(sample_weight * trust)) < 2:
        return torch.ones_like(trust)
    return trust


def keep_classes(
    relative_weight: Tensor, classes: Tensor, sample_weight: Tensor, sources: Tensor | None = None
) -> Tensor:
    """Raise the relative weights in classes that would lose almost all of their weight.

    If a class keeps less than a share of ``CLASS_FLOOR`` of its start weight, its relative weights
    are raised to at least ``CLASS_FLOOR``.

    Parameters
    ----------
    relative_weight : tensor of shape (n,) or (n_sources,)
        Relative weights of the rows or, if ``sources`` is given, of the sources.
    classes : int64 tensor of shape (n,)
        Class codes.
    sample_weight : tensor of shape (n,)
        Start weights.
    sources : int64 tensor of shape (n,), optional
        Source codes.

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


def loss_factors(
    trust: Tensor, outputs: Tensor, labels: Tensor, sample_weight: Tensor, signal: LabelSignal
) -> Tensor:
    """Factors that keep classes from losing more than half of their weight without evidence.

    Parameters
    ----------
    trust : tensor of shape (n,)
        Relative weights.
    outputs : tensor of shape (n, k)
        Leave-one-out outputs.
    labels : int64 tensor of shape (n,)
        Class codes.
    sample_weight : tensor of shape (n,)
        Start weights.
    signal : LabelSignal
        See `random_labels`, whose number of rows a class may lose even if that is more than half.

    Returns
    -------
    tensor of shape (k,)
        Factors for the losses 1 - ``trust`` of the rows of every class; 1 if the class does not
        lose too much.
    """
    mean = SourceMeans(labels, sample_weight).mean(trust)
    size, factors = labels.bincount(), torch.ones_like(mean)
    for code in (mean < _LEAST_SHARE).nonzero()[:, 0].tolist():
        share = random_labels(outputs, labels, code, signal) / float(size[code])
        allowed = min(max(share, 1 - _LEAST_SHARE), 1.0)
        factors[code] = min(allowed / float(1 - mean[code]), 1.0)
    return factors


class SourceMeans:
    """Weighted means over the rows of every source, which are 0 for sources without weight.

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
        """Weighted mean over the rows of every source, (n_sources,)."""
        total = torch.zeros_like(self.weight)
        total.index_add_(0, self.codes, self.row_weight * row_values)
        return total / torch.where(self.weight > 0, self.weight, 1.0)

    def mean_over_rows(self, values: Tensor) -> float:
        """Weighted mean over all rows, from one value per source."""
        return float((self.weight * values).sum() / self.weight.sum())
