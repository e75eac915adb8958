"""Loss functions with their derivatives, and weighted means of losses over rows."""

from typing import Protocol

import torch
from torch import Tensor

from skdiva.loo._targets import Targets
from skdiva.loo.rows import Budget


class Loss(Protocol):
    """Protocol of a loss function and its derivative with respect to the predictions."""

    def value(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of every row, (m,), from predictions and targets (m, k)."""

    def derivative(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """Return the derivative of the loss with respect to the predictions, (m, k)."""


class SquaredError:
    """Squared error, summed over the outputs."""

    def value(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of every row, (m,), from predictions and targets (m, k)."""
        return (predictions - targets).square().sum(dim=1)

    def derivative(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """Return the derivative of the loss with respect to the predictions, (m, k)."""
        return 2 * (predictions - targets)


class ScaledSquaredError:
    """Squared error of class outputs f rescaled to 1/k + scale (f - 1/k), for k classes.

    Parameters
    ----------
    scale : float
    """

    def __init__(self, scale: float):
        self.scale = scale

    @classmethod
    def at_best_scale(
        cls,
        predictions: Tensor,
        targets: Targets,
        weight: Tensor,
        budget: Budget = Budget(),  # noqa: B008 - it is frozen
    ) -> "ScaledSquaredError":
        """Choose the scale that minimizes the weighted sum of losses.

        At the minimum the derivative with respect to the scale is zero. The derivative of the
        minimized loss with respect to the predictions is therefore `derivative` at this scale.

        Parameters
        ----------
        predictions : tensor of shape (m, k)
        targets : Targets
        weight : tensor of shape (m,), float64
        budget : Budget, default=Budget()

        Returns
        -------
        ScaledSquaredError
        """
        product = square = 0.0
        even = 1 / predictions.shape[1]
        for rows in budget.slices(targets.n_rows):
            outputs = predictions[rows].double() - even
            dense = targets.block(rows, torch.float64) - even
            product += float(weight[rows] @ torch.linalg.vecdot(outputs, dense))
            square += float(weight[rows] @ torch.linalg.vecdot(outputs, outputs))
        # If outputs and targets are not positively correlated, no positive scale is best: use 1.
        return cls(product / square if product > 0 else 1.0)

    def value(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of every row, (m,), from predictions and targets (m, k)."""
        return (self._scaled(predictions) - targets).square().sum(dim=1)

    def derivative(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """Return the derivative of the loss with respect to the predictions, (m, k)."""
        return 2 * self.scale * (self._scaled(predictions) - targets)

    def _scaled(self, predictions: Tensor) -> Tensor:
        even = 1 / predictions.shape[1]
        return even + self.scale * (predictions - even)


class LogLoss:
    """Softmax cross-entropy of logits and one-hot targets (or class probabilities)."""

    def value(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of every row, (m,), from logits and targets (m, k)."""
        return -torch.linalg.vecdot(torch.log_softmax(predictions, dim=1), targets)

    def derivative(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """Return the derivative of the loss with respect to the logits, (m, k)."""
        mass = targets.sum(dim=1, keepdim=True)
        return torch.softmax(predictions, dim=1).mul_(mass).sub_(targets)


def check_loss(loss: Loss) -> None:
    """Raise an error if ``loss`` lacks the method ``value`` or ``derivative``.

    Raises
    ------
    TypeError
        If a method is missing. The message names it.
    """
    value, derivative = getattr(loss, "value", None), getattr(loss, "derivative", None)
    if not (callable(value) and callable(derivative)):
        methods = {"value": value, "derivative": derivative}
        missing = [name for name, method in methods.items() if not callable(method)]
        raise TypeError(
            "loss must have the methods value(predictions, targets) -> (n,) and "
            "derivative(predictions, targets) -> (n, k); "
            f"got {loss!r} without {' and '.join(missing)}. "
            "Use skdiva.loo.SquaredError or LogLoss, or write a class with both methods."
        )


def row_losses(
    loss: Loss,
    predictions: Tensor,
    targets: Targets,
    budget: Budget = Budget(),  # noqa: B008 - it is frozen
) -> Tensor:
    """Return the loss of every row, (m,)."""
    parts = [
        loss.value(predictions[rows], targets.block(rows, predictions.dtype))
        for rows in budget.slices(targets.n_rows)
    ]
    return torch.cat(parts)


def mean_loss(
    loss: Loss, predictions: Tensor, targets: Targets, weight: Tensor, budget: Budget
) -> tuple[float, Tensor]:
    """Return the weighted mean loss and its derivative with respect to the predictions.

    Parameters
    ----------
    loss : Loss
    predictions : tensor of shape (m, k)
    targets : Targets
    weight : tensor of shape (m,)
    budget : Budget

    Returns
    -------
    loss : float
    gradient : tensor of shape (m, k)

    Raises
    ------
    ValueError
        If the loss returns arrays of the wrong shape.
    """
    weight = weight.double() / weight.double().sum()
    gradient = torch.empty_like(predictions)
    total = 0.0
    for rows in budget.slices(targets.n_rows):
        dense = targets.block(rows, predictions.dtype)
        values = loss.value(predictions[rows], dense)
        slopes = loss.derivative(predictions[rows], dense)
        if values.shape != dense.shape[:1] or slopes.shape != dense.shape:
            raise ValueError(
                f"{type(loss).__name__}.value must return one loss per row, shape "
                f"{tuple(dense.shape[:1])}, and derivative must return shape "
                f"{tuple(dense.shape)}; got {tuple(values.shape)} and {tuple(slopes.shape)}."
            )
        total += float(weight[rows] @ values.double())
        gradient[rows] = slopes
        gradient[rows] *= weight[rows, None].to(predictions.dtype)
    return total, gradient
