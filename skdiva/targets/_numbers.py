"""Regression targets, and numbers that are stored as Python objects."""

from dataclasses import dataclass
from decimal import Decimal
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils import column_or_1d

from skdiva.targets._target import Target


@dataclass
class RegressionTargets(Target):
    """Regression targets."""

    task: ClassVar[str] = "regression"
    values: np.ndarray  # (n, k), float64
    flat: bool  # whether y was one-dimensional

    @property
    def n_outputs(self) -> int:
        """Number of targets per row."""
        return self.values.shape[1]

    @property
    def given(self) -> np.ndarray:
        """The targets in the shape of y."""
        return self.decode(self.values)

    @property
    def dense(self) -> np.ndarray:
        """The targets (n, k)."""
        return self.values

    def select(self, rows: Any) -> Self:
        """Return the targets of some rows, given as a slice or as positions."""
        return type(self)(self.values[rows], self.flat)

    def append(self, other: Self) -> Self:
        """Return these targets followed by others."""
        return type(self)(np.concatenate([self.values, other.values]), self.flat)

    def encode(self, values: np.ndarray, name: str) -> Self:
        """Validate targets that were not seen in `fit`."""
        numbers = _as_floats(values, name).reshape(len(values), -1)
        if numbers.shape[1] != self.n_outputs:
            raise ValueError(
                f"{name} has {numbers.shape[1]} target(s) per row, but the training y has "
                f"{self.n_outputs}. Pass {name} of shape (n, {self.n_outputs})."
            )
        return type(self)(numbers, self.flat)

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """Return outputs (n, k) in the shape of y."""
        return outputs[:, 0] if self.flat else outputs

    def to_core(self, compute: Any, initial_outputs: Any = None) -> Any:
        """Return the targets as tensors, for the core."""
        from skdiva.loo import ValueTargets

        if initial_outputs is not None:
            initial_outputs = compute.tensor(initial_outputs)
        return ValueTargets(compute.tensor(self.values, "float64"), initial_outputs)


def read_numbers(values: np.ndarray, *, several: bool) -> tuple[np.ndarray, RegressionTargets]:
    """Return regression targets as an array for an inner estimator, and encoded.

    Parameters
    ----------
    values : ndarray of shape (n,) or (n, k)
        As given by `read_values`.
    several : bool
        Whether several targets are allowed.

    Returns
    -------
    y : ndarray of shape (n,) or (n, k)
    target : RegressionTargets
    """
    if not several or values.ndim != 2:
        values = column_or_1d(values, warn=True)
    numbers = _as_floats(values, "y")
    y = numbers if values.dtype.kind == "O" else values
    return y, RegressionTargets(numbers.reshape(len(numbers), -1), values.ndim == 1)


def _as_floats(values: np.ndarray, name: str) -> np.ndarray:
    # Strings of digits are not parsed: what looks like a number may be a code.
    kinds = {type(value).__name__ for value in values.flat} if values.dtype.kind == "O" else set()
    if values.dtype.kind in "SUV" or kinds & {"str", "bytes"}:
        raise ValueError(
            f"Expected numbers in {name} for regression, got strings (dtype {values.dtype}). "
            f"Convert {name} to numbers, or use a classifier or task='classification'."
        )
    try:
        return values.astype(np.float64, copy=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Expected numbers in {name} for regression, got {sorted(kinds)}: {error}. "
            f"Convert {name} to numbers, or use a classifier or task='classification'."
        ) from error


def plain_dtype(values: np.ndarray) -> np.ndarray:
    """Return objects as booleans, whole numbers or floats, if all of them are.

    ``Decimal`` and ``Fraction`` count as floats. Any other array is returned unchanged.
    """
    kinds = {type(value) for value in values.flat}
    if kinds <= {bool, np.bool_}:
        return values.astype(bool)
    if any(kind is bool or not issubclass(kind, Real | Decimal) for kind in kinds):
        return values
    is_whole = all(issubclass(kind, Integral) for kind in kinds)
    try:
        return values.astype(np.int64 if is_whole else np.float64)
    except OverflowError:  # codes of more than 64 bits
        return values
