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
        If a method is missing, which the message names, or if ``loss`` is a class.
    """
    if isinstance(loss, type):
        raise TypeError(
            f"loss must be an object with the methods value and derivative, got the class "
            f"{loss.__name__}. Pass an instance, {loss.__name__}()."
        )
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


def call_loss(loss: Loss, method: str, predictions: Tensor, targets: Tensor) -> Tensor:
    """Call a method of a loss and check what it returns.

    Parameters
    ----------
    loss : Loss
        If it is not one of this module, it gets copies of the arrays, which it may modify.
    method : {"value", "derivative"}
    predictions, targets : tensor of shape (m, k)

    Returns
    -------
    tensor of shape (m,) or (m, k)
        Without a graph.

    Raises
    ------
    TypeError
        If the result is not a dense tensor of float32 or float64.
    ValueError
        If it has another shape or device, or is not finite. The message names the loss.
    """
    arguments = predictions, targets
    if type(loss) not in _BUILT_IN:
        arguments = predictions.clone(), targets.clone()
    result = getattr(loss, method)(*arguments)
    name = f"{type(loss).__name__}.{method}"
    kind = (result.dtype, result.layout) if isinstance(result, Tensor) else type(result).__name__
    if kind not in _RESULTS:
        raise TypeError(
            f"{name} must return a dense tensor of float32 or float64, got {kind}. Compute it "
            "from the given tensors with functions of torch."
        )
    result, shape = result.detach(), predictions.shape[: 1 if method == "value" else 2]
    if result.shape != shape or result.device != predictions.device:
        what = "one loss per row" if method == "value" else "one number per row and output"
        raise ValueError(
            f"{name} must return {what}, shape {tuple(shape)} on {predictions.device}; got shape "
            f"{tuple(result.shape)} on {result.device}. Do not take the mean over the rows, and "
            "keep the device of the predictions."
        )
    if len(result) and not bool(torch.isfinite(result.sum(dtype=torch.float64))):
        _refuse_non_finite(name, result, predictions)
    return result


def _refuse_non_finite(name: str, result: Tensor, predictions: Tensor) -> None:
    """Raise an error that names the first row with an entry that is not finite, if there is one."""
    bad = ~torch.isfinite(result.reshape(len(result), -1)).all(dim=1)
    if not bad.any():
        return
    row = int(bad.double().argmax())
    raise ValueError(
        f"{name} must return finite numbers, got {result[row].tolist()} for the predictions "
        f"{predictions[row].tolist()}. Limit the loss or its arguments, or use a loss that is "
        "defined for all predictions. If the predictions are too large, use a larger alpha, or "
        "scale the features and targets down."
    )


def row_losses(
    loss: Loss,
    predictions: Tensor,
    targets: Targets,
    budget: Budget = Budget(),  # noqa: B008 - it is frozen
) -> Tensor:
    """Return the loss of every row, (m,)."""
    parts = [
        call_loss(loss, "value", predictions[rows], targets.block(rows, predictions.dtype))
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
    TypeError, ValueError
        If the loss does not return what it must, see `call_loss`.
    """
    weight = weight.double() / weight.double().sum()
    gradient = torch.empty_like(predictions)
    total = 0.0
    for rows in budget.slices(targets.n_rows):
        dense = targets.block(rows, predictions.dtype)
        values = call_loss(loss, "value", predictions[rows], dense)
        total += float(weight[rows] @ values.double())
        gradient[rows] = call_loss(loss, "derivative", predictions[rows], dense)
        gradient[rows] *= weight[rows, None].to(predictions.dtype)
    return total, gradient


_RESULTS = (torch.float32, torch.strided), (torch.float64, torch.strided)
_BUILT_IN = (SquaredError, ScaledSquaredError, LogLoss)  # which leave their arguments unchanged
