"""Checks of the numerical precision, the choice of the dtype, and full float32."""

import pytest
import torch

from skdiva.loo.ridge import (
    LEAST_SHARE,
    RESOLUTION,
    InsufficientPrecisionError,
    cholesky_stack,
    full_float32,
    in_sufficient_dtype,
    require_condition,
    require_residual_share,
)
from skdiva.loo.ridge._precision import cholesky


def with_condition(condition, size=20, device="cpu"):
    """A matrix of unit diagonal, nearly, with a known condition number."""
    draw = torch.Generator().manual_seed(0)
    basis, _ = torch.linalg.qr(torch.randn(size, size, generator=draw, dtype=torch.float64))
    matrix = (basis * torch.logspace(0, -torch.tensor(condition).log10(), size)) @ basis.T
    return ((matrix + matrix.T) / 2).to(device)


@pytest.mark.parametrize("precision", ["highest", "high", "medium"])
def test_full_float32_and_back(precision):
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision(precision)
        with full_float32():
            assert torch.get_float32_matmul_precision() == "highest"
        assert torch.get_float32_matmul_precision() == precision
        with pytest.raises(RuntimeError, match="inside"), full_float32():
            raise RuntimeError("inside")
        assert torch.get_float32_matmul_precision() == precision
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize("allowed", [True, False])
def test_full_float32_of_convolutions_and_back(allowed):
    cudnn = torch.backends.cudnn
    newer = hasattr(cudnn, "conv")

    def reduced():
        return cudnn.conv.fp32_precision == "tf32" if newer else cudnn.allow_tf32

    before = cudnn.allow_tf32
    try:
        cudnn.allow_tf32 = allowed
        assert reduced() is allowed
        with full_float32():
            assert not reduced()
        with pytest.raises(RuntimeError, match="inside"), full_float32():
            raise RuntimeError("inside")
        assert reduced() is cudnn.allow_tf32 is allowed
    finally:
        cudnn.allow_tf32 = before


def test_cholesky_adds_nothing():
    matrix = with_condition(1e3)
    factor = cholesky(matrix)
    torch.testing.assert_close(factor @ factor.T, matrix, rtol=0, atol=1e-15)


@pytest.mark.parametrize("factorize", [cholesky, cholesky_stack])
def test_cholesky_of_what_is_not_positive_definite(factorize, device):
    matrices = torch.stack([torch.eye(3), torch.diag(torch.tensor([1.0, -1e-7, 1.0]))]).to(device)
    with pytest.raises(InsufficientPrecisionError):
        factorize(matrices if factorize is cholesky_stack else matrices[1])


def estimated_condition(matrix):
    limit = {matrix.dtype: torch.inf}
    return require_condition(matrix.diagonal(), matrix.mv, cholesky(matrix, limit), limit)


@pytest.mark.parametrize("condition", [10.0, 1e4, 1e8])
def test_condition_estimate_is_a_lower_bound_and_close(condition, device):
    matrix = with_condition(condition, device=device)
    scale = matrix.diagonal().rsqrt()
    eigenvalues = torch.linalg.eigvalsh(scale[:, None] * matrix * scale)
    exact = float(eigenvalues[-1] / eigenvalues[0])
    estimate = estimated_condition(matrix)
    assert 0.3 * exact < estimate <= 1.001 * exact


def test_condition_does_not_count_the_scale_of_columns():
    scale = torch.logspace(-4, 4, 20, dtype=torch.float64)
    matrix = scale[:, None] * with_condition(10.0) * scale
    assert estimated_condition(matrix) < 100


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_require_condition(dtype):
    """Two columns with a correlation of 1 - gap have a condition number near 2 / gap."""

    def check(gap):
        matrix = torch.tensor([[1, 1 - gap], [1 - gap, 1]], dtype=dtype)
        return cholesky(matrix)

    check(0.01)
    with pytest.raises(InsufficientPrecisionError, match="condition number"):
        check(4 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_require_residual_share(dtype):
    smallest = LEAST_SHARE[dtype]
    require_residual_share(smallest, dtype)
    for share in (smallest * 0.99, 0.0, -1.0, float("nan")):
        with pytest.raises(InsufficientPrecisionError, match="1 - leverage"):
            require_residual_share(share, dtype)
    require_residual_share(smallest * 0.99, dtype, smallest / 2)
    assert LEAST_SHARE[dtype] >= RESOLUTION[dtype] > torch.finfo(dtype).eps


def test_a_wider_dtype_where_one_falls_short():
    tried = []

    def attempt(dtype):
        tried.append(dtype)
        if dtype == torch.float32:
            raise InsufficientPrecisionError("too few digits")
        return "answer"

    assert in_sufficient_dtype(torch.float32, 0.5, attempt) == "answer"
    assert tried == [torch.float32, torch.float64]
    tried.clear()
    assert in_sufficient_dtype(torch.float64, 0.5, attempt) == "answer"
    assert tried == [torch.float64]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_no_dtype_suffices(dtype):
    def attempt(dtype):
        raise InsufficientPrecisionError(f"not in {dtype}")

    with pytest.raises(ValueError, match=r"alpha=0\.5 is too small.*not in torch\.float64"):
        in_sufficient_dtype(dtype, 0.5, attempt)
