"""Standardized leave-one-out residuals: robust scales and deviations."""

import torch
from torch import Tensor

# Factors that convert absolute deviations to the standard deviation of a normal distribution.
_MAD_TO_SIGMA = 1.4826
_MEAN_DEVIATION_TO_SIGMA = 1.2533


def leave_one_out_deviation(leverage: Tensor, one_minus_leverage: Tensor) -> Tensor:
    """Standard deviation of each leave-one-out residual, relative to that of the noise.

    The prediction made without row i has a variance of h_i / (1 - a_i h_i) times the variance of
    the noise. At weight 1, a residual divided by this standard deviation is the externally
    studentized residual, up to the scale of the noise.

    Parameters
    ----------
    leverage, one_minus_leverage : tensors of shape (n,)
        h_i and 1 - a_i h_i.

    Returns
    -------
    tensor of shape (n,)
    """
    return (1 + leverage / one_minus_leverage).sqrt()


def robust_center_and_scale(residuals: Tensor) -> tuple[Tensor, Tensor]:
    """Median of every column, and standard deviation by the median absolute deviation.

    Parameters
    ----------
    residuals : tensor of shape (n, k)

    Returns
    -------
    tuple of two tensors of shape (k,)
        Medians and positive standard deviations. If more than half of the residuals are equal, the
        mean absolute deviation is used instead; if all are equal, the result is 1.
    """
    center = _median(residuals)
    deviation = (residuals - center).abs()
    scale = _MAD_TO_SIGMA * _median(deviation)
    scale = torch.where(scale > 0, scale, _MEAN_DEVIATION_TO_SIGMA * deviation.mean(dim=0))
    return center, torch.where(scale > 0, scale, 1.0)


def _median(values: Tensor) -> Tensor:
    """Median of every column; ``torch.quantile`` is limited to 2**24 values."""
    ordered = values.sort(dim=0).values
    n = len(ordered)
    return (ordered[(n - 1) // 2] + ordered[n // 2]) / 2
