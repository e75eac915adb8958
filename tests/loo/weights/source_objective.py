"""The objective of weights per source, by refits."""

import torch

from skdiva.loo import LogLoss
from tests.oracles import loo_predictions


def shares(data, ties):
    total = torch.stack([data.sample_weight[ties == t].sum() for t in range(int(ties.max()) + 1)])
    return total / total.sum()


def refitted_losses(data, log_factor, ties, predict=loo_predictions):
    """Losses (n,) of leave-one-out predictions with the weights of the sources so changed."""
    factor = log_factor.exp() / (shares(data, ties) @ log_factor.exp())
    predictions = predict(data._replace(sample_weight=data.sample_weight * factor[ties]))
    if isinstance(data.loss, LogLoss):
        even = 1 / 3
        root = data.validation_weight.sqrt()[:, None]
        outputs, targets = root * (predictions - even), root * (data.values - even)
        solved = torch.linalg.lstsq(outputs.reshape(-1, 1), targets.reshape(-1, 1)).solution
        predictions = even + solved.clamp(min=0) * (predictions - even)
    return (predictions - data.values).square().sum(dim=1)


def n_judges(data, ties):
    losses = data.validation_weight * refitted_losses(data, torch.zeros(4).double(), ties)
    if data.groups is not None:
        losses = torch.stack([losses[data.groups == g].sum() for g in data.groups.unique()])
    return float(losses.sum() ** 2 / losses.square().sum())


def centered(data, log_factor, ties):
    return log_factor - (shares(data, ties) @ log_factor.exp()).log()


def objective(data, log_factor, ties, prior, predict=loo_predictions):
    log_factor, prior = (centered(data, x, ties) for x in (log_factor, prior))
    losses = refitted_losses(data, log_factor, ties, predict)
    mean = data.validation_weight @ losses / data.validation_weight.sum()
    return n_judges(data, ties) * mean.log() + 0.5 * (log_factor - prior).square().sum()


def differentiable_predictions(data):
    """The same by a linear solve per row (group), for autograd to pass through."""
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
