"""Ridge penalty with the smallest leave-one-out squared error, from one factorization.

Let V be the eigenvectors and d the eigenvalues of the weighted, centered Gram matrix. The rotated
rows u_i = V' z_i give the hat matrix for every alpha,

    H_ij(alpha) = sum_q u_iq u_jq / (d_q + alpha),

plus 1 / sum(a) if there is an intercept. The penalty is always chosen by squared error, whatever
the loss of the problem. The cross-entropy of ridge outputs decreases if the outputs merely become
larger, so it would favor the smallest penalty.
"""

import math
from abc import ABC, abstractmethod
from functools import partial
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from skdiva.loo._targets import Targets
from skdiva.loo.ridge import (
    LEAST_SHARE,
    InsufficientPrecisionError,
    center_rows,
    full_float32,
    solve_whitened,
    weighted_center,
    weighted_gram,
    weighted_moment,
    weighted_target_mean,
)
from skdiva.loo.rows import Block, Layout, RowBlocks, check_weight

# Exponents of ten, relative to the mean eigenvalue.
_GRID = (-4.0, 2.0)
_STEP = 0.5
_EXTENSION = 2.0
_LIMITS = {torch.float32: (-5.0, 6.0), torch.float64: (-9.0, 6.0)}
_OUTPUTS_AT_ONCE = 512  # number of outputs times penalties per matrix product
_TIE = 1e-9  # losses are tied below this relative difference; the larger penalty is chosen


class Penalty(NamedTuple):
    """A ridge penalty and its squared error.

    Attributes
    ----------
    alpha : float
        Ridge penalty.
    loss : float
        Mean leave-one-out (or validation) squared error, summed over outputs.
    """

    alpha: float
    loss: float


