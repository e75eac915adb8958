"""Blocks of the hat matrix that belong to groups, and the left-out solve with them."""

import pytest
import torch

from skdiva.loo.ridge import InsufficientPrecisionError, solve_whitened
from skdiva.loo.ridge._group_blocks import group_blocks, left_out_solve
from tests.tolerances import assert_close


def example(n_rows, n_columns, device="cpu"):
    """Three groups of whitened rows whose leverages stay below 1, weights and values."""
    draw = torch.Generator().manual_seed(n_rows)
    whitened = torch.randn(3, n_rows, n_columns, generator=draw, dtype=torch.float64)
    weight = torch.rand(3, n_rows, generator=draw, dtype=torch.float64)
    weight[:, 1:2] = 0
    gram = whitened.mT @ (weight[..., None] * whitened)
    largest = torch.linalg.eigvalsh(gram)[:, -1]
    whitened *= (0.9 / largest).sqrt()[:, None, None]
    values = torch.randn(3, n_rows, 2, generator=draw, dtype=torch.float64)
    return whitened.to(device), weight.to(device), values.to(device)


def dense_operator(whitened, weight):
    identity = torch.eye(whitened.shape[1], dtype=whitened.dtype, device=whitened.device)
    return identity - (whitened @ whitened.mT) * weight[:, None, :]


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(("n_rows", "n_columns"), [(1, 3), (3, 5), (4, 4), (7, 2)])
def test_solve_whitened(n_rows, n_columns, transposed, device):
    whitened, weight, values = example(n_rows, n_columns, device)
    operator = dense_operator(whitened, weight)
    expected = torch.linalg.solve(operator.mT if transposed else operator, values)
    actual = solve_whitened(whitened, weight, values, transposed=transposed)
    assert_close(actual, expected.cpu(), 1e-13)


@pytest.mark.parametrize("n_rows", [3, 7])
@pytest.mark.parametrize("excess", [1.0, 1.5])
def test_a_group_that_determines_its_predictions(n_rows, excess, device):
    whitened, weight, values = example(n_rows, 4, device)
    whitened = whitened * (excess / 0.9) ** 0.5  # the largest eigenvalue of S H S is 1 or more
    with pytest.raises(InsufficientPrecisionError):
        solve_whitened(whitened, weight, values)


def test_pivots_are_compared_with_the_scale(device):
    """A diagonal of 1e-14 is accepted if it was not found by subtraction from 1."""
    whitened, weight, values = example(3, 5, device)
    root, hat, operator = group_blocks(whitened, weight)
    tiny = torch.full_like(root, 1e-14)
    operator = operator * 1e-14
    with pytest.raises(InsufficientPrecisionError):
        left_out_solve(hat, operator, root, values)
    solved = left_out_solve(hat, operator, root, values, scale=tiny)
    inner = torch.linalg.solve(operator, root[..., None] * values)
    assert_close(solved, (values + hat @ (root[..., None] * inner)).cpu(), 1e-12)


def test_group_blocks(device):
    whitened, weight, _ = example(3, 5, device)
    root, hat, operator = group_blocks(whitened, weight)
    assert_close(root.square(), weight.cpu(), 1e-15)
    assert_close(hat, (whitened @ whitened.mT).cpu(), 1e-15)
    expected = torch.eye(3, device=device) - root[:, :, None] * hat * root[:, None, :]
    assert_close(operator, expected.cpu(), 1e-15)
