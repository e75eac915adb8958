"""Leave-one-out by refitting, a slow reference implementation for tests and documentation.

It shares no code with the closed form, except for the checks of the arguments. Every model is a
least-squares problem on stacked rows (sqrt(a_i) z_i above sqrt(alpha) I), solved by QR without
forming a Gram matrix. Pass float64 tensors.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from skdiva.loo.rows import check_weight, require_finite


class RefittedRidge(NamedTuple):
    """A refitted model, with the quantities needed for predictions and derivatives."""

    coef: Tensor  # (p, k)
    center: Tensor  # (p,), weighted mean of the features; 0 without an intercept
    mean: Tensor  # (k,), prediction at the center
    factor: Tensor  # (p, p), upper triangular, R'R = C^-1 of the centered rows
    inverse_total: float  # 1 / sum(a), contribution of the intercept to H; 0 without one

    def predict(self, features: Tensor) -> Tensor:
        """Predictions (m, k) at ``features`` (m, p)."""
        return (features - self.center) @ self.coef + self.mean

    def hat(self, left: Tensor, right: Tensor) -> Tensor:
        """Return z_l' C z_r, intercept included, for rows ``left`` (m, p) and ``right`` (n, p)."""
        left, right = (
            torch.linalg.solve_triangular(self.factor.T, (z - self.center).T, upper=False)
            for z in (left, right)
        )
        return left.T @ right + self.inverse_total


def refit(
    features: Tensor,
    values: Tensor,
    sample_weight: Tensor,
    alpha: float,
    fit_intercept: bool = True,
) -> RefittedRidge:
    """Fit one weighted ridge model by QR.

    Parameters
    ----------
    features : tensor of shape (n, p)
    values : tensor of shape (n, k)
    sample_weight : tensor of shape (n,)
    alpha : float
    fit_intercept : bool

    Returns
    -------
    RefittedRidge
    """
    kept = sample_weight > 0
    features, values, weight = features[kept], values[kept], sample_weight[kept]
    n_columns, n_outputs = features.shape[1], values.shape[1]
    center, mean = features.new_zeros(n_columns), features.new_zeros(n_outputs)
    inverse_total = 0.0
    if fit_intercept:
        center, mean = weight @ features / weight.sum(), weight @ values / weight.sum()
        inverse_total = 1 / float(weight.sum())
    root = weight.sqrt()[:, None]
    penalty = alpha**0.5 * torch.eye(n_columns, dtype=features.dtype)
    stacked = torch.cat([root * (features - center), penalty])
    stacked_values = torch.cat([root * (values - mean), values.new_zeros(n_columns, n_outputs)])
    q, factor = torch.linalg.qr(stacked)
    coef = torch.linalg.solve_triangular(factor, q.T @ stacked_values, upper=True)
    return RefittedRidge(coef, center, mean, factor, inverse_total)


def brute_force_loo(
    features: Tensor,
    values: Tensor,
    sample_weight: Tensor,
    alpha: float,
    *,
    fit_intercept: bool = True,
    groups: Tensor | None = None,
) -> Tensor:
    """Leave-one-out or leave-one-group-out predictions of ``values``, by refitting.

    Parameters
    ----------
    features : tensor of shape (n, p)
        Features of the ridge model.
    values : tensor of shape (n, k)
        Targets minus initial outputs.
    sample_weight : tensor of shape (n,)
        Non-negative weights.
    alpha : float
        Ridge penalty, positive.
    fit_intercept : bool, default=True
        Whether to add an intercept, which is not penalized.
    groups : int64 tensor of shape (n,), optional
        Group of every row. Rows of one group are left out together.

    Returns
    -------
    tensor of shape (n, k)
        Predictions, without the initial outputs.
    """
    predictions = torch.empty_like(values)
    for left_out, model in _models(features, values, sample_weight, alpha, fit_intercept, groups):
        predictions[left_out] = model.predict(features[left_out])
    return predictions


def brute_force_derivative(
    features: Tensor,
    values: Tensor,
    sample_weight: Tensor,
    alpha: float,
    loss_gradient: Tensor,
    *,
    fit_intercept: bool = True,
    groups: Tensor | None = None,
) -> Tensor:
    """Derivative of the summed leave-one-out loss, by Prop. 2 of the paper for every refit.

    Parameters
    ----------
    features : tensor of shape (n, p)
        Features of the ridge model.
    values : tensor of shape (n, k)
        Targets minus initial outputs.
    sample_weight : tensor of shape (n,)
        Non-negative weights.
    alpha : float
        Ridge penalty, positive.
    loss_gradient : tensor of shape (n, k)
        Derivative of the loss at the leave-one-out predictions, times the validation weight.
    fit_intercept : bool, default=True
        Whether to add an intercept, which is not penalized.
    groups : int64 tensor of shape (n,), optional
        Group of every row. Rows of one group are left out together.

    Returns
    -------
    tensor of shape (n,)
        Derivative with respect to every sample weight.
    """
    derivative = torch.zeros_like(sample_weight)
    for left_out, model in _models(features, values, sample_weight, alpha, fit_intercept, groups):
        rest = ~left_out
        residuals = model.predict(features[rest]) - values[rest]
        pulled = model.hat(features[rest], features[left_out]) @ loss_gradient[left_out]
        derivative[rest] -= (residuals * pulled).sum(dim=1)
    return derivative


def _models(features, values, sample_weight, alpha, fit_intercept, groups):
    """Yield the mask of the rows that are left out, and the model trained without them."""
    require_finite(features, "features")
    require_finite(values, "values")
    check_weight(sample_weight, len(features))
    if len(values) != len(features) or not 0 < alpha < math.inf:
        raise ValueError(
            f"Expected values for each of the {len(features)} rows and a positive, finite alpha, "
            f"got {len(values)} rows of values and alpha={alpha}."
        )
    if groups is None:
        groups = torch.arange(features.shape[0])
    for group in torch.unique(groups):
        left_out = groups == group
        weight = sample_weight.masked_fill(left_out, 0.0)
        yield left_out, refit(features, values, weight, alpha, fit_intercept)
