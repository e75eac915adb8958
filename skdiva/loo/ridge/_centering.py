"""Weighted centring of features and targets, which makes the intercept drop out."""

import torch

from skdiva.loo._targets import ridge_targets
from skdiva.loo.ridge._products import add_symmetric_product, mirror_upper, zeros_square

_ROWS = 2**16  # targets are read this many rows at a time


def weighted_center(rows, sample_weight, fit_intercept):
    """Weighted mean of the features in float64, (p,); zeros without an intercept."""
    if not fit_intercept:
        return torch.zeros(rows.n_columns, dtype=torch.float64, device=rows.device)
    weight = sample_weight.double()

    def add(total, _, features, a):
        moment = a @ features.double()
        return (moment if total is None else total[0].add_(moment),)

    return rows.reduce(add, weight)[0] / weight.sum()


def center_rows(features, center):
    """Subtract ``center`` (float64), in two parts: rounding it would leave an offset in float32."""
    high = center.to(features.dtype)
    centered = features - high
    low = center - high
    return centered.sub_(low.to(features.dtype)) if low.any() else centered


def weighted_gram(rows, sample_weight, center):
    """Gram matrix (p, p) of the centred rows, weighted."""

    def add(total, _, features, weight):
        scaled = center_rows(features, center).mul_(weight.sqrt()[:, None])
        gram = zeros_square(features) if total is None else total[0]
        return (add_symmetric_product(gram, scaled, scaled),)

    return mirror_upper(rows.reduce(add, sample_weight)[0])


def weighted_target_mean(targets, sample_weight, fit_intercept):
    """Weighted mean of what the ridge model is fitted to, (k,), float64; zeros if no intercept.

    Fitting centred targets keeps residuals exact when the mean is large.
    """
    total = torch.zeros(targets.n_outputs, dtype=torch.float64, device=sample_weight.device)
    if fit_intercept:
        weight = sample_weight.double()
        for start in range(0, targets.n_rows, _ROWS):
            rows = slice(start, start + _ROWS)
            total += weight[rows] @ ridge_targets(targets, rows, torch.float64)
        total /= weight.sum()
    return total


def centered_targets(targets, mean, rows, dtype):
    """What the centred ridge model is fitted to at ``rows``, (m, k)."""
    values = ridge_targets(targets, rows, dtype)
    return (values - mean.to(values.dtype)).to(dtype)


def weighted_moment(rows, sample_weight, targets, mean):
    """Return Z' diag(a) Y, (q, k), of rows Z (n, q) and the centred targets Y (n, k)."""

    def add(total, block, features, weight):
        values = centered_targets(targets, mean, block.rows, features.dtype)
        moment = features.T @ values.mul_(weight[:, None])
        return (moment if total is None else total[0].add_(moment),)

    return rows.reduce(add, sample_weight)[0]
