"""Answers to a case by refits in float64, and how exact they can be expected to be."""

from typing import NamedTuple

import torch

from skdiva.loo import brute_force_derivative, brute_force_loo
from skdiva.loo._brute_force import refit

_STEP = 1e-6  # relative change of a prediction, to see how much the loss gradient changes
_TYPICAL = 1e-2  # share of the typical size that is the least size of a row


class Reference(NamedTuple):
    """Leave-one-out predictions and derivative by refits."""

    predictions: torch.Tensor  # (n, k), initial outputs included
    derivative: torch.Tensor  # (n,)
    prediction_size: torch.Tensor  # (n,), of the numbers that make up a prediction
    derivative_size: torch.Tensor  # (n,), of the terms that make up a derivative
    conditioning: float  # factor by which eps grows at worst


def reference(data):
    """Refit a case once per row or group."""
    data = data.double()
    predictions = loo_predictions(data)
    gradient = loss_gradient(data, predictions)
    derivative = brute_force_derivative(
        data.features,
        data.ridge_values,
        data.sample_weight,
        data.alpha,
        gradient,
        fit_intercept=data.case.fit_intercept,
        groups=data.groups,
    )
    sizes = predictions.abs() + data.values.abs()
    return Reference(
        predictions,
        derivative,
        _at_least_typical(torch.linalg.vector_norm(sizes, dim=1)),
        _at_least_typical(_derivative_size(data, predictions, sizes)),
        conditioning(data),
    )


def loo_predictions(data):
    """Leave-one-out predictions (n, k) by refits, initial outputs included."""
    predictions = brute_force_loo(
        data.features,
        data.ridge_values,
        data.sample_weight,
        data.alpha,
        fit_intercept=data.case.fit_intercept,
        groups=data.groups,
    )
    return predictions + (data.values - data.ridge_values)


def loo_loss(data, sample_weight=None, alpha=None):
    """Mean leave-one-out loss by refits, at other weights or another penalty if given."""
    if sample_weight is not None:
        data = data._replace(sample_weight=sample_weight)
    if alpha is not None:
        data = data._replace(alpha=alpha)
    losses = data.loss.value(loo_predictions(data), data.values)
    return float(data.validation_weight @ losses / data.validation_weight.sum())


def loss_gradient(data, predictions):
    """Derivative of the mean loss with respect to every prediction, (n, k)."""
    share = data.validation_weight / data.validation_weight.sum()
    return share[:, None] * data.loss.derivative(predictions, data.values)


def conditioning(data):
    """Factor by which relative rounding errors grow at worst.

    The condition number of the matrix that is factorized, plus the largest change of an entry of H
    with a relative change of a feature, divided by the smallest eigenvalue of I - S H_II S over all
    rows or groups. The matrix is the penalized Gram matrix (n x n when there are more columns than
    rows), scaled to a unit diagonal.
    """
    data = data.double()
    wide = data.features.shape[0] < data.features.shape[1]
    matrix = _row_gram(data) if wide else _column_gram(data)
    matrix.diagonal().add_(data.alpha)
    scale = matrix.diagonal().rsqrt()
    eigenvalues = torch.linalg.eigvalsh(scale[:, None] * matrix * scale)
    condition = float(eigenvalues[-1] / eigenvalues[0].clamp(min=1e-300))
    return (condition + _input_sensitivity(data)) / _least_left(data)


def _input_sensitivity(data):
    """Bound of |z_i' C dz| for |dz| = |z_j|, column by column."""
    model = _full_model(data)
    inverse_factor = torch.linalg.inv(model.factor)
    diagonal = inverse_factor.square().sum(dim=1)  # of C
    leverage = model.hat(data.features, data.features).diagonal()
    return float((leverage.max() * (data.features.square() @ diagonal).max()).sqrt())


def _column_gram(data):
    rows = _centered(data) * data.sample_weight.sqrt()[:, None]
    return rows.T @ rows


def _row_gram(data):
    training = data.sample_weight > 0
    root = data.sample_weight[training].sqrt()
    rows = _centered(data)[training] * root[:, None]
    gram = rows @ rows.T
    if data.case.fit_intercept:  # takes one direction out of the data, which conditions nothing
        gram += gram.diagonal().mean() * torch.outer(root, root) / data.sample_weight.sum()
    return gram


def _centered(data):
    if not data.case.fit_intercept:
        return data.features
    return data.features - data.sample_weight @ data.features / data.sample_weight.sum()


def _least_left(data):
    model = _full_model(data)
    root = data.sample_weight.sqrt()
    left = -root[:, None] * model.hat(data.features, data.features) * root
    left.diagonal().add_(1)
    if data.groups is None:
        return float(left.diagonal().min())
    members = [data.groups == group for group in data.groups.unique()]
    return min(float(torch.linalg.eigvalsh(left[own][:, own])[0]) for own in members)


def _full_model(data):
    return refit(
        data.features, data.ridge_values, data.sample_weight, data.alpha, data.case.fit_intercept
    )


def _derivative_size(data, predictions, sizes):
    """Sum of the absolute values of the terms of every row's derivative, (n,).

    The derivative at j is a sum over the models trained without a group I of
    - <e_j, H_jI g_I>. Signs are dropped; for e_j stand e_j of the model trained on all rows and its
    change when I leaves; to g_I is added how it changes with its predictions, times their size.
    """
    features, values, weight = data.features, data.ridge_values, data.sample_weight
    full = _full_model(data)
    residuals = full.predict(features) - values
    one_minus_leverage = 1 - weight * full.hat(features, features).diagonal()
    typical = one_minus_leverage.clamp(min=1e-15)[:, None] * sizes
    gradient_size = _gradient_size(data, predictions, sizes)
    total = torch.zeros_like(weight)
    groups = torch.arange(len(weight)) if data.groups is None else data.groups
    for group in groups.unique():
        own = groups == group
        left = refit(
            features, values, weight.masked_fill(own, 0.0), data.alpha, data.case.fit_intercept
        )
        change = left.predict(features) - values - residuals
        pulled = left.hat(features, features[own]).abs() @ gradient_size[own]
        terms = (residuals.abs() + typical + change.abs()) * pulled
        total += terms.sum(dim=1).masked_fill(own, 0.0)
    return total


def _gradient_size(data, predictions, sizes):
    gradient = loss_gradient(data, predictions)
    changes = [
        (loss_gradient(data, predictions + sign * _STEP * sizes) - gradient).abs() / _STEP
        for sign in (1, -1)
    ]
    return gradient.abs() + torch.maximum(*changes)


def _at_least_typical(size):
    return size + _TYPICAL * size.median()
