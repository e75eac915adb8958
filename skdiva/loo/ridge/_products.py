"""Weighted means, Gram matrices and moments of centered rows, and triangular products.

Centering rows and targets by their weighted means eliminates the intercept. Symmetric and
triangular products are split in halves recursively, until at most ``LEAF`` columns are left. In the
limit they take half the work of general products, and most of it is in large general products.
"""

import torch
from torch import Tensor

from skdiva.loo._targets import Targets
from skdiva.loo.rows import Budget, RowBlocks

LEAF = 128  # columns; narrower matrix products use the hardware inefficiently


def weighted_center(rows: RowBlocks, sample_weight: Tensor, fit_intercept: bool) -> Tensor:
    """Weighted mean of the features in float64, (p,); zeros without an intercept."""
    if not fit_intercept:
        return torch.zeros(rows.n_columns, dtype=torch.float64, device=rows.device)
    weight = sample_weight.double()

    def add(total, _, features, a):
        moment = a @ features.double()
        return (moment if total is None else total[0].add_(moment),)

    return rows.reduce(add, weight)[0] / weight.sum()


def center_rows(features: Tensor, center: Tensor) -> Tensor:
    """Subtract ``center`` (float64) in two parts, as rounding it to float32 leaves an offset."""
    high = center.to(features.dtype)
    centered = features - high
    low = center - high
    return centered.sub_(low.to(features.dtype)) if low.any() else centered


def weighted_gram(rows: RowBlocks, sample_weight: Tensor, center: Tensor) -> Tensor:
    """Weighted Gram matrix (p, p) of the centered rows."""

    def add(total, _, features, weight):
        scaled = center_rows(features, center).mul_(weight.sqrt()[:, None])
        gram = scaled.new_zeros((scaled.shape[1],) * 2) if total is None else total[0]
        return (add_symmetric_product(gram, scaled, scaled),)

    return mirror_upper(rows.reduce(add, sample_weight)[0])


def orthogonal_factor(
    rows: RowBlocks, sample_weight: Tensor, center: Tensor, alpha: float | Tensor
) -> Tensor:
    """Lower triangular factor of the penalized Gram matrix, (p, p), from the rows themselves.

    It is slower than a Cholesky factorization of the Gram matrix, whose condition number is the
    square of that of the rows.
    """
    penalty = torch.as_tensor(alpha, dtype=rows.dtype, device=rows.device)
    factor = torch.diag(penalty.sqrt().expand(rows.n_columns))
    for block in rows.layout.blocks:
        centered = center_rows(rows.read(block.rows), center)
        scaled = centered.mul_(sample_weight[block.rows].sqrt()[:, None])
        factor = torch.linalg.qr(torch.cat([factor, scaled]), mode="r").R
    return factor.T * factor.diagonal().sign()


def weighted_target_mean(
    targets: Targets,
    sample_weight: Tensor,
    fit_intercept: bool,
    budget: Budget = Budget(),  # noqa: B008 - it is frozen
) -> Tensor:
    """Weighted mean (k,) of targets minus initial outputs, float64; zeros without an intercept.

    Fitting centered targets keeps residuals accurate if the mean is large.
    """
    total = torch.zeros(targets.n_outputs, dtype=torch.float64, device=sample_weight.device)
    if fit_intercept:
        weight = sample_weight.double()
        for rows in budget.slices(targets.n_rows):
            total += weight[rows] @ targets.ridge_values(rows, torch.float64)
        total /= weight.sum()
    return total


def weighted_moment(
    rows: RowBlocks, sample_weight: Tensor, targets: Targets, mean: Tensor
) -> Tensor:
    """Return Z' diag(a) Y, (q, k), of rows Z (n, q) and the centered targets Y (n, k)."""

    def add(total, block, features, weight):
        values = targets.ridge_values(block.rows, features.dtype, mean)
        moment = features.T @ values.mul_(weight[:, None])
        return (moment if total is None else total[0].add_(moment),)

    return rows.reduce(add, sample_weight)[0]


def add_symmetric_product(total: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """Add ``left' right``, known to be symmetric, to the upper triangle of ``total`` (q, q)."""
    n_columns = total.shape[0]
    if n_columns <= LEAF:
        return total.addmm_(left.T, right)
    # A multiple of LEAF, which aligns the halves and avoids a narrow part for an intercept column.
    half = -(-n_columns // (2 * LEAF)) * LEAF
    total[:half, half:].addmm_(left[:, :half].T, right[:, half:])
    for part in (slice(0, half), slice(half, n_columns)):
        add_symmetric_product(total[part, part], left[:, part], right[:, part])
    return total


def mirror_upper(matrix: Tensor) -> Tensor:
    """Return the symmetric matrix with the upper triangle of ``matrix``."""
    upper = torch.triu(matrix)
    return upper + torch.triu(matrix, 1).T


def multiply_upper(rows: Tensor, upper: Tensor, out: Tensor) -> Tensor:
    """Write ``rows @ upper`` for an upper triangular (p, p) matrix into ``out`` (n, p)."""
    n_columns = upper.shape[0]
    if n_columns <= LEAF:
        return torch.mm(rows, upper, out=out)
    half = -(-n_columns // (2 * LEAF)) * LEAF
    multiply_upper(rows[:, :half], upper[:half, :half], out[:, :half])
    multiply_upper(rows[:, half:], upper[half:, half:], out[:, half:])
    out[:, half:].addmm_(rows[:, :half], upper[:half, half:])
    return out


def quadratic_form(rows: Tensor, half: Tensor) -> Tensor:
    """Return ``rows_i' M rows_i`` for every row (n, q), from ``half = triangular_half(M)``."""
    return multiply_upper(rows, half, torch.empty_like(rows)).mul_(rows).sum(dim=1)


def triangular_half(matrix: Tensor) -> Tensor:
    """Upper triangular matrix with the same quadratic form as a symmetric ``matrix`` (q, q)."""
    return 2 * torch.triu(matrix, 1) + torch.diag(matrix.diagonal())
