"""When a factorisation is trusted, and full float32 products meanwhile."""

import pytest
import torch

from skdiva.loo.ridge._precision import (
    InsufficientPrecisionError,
    cholesky,
    cholesky_stack,
    condition_estimate,
    full_float32,
    least_share,
    require_condition,
    require_residual_share,
    resolution,
)


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


@pytest.mark.parametrize("factorise", [cholesky, cholesky_stack])
def test_cholesky_of_what_is_not_positive_definite(factorise, device):
    matrices = torch.stack([torch.eye(3), torch.diag(torch.tensor([1.0, -1e-7, 1.0]))]).to(device)
    with pytest.raises(InsufficientPrecisionError):
        factorise(matrices if factorise is cholesky_stack else matrices[1])


@pytest.mark.parametrize("condition", [10.0, 1e4, 1e8])
def test_condition_estimate_is_a_lower_bound_and_close(condition, device):
    matrix = with_condition(condition, device=device)
    scale = matrix.diagonal().rsqrt()
    eigenvalues = torch.linalg.eigvalsh(scale[:, None] * matrix * scale)
    exact = float(eigenvalues[-1] / eigenvalues[0])
    estimate = condition_estimate(matrix, cholesky(matrix))
    assert 0.3 * exact < estimate <= 1.001 * exact


def test_condition_does_not_count_the_scale_of_columns():
    scale = torch.logspace(-4, 4, 20, dtype=torch.float64)
    matrix = scale[:, None] * with_condition(10.0) * scale
    assert condition_estimate(matrix, cholesky(matrix)) < 100


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_require_condition(dtype):
    """Two columns with a correlation of 1 - gap have a condition number near 2 / gap."""

    def check(gap):
        matrix = torch.tensor([[1, 1 - gap], [1 - gap, 1]], dtype=dtype)
        require_condition(matrix, cholesky(matrix))

    check(0.01)
    with pytest.raises(InsufficientPrecisionError, match="condition number"):
        check(4 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_require_residual_share(dtype):
    smallest = least_share(dtype)
    require_residual_share(smallest, dtype)
    for share in (smallest * 0.99, 0.0, -1.0, float("nan")):
        with pytest.raises(InsufficientPrecisionError, match="1 - leverage"):
            require_residual_share(share, dtype)
    require_residual_share(smallest * 0.99, dtype, smallest / 2)
    assert least_share(dtype) >= resolution(dtype) > torch.finfo(dtype).eps
