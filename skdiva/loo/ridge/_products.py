"""Matrix products that use symmetry or a triangle: in the limit, half the work of plain products.

Columns are halved until at most ``LEAF`` are left: most of the work is in large plain products.
"""

import torch

LEAF = 128  # columns; narrower products leave the processor's matrix units idle


def _middle(n_columns):
    # A multiple of LEAF: aligned halves, and no sliver when one column (the intercept) is added.
    return -(-n_columns // (2 * LEAF)) * LEAF


def zeros_square(rows):
    """Zeros (q, q) to add products of ``rows`` (n, q) to."""
    return rows.new_zeros((rows.shape[1], rows.shape[1]))


def add_symmetric_product(total, left, right):
    """Add ``left' right``, known to be symmetric, to the upper triangle of ``total`` (q, q)."""
    n_columns = total.shape[0]
    if n_columns <= LEAF:
        return total.addmm_(left.T, right)
    half = _middle(n_columns)
    total[:half, half:].addmm_(left[:, :half].T, right[:, half:])
    for part in (slice(0, half), slice(half, n_columns)):
        add_symmetric_product(total[part, part], left[:, part], right[:, part])
    return total


def mirror_upper(matrix):
    """Fill the lower triangle from the upper one."""
    upper = torch.triu(matrix)
    return upper + torch.triu(matrix, 1).T


def multiply_upper(rows, upper, out):
    """Write ``rows @ upper`` for an upper triangular (p, p) matrix into ``out`` (n, p)."""
    n_columns = upper.shape[0]
    if n_columns <= LEAF:
        return torch.mm(rows, upper, out=out)
    half = _middle(n_columns)
    multiply_upper(rows[:, :half], upper[:half, :half], out[:, :half])
    multiply_upper(rows[:, half:], upper[half:, half:], out[:, half:])
    out[:, half:].addmm_(rows[:, :half], upper[:half, half:])
    return out


def quadratic_form(rows, half):
    """Return ``rows_i' M rows_i`` for every row (n, q), from ``half = triangular_half(M)``."""
    return multiply_upper(rows, half, torch.empty_like(rows)).mul_(rows).sum(dim=1)


def triangular_half(matrix):
    """Upper triangular matrix with the same quadratic form as a symmetric ``matrix`` (q, q)."""
    return 2 * torch.triu(matrix, 1) + torch.diag(matrix.diagonal())
