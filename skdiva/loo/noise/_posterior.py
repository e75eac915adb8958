"""Posterior probabilities of labels: the protocol of a noise model, and a threshold for flags."""

from abc import ABC, abstractmethod
from typing import Protocol

import torch
from torch import Tensor

_LEAST_PROBABILITY = 0.1  # minimum probability of being wrong for a label to be flagged


class LabelPosterior(ABC):
    """Probabilities of the classes of rows, given their outputs and labels."""

    @abstractmethod
    def class_probabilities(
        self, outputs: Tensor, labels: Tensor, *, hedged: bool = True
    ) -> Tensor:
        """Probability of every class.

        Parameters
        ----------
        outputs : tensor of shape (n, k)
            Outputs of a model that was not trained on these rows.
        labels : int64 tensor of shape (n,)
            Given labels, codes 0 .. k - 1.
        hedged : bool, default=True
            Whether rows that are hard to classify count as possibly wrong. Flags are hedged, the
            weights of rows are not. A model without such a distinction ignores it.

        Returns
        -------
        tensor of shape (n, k), float64
            Rows sum to 1.
        """

    def wrong_probability(self, outputs: Tensor, labels: Tensor, *, hedged: bool = True) -> Tensor:
        """Probability that a label is wrong, (n,): that of all classes but its own."""
        probabilities = self.class_probabilities(outputs, labels, hedged=hedged)
        # Summed, since one minus the own class would round small ones to zero.
        return probabilities.scatter_(1, labels[:, None], 0.0).sum(dim=1)


class NoiseModel(Protocol):
    """A model of label noise, to be fitted to leave-one-out outputs."""

    def fit(
        self, outputs: Tensor, labels: Tensor, sample_weight: Tensor | None = None
    ) -> LabelPosterior:
        """Fit the model.

        Parameters
        ----------
        outputs : tensor of shape (n, k)
            Leave-one-out outputs, in units of one-hot targets.
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

    If the N likeliest rows are called positive, the expected number of true positives is the sum of
    their probabilities, and F1 about 2 * that / (N + sum of all probabilities).

    Parameters
    ----------
    probability : tensor of shape (n,)
        Probability of every row of being positive.

    Returns
    -------
    float
        Rows tied at it are not above it.
    """
    ordered = probability.double().sort(descending=True).values
    n_rows = torch.arange(1, len(ordered) + 1, device=ordered.device)
    expected = 2 * ordered.cumsum(0) / (n_rows + ordered.sum())
    best = int(expected.argmax())
    following = float(ordered[best + 1]) if best + 1 < len(ordered) else 0.0
    return max(following, _LEAST_PROBABILITY)
