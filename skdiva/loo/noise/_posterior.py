"""Posterior class probabilities, protocol of noise models, and threshold to flag labels."""

from abc import ABC, abstractmethod
from typing import Protocol

import torch
from torch import Tensor

_LEAST_PROBABILITY = 0.1  # minimum probability of being wrong for a label to be flagged


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
    """
    ordered = probability.double().sort(descending=True).values
    n_rows = torch.arange(1, len(ordered) + 1, device=ordered.device)
    expected = 2 * ordered.cumsum(0) / (n_rows + ordered.sum())
    best = int(expected.argmax())
    following = float(ordered[best + 1]) if best + 1 < len(ordered) else 0.0
    return max(following, _LEAST_PROBABILITY)
