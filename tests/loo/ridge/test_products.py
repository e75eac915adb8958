"""Products that use symmetry or a triangle, at sizes around those where they are split."""

import pytest
import torch

from skdiva.loo.ridge import _products as products
from tests.tolerances import assert_close

LEAF = products.LEAF
SIZES = [1, 2, LEAF - 1, LEAF, LEAF + 1, 2 * LEAF, 2 * LEAF + 1, 3 * LEAF + 7]
sizes = pytest.mark.parametrize("size", SIZES)


def normal(*shape, device="cpu"):
    draw = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=draw, dtype=torch.float64).to(device)


def symmetric(size, device):
    matrix = normal(size, size, device=device)
    return matrix + matrix.T


@sizes
def test_add_symmetric_product(size, device):
    rows = normal(9, size, device=device)
    scaled = normal(9, 1, device=device) * rows
    start = symmetric(size, device)
    total = products.add_symmetric_product(start.clone(), rows, scaled)
    assert_close(products.mirror_upper(total), (start + rows.T @ scaled).cpu(), 1e-13)


def test_zeros_to_add_to():
    zeros = products.zeros_square(normal(9, 4).float())
    assert zeros.shape == (4, 4)
    assert zeros.dtype == torch.float32
    assert not zeros.any()


def test_mirror_upper():
    matrix = torch.tensor([[1.0, 2.0], [9.0, 3.0]])
    assert products.mirror_upper(matrix).tolist() == [[1.0, 2.0], [2.0, 3.0]]


@sizes
def test_multiply_upper(size, device):
    rows, matrix = normal(9, size, device=device), normal(size, size, device=device)
    upper = matrix.triu()
    # Written into some columns of a wider array, as whitening does.
    wide = torch.full((9, size + 1), 7.0, dtype=torch.float64, device=device)
    products.multiply_upper(rows, upper, wide[:, :size])
    assert_close(wide[:, :size], (rows @ upper).cpu(), 1e-13)
    assert (wide[:, size] == 7).all()


@sizes
def test_multiply_upper_by_a_transposed_triangle(size, device):
    rows, lower = normal(9, size, device=device), normal(size, size, device=device).tril()
    out = torch.empty_like(rows)
    products.multiply_upper(rows, lower.T, out)
    assert_close(out, (rows @ lower.T).cpu(), 1e-13)


@sizes
def test_quadratic_form(size, device):
    rows, matrix = normal(9, size, device=device), symmetric(size, device)
    half = products.triangular_half(matrix)
    assert (half == half.triu()).all()
    expected = ((rows @ matrix) * rows).sum(dim=1)
    assert_close(products.quadratic_form(rows, half), expected.cpu(), 1e-12)
