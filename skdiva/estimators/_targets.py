"""Class labels and regression targets, and how later labels are encoded like those of `fit`."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import is_classifier, is_regressor
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from skdiva.arrays import is_missing, to_host


class Target(ABC):
    """Validated y: the target of every row."""

    @property
    @abstractmethod
    def n_outputs(self) -> int:
        """Number of outputs of the ridge model."""

    @property
    @abstractmethod
    def given(self) -> np.ndarray:
        """The labels or targets as in y, of shape (n,) or (n, k)."""

    @property
    @abstractmethod
    def dense(self) -> np.ndarray:
        """Numbers that the ridge model is fitted to, of shape (n, k)."""

    @abstractmethod
    def select(self, rows: Any) -> Self:
        """Return the targets of some rows, given as a slice or as positions."""

    @abstractmethod
    def append(self, other: Self) -> Self:
        """Return these targets followed by others that were encoded like them."""

    @abstractmethod
    def encode(self, y: Any, name: str = "y") -> Self:
        """Validate and encode labels or targets that were not seen in `fit`."""

    @abstractmethod
    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """Return what outputs (n, k) predict, in the form of y."""

    @abstractmethod
    def to_core(self, compute: Any, initial_outputs: Any = None) -> Any:
        """Return the targets as tensors, for the core.

        Parameters
        ----------
        compute : Compute
        initial_outputs : array or tensor of shape (n, k) or None

        Returns
        -------
        skdiva.loo.ClassTargets or skdiva.loo.ValueTargets
        """


@dataclass
class ClassLabels(Target):
    """Class labels of any type, and their integer codes."""

    classes: np.ndarray  # (k,), sorted
    codes: np.ndarray  # (n,), int64

    @property
    def n_outputs(self) -> int:
        """Number of classes. Two classes have two one-hot columns."""
        return len(self.classes)

    @property
    def given(self) -> np.ndarray:
        """The labels (n,)."""
        return self.classes[self.codes]

    @property
    def dense(self) -> np.ndarray:
        """One-hot columns (n, k)."""
        return np.eye(self.n_outputs)[self.codes]

    def select(self, rows: Any) -> Self:
        """Return the labels of some rows, given as a slice or as positions."""
        return type(self)(self.classes, self.codes[rows])

    def append(self, other: Self) -> Self:
        """Return these labels followed by others that were encoded like them."""
        return type(self)(self.classes, np.concatenate([self.codes, other.codes]))

    def encode(self, y: Any, name: str = "y") -> Self:
        """Encode labels that were not seen in `fit`; unknown classes are an error."""
        labels = read_labels(y, name).tolist()
        # Labels are looked up, because a cast to the dtype of the classes would truncate strings
        # and round numbers.
        known = {label: code for code, label in enumerate(self.classes.tolist())}
        unknown = {label for label in labels if label not in known}
        if unknown:
            raise ValueError(
                f"{name} holds labels that the training y does not: {sorted(unknown, key=str)!r}. "
                f"Expected labels out of {self.classes.tolist()!r}."
            )
        codes = np.array([known[label] for label in labels], dtype=np.int64)
        return type(self)(self.classes, codes)

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """Return the class with the largest output of every row."""
        return self.classes[outputs.argmax(axis=1)]

    def to_core(self, compute: Any, initial_outputs: Any = None) -> Any:
        """Return the labels as tensors, for the core."""
        from skdiva.loo import ClassTargets

        if initial_outputs is not None:
            initial_outputs = compute.tensor(initial_outputs)
        return ClassTargets(compute.tensor(self.codes, "int64"), len(self.classes), initial_outputs)


@dataclass
class RegressionTargets(Target):
    """Regression targets."""

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

    def encode(self, y: Any, name: str = "y") -> Self:
        """Validate targets that were not seen in `fit`."""
        values = check_array(
            to_host(y), ensure_2d=False, dtype=np.float64, input_name=name, allow_nd=True
        )
        values = values.reshape(len(values), -1)
        if values.shape[1] != self.n_outputs:
            raise ValueError(
                f"{name} has {values.shape[1]} target(s) per row, but the training y has "
                f"{self.n_outputs}. Pass {name} of shape (n, {self.n_outputs})."
            )
        return type(self)(values, self.flat)

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """Return outputs (n, k) in the shape of y."""
        return outputs[:, 0] if self.flat else outputs

    def to_core(self, compute: Any, initial_outputs: Any = None) -> Any:
        """Return the targets as tensors, for the core."""
        from skdiva.loo import ValueTargets

        if initial_outputs is not None:
            initial_outputs = compute.tensor(initial_outputs)
        return ValueTargets(compute.tensor(self.values, "float64"), initial_outputs)


def holds_classes(y: Any, estimator: Any = None) -> bool:
    """Return whether y is to be read as classes.

    If there is an inner estimator, its tag decides. Otherwise, floats with a fractional part are
    regression targets, and everything else is classes.
    """
    if estimator is not None and (is_classifier(estimator) or is_regressor(estimator)):
        return is_classifier(estimator)
    y = np.asarray(y)
    if y.dtype.kind != "f":
        return True
    return not np.any(np.isfinite(y) & (y != np.floor(y)))


def check_y(y: Any, *, classes: bool, several: bool) -> tuple[np.ndarray, Target]:
    """Validate y with the checks and messages of scikit-learn.

    Parameters
    ----------
    y : array-like
    classes : bool
        Whether y is to be read as classes.
    several : bool
        Whether several regression targets are allowed.

    Returns
    -------
    y : ndarray of shape (n,) or (n, k)
        The y for an inner estimator.
    target : ClassLabels or RegressionTargets
    """
    if classes:
        labels = read_labels(y)
        if labels.dtype.kind == "f":
            check_classification_targets(labels)
        encoder = LabelEncoder()
        try:
            codes = encoder.fit_transform(labels).astype(np.int64, copy=False)
        except TypeError as error:
            kinds = sorted({type(label).__name__ for label in labels})
            raise ValueError(
                f"Expected labels of one type in y, got a mixture of {kinds}. Convert them to one "
                "type, for example with str."
            ) from error
        if len(encoder.classes_) < 2:
            raise ValueError(
                "Expected y with at least two classes, got only one class: "
                f"{encoder.classes_.tolist()[0]!r}. Nothing can be learned from one class; add "
                "rows of another class."
            )
        return labels, ClassLabels(encoder.classes_, codes)
    y = check_array(to_host(y), ensure_2d=False, dtype=None, input_name="y", allow_nd=True)
    if not several or y.ndim != 2:
        y = column_or_1d(y, warn=True)
    try:
        values = y.astype(np.float64, copy=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Expected numbers in y for regression, got dtype {y.dtype}: {error}. Convert y to "
            "numbers, or use a classifier."
        ) from error
    return y, RegressionTargets(values.reshape(len(y), -1), y.ndim == 1)


def read_labels(y: Any, name: str = "y") -> np.ndarray:
    """Return labels of any type as an array (n,); missing labels are an error."""
    if y is None:
        raise ValueError(f"Expected labels in {name}, got None. Pass one label per row.")
    return column_or_1d(refuse_missing(y, name), warn=True)


def refuse_missing(labels: Any, name: str) -> np.ndarray:
    """Return labels as an array; missing labels are an error."""
    labels = np.asarray(to_host(labels))
    if labels.dtype.kind in "OMm" and labels.ndim:
        missing = [row for row, label in enumerate(labels.ravel()) if is_missing(label)]
        if missing:
            raise ValueError(
                f"Input {name} contains None or NaN, first in row {missing[0]}. Remove such rows, "
                "or give them a label."
            )
    return check_array(labels, ensure_2d=False, dtype=None, input_name=name, allow_nd=True)
