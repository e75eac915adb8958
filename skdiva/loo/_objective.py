"""The mean loss of the predictions that judge the weights, and its gradient.

Leave-one-out predictions of the training rows, or predictions of a separate validation set.
"""

import torch

_LOSS_ROWS = 2**16  # losses are evaluated this many rows at a time


def judge(problem, smoother, loo):
    """Mean loss and its derivative with respect to every judged prediction, (n, k) or (m, k)."""
    predictions, targets = problem.predictions(loo.loo_predictions), problem.targets
    weight = problem.validation_weight
    if problem.validation is not None:
        targets = problem.validation[1]
        rows = smoother.predict(problem.validation_rows, problem.row_targets)
        predictions = problem.predictions(rows)
        if targets.initial_outputs is not None:
            predictions = predictions + targets.initial_outputs
        weight = predictions.new_ones(targets.n_rows)
    loss, gradient = _loss_and_gradient(problem.loss, predictions, targets, weight)
    return loss, problem.by_row(gradient.to(loo.residuals.dtype))


def judges(problem):
    """Weights of the rows that judge, and numbers of the units that they come in.

    A unit is a group of rows that are left out together, in visiting order, or a validation row.
    """
    device = problem.features.device
    if problem.validation is not None:
        n_rows = problem.validation[1].n_rows
        weight = torch.ones(n_rows, dtype=torch.float64, device=device)
        return weight, torch.arange(n_rows, device=device)
    units, start = [], 0
    for block in problem.layout.blocks:
        n_units = (block.stop - block.start) // block.group_size
        numbers = torch.arange(start, start + n_units, device=device)
        units.append(numbers.repeat_interleave(block.group_size))
        start += n_units
    return problem.validation_weight.double(), torch.cat(units)


def judged_predictions(problem, evaluation):
    """Predictions and targets of the rows that judge, in the order of `judges`."""
    if problem.validation is None:
        return problem.layout.arrange(evaluation.loo_predictions), problem.targets
    features, targets = problem.validation
    predictions = features.double() @ evaluation.coef.double() + evaluation.intercept
    if targets.initial_outputs is not None:
        predictions = predictions + targets.initial_outputs
    return predictions, targets


def row_losses(loss, predictions, targets):
    """Loss of every row, (m,)."""
    parts = []
    for start in range(0, targets.n_rows, _LOSS_ROWS):
        rows = slice(start, start + _LOSS_ROWS)
        parts.append(loss.value(predictions[rows], targets.block(rows, predictions.dtype)))
    return torch.cat(parts)


def _loss_and_gradient(loss, predictions, targets, weight):
    weight = weight.double() / weight.double().sum()
    gradient = torch.empty_like(predictions)
    total = 0.0
    for start in range(0, targets.n_rows, _LOSS_ROWS):
        rows = slice(start, start + _LOSS_ROWS)
        dense = targets.block(rows, predictions.dtype)
        values, slopes = (f(predictions[rows], dense) for f in (loss.value, loss.derivative))
        _check_loss_shapes(loss, values, slopes, dense)
        total += float(weight[rows] @ values.double())
        gradient[rows] = slopes
        gradient[rows] *= weight[rows, None].to(predictions.dtype)
    return total, gradient


def _check_loss_shapes(loss, values, slopes, targets):
    if values.shape == targets.shape[:1] and slopes.shape == targets.shape:
        return
    raise ValueError(
        f"{type(loss).__name__}.value must return one loss per row, shape "
        f"{tuple(targets.shape[:1])}, and derivative shape {tuple(targets.shape)}; got "
        f"{tuple(values.shape)} and {tuple(slopes.shape)}."
    )
