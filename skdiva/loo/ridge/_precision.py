"""Numerical precision: checks of factorizations, choice of the dtype, and full float32."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor

_Answer = TypeVar("_Answer")

_POWER_STEPS = 12
# Limits on eps times the condition number. On random problems, the relative errors of leave-one-out
# predictions in float32 were at most 3 % of it, and therefore about 1e-4 at this limit. Beyond the
# limit for float64, the rows are decomposed instead of their Gram matrix.
LARGEST_ERROR = {torch.float32: 4e-3, torch.float64: 1e-7}
# Limits for an explicit inverse, whose relative error may be as large as this product.
LARGEST_INVERSE_ERROR = {torch.float32: 1e-4, torch.float64: 1e-8}
# Largest rounding error of the mean of the features, in units of whitened rows.
_LARGEST_OFFSET = {torch.float32: 1e-4, torch.float64: 1e-8}
# Largest ratio of squared norms or weights to their median.
_LARGEST_RATIO = 1e6
# Smallest difference, relative to the number subtracted from, that is not a rounding error.
RESOLUTION = {torch.float32: 1e-2, torch.float64: 1e-8}
# Smallest 1 - leverage that is accurate if it was computed by subtraction from 1.
LEAST_SHARE = {torch.float32: 0.05, torch.float64: RESOLUTION[torch.float64]}


class InsufficientPrecisionError(ArithmeticError):
    """Error raised if a dtype is not precise enough; the caller may try a wider one."""


class SmallPenaltyError(ValueError):
    """Error raised if a penalty is too small even for float64."""


@contextlib.contextmanager
def full_float32() -> Iterator[None]:
    """Disable reduced-precision float32 products and convolutions, and restore the settings."""
    products = torch.get_float32_matmul_precision()
    cudnn = torch.backends.cudnn
    settings: list[tuple[Any, str, Any]] = [(cudnn, "allow_tf32", False)]
    if hasattr(cudnn, "conv"):  # since torch 2.9, which needs equal settings for both
        name = "fp32_precision"
        settings = [(cudnn.conv, name, "ieee"), (cudnn.rnn, name, "ieee")]
    torch.set_float32_matmul_precision("highest")
    before = []
    for setting, name, full in settings:
        before.append((setting, name, getattr(setting, name)))
        setattr(setting, name, full)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(products)
        for setting, name, value in before:
            setattr(setting, name, value)


def in_sufficient_dtype(
    dtype: torch.dtype, alpha: float, attempt: Callable[[torch.dtype], _Answer]
) -> _Answer:
    """Return ``attempt(dtype)``, or ``attempt(torch.float64)`` if that is not precise enough.

    Raises
    ------
    SmallPenaltyError
        If float64 is not precise enough either. The message names the penalty ``alpha``.
    """
    reason = None
    for tried in dict.fromkeys((dtype, torch.float64)):
        try:
            return attempt(tried)
        except InsufficientPrecisionError as error:
            reason = error.with_traceback(None)  # whose frames hold the failed factorization
    raise SmallPenaltyError(
        f"alpha={alpha!r} is too small for these features, even in dtype=float64: {reason}. "
        "Use a larger alpha, scale large features, targets and weights down, or remove rows or "
        "columns that are duplicates of, or much larger than, the others."
    ) from reason


def cholesky(matrix: Tensor, largest_error: dict[torch.dtype, float] = LARGEST_ERROR) -> Tensor:
    """Lower Cholesky factor of a penalized Gram matrix; nothing is added to the diagonal.

    Parameters
    ----------
    matrix : tensor of shape (q, q)
    largest_error : dict of {torch.dtype: float}
        Limit on eps times the condition number.

    Returns
    -------
    tensor of shape (q, q)

    Raises
    ------
    InsufficientPrecisionError
        If the matrix is not positive definite, or its condition number is too large.
    """
    factor, info = torch.linalg.cholesky_ex(matrix)
    if int(info) != 0:
        raise InsufficientPrecisionError("the penalized Gram matrix is not positive definite")
    require_condition(matrix.diagonal(), matrix.mv, factor, largest_error)
    return factor


def cholesky_stack(matrices: Tensor) -> Tensor:
    """Lower Cholesky factors of I minus the diagonal blocks of H for groups, (G, m, m).

    Raises
    ------
    InsufficientPrecisionError
        If one of the matrices is not positive definite.
    """
    factors, info = torch.linalg.cholesky_ex(matrices)
    if bool(info.any()):
        raise InsufficientPrecisionError(
            "when one of the groups is left out, the other rows do not determine its predictions"
        )
    return factors


def require_condition(
    diagonal: Tensor,
    multiply: Callable[[Tensor], Tensor],
    factor: Tensor,
    largest_error: dict[torch.dtype, float],
    *,
    root: bool = False,
) -> float:
    """Estimate the condition number of a matrix scaled to a unit diagonal; raise if too large.

    A Cholesky factorization is insensitive to this scaling (van der Sluis 1969). The estimate is a
    lower bound from power iterations with a fixed start vector, which cost little compared with the
    factorization.

    Parameters
    ----------
    diagonal : tensor of shape (q,)
        Diagonal of the matrix.
    multiply : callable
        Function that multiplies the matrix by a vector (q,).
    factor : tensor of shape (q, q)
        Lower Cholesky factor of the matrix.
    largest_error : dict of {torch.dtype: float}
        Limit on eps times the condition number.
    root : bool, default=False
        Whether the limit applies to the square root of the condition number, because the factor
        was not computed from the matrix.

    Returns
    -------
    float
        Estimated condition number.

    Raises
    ------
    InsufficientPrecisionError
        If eps times the estimate exceeds the limit.
    """
    scale, dtype = diagonal.rsqrt(), diagonal.dtype
    vector = torch.linspace(1, 2, len(scale), dtype=dtype, device=scale.device)
    vector[1::2] *= -1
    largest, smallest_inverse = vector / vector.norm(), vector / vector.norm()
    for _ in range(_POWER_STEPS):
        largest = scale * multiply(scale * largest)
        norm = largest.norm()
        largest = largest / norm
        smallest_inverse = torch.cholesky_solve((smallest_inverse / scale)[:, None], factor)[:, 0]
        smallest_inverse = smallest_inverse / scale
        norm_inverse = smallest_inverse.norm()
        smallest_inverse = smallest_inverse / norm_inverse
    condition = float(norm * norm_inverse)
    if root:
        condition = condition**0.5
    if not condition * torch.finfo(dtype).eps <= largest_error[dtype]:
        raise InsufficientPrecisionError(
            f"the penalized Gram matrix has a condition number near {condition:.1e}"
        )
    return condition


def require_factor(factor: Tensor) -> None:
    """Check a lower triangular factor (q, q) that was not computed from a Gram matrix.

    Raises
    ------
    InsufficientPrecisionError
        If eps times its condition number exceeds the limit.
    """
    diagonal = torch.linalg.vector_norm(factor, dim=1).square()
    require_condition(diagonal, lambda v: factor @ (factor.T @ v), factor, LARGEST_ERROR, root=True)


def require_centered(
    center: Tensor,
    scale: Tensor | float,
    sample_weight: Tensor,
    dtype: torch.dtype,
    smallest: float = 1.0,
) -> None:
    """Raise InsufficientPrecisionError if rounding errors of the means show in whitened rows.

    Parameters
    ----------
    center : tensor of shape (p,)
        Weighted mean, float64.
    scale : float or tensor of shape (p,)
        Upper limit on the root of the diagonal of C.
    sample_weight : tensor of shape (n,)
    dtype : torch.dtype
    smallest : float, default=1.0
        Smallest 1 - leverage from which the errors are subtracted.
    """
    rounding = max(torch.finfo(dtype).eps ** 2, torch.finfo(torch.float64).eps)
    norm = torch.linalg.vector_norm(center * scale)
    error = rounding * float(norm * sample_weight.double().sum().sqrt()) / smallest
    if not error <= _LARGEST_OFFSET[dtype]:
        raise InsufficientPrecisionError(
            f"the means of the features are too large to subtract (relative error {error:.1e})"
        )


def require_similar_sizes(squares: Tensor) -> None:
    """Raise InsufficientPrecisionError if a row is so large that the others lose digits.

    Parameters
    ----------
    squares : tensor of shape (n,)
        Squared norms of rows, or their weights.
    """
    largest, median = float(squares.max()), float(squares.median())
    if not largest <= _LARGEST_RATIO * median:
        raise InsufficientPrecisionError(
            f"a row has a squared norm, leverage or weight of {largest:.1e}, and half of the rows "
            f"have at most {median:.1e}"
        )


def require_residual_share(smallest: float, dtype: torch.dtype, least: float | None = None) -> None:
    """Raise InsufficientPrecisionError if a row or group determines its own prediction.

    ``smallest`` is the smallest 1 - leverage, and ``least`` the smallest accepted value (if None,
    ``LEAST_SHARE`` of the dtype).
    """
    if not smallest >= (LEAST_SHARE[dtype] if least is None else least):
        raise InsufficientPrecisionError(
            f"a row or group has 1 - leverage = {smallest:.1e}: when it is left out, the other "
            "rows do not determine its prediction"
        )
