"""What the ridge model is fitted to, a block of rows at a time.

One-hot classes are written out per block only; all n x k of them are never stored.
"""

import torch


class ClassTargets:
    """One-hot targets from integer labels.

    Parameters
    ----------
    labels : int64 tensor of shape (n,)
        Codes 0 .. n_outputs - 1.
    n_outputs : int
        Number of classes k.
    initial_outputs : tensor of shape (n, k), optional
        Outputs of the unadapted network, added to every prediction.
    """

    def __init__(self, labels, n_outputs, initial_outputs=None):
        self.labels = labels
        self.n_outputs = n_outputs
        self.n_rows = labels.shape[0]
        self.initial_outputs = initial_outputs

    def block(self, rows, dtype):
        """One-hot targets (m, k) of ``rows``."""
        labels = self.labels[rows]
        dense = torch.zeros((labels.shape[0], self.n_outputs), dtype=dtype, device=labels.device)
        return dense.scatter_(1, labels[:, None], 1.0)

    def select(self, rows):
        """Return the targets of ``rows``, an int64 tensor."""
        initial = self.initial_outputs
        return ClassTargets(
            self.labels[rows], self.n_outputs, None if initial is None else initial[rows]
        )


class ValueTargets:
    """Numeric targets.

    They keep their own precision until centred: rounding a large mean would cost digits.

    Parameters
    ----------
    values : tensor of shape (n, k)
    initial_outputs : tensor of shape (n, k), optional
        Outputs of the unadapted network, added to every prediction.
    """

    def __init__(self, values, initial_outputs=None):
        self.values = values
        self.n_rows, self.n_outputs = values.shape
        self.initial_outputs = initial_outputs

    def block(self, rows, dtype):
        """Targets (m, k) of ``rows``, in ``dtype`` or their own, whichever is wider."""
        # A copy, as in ClassTargets: callers write into it, and the values may be the user's y.
        return self.values[rows].to(torch.promote_types(dtype, self.values.dtype), copy=True)

    def select(self, rows):
        """Return the targets of ``rows``, an int64 tensor."""
        initial = self.initial_outputs
        return ValueTargets(self.values[rows], None if initial is None else initial[rows])


def ridge_targets(targets, rows, dtype):
    """What the ridge model is fitted to at ``rows``: targets minus initial outputs (m, k)."""
    dense = targets.block(rows, dtype)
    if targets.initial_outputs is None:
        return dense
    return dense - targets.initial_outputs[rows].to(dense.dtype)
