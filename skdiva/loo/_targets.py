"""Targets of a ridge model, converted to dense arrays for one block of rows at a time.

One-hot targets are never stored as a full (n, k) array.
"""

from abc import ABC, abstractmethod
from typing import Self

import torch
from torch import Tensor

from skdiva.loo.rows import require_finite


class Targets(ABC):
    """Targets of n rows and k outputs.

    Parameters
    ----------
    n_rows, n_outputs : int
    initial_outputs : tensor of shape (n, k), optional
        Outputs of the network before training. They are added to the predictions.
    """

    def __init__(self, n_rows: int, n_outputs: int, initial_outputs: Tensor | None):
        self.n_rows, self.n_outputs = n_rows, n_outputs
        if initial_outputs is not None:
            _require_tensor(initial_outputs, "initial_outputs", 2, "of floats")
            if initial_outputs.shape != (n_rows, n_outputs):
                raise ValueError(
                    f"Expected initial_outputs of shape ({n_rows}, {n_outputs}), got "
                    f"{tuple(initial_outputs.shape)}. Pass one row per target and one column per "
                    "output."
                )
        self.initial_outputs = initial_outputs

    def check(self) -> None:
        """Raise a ValueError if a target or an initial output is not valid."""
        if self.initial_outputs is not None:
            require_finite(self.initial_outputs, "initial_outputs")

    @abstractmethod
    def block(self, rows: slice | Tensor, dtype: torch.dtype) -> Tensor:
        """Return the targets (m, k) of some rows, as a new tensor."""

    @abstractmethod
    def select(self, rows: slice | Tensor) -> Self:
        """Return the targets of the rows at a slice or at int64 positions."""

    @abstractmethod
    def concatenate(self, others: list[Self]) -> Self:
        """Return these targets followed by others of the same kind."""

    def ridge_values(
        self, rows: slice | Tensor, dtype: torch.dtype, mean: Tensor | None = None
    ) -> Tensor:
        """Return targets minus initial outputs (m, k), to which the ridge model is fitted.

        Parameters
        ----------
        rows : slice or int64 tensor of shape (m,)
        dtype : torch.dtype
            Dtype of the result. Without a ``mean``, targets of a wider dtype keep their dtype.
        mean : tensor of shape (k,), float64, optional
            Mean to subtract.
        """
        values = self.block(rows, dtype)
        if self.initial_outputs is not None:
            values = values - self.initial_outputs[rows].to(values.dtype)
        return values if mean is None else (values - mean.to(values.dtype)).to(dtype)

    def _joined_initial(self, others: "list[Self]") -> Tensor | None:
        parts = [part.initial_outputs for part in (self, *others)]
        return None if parts[0] is None else torch.cat([p for p in parts if p is not None])


class ClassTargets(Targets):
    """One-hot targets from integer labels.

    Parameters
    ----------
    labels : int64 tensor of shape (n,)
        Class codes 0 .. n_outputs - 1.
    n_outputs : int
        Number of classes k.
    initial_outputs : tensor of shape (n, k), optional
        Outputs of the network before training. They are added to the predictions.
    """

    def __init__(self, labels: Tensor, n_outputs: int, initial_outputs: Tensor | None = None):
        _require_tensor(labels, "labels", 1, "of int64 codes")
        super().__init__(labels.shape[0], n_outputs, initial_outputs)
        self.labels = labels

    def check(self) -> None:
        """Raise a ValueError if a label or an initial output is not valid."""
        super().check()
        if self.n_rows and not 0 <= int(self.labels.min()) <= int(self.labels.max()) < (
            self.n_outputs
        ):
            raise ValueError(
                f"Expected labels as codes from 0 to {self.n_outputs - 1}, got codes from "
                f"{int(self.labels.min())} to {int(self.labels.max())}. Number the classes, for "
                "example with torch.unique(labels, return_inverse=True)."
            )

    def block(self, rows: slice | Tensor, dtype: torch.dtype) -> Tensor:
        """Return one-hot targets (m, k) of some rows."""
        labels = self.labels[rows]
        dense = torch.zeros((labels.shape[0], self.n_outputs), dtype=dtype, device=labels.device)
        return dense.scatter_(1, labels[:, None], 1.0)

    def select(self, rows: slice | Tensor) -> "ClassTargets":
        """Return the targets of the rows at a slice or at int64 positions."""
        initial = self.initial_outputs
        initial = None if initial is None else initial[rows]
        return ClassTargets(self.labels[rows], self.n_outputs, initial)

    def concatenate(self, others: "list[ClassTargets]") -> "ClassTargets":
        """Return these targets followed by others with the same classes."""
        labels = torch.cat([part.labels for part in (self, *others)])
        return ClassTargets(labels, self.n_outputs, self._joined_initial(others))


class ValueTargets(Targets):
    """Numeric targets.

    Targets keep their own precision until they are centered, because rounding values with a large
    mean would lose digits.

    Parameters
    ----------
    values : tensor of shape (n, k)
        Targets of n rows.
    initial_outputs : tensor of shape (n, k), optional
        Outputs of the network before training. They are added to the predictions.
    """

    def __init__(self, values: Tensor, initial_outputs: Tensor | None = None):
        _require_tensor(values, "values", 2, "of numbers")
        super().__init__(values.shape[0], values.shape[1], initial_outputs)
        self.values = values

    def check(self) -> None:
        """Raise a ValueError if a target or an initial output is not valid."""
        super().check()
        require_finite(self.values, "values of the targets")

    def block(self, rows: slice | Tensor, dtype: torch.dtype) -> Tensor:
        """Return targets (m, k) of some rows, in ``dtype`` or their own dtype if it is wider."""
        # A copy, as in ClassTargets: callers modify it, and the values may be the user's y.
        return self.values[rows].to(torch.promote_types(dtype, self.values.dtype), copy=True)

    def select(self, rows: slice | Tensor) -> "ValueTargets":
        """Return the targets of the rows at a slice or at int64 positions."""
        initial = self.initial_outputs
        return ValueTargets(self.values[rows], None if initial is None else initial[rows])

    def concatenate(self, others: "list[ValueTargets]") -> "ValueTargets":
        """Return these targets followed by others."""
        values = torch.cat([part.values for part in (self, *others)])
        return ValueTargets(values, self._joined_initial(others))


def _require_tensor(array: Tensor, name: str, n_dimensions: int, what: str) -> None:
    found = type(array).__name__
    if isinstance(array, Tensor):
        right = array.ndim == n_dimensions and array.layout == torch.strided and not array.is_meta
        codes = array.dtype == torch.int64 or what != "of int64 codes"
        if right and codes and not array.is_complex():
            return
        found = f"one of shape {tuple(array.shape)}, {array.dtype}, {array.layout}"
    raise TypeError(
        f"Expected {name} as a dense tensor {what} with {n_dimensions} dimension(s), got {found}. "
        "Convert it with torch.as_tensor."
    )
