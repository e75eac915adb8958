"""When a factorisation can be trusted, and full float32 arithmetic while it is made."""

import contextlib

import torch

_POWER_STEPS = 12
# Of eps times the condition number. Leave-one-out predictions in float32 lose up to 3 % of it (seen
# on random problems), so that 1e-4 holds; float64 is the last resort.
_LARGEST_ERROR = {torch.float32: 4e-3, torch.float64: 0.1}


class InsufficientPrecisionError(ArithmeticError):
    """The dtype does not suffice for this problem; the caller tries a wider one or gives up."""


@contextlib.contextmanager
def full_float32():
    """Switch reduced-precision float32 products and convolutions off, and back as they were."""
    products = torch.get_float32_matmul_precision()
    cudnn = torch.backends.cudnn
    if hasattr(cudnn, "conv"):  # since torch 2.9, which refuses conv and rnn that differ
        settings, name, full = (cudnn.conv, cudnn.rnn), "fp32_precision", "ieee"
    else:
        settings, name, full = (cudnn,), "allow_tf32", False
    before = [getattr(setting, name) for setting in settings]
    torch.set_float32_matmul_precision("highest")
    for setting in settings:
        setattr(setting, name, full)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(products)
        for setting, value in zip(settings, before, strict=True):
            setattr(setting, name, value)


def in_sufficient_dtype(dtype, alpha, attempt):
    """Return ``attempt(dtype)``, or ``attempt(torch.float64)`` where ``dtype`` falls short.

    Raises
    ------
    ValueError
        If float64 does not suffice either, naming the penalty ``alpha``.
    """
    for tried in dict.fromkeys((dtype, torch.float64)):
        try:
            return attempt(tried)
        except InsufficientPrecisionError as error:
            reason = error
    raise ValueError(
        f"alpha={alpha!r} is too small for these features, even in dtype=float64: {reason}. "
        "Use a larger alpha, or remove rows or columns that duplicate or dwarf the others."
    ) from reason


def cholesky(matrix):
    """Lower Cholesky factor, or InsufficientPrecisionError: nothing is added to the diagonal."""
    factor, info = torch.linalg.cholesky_ex(matrix)
    if int(info) != 0:
        raise InsufficientPrecisionError("the penalised Gram matrix is not positive definite")
    return factor


def cholesky_stack(matrices):
    """Lower Cholesky factors of I minus the own blocks (G, m, m), or InsufficientPrecisionError."""
    factors, info = torch.linalg.cholesky_ex(matrices)
    if bool(info.any()):
        raise InsufficientPrecisionError(
            "without one of the groups, the rest of the data does not determine its predictions"
        )
    return factors


def condition_estimate(matrix, factor):
    """Estimate the condition number of ``matrix`` scaled to a unit diagonal.

    The scaling is what a Cholesky factorisation is insensitive to (van der Sluis 1969). Power steps
    from a fixed vector: a lower bound, cheap beside the factorisation.
    """
    scale = matrix.diagonal().rsqrt()
    vector = torch.linspace(1, 2, matrix.shape[0], dtype=matrix.dtype, device=matrix.device)
    vector[1::2] *= -1
    largest, smallest_inverse = vector / vector.norm(), vector / vector.norm()
    for _ in range(_POWER_STEPS):
        largest = scale * (matrix @ (scale * largest))
        norm = largest.norm()
        largest = largest / norm
        smallest_inverse = torch.cholesky_solve((smallest_inverse / scale)[:, None], factor)[:, 0]
        smallest_inverse = smallest_inverse / scale
        norm_inverse = smallest_inverse.norm()
        smallest_inverse = smallest_inverse / norm_inverse
    return float(norm * norm_inverse)


def require_condition(matrix, factor, largest_error=_LARGEST_ERROR):
    """Raise InsufficientPrecisionError if eps times the condition number exceeds an error.

    ``largest_error`` holds the limit of every dtype.
    """
    condition = condition_estimate(matrix, factor)
    if not condition * torch.finfo(matrix.dtype).eps <= largest_error[matrix.dtype]:
        raise InsufficientPrecisionError(
            f"the penalised Gram matrix has a condition number near {condition:.1e}"
        )


def least_share(dtype):
    """Smallest 1 - leverage, found by subtraction from 1, whose digits ``dtype`` keeps."""
    return 0.05 if dtype == torch.float32 else resolution(dtype)


def resolution(dtype):
    """Smallest share of a number, found by subtraction from it, that is not rounding error."""
    return 1e4 * torch.finfo(dtype).eps


def require_residual_share(smallest, dtype, least=None):
    """Raise InsufficientPrecisionError when a row (or group) decides its own prediction.

    ``smallest`` is the least 1 - leverage, ``least`` what is accepted (`least_share` if not given).
    """
    if not smallest >= (least_share(dtype) if least is None else least):
        raise InsufficientPrecisionError(
            f"a row or group left out has 1 - leverage = {smallest:.1e}: the rest of the data does "
            "not determine its prediction"
        )
