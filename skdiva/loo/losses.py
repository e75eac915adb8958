"""Losses of predictions, with their derivative with respect to the predictions."""

import torch


class SquaredError:
    """Squared distance between prediction and target: squared errors summed over outputs."""

    def value(self, predictions, targets):
        """Return the loss of every row, (n,), from predictions and targets (n, k)."""
        return (predictions - targets).square().sum(dim=1)

    def derivative(self, predictions, targets):
        """Return its derivative with respect to the predictions, (n, k)."""
        return 2 * (predictions - targets)


class LogLoss:
    """Softmax cross-entropy: predictions are logits, targets one-hot (or class probabilities)."""

    def value(self, predictions, targets):
        """Return the loss of every row, (n,), from logits and targets (n, k)."""
        return -torch.linalg.vecdot(torch.log_softmax(predictions, dim=1), targets)

    def derivative(self, predictions, targets):
        """Return its derivative with respect to the logits, (n, k)."""
        mass = targets.sum(dim=1, keepdim=True)
        return torch.softmax(predictions, dim=1).mul_(mass).sub_(targets)


def check_loss(loss):
    """Raise if ``loss`` does not offer ``value`` and ``derivative``.

    Raises
    ------
    TypeError
        Naming the missing methods.
    """
    missing = [name for name in ("value", "derivative") if not callable(getattr(loss, name, None))]
    if missing:
        raise TypeError(
            "loss must offer value(predictions, targets) -> (n,) and "
            "derivative(predictions, targets) -> (n, k); "
            f"got {loss!r} without {' and '.join(missing)}. "
            "Use one of skdiva.loo.losses or write a class with both methods."
        )
