"""Matrix products that use symmetry or a triangle, in tiles of columns.

Plain products of the same matrices cost twice the work (in the limit of many tiles).
"""

import torch

TILE = 256  # columns; narrower tiles waste the processor's matrix units


def _tiles(n_columns):
    return [slice(start, min(start + TILE, n_columns)) for start in range(0, n_columns, TILE)]


def add_symmetric_product(total, left, right):
    """Add ``left' right``, known to be symmetric, to the upper tiles of ``total`` (q, q)."""
    for tile in _tiles(total.shape[0]):
        total[tile, tile.start :].addmm_(left[:, tile].T, right[:, tile.start :])
    return total


def mirror_upper(matrix):
    """Fill the lower triangle from the upper one."""
    upper = torch.triu(matrix)
    return upper + torch.triu(matrix, 1).T


def multiply_lower_transposed(rows, lower, out):
    """Write ``rows @ lower'`` for a lower triangular (p, p) matrix into ``out`` (n, p)."""
    for tile in _tiles(lower.shape[0]):
        torch.mm(rows[:, : tile.stop], lower[tile, : tile.stop].T, out=out[:, tile])
    return out


def quadratic_form(rows, matrix):
    """``rows_i' matrix rows_i`` for every row (n, q), ``matrix`` (q, q) symmetric."""
    doubled = 2 * torch.tril(matrix, -1)
    doubled.diagonal().copy_(matrix.diagonal())
    total = rows.new_zeros(rows.shape[0])
    for tile in _tiles(matrix.shape[0]):
        half = rows[:, tile.start :] @ doubled[tile.start :, tile]
        total += torch.linalg.vecdot(half, rows[:, tile])
    return total
