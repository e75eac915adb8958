"""Numerical precision: trust in a factorization, the choice of the dtype, and full float32."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor

_Answer = TypeVar("_Answer")

_POWER_STEPS = 12
# Limits on eps times the condition number. Leave-one-out predictions in float32 lose up to 3 % of
# it (seen on random problems), so that 1e-4 holds; float64 is the last resort.
_LARGEST_ERROR = {torch.float32: 4e-3, torch.float64: 0.1}
# For an explicit inverse, which may lose all of it.
LARGEST_INVERSE_ERROR = {torch.float32: 1e-4, torch.float64: 0.1}
# Smallest share of a number, found by subtraction from it, that is not rounding error.
RESOLUTION = {dtype: 1e4 * torch.finfo(dtype).eps for dtype in (torch.float32, torch.float64)}
# Smallest 1 - leverage, found by subtraction from 1, whose digits a dtype keeps.
LEAST_SHARE = {torch.float32: 0.05, torch.float64: RESOLUTION[torch.float64]}


class InsufficientPrecisionError(ArithmeticError):
    """The dtype does not suffice for this problem; the caller tries a wider one or gives up."""


@contextlib.contextmanager
def full_float32() -> Iterator[None]:
    """Switch reduced-precision float32 products and convolutions off, and back as they were."""
    products = torch.get_float32_matmul_precision()
    cudnn = torch.backends.cudnn
    settings: list[tuple[Any, str, Any]] = [(cudnn, "allow_tf32", False)]
    if hasattr(cudnn, "conv"):  # since torch 2.9, which refuses conv and rnn that differ
        settings = [(part, "fp32_precision", "ieee") for part in (cudnn.conv, cudnn.rnn)]
    before = [getattr(setting, name) for setting, name, _ in settings]
    torch.set_float32_matmul_precision("highest")
    for setting, name, full in settings:
        setattr(setting, name, full)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(products)
        for (setting, name, _), value in zip(settings, before, strict=True):
            setattr(setting, name, value)


def in_sufficient_dtype(
    dtype: torch.dtype, alpha: float, attempt: Callable[[torch.dtype], _Answer]
) -> _Answer:
    """Return ``attempt(dtype)``, or ``attempt(torch.float64)`` where ``dtype`` falls short.

    Raises
    ------
    ValueError
        If float64 does not suffice either, naming the penalty ``alpha``.
    """
    reason = None
    for tried in dict.fromkeys((dtype, torch.float64)):
        try:
            return attempt(tried)
        except InsufficientPrecisionError as error:
            reason = error
    raise ValueError(
        f"alpha={alpha!r} is too small for these features, even in dtype=float64: {reason}. "
        "Use a larger alpha, or remove rows or columns that duplicate or dwarf the others."
    ) from reason


def cholesky(matrix: Tensor) -> Tensor:
    """Lower Cholesky factor, or InsufficientPrecisionError: nothing is added to the diagonal."""
    factor, info = torch.linalg.cholesky_ex(matrix)
    if int(info) != 0:
        raise InsufficientPrecisionError("the penalized Gram matrix is not positive definite")
    return factor


def cholesky_stack(matrices: Tensor) -> Tensor:
    """Lower Cholesky factors of I minus the groups' blocks of H, (G, m, m).

    Raises
    ------
    InsufficientPrecisionError
        If one is not positive definite.
    """
    factors, info = torch.linalg.cholesky_ex(matrices)
    if bool(info.any()):
        raise InsufficientPrecisionError(
            "without one of the groups, the rest of the data does not determine its predictions"
        )
    return factors


def condition_estimate(diagonal: Tensor, multiply: Callable, factor: Tensor) -> float:
    """Estimate the condition number of a matrix scaled to a unit diagonal.

    The scaling is what a Cholesky factorization is insensitive to (van der Sluis 1969). Power steps
    from a fixed vector: a lower bound, cheap beside the factorization.

    Parameters
    ----------
    diagonal : tensor of shape (q,)
        Of the matrix.
    multiply : callable
        Multiplies the matrix with a vector (q,).
    factor : tensor of shape (q, q)
        Its lower Cholesky factor.
    """
    scale = diagonal.rsqrt()
    vector = torch.linspace(1, 2, len(scale), dtype=scale.dtype, device=scale.device)
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
    return float(norm * norm_inverse)


def require_condition(
    condition: float, dtype: torch.dtype, largest_error: dict[torch.dtype, float] = _LARGEST_ERROR
) -> None:
    """Raise InsufficientPrecisionError if eps times the condition number exceeds an error.

    ``largest_error`` holds the limit of every dtype.
    """
    if not condition * torch.finfo(dtype).eps <= largest_error[dtype]:
        raise InsufficientPrecisionError(
            f"the penalized Gram matrix has a condition number near {condition:.1e}"
        )


def require_residual_share(smallest: float, dtype: torch.dtype, least: float | None = None) -> None:
    """Raise InsufficientPrecisionError if a row or group determines its own prediction.

    ``smallest`` is the least 1 - leverage, ``least`` what is accepted (``LEAST_SHARE`` if None).
    """
    if not smallest >= (LEAST_SHARE[dtype] if least is None else least):
        raise InsufficientPrecisionError(
            f"a row or group left out has 1 - leverage = {smallest:.1e}: the rest of the data does "
            "not determine its prediction"
        )