class Spectrum(ABC):
    """Eigenvalues and rotated rows of a weighted ridge problem, in visiting order.

    Subclasses set the attributes.

    Attributes
    ----------
    eigenvalues : tensor of shape (q,)
        Eigenvalues of the weighted Gram matrix of the centered rows.
    mean_eigenvalue : float
        Scale of the penalties; 0 if the features are constant.
    rows : RowBlocks
        Rotated rows (n, q).
    moment : tensor of shape (q, k)
        Weighted moment of rotated rows and centered targets.
    weight, validation_weight : tensors of shape (n,)
        Weights of the rows in training and in the loss.
    validation_total : float
        Sum of the weights of the samples in the loss.
    targets : Targets
    mean : tensor of shape (k,), float64
        Mean that is subtracted from the targets.
    constant : float
        Contribution of the intercept to the entries of H.
    validation : tuple or None
        Separate validation set. If given, its mean error replaces the leave-one-out error.
    """

    eigenvalues: Tensor
    mean_eigenvalue: float
    rows: RowBlocks
    moment: Tensor
    weight: Tensor
    validation_weight: Tensor
    validation_total: float
    targets: Targets
    mean: Tensor
    constant: float
    validation: tuple | None

    @abstractmethod
    def whiten(self, rotated: Tensor, shrunk: Tensor) -> Tensor:
        """Whiten rotated rows for one penalty; ``shrunk`` is 1 / (eigenvalues + penalty)."""

    @abstractmethod
    def validation_losses(self, coef: Tensor, n_alphas: int) -> Tensor:
        """Mean squared validation errors (A,), for coefficients (q, A k) of A penalties."""

    def losses(self, alphas: list[float]) -> list[float]:
        """Mean squared error for every penalty; infinite if the dtype is not precise enough."""
        step = max(_OUTPUTS_AT_ONCE // self.moment.shape[1], 1)
        losses: list[float] = []
        for some in self.eigenvalues.new_tensor(alphas).split(step):
            shrunk = 1 / (self.eigenvalues[:, None] + some)  # (q, A)
            coef = (shrunk[:, :, None] * self.moment[:, None, :]).flatten(1)  # (q, A k)
            if self.validation is None:
                losses += self._loo_losses(shrunk, coef).tolist()
            else:
                losses += self.validation_losses(coef, len(some)).tolist()
        return losses

    def _loo_losses(self, shrunk: Tensor, coef: Tensor) -> Tensor:
        """Mean squared leave-one-out errors (A,), for coefficients (q, A k)."""
        n_alphas = shrunk.shape[1]

        def add(total, block, rotated, weight, validation_weight):
            values = self.targets.ridge_values(block.rows, self.rows.dtype, self.mean)
            residuals = (rotated @ coef).unflatten(1, (n_alphas, -1)) - values[:, None, :]
            if block.group_size == 1:
                share = 1 - weight[:, None] * (rotated.square() @ shrunk + self.constant)
                squares = residuals.square().sum(dim=2) / share.square()
                squares.masked_fill_(share < LEAST_SHARE[self.rows.dtype], torch.inf)
            else:
                squares = self._group_squares(block, rotated, weight, shrunk, residuals)
            loss = validation_weight.double() @ squares.double()
            return (loss if total is None else total[0].add_(loss),)

        weights = self.weight, self.validation_weight
        return self.rows.reduce(add, *weights)[0] / self.validation_total

    def _group_squares(
        self, block: Block, rotated: Tensor, weight: Tensor, shrunk: Tensor, residuals: Tensor
    ) -> Tensor:
        """Squared residuals (b, A) of rows left out with their groups, summed over outputs."""
        columns = []
        for number in range(shrunk.shape[1]):
            whitened = self.whiten(rotated, shrunk[:, number])
            columns.append(_left_out_squares(block, whitened, weight, residuals[:, number]))
        return torch.stack(columns, dim=1)


def _left_out_squares(block: Block, whitened: Tensor, weight: Tensor, residuals: Tensor) -> Tensor:
    """Squared LOO residuals (b,) of the groups in a block at one penalty."""
    try:
        solved = solve_whitened(*map(block.stack, (whitened, weight, residuals)))
    except InsufficientPrecisionError:
        return residuals.new_full((residuals.shape[0],), torch.inf)
    return solved.square().sum(dim=2).flatten()


class RowSpectrum(Spectrum):
    """Spectrum of the rows of a `Problem`.

    Parameters
    ----------
    rows : RowBlocks
        Features (n, p); in float64 if there are more columns than rows.
    targets : Targets
    sample_weight, validation_weight : tensors of shape (n,)
    fit_intercept : bool
    validation : tuple of (tensor of shape (m, p), targets), optional
    """

    def __init__(
        self,
        rows: RowBlocks,
        targets: Targets,
        sample_weight: Tensor,
        validation_weight: Tensor,
        fit_intercept: bool,
        validation: tuple | None = None,
    ):
        self.weight, self.targets = sample_weight.to(rows.dtype), targets
        self.center = weighted_center(rows, sample_weight, fit_intercept)
        wide = rows.n_columns > rows.n_rows
        decompose = self._decompose_wide if wide else self._decompose_tall
        self.eigenvalues, self.rotation = decompose(rows)
        total, weight_total = float(self.eigenvalues.sum()), float(sample_weight.double().sum())
        # After centering, constant columns contain only the rounding errors of their means.
        rounding = (4 * torch.finfo(rows.dtype).eps) ** 2 * float(self.center.square().sum())
        constant = total <= rounding * weight_total
        self.mean_eigenvalue = 0.0 if constant else total / min(rows.n_rows, rows.n_columns)
        self.constant = 1 / weight_total if fit_intercept else 0.0
        self.validation, self.validation_weight = validation, validation_weight
        self.validation_total = float(validation_weight.double().sum())
        self.mean = weighted_target_mean(targets, self.weight, fit_intercept, rows.budget)
        rotate = partial(_write_rotated, self.center, self.rotation)
        self.rows = rows.transform(rotate, self.eigenvalues.shape[0])
        self.moment = weighted_moment(self.rows, self.weight, targets, self.mean)

    def _decompose_tall(self, rows: RowBlocks) -> tuple[Tensor, Tensor]:
        gram = _finite(weighted_gram(rows, self.weight, self.center))
        eigenvalues, vectors = torch.linalg.eigh(gram.double())
        return eigenvalues.clamp_(min=0).to(rows.dtype), vectors.to(rows.dtype)

    def _decompose_wide(self, rows: RowBlocks) -> tuple[Tensor, Tensor]:
        """Decompose the smaller (n, n) Gram matrix, which has the same non-zero eigenvalues."""
        features = rows.read(slice(0, rows.n_rows))
        scaled = center_rows(features, self.center).mul_(self.weight.sqrt()[:, None])
        eigenvalues, vectors = torch.linalg.eigh(_finite(scaled @ scaled.T))
        present = eigenvalues > eigenvalues[-1] * len(eigenvalues) * torch.finfo(rows.dtype).eps
        eigenvalues, vectors = eigenvalues[present], vectors[:, present]
        return eigenvalues, scaled.T @ (vectors / eigenvalues.sqrt())

    def whiten(self, rotated: Tensor, shrunk: Tensor) -> Tensor:
        """Whiten rotated rows for one penalty; ``shrunk`` is 1 / (eigenvalues + penalty)."""
        whitened = rotated * shrunk.sqrt()
        if not self.constant:
            return whitened
        constant = whitened.new_full((whitened.shape[0], 1), self.constant**0.5)
        return torch.cat([whitened, constant], dim=1)

    def validation_losses(self, coef: Tensor, n_alphas: int) -> Tensor:
        """Mean squared validation errors (A,), for coefficients (q, A k) of A penalties."""
        assert self.validation is not None
        features, targets = self.validation
        total = torch.zeros(n_alphas, dtype=torch.float64, device=features.device)
        step, dtype = self.rows.layout.blocks[0], self.rows.dtype
        for start in range(0, targets.n_rows, step.stop - step.start):
            rows = slice(start, start + step.stop - step.start)
            values = targets.ridge_values(rows, dtype, self.mean)
            centered = center_rows(features[rows].to(dtype), self.center)
            predictions = (centered @ (self.rotation @ coef)).unflatten(1, (n_alphas, -1))
            total += (predictions - values[:, None, :]).double().square().sum(dim=(0, 2))
        return total / targets.n_rows


def _finite(gram: Tensor) -> Tensor:
    """Return a Gram matrix whose entries must be finite."""
    if not bool(torch.isfinite(gram).all()):
        raise InsufficientPrecisionError(f"Products of the features overflow {gram.dtype}")
    return gram


def _write_rotated(center: Tensor, rotation: Tensor, features: Tensor, out: Tensor) -> None:
    # Not a method: rows that refer to the spectrum would keep it in memory.
    torch.mm(center_rows(features, center), rotation, out=out)


class SpectralProblem(Protocol):
    """Protocol of a problem whose penalty can be chosen; see `RidgeProblem`."""

    n_rows: int
    layout: Layout
    dtype: torch.dtype

    def spectrum(self, sample_weight: Tensor, dtype: torch.dtype) -> Spectrum:
        """Return the spectrum for sample weights in visiting order."""


@full_float32()
def choose_penalty(problem: SpectralProblem, sample_weight: Tensor) -> Penalty:
    """Choose the ridge penalty with the smallest squared error on a logarithmic grid.

    The error is that of leave-one-out predictions, or of a separate validation set. The grid is
    relative to the mean eigenvalue of the weighted Gram matrix, and is extended while the best
    penalty is at its edge. Of tied penalties, the largest is chosen.

    Parameters
    ----------
    problem : Problem or JointProblem
        Ridge problem.
    sample_weight : tensor of shape (n,)
        Non-negative weights.

    Returns
    -------
    Penalty
        The penalty and its error.

    Raises
    ------
    ValueError
        If no penalty on the grid gives usable leave-one-out predictions, or if products of the
        features overflow even in float64.
    """
    weight = problem.layout.arrange(check_weight(sample_weight, problem.n_rows))
    problem.layout.require_two_groups(weight)
    for dtype in dict.fromkeys((problem.dtype, torch.float64)):
        try:
            penalty = _search(problem.spectrum(weight, dtype), *_LIMITS[dtype])
        except InsufficientPrecisionError as error:
            if dtype == torch.float64:
                raise ValueError(f"{error}. Scale the features down.") from error
            continue
        if penalty is not None:
            return penalty
    raise ValueError(
        "alpha='auto' found no ridge penalty with usable leave-one-out predictions: one row or "
        "group determines its own prediction at every penalty tried, or the targets are too large "
        "to be squared. Give alpha, or scale the features and the targets."
    )


def _search(spectrum: Spectrum, lowest: float, highest: float) -> Penalty | None:
    """Best penalty; None if the dtype is not precise enough for the grid."""
    scale = spectrum.mean_eigenvalue
    if scale == 0:  # constant features: the penalty changes nothing
        return Penalty(1.0, spectrum.losses([1.0])[0])
    losses: dict[float, float] = {}
    first, last = _GRID
    while first <= last:
        wanted = [first + _STEP * i for i in range(round((last - first) / _STEP) + 1)]
        losses.update(zip(wanted, spectrum.losses([scale * 10.0**x for x in wanted]), strict=True))
        smallest, largest = min(losses.values()), max(losses.values())
        in_float32 = spectrum.rows.dtype == torch.float32
        if not math.isfinite(smallest) or (in_float32 and not math.isfinite(largest)):
            return None
        least = most = best = min(losses)
        for most in sorted(losses):
            if losses[most] <= smallest * (1 + _TIE):
                best = most
        first, last = 1.0, 0.0  # stop, unless the grid is extended
        if best == least > lowest:
            first, last = max(least - _EXTENSION, lowest), least - _STEP
        elif best == most < highest:
            first, last = most + _STEP, min(most + _EXTENSION, highest)
    return Penalty(scale * 10.0**best, losses[best])
