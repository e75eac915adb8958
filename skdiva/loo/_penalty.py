"""The ridge penalty with the smallest leave-one-out squared error, from one factorisation.

With the eigenvectors V and eigenvalues d of the weighted, centred Gram matrix, rotated rows
u_i = V' z_i give H_ij(alpha) = sum_q u_iq u_jq / (d_q + alpha) [+ 1 / sum(a)] for every alpha at
once. Always by squared error, whatever the loss: cross-entropy of ridge outputs falls when the
outputs merely grow, and would run to the smallest penalty.
"""

import math
from typing import NamedTuple

import torch

from skdiva.loo.ridge._centering import (
    center_rows,
    centered_targets,
    weighted_center,
    weighted_gram,
    weighted_moment,
    weighted_target_mean,
)
from skdiva.loo.ridge._group_blocks import require_two_groups, solve_whitened, stack
from skdiva.loo.ridge._precision import InsufficientPrecisionError, full_float32, least_share

# In powers of ten, relative to the mean eigenvalue.
_GRID = (-4.0, 2.0)
_STEP = 0.5
_EXTENSION = 2.0
_LIMITS = {torch.float32: (-5.0, 6.0), torch.float64: (-9.0, 6.0)}
_OUTPUTS_AT_ONCE = 512  # outputs times penalties predicted in one product
_VALIDATION_ROWS = 2**12
_TIE = 1e-9  # relative: losses this close count as equal, and the larger penalty wins


class Penalty(NamedTuple):
    """A ridge penalty and the squared error that it was chosen by.

    Attributes
    ----------
    alpha : float
    loss : float
        Mean leave-one-out (or validation) squared error, summed over outputs.
    """

    alpha: float
    loss: float


@full_float32()
def choose_penalty(problem, sample_weight):
    """Ridge penalty with the smallest LOO (or validation) squared error on a log grid.

    The grid is relative to the mean eigenvalue of the weighted Gram matrix and grows while the best
    value lies at its edge. Ties go to the larger penalty.

    Parameters
    ----------
    problem : Problem
    sample_weight : tensor of shape (n,)

    Returns
    -------
    Penalty

    Raises
    ------
    ValueError
        If no penalty on the grid leaves usable leave-one-out predictions.
    """
    problem, sample_weight = problem.for_penalty(sample_weight)
    weight = problem.layout.arrange(sample_weight)
    require_two_groups(problem.layout, weight)
    for dtype in dict.fromkeys((problem.dtype, torch.float64)):
        penalty = _search(problem.spectrum(weight, dtype), *_LIMITS[dtype])
        if penalty is not None:
            return penalty
    raise ValueError(
        "alpha='auto' found no ridge penalty with usable leave-one-out predictions: one row or "
        "group decides its own prediction at every penalty tried, or the targets are too large to "
        "be squared. Give alpha, or scale the features and the targets."
    )


def _search(spectrum, lowest, highest):
    """Best penalty, or None when the dtype resolves too little of the grid."""
    if spectrum.mean_eigenvalue == 0:  # constant features: the penalty changes nothing
        return Penalty(1.0, spectrum.losses([1.0])[0])
    losses = {}
    wanted = _range(*_GRID)
    while wanted:
        alphas = [spectrum.mean_eigenvalue * 10.0**x for x in wanted]
        losses.update(zip(wanted, spectrum.losses(alphas), strict=True))
        exponents = sorted(losses)
        if spectrum.dtype == torch.float32 and not all(map(math.isfinite, losses.values())):
            return None
        best = _best(exponents, losses)
        if best is None:
            return None
        first, last = exponents[0], exponents[-1]
        if best == first and first > lowest:
            wanted = _range(max(first - _EXTENSION, lowest), first - _STEP)
        elif best == last and last < highest:
            wanted = _range(last + _STEP, min(last + _EXTENSION, highest))
        else:
            wanted = []
    return Penalty(spectrum.mean_eigenvalue * 10.0**best, losses[best])


def _range(first, last):
    return [first + _STEP * i for i in range(round((last - first) / _STEP) + 1)]


def _best(exponents, losses):
    smallest = min(losses.values())
    if not math.isfinite(smallest):
        return None
    return max(x for x in exponents if losses[x] <= smallest * (1 + _TIE))


