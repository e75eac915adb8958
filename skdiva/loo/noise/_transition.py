"""Transition matrix of label noise, fitted to leave-one-out outputs by maximum likelihood.

A row with outputs f belongs to class j with probability p_j, and then has label y with probability
T[j, y]:

    P(label y) = sum_j p_j T[j, y],     p = softmax(sharpness * (f - shift * log(class shares))).

Leave-one-out outputs do not depend on the label of the row, so they do not overfit it. Sharpness,
shift and T maximize the likelihood of the labels. At first T has one noise rate for all classes,
spread evenly over the other classes. Then every row of T is estimated freely, with a prior that
pulls it toward an even spread and counts as many rows as an average class. This second T is used
only if it increases the likelihood enough. A label is wrong with probability
1 - p_y T[y, y] / P(label y).

Rows that are hard to classify may have been labeled wrongly by people, or may belong to classes
that overlap. The outputs cannot distinguish the two cases. The model assumes the second, and hedged
probabilities assume the first with probability ``AMBIGUITY``: the class of a row is then the one on
which two people agree who both label according to a softmax that is fitted without label noise.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from skdiva.loo._targets import ClassTargets
from skdiva.loo.noise._posterior import LabelPosterior
from skdiva.loo.rows import check_weight, require_finite

# These constants were chosen on data sets that are not reported in benchmarks/results.
AMBIGUITY = 0.2
_SHARPNESS = torch.logspace(math.log10(0.5), math.log10(200), 24, dtype=torch.float64).tolist()
_SHIFTS = (0.05, 0.1, 0.15, 0.2, 0.3)
_NEAR = 1.4  # a shift changes the best sharpness by at most one step of the grid
# Factors of the sharpness to try: label noise between two classes looks like a low sharpness.
_SHARPER = (1.0, 1.6, 2.5, 4.0, 6.3, 10.0)
_SHARPEST = 400.0
_LARGEST_RATE, _LARGEST_FREE_RATE = 0.55, 0.45  # above, right and wrong labels swap roles
_FIRST_RATE, _SMALLEST_RATE, _SECOND_RATE = 0.1, 0.01, 0.2  # start values of the iterations
_SHIFT_GAIN, _CLASS_GAIN = 2.0, 3.0  # log-likelihood gains required for a shift, a free row of T
_RATE_STEPS, _TRANSITION_STEPS = 20, 15
_TINY = 1e-300


@dataclass(frozen=True)
class TransitionPosterior(LabelPosterior):
    """Posterior class probabilities by a fitted transition matrix.

    Parameters
    ----------
    sharpness : float
        Factor by which the outputs are multiplied in the softmax.
    offset : tensor of shape (k,)
        Offset that is subtracted from the outputs before the multiplication.
    transition : tensor of shape (k, k)
        T[j, y], the probability of label y for a row of class j.
    ambiguity_sharpness : float
        Twice the sharpness that maximizes the likelihood without label noise. The factor of two
        squares the probabilities, because two people must agree.
    """

    sharpness: float
    offset: Tensor
    transition: Tensor
    ambiguity_sharpness: float

    def class_probabilities(
        self, outputs: Tensor, labels: Tensor, *, hedged: bool = True
    ) -> Tensor:
        """Return the probability of every class, given outputs and labels.

        Parameters
        ----------
        outputs : tensor of shape (n, k)
        labels : int64 tensor of shape (n,)
        hedged : bool, default=True
            Whether labels of rows that are hard to classify count as possibly wrong.

        Returns
        -------
        tensor of shape (n, k), float64
            Rows sum to 1.
        """
        outputs = outputs.double()
        p = torch.softmax(self.sharpness * (outputs - self.offset), dim=1)
        joint = p * self.transition.T[labels]
        posterior = joint / joint.sum(dim=1, keepdim=True).clamp(min=_TINY)
        if not hedged:
            return posterior
        return posterior.lerp(torch.softmax(self.ambiguity_sharpness * outputs, dim=1), AMBIGUITY)


@dataclass(frozen=True)
class TransitionNoise:
    """Model of label noise by a transition matrix.

    Parameters
    ----------
    max_rows : int, default=8000
        Maximum number of rows in the fit; more rows hardly change the result. If there are more, a
        random subset is drawn with a fixed seed.
    max_elements : int, default=800_000
        Maximum number of rows times classes in the fit.
    """

    max_rows: int = 8_000
    max_elements: int = 800_000

    def fit(
        self, outputs: Tensor, labels: Tensor, sample_weight: Tensor | None = None
    ) -> TransitionPosterior:
        """Fit transition matrix, sharpness and shift by maximum likelihood.

        Parameters
        ----------
        outputs : tensor of shape (n, k)
            Leave-one-out outputs, on the scale of one-hot targets.
        labels : int64 tensor of shape (n,)
            Given labels, codes 0 .. k - 1.
        sample_weight : tensor of shape (n,), optional
            Weight of every row in the likelihood; 1 if not given.

        Returns
        -------
        TransitionPosterior
        """
        require_finite(outputs, "outputs")
        if sample_weight is None:
            sample_weight = outputs.new_ones(len(labels))
        check_weight(sample_weight, len(outputs))
        ClassTargets(labels, outputs.shape[1]).check()
        labeled = sample_rows(outputs, labels, sample_weight, self.max_rows, self.max_elements)
        sharpness, clean_sharpness, offset, rate, likelihood = _fit_rate(labeled)
        transition = _even(rate, outputs.shape[1], outputs.device)
        free = _fit_transition(labeled, sharpness, offset, rate)
        if free is not None and free[0] > likelihood + _CLASS_GAIN * outputs.shape[1]:
            _, sharpness, transition = free
        return TransitionPosterior(sharpness, offset, transition, 2 * clean_sharpness)


def fit_noise_model(
    outputs: Tensor, labels: Tensor, sample_weight: Tensor | None = None
) -> TransitionPosterior:
    """Fit the default noise model, `TransitionNoise`.

    Parameters
    ----------
    outputs : tensor of shape (n, k)
        Leave-one-out outputs, on the scale of one-hot targets.
    labels : int64 tensor of shape (n,)
        Given labels, codes 0 .. k - 1.
    sample_weight : tensor of shape (n,), optional
        Weight of every row in the likelihood; 1 if not given.

    Returns
    -------
    TransitionPosterior
        The fitted model.

    Examples
    --------
    >>> import torch
    >>> from skdiva.loo import fit_noise_model
    >>> classes = torch.arange(90) % 3
    >>> outputs = torch.eye(3)[classes] + 0.1 * torch.sin(torch.arange(270.0)).reshape(90, 3)
    >>> labels = torch.where(torch.arange(90) < 9, (classes + 1) % 3, classes)
    >>> wrong = fit_noise_model(outputs, labels).wrong_probability(outputs, labels)
    >>> bool(wrong[:9].min() > 0.9), bool(wrong[9:].max() < 0.1)
    (True, True)
    """
    return TransitionNoise().fit(outputs, labels, sample_weight)


class Labeled(NamedTuple):
    """Outputs (n, k), labels (n,), weights (n,) with mean 1, and logarithms of class shares."""

    outputs: Tensor
    labels: Tensor
    weight: Tensor
    log_shares: Tensor

    def own_log_softmax(self, sharpnesses: list[float], offset: Tensor) -> Tensor:
        """Log-softmax of the given labels, for several values of sharpness, (s, n)."""
        shifted, own = self.outputs - offset, self.labels[:, None]
        rows = [torch.log_softmax(s * shifted, dim=1).gather(1, own)[:, 0] for s in sharpnesses]
        return torch.stack(rows)


def sample_rows(
    outputs: Tensor, labels: Tensor, sample_weight: Tensor, max_rows: int, max_elements: int
) -> Labeled:
    """Return the rows used in the fit: all of them, or a random subset with a fixed seed."""
    held = sample_weight > 0  # rows without weight must not be counted
    outputs, labels, weight = outputs[held], labels[held], sample_weight[held].double()
    n_rows, n_classes = outputs.shape
    weight = weight / weight.mean()
    shares = labels.bincount(weight, minlength=n_classes) / n_rows
    n_fit = min(max_rows, max_elements // n_classes)
    if n_rows > n_fit:
        order = torch.randperm(n_rows, generator=torch.Generator().manual_seed(0))
        rows = order[:n_fit].to(labels.device)
        outputs, labels, weight = outputs[rows], labels[rows], weight[rows]
    return Labeled(outputs.double(), labels, weight, shares.clamp(min=1e-12).log())


def _fit_rate(labeled: Labeled) -> tuple[float, float, Tensor, float, float]:
    """Sharpness, sharpness without noise, offset, noise rate and log-likelihood of an even T."""
    offset = torch.zeros_like(labeled.log_shares)
    own = labeled.own_log_softmax(_SHARPNESS, offset)
    clean = int((own @ labeled.weight).argmax())
    likelihood, which, rate = _best_rate(labeled, own)
    sharpness = _SHARPNESS[which]
    near = [s for s in _SHARPNESS if 1 / _NEAR < s / sharpness < _NEAR]
    for shift in _SHIFTS:
        shifted = shift * labeled.log_shares
        gained, which, its_rate = _best_rate(labeled, labeled.own_log_softmax(near, shifted))
        if gained - _SHIFT_GAIN > likelihood:
            likelihood, rate = gained - _SHIFT_GAIN, its_rate
            sharpness, offset = near[which], shifted
    return sharpness, _SHARPNESS[clean], offset, rate, likelihood


def _best_rate(labeled: Labeled, own_log_softmax: Tensor) -> tuple[float, int, float]:
    """Largest log-likelihood among s candidates (s, n), its index, and its noise rate."""
    right = own_log_softmax.exp()
    gain = (1 - right) / (len(labeled.log_shares) - 1) - right
    rate = right.new_full((len(right), 1), _FIRST_RATE)
    for _ in range(_RATE_STEPS):  # Newton steps; the likelihood is concave in the rate
        slope = gain / (right + rate * gain).clamp(min=_TINY)
        step = (slope @ labeled.weight) / (slope.square() @ labeled.weight).clamp(min=_TINY)
        # At most halfway to the bounds, because a full step may leave [0, 1].
        rate = (rate + step[:, None]).clamp(rate / 2, (1 + rate) / 2)
    likelihood = (right + rate * gain).clamp(min=_TINY).log() @ labeled.weight
    likelihood[rate[:, 0] > _LARGEST_RATE] = -torch.inf
    best = int(likelihood.argmax())
    return float(likelihood[best]), best, float(rate[best])


def _fit_transition(
    labeled: Labeled, sharpness: float, offset: Tensor, rate: float
) -> tuple[float, float, Tensor] | None:
    """Fit an unrestricted transition matrix by EM, at several values of sharpness.

    Returns
    -------
    tuple of float, float and tensor of shape (k, k), or None
        Penalized log-likelihood, sharpness and T; None if the noise rate is too high.
    """
    n_classes = len(labeled.log_shares)
    strength = float(labeled.weight.sum()) / n_classes
    best = None
    for factor in _SHARPER:
        sharper = factor * sharpness
        if sharper > _SHARPEST:
            break
        p = torch.softmax(sharper * (labeled.outputs - offset), dim=1)
        for start in (max(rate, _SMALLEST_RATE), _SECOND_RATE):
            prior = _even(start, n_classes, p.device)
            gained, transition, its_rate = fit_transition_matrix(p, labeled, prior, strength)
            if its_rate <= _LARGEST_FREE_RATE and (best is None or gained > best[0]):
                best = gained, sharper, transition
    return best


def fit_transition_matrix(
    p: Tensor, labeled: Labeled, prior: Tensor, strength: float
) -> tuple[float, Tensor, float]:
    """Fit T by EM, with a prior that counts as ``strength`` rows per class.

    Returns
    -------
    tuple of float, tensor of shape (k, k) and float
        Penalized log-likelihood, T and the share of wrong labels.
    """
    labels, weight = labeled.labels, labeled.weight[:, None]
    transition = prior
    for _ in range(_TRANSITION_STEPS):
        joint = p * transition.T[labels]
        posterior = joint / joint.sum(dim=1, keepdim=True).clamp(min=_TINY)
        counts = torch.zeros_like(prior).index_add_(0, labels, posterior * weight).T
        counts = counts + strength * prior
        transition = counts / counts.sum(dim=1, keepdim=True)
    joint = p * transition.T[labels]
    likelihood = joint.sum(dim=1)
    objective = likelihood.clamp(min=_TINY).log() @ labeled.weight
    objective += strength * (prior * (transition / prior).log()).sum()
    own = joint.gather(1, labels[:, None])[:, 0] / likelihood.clamp(min=_TINY)
    return float(objective), transition, float(1 - (own @ labeled.weight) / weight.sum())


def _even(rate: float, n_classes: int, device: torch.device) -> Tensor:
    """T with one noise rate for all classes, spread evenly over the other classes."""
    others = rate / (n_classes - 1)
    transition = torch.full((n_classes, n_classes), others, dtype=torch.float64, device=device)
    return transition.fill_diagonal_(1 - rate)
