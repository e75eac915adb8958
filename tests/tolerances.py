"""Tolerances for every dtype, and the comparisons that apply them.

The error of every row is compared with the size of the numbers that the row is made of
(``oracles.py``), never with the norm of the whole array: one row of large numbers would hide the
errors of all others.
"""

from typing import NamedTuple

import torch


class Tolerance(NamedTuple):
    """Largest error accepted, relative to the size of the row."""

    predictions: float
    derivative: float


# float64: errors of well-conditioned problems are far smaller; 1e-9 is promised.
# float32: rounding the inputs of a product once costs 6e-8; a problem of n rows and condition
# number c loses about eps sqrt(n) c, and is factorized in float64 before that exceeds these.
TOLERANCES = {torch.float64: Tolerance(1e-9, 1e-9), torch.float32: Tolerance(1e-4, 1e-3)}

# Other libraries, finite differences in float64 and autograd: not as exact as a refit.
THIRD_CHECK = 1e-6

# Error of a float64 answer, in units of eps times `oracles.conditioning`: at most 1.9 over 16000
# random problems of the kind that `strategies.cases` draws.
ERROR_GROWTH = 5


def tolerances(dtype, conditioning=1.0):
    """Tolerance for a problem: that of the dtype, or what float64 can do if that is more."""
    reachable = ERROR_GROWTH * torch.finfo(torch.float64).eps * conditioning
    return Tolerance(*(max(promised, reachable) for promised in TOLERANCES[dtype]))


def assert_rows_close(actual, expected, size, tolerance):
    """Assert that every row of ``actual`` is within ``tolerance`` times its ``size`` (n,)."""
    assert actual.shape == expected.shape
    assert torch.isfinite(actual).all()
    difference = (actual.double().cpu() - expected).reshape(len(expected), -1)
    error = torch.linalg.vector_norm(difference, dim=1)
    # A row made of zeros only must be met exactly.
    relative = torch.where(error == 0, 0.0, error / size)
    torch.testing.assert_close(relative, torch.zeros_like(relative), atol=tolerance, rtol=0)


def assert_close(actual, expected, tolerance=THIRD_CHECK):
    """Assert that two arrays differ by less than ``tolerance`` times the largest expected entry."""
    actual, expected = (torch.as_tensor(x, dtype=torch.float64).cpu() for x in (actual, expected))
    largest = float(expected.abs().max())
    assert largest > 0, "zero everywhere: compare with the sizes of the terms instead"
    torch.testing.assert_close(actual, expected, atol=tolerance * largest, rtol=0)