class Spectrum:
    """Rotated rows and eigenvalues of one weighted ridge problem (visiting order)."""

    def __init__(self, problem, sample_weight, dtype):
        wide = problem.features.shape[1] > problem.features.shape[0]
        self.dtype = torch.float64 if wide else dtype
        self.problem = problem
        self.weight = sample_weight.to(self.dtype)
        rows = problem.rows(self.dtype)
        self.center = weighted_center(rows, sample_weight, problem.fit_intercept)
        decompose = self._decompose_wide if wide else self._decompose_tall
        self.eigenvalues, self.rotation = decompose(rows)
        self.mean_eigenvalue = self._mean_eigenvalue(sample_weight)
        self.constant = 0.0  # the intercept's share of every entry of H
        if problem.fit_intercept:
            self.constant = 1 / float(sample_weight.double().sum())
        self.targets, self.judge_weight = problem.targets, problem.validation_weight
        self.judge_total = float(self.judge_weight.double().sum())
        self.mean = weighted_target_mean(problem.targets, self.weight, problem.fit_intercept)
        self.rows = rows.transform(self._rotate, self.eigenvalues.shape[0])
        self.moment = weighted_moment(self.rows, self.weight, problem.targets, self.mean)

    def _mean_eigenvalue(self, sample_weight):
        total = float(self.eigenvalues.sum())
        # What is left of constant columns is the rounding error of their means.
        rounding = (4 * torch.finfo(self.dtype).eps) ** 2 * float(self.center.square().sum())
        if total <= rounding * float(sample_weight.double().sum()):
            return 0.0
        return total / min(self.problem.features.shape)

    def _decompose_tall(self, rows):
        gram = weighted_gram(rows, self.weight, self.center)
        eigenvalues, vectors = torch.linalg.eigh(gram.double())
        return eigenvalues.clamp_(min=0).to(self.dtype), vectors.to(self.dtype)

    def _decompose_wide(self, rows):
        """Through the Gram matrix of the rows, (n, n): only that many directions have weight."""
        features = rows.select(torch.arange(rows.n_rows, device=rows.device))
        scaled = center_rows(features, self.center).mul_(self.weight.sqrt()[:, None])
        eigenvalues, vectors = torch.linalg.eigh(scaled @ scaled.T)
        present = eigenvalues > eigenvalues[-1] * len(eigenvalues) * torch.finfo(self.dtype).eps
        eigenvalues, vectors = eigenvalues[present], vectors[:, present]
        return eigenvalues, scaled.T @ (vectors / eigenvalues.sqrt())

    def _rotate(self, features, out):
        torch.mm(center_rows(features, self.center), self.rotation, out=out)

    def losses(self, alphas):
        """Mean squared error at every penalty; infinite where the dtype does not resolve it."""
        alphas = self.eigenvalues.new_tensor(alphas)
        step = max(_OUTPUTS_AT_ONCE // self.moment.shape[1], 1)
        return torch.cat([self._losses(part) for part in alphas.split(step)]).tolist()

    def _losses(self, alphas):
        shrunk = 1 / (self.eigenvalues[:, None] + alphas)  # (q, A)
        coef = (shrunk[:, :, None] * self.moment[:, None, :]).flatten(1)  # (q, A k)
        if self.problem.validation is not None:
            return self._validation_losses(coef, len(alphas))

        def add(total, block, rotated, weight, judge):
            values = centered_targets(self.targets, self.mean, block.rows, self.dtype)
            residuals = (rotated @ coef).unflatten(1, (len(alphas), -1)) - values[:, None, :]
            squares = self._loo_squares(block, rotated, weight, shrunk, residuals)
            loss = judge.double() @ squares.double()
            return (loss if total is None else total[0].add_(loss),)

        judge = self.judge_weight
        return self.rows.reduce(add, self.weight, judge)[0] / self.judge_total

    def _loo_squares(self, block, rotated, weight, shrunk, residuals):
        """Squared LOO residuals (b, A), summed over outputs."""
        if block.group_size == 1:
            leverage = rotated.square() @ shrunk + self.constant
            share = 1 - weight[:, None] * leverage
            squares = residuals.square().sum(dim=2) / share.square()
            return squares.masked_fill_(share < least_share(self.dtype), torch.inf)
        columns = []
        for number in range(shrunk.shape[1]):
            whitened = self._whiten(rotated, shrunk[:, number])
            columns.append(_left_out_squares(block, whitened, weight, residuals[:, number]))
        return torch.stack(columns, dim=1)

    def _whiten(self, rotated, shrunk):
        whitened = rotated * shrunk.sqrt()
        if not self.constant:
            return whitened
        constant = whitened.new_full((whitened.shape[0], 1), self.constant**0.5)
        return torch.cat([whitened, constant], dim=1)

    def _validation_losses(self, coef, n_alphas):
        features, targets = self.problem.validation
        total = torch.zeros(n_alphas, dtype=torch.float64, device=features.device)
        for start in range(0, targets.n_rows, _VALIDATION_ROWS):
            rows = slice(start, start + _VALIDATION_ROWS)
            values = centered_targets(targets, self.mean, rows, self.dtype)
            centered = center_rows(features[rows].to(self.dtype), self.center)
            predictions = (centered @ (self.rotation @ coef)).unflatten(1, (n_alphas, -1))
            total += (predictions - values[:, None, :]).double().square().sum(dim=(0, 2))
        return total / targets.n_rows


def _left_out_squares(block, whitened, weight, residuals):
    """Squared LOO residuals (b,) of the groups in a block at one penalty."""
    try:
        solved = solve_whitened(*(stack(block, x) for x in (whitened, weight, residuals)))
    except InsufficientPrecisionError:
        return residuals.new_full((residuals.shape[0],), torch.inf)
    return solved.square().sum(dim=2).flatten()
