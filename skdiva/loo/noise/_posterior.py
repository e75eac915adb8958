"""Posterior class probabilities, protocol of noise models, and rules to flag labels.

Two rules keep labels from being flagged without evidence. If the outputs predict the labels no
better than the class shares do, no label is flagged (`label_signal`). And of every class, only a
limited number of rows is flagged (`class_cuts`): a multiple of the expected number of wrong labels.
The multiple is smaller for rare classes and if the outputs predict little. A rare class may lose
more rows if labels of the other classes are wrong at random: its label is then also found among the
rows that look least like it.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

# These constants were chosen on data sets that are not reported in benchmarks/results.
_LEAST_PROBABILITY = 0.1  # minimum probability of being wrong for a label to be flagged
_LEAST_SIGNIFICANCE = 2.0  # in standard errors, for any label to be flagged
_LEAST_GAIN = 4.0  # reduction of the squared error, in units of its mean per row
_STRONG_SIGNIFICANCE = 3.0  # for more than the expected number of rows to be flagged
# Largest number of flagged rows of a class, in multiples of the expected number of wrong labels:
# for rare classes and for others, by their size relative to the mean class.
_RARE_MULTIPLE, _WEAK_MULTIPLE, _LARGEST_MULTIPLE = 1.0, 3.0, 5.0
_WEAK, _CLEAR = 0.05, 0.15  # share of the error of class shares that the outputs remove
_RARE, _COMMON = 0.21, 0.25
_FREQUENT = 0.75  # size from which labels that are wrong at random do not change the limit
_TINY, _TIE = 1e-12, 1e-6
# A count of labels that are wrong at random is reduced by this many of its standard errors, and
# then multiplied by the same number.
_MARGIN = 2.5


class LabelPosterior(ABC):
    """Posterior class probabilities of rows, given their outputs and labels."""

    @abstractmethod
    def class_probabilities(
        self, outputs: Tensor, labels: Tensor, *, hedged: bool = True
    ) -> Tensor:
        """Return the probability of every class.

        Parameters
        ----------
        outputs : tensor of shape (n, k)
            Outputs of a model that was not trained on these rows.
        labels : int64 tensor of shape (n,)
            Given labels, codes 0 .. k - 1.
        hedged : bool, default=True
            Whether labels of rows that are hard to classify count as possibly wrong. This is True
            when labels are flagged and False when weights are computed. Models that do not make
            this distinction ignore it.

        Returns
        -------
        tensor of shape (n, k), float64
            Rows sum to 1.
        """

    def wrong_probability(self, outputs: Tensor, labels: Tensor, *, hedged: bool = True) -> Tensor:
        """Return the probability (n,) that each label is wrong, a sum over the other classes."""
        probabilities = self.class_probabilities(outputs, labels, hedged=hedged)
        # One minus the probability of the label would round small probabilities to zero.
        # The sum may round to more than one, which would make weights negative.
        return probabilities.scatter(1, labels[:, None], 0.0).sum(dim=1).clamp(max=1.0)


@dataclass(frozen=True)
class GivenLabels(LabelPosterior):
    """Posterior that takes every label for correct, for outputs that say nothing about labels."""

    def class_probabilities(
        self, outputs: Tensor, labels: Tensor, *, hedged: bool = True
    ) -> Tensor:
        """Return probability 1 for the given labels, shape (n, k)."""
        del hedged
        return torch.zeros_like(outputs, dtype=torch.float64).scatter_(1, labels[:, None], 1.0)


class NoiseModel(Protocol):
    """Protocol of a label noise model, which is fitted to leave-one-out outputs."""

    def fit(
        self, outputs: Tensor, labels: Tensor, sample_weight: Tensor | None = None
    ) -> LabelPosterior:
        """Fit the model.

        Parameters
        ----------
        outputs : tensor of shape (n, k)
            Leave-one-out outputs, on the scale of one-hot targets.
        labels : int64 tensor of shape (n,)
            Given labels, codes 0 .. k - 1.
        sample_weight : tensor of shape (n,), optional
            Weight of every row in the fit; 1 if not given.

        Returns
        -------
        LabelPosterior
        """


def expected_f1_threshold(probability: Tensor) -> float:
    """Threshold on probabilities that maximizes the expected F1 score.

    If the N most probable rows are predicted to be positive, the expected number of true positives
    is the sum of their probabilities. The expected F1 score is then approximately twice this sum,
    divided by N plus the sum of all probabilities.

    Parameters
    ----------
    probability : tensor of shape (n,)
        Probability that each row is positive.

    Returns
    -------
    float
        Threshold, at least 0.1. Rows with a larger probability are predicted to be positive; rows
        with a probability equal to it are not.

    Raises
    ------
    ValueError
        If a probability is not a number from 0 to 1.
    """
    if not ((probability >= 0) & (probability <= 1)).all():
        raise ValueError(
            "Expected probabilities from 0 to 1, got numbers from "
            f"{float(probability.min()):g} to {float(probability.max()):g}. Clip or scale them."
        )
    ordered = probability.double().sort(descending=True).values
    n_rows = torch.arange(1, len(ordered) + 1, device=ordered.device)
    expected = 2 * ordered.cumsum(0) / (n_rows + ordered.sum())
    best = int(expected.argmax())
    following = float(ordered[best + 1]) if best + 1 < len(ordered) else 0.0
    return max(following, _LEAST_PROBABILITY)


class LabelSignal(NamedTuple):
    """What leave-one-out outputs say about labels.

    Attributes
    ----------
    significance : float
        Covariance of labels and deviations of the outputs from the class shares, divided by its
        standard error for unrelated labels. It is 0 if ``error`` is hardly smaller than
        ``error_of_shares``.
    error : float
        Mean squared error of the outputs, summed over classes.
    error_of_shares : float
        The same for the class shares of the other rows.
    """

    significance: float
    error: float
    error_of_shares: float

    @property
    def is_significant(self) -> bool:
        """Whether the outputs say anything about the labels."""
        return self.significance >= _LEAST_SIGNIFICANCE

    @property
    def clarity(self) -> float:
        """Number from 0, if the outputs hardly reduce the error, to 1, from a reduction by 15 %."""
        reduction = 1 - self.error / self.error_of_shares
        return min(max((reduction - _WEAK) / (_CLEAR - _WEAK), 0.0), 1.0)


def label_signal(outputs: Tensor, labels: Tensor, sample_weight: Tensor) -> LabelSignal:
    """Measure whether leave-one-out outputs predict labels better than the class shares do.

    Parameters
    ----------
    outputs : tensor of shape (n, k)
        Leave-one-out outputs, on the scale of one-hot targets.
    labels : int64 tensor of shape (n,)
        Given labels, codes 0 .. k - 1.
    sample_weight : tensor of shape (n,)
        Weight of every row.

    Returns
    -------
    LabelSignal
    """
    weight = sample_weight.double() / sample_weight.double().mean()
    n_rows, own = len(labels), labels[:, None]
    totals = torch.zeros(outputs.shape[1], dtype=weight.dtype, device=weight.device)
    totals.index_add_(0, labels, weight)
    others = (n_rows - weight)[:, None].clamp(min=_TINY)
    chance = (totals / others).scatter_add(1, own, -weight[:, None] / others)
    chance_error = 1 - 2 * chance.gather(1, own)[:, 0] + chance.square().sum(dim=1)
    deviation = outputs.double() - chance
    covariance = deviation.gather(1, own)[:, 0] - (chance * deviation).sum(dim=1)
    total = float(weight @ covariance)
    shares = totals / n_rows
    variance = deviation.square() @ shares - (deviation @ shares).square()
    gain = 2 * total - float(weight @ deviation.square().sum(dim=1))
    error_of_shares = float(weight @ chance_error) / n_rows
    significance = 0.0
    if gain >= _LEAST_GAIN * error_of_shares:
        significance = total / math.sqrt(max(float(weight.square() @ variance), _TINY))
    return LabelSignal(significance, error_of_shares - gain / n_rows, error_of_shares)


def class_cuts(
    probability: Tensor, outputs: Tensor, labels: Tensor, threshold: float, signal: LabelSignal
) -> Tensor:
    """Probabilities above which rows are flagged, by class, so that not too many are.

    Parameters
    ----------
    probability : tensor of shape (n,)
        Probability that each label is wrong.
    outputs : tensor of shape (n, k)
        Leave-one-out outputs.
    labels : int64 tensor of shape (n,)
        Given labels, codes 0 .. k - 1.
    threshold : float
        Only rows with a larger probability are flagged.
    signal : LabelSignal
        If it is not significant, no row is flagged.

    Returns
    -------
    tensor of shape (k,), float64
        At least ``threshold``.
    """
    n_classes = outputs.shape[1]
    cuts = probability.new_full((n_classes,), threshold, dtype=torch.float64)
    if not signal.is_significant:
        return cuts.fill_(torch.inf)
    size = labels.bincount(minlength=n_classes).double()
    expected = torch.zeros_like(size).index_add_(0, labels, probability.double())
    relative = size / size.sum() * n_classes
    commonness = ((relative - _RARE) / (_COMMON - _RARE)).clamp(0, 1)
    largest = _WEAK_MULTIPLE + (_LARGEST_MULTIPLE - _WEAK_MULTIPLE) * signal.clarity
    multiple = _RARE_MULTIPLE + (largest - _RARE_MULTIPLE) * commonness
    limit = multiple * expected
    n_flagged = labels[probability > threshold].bincount(minlength=n_classes)
    for code in (n_flagged > limit).nonzero()[:, 0].tolist():
        most = float(limit[code])
        if relative[code] < _FREQUENT:
            most = max(most, random_labels(outputs, labels, code, signal))
        n_most = math.floor(most + 0.5)
        if n_flagged[code] > n_most:
            cuts[code] = probability[labels == code].sort(descending=True).values[n_most]
    return cuts


def lower_to_cuts(probability: Tensor, labels: Tensor, threshold: float, cuts: Tensor) -> Tensor:
    """Lower probabilities to the threshold if they are above it, but not above their cut.

    Parameters
    ----------
    probability : tensor of shape (n,)
        Probability that each label is wrong.
    labels : int64 tensor of shape (n,)
        Given labels, codes 0 .. k - 1.
    threshold : float
        Rows with a larger result are flagged.
    cuts : tensor of shape (k,)
        That of `class_cuts`.

    Returns
    -------
    tensor of shape (n,)
        Lowered probabilities keep their order, just below the threshold.
    """
    lowered = threshold * (1 - _TIE * (1 - probability))
    is_cut = (probability > threshold) & (probability <= cuts[labels])
    return torch.where(is_cut, lowered, probability)


def random_labels(outputs: Tensor, labels: Tensor, code: int, signal: LabelSignal) -> float:
    """Number of rows of a class whose labels may be wrong at random, a generous estimate.

    Half of the rows, those with the smallest outputs for the class, hardly belong to it. If
    significantly many have its label nevertheless, the same share is expected among all rows of
    other classes.

    Parameters
    ----------
    outputs : tensor of shape (n, k)
        Leave-one-out outputs.
    labels : int64 tensor of shape (n,)
        Given labels, codes 0 .. k - 1.
    code : int
        Class.
    signal : LabelSignal
        If its significance is less than 3, the outputs are not reliable enough, and the number is
        0.

    Returns
    -------
    float
    """
    if signal.significance < _STRONG_SIGNIFICANCE:
        return 0.0
    column, has_label = outputs[:, code], labels == code
    low = column <= column.median()
    count = float((low & has_label).sum())
    count = max(count - _MARGIN * math.sqrt(count), 0.0)
    return _MARGIN * count / float(low.sum()) * float((~has_label).sum())
