"""Losses of predictions, with their derivative with respect to the predictions."""

import torch

_SCALE_ROWS = 2**16  # read at a time


class SquaredError:
    """Squared distance between prediction and target: squared errors summed over outputs."""

    def value(self, predictions, targets):
        """Return the loss of every row, (n,), from predictions and targets (n, k)."""
        return (predictions - targets).square().sum(dim=1)

    def derivative(self, predictions, targets):
        """Return its derivative with respect to the predictions, (n, k)."""
        return 2 * (predictions - targets)


class ScaledSquaredError:
    """Squared error of class outputs times a scale about even chances: 1/k + scale (f - 1/k)."""

    def __init__(self, scale):
        self.scale = scale

    @classmethod
    def at_best_scale(cls, predictions, targets, weight):
        """Choose the scale with the smallest weighted sum of losses.

        Its derivative with respect to the scale is zero, so that of the smallest loss with respect
        to the predictions is `derivative` at that scale.

        Parameters
        ----------
        predictions : tensor of shape (m, k)
        targets : ClassTargets or ValueTargets
        weight : tensor of shape (m,), float64

        Returns
        -------
        ScaledSquaredError
        """
        product = square = 0.0
        for start in range(0, targets.n_rows, _SCALE_ROWS):
            rows = slice(start, start + _SCALE_ROWS)
            even = 1 / predictions.shape[1]
            outputs = predictions[rows].double() - even
            dense = targets.block(rows, torch.float64) - even
            product += float(weight[rows] @ torch.linalg.vecdot(outputs, dense))
            square += float(weight[rows] @ torch.linalg.vecdot(outputs, outputs))
        # Outputs that point the wrong way have no scale that says how to improve them.
        return cls(product / square if product > 0 else 1.0)

    def value(self, predictions, targets):
        """Return the loss of every row, (n,), from predictions and targets (n, k)."""
        return (self._scaled(predictions) - targets).square().sum(dim=1)

    def derivative(self, predictions, targets):
        """Return its derivative with respect to the predictions, (n, k)."""
        return 2 * self.scale * (self._scaled(predictions) - targets)

    def _scaled(self, predictions):
        even = 1 / predictions.shape[1]
        return even + self.scale * (predictions - even)


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
            "Use one of skdiva.loo._losses or write a class with both methods."
        )
