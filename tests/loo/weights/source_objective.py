"""Objective of the weights per source, by refits."""

import torch

from skdiva.loo import LogLoss
from tests.oracles import loo_predictions


def shares(data, sources):
    """Share of every source in the start weight."""
    n_sources = int(sources.max()) + 1
    total = torch.stack([data.sample_weight[sources == s].sum() for s in range(n_sources)])
    return total / total.sum()


def refitted_losses(data, log_weight, sources, predict=loo_predictions):
    """Losses (n,) of leave-one-out predictions at these relative weights of the sources."""
    relative = log_weight.exp() / (shares(data, sources) @ log_weight.exp())
    predictions = predict(data._replace(sample_weight=data.sample_weight * relative[sources]))
    if isinstance(data.loss, LogLoss):
        even = 1 / 3
        root = data.validation_weight.sqrt()[:, None]
        outputs, targets = root * (predictions - even), root * (data.values - even)
        solved = torch.linalg.lstsq(outputs.reshape(-1, 1), targets.reshape(-1, 1)).solution
        predictions = even + solved.clamp(min=0) * (predictions - even)
    return (predictions - data.values).square().sum(dim=1)


def n_effective(data, sources):
    """Number of predictions that the losses at the start are worth."""
    losses = data.validation_weight * refitted_losses(data, torch.zeros(4).double(), sources)
    if data.groups is not None:
        losses = torch.stack([losses[data.groups == g].sum() for g in data.groups.unique()])
    return float(losses.sum() ** 2 / losses.square().sum())


def centered(data, log_weight, sources):
    """Logarithms of relative weights of mean 1."""
    return log_weight - (shares(data, sources) @ log_weight.exp()).log()


def objective(data, log_weight, sources, prior, predict=loo_predictions):
    """Objective F at relative weights, by refits."""
    log_weight, prior = (centered(data, x, sources) for x in (log_weight, prior))
    losses = refitted_losses(data, log_weight, sources, predict)
    mean = data.validation_weight @ losses / data.validation_weight.sum()
    return n_effective(data, sources) * mean.log() + 0.5 * (log_weight - prior).square().sum()


def differentiable_predictions(data):
    """Leave-one-out predictions by a linear solve per row (group), which autograd can follow."""
    ones = torch.ones(len(data.features), 1, dtype=torch.float64)
    rows = torch.cat([data.features, ones], dim=1)
    penalty = torch.diag(torch.tensor([data.alpha] * data.features.shape[1] + [0.0]).double())
    groups = torch.arange(len(rows)) if data.groups is None else data.groups
    predictions = []
    for row, group in zip(rows, groups, strict=True):
        weighted = rows * (data.sample_weight * (groups != group))[:, None]
        coef = torch.linalg.solve(weighted.T @ rows + penalty, weighted.T @ data.ridge_values)
        predictions.append(row @ coef)
    return torch.stack(predictions) + (data.values - data.ridge_values)
