"""What y holds: classes or numbers, and how later labels are coded like the first ones."""

from dataclasses import dataclass

import numpy as np
from sklearn.base import is_classifier, is_regressor
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from skdiva.arrays import is_missing, to_host


@dataclass
class Classes:
    """Labels of any type and their codes."""

    classes: np.ndarray  # (k,), sorted
    codes: np.ndarray  # (n,), int64

    @property
    def n_outputs(self):
        """Number of classes: two classes are two one-hot columns."""
        return len(self.classes)

    def select(self, rows):
        """Return the labels of some rows, a slice or positions."""
        return Classes(self.classes, self.codes[rows])

    def append(self, other):
        """Return these labels and others that were coded like them."""
        return Classes(self.classes, np.concatenate([self.codes, other.codes]))

    @property
    def dense(self):
        """One-hot columns (n, k)."""
        return np.eye(self.n_outputs)[self.codes]

    @property
    def given(self):
        """The labels themselves."""
        return self.classes[self.codes]

    def decode(self, outputs):
        """Return the class with the largest output of every row."""
        return self.classes[outputs.argmax(axis=1)]

    def encode(self, y, name="y"):
        """Code labels that arrive later; unknown ones are an error."""
        labels = read_labels(y, name).tolist()
        # By equality: a cast to the dtype of the classes would cut strings and round numbers.
        known = {label: code for code, label in enumerate(self.classes.tolist())}
        unknown = {label for label in labels if label not in known}
        if unknown:
            raise ValueError(
                f"{name} holds labels that the training y does not: {sorted(unknown, key=str)!r}. "
                f"Expected labels out of {self.classes.tolist()!r}."
            )
        return Classes(self.classes, np.array([known[label] for label in labels], dtype=np.int64))


@dataclass
class Numbers:
    """Regression targets."""

    values: np.ndarray  # (n, k), float64
    flat: bool  # whether y was one-dimensional

    @property
    def n_outputs(self):
        """Number of targets."""
        return self.values.shape[1]

    def encode(self, y, name="y"):
        """Check targets that arrive later."""
        values = check_array(
            to_host(y), ensure_2d=False, dtype=np.float64, input_name=name, allow_nd=True
        )
        values = values.reshape(len(values), -1)
        if values.shape[1] != self.n_outputs:
            raise ValueError(
                f"{name} has {values.shape[1]} target(s) per row, but the training y has "
                f"{self.n_outputs}. Pass {name} of shape (n, {self.n_outputs})."
            )
        return Numbers(values, self.flat)

    def select(self, rows):
        """Return the targets of some rows, a slice or positions."""
        return Numbers(self.values[rows], self.flat)

    def append(self, other):
        """Return these targets and others."""
        return Numbers(np.concatenate([self.values, other.values]), self.flat)

    def decode(self, outputs):
        """Return outputs (n, k) in the shape of y."""
        return outputs[:, 0] if self.flat else outputs

    @property
    def dense(self):
        """The targets, (n, k)."""
        return self.values

    @property
    def given(self):
        """Return the targets in the shape of y."""
        return self.decode(self.values)


def holds_classes(y, estimator=None):
    """Whether y is to be read as classes.

    The inner estimator's tag decides. Without one, floats with a fraction are regression targets
    and everything else is classes.
    """
    if estimator is not None and (is_classifier(estimator) or is_regressor(estimator)):
        return is_classifier(estimator)
    y = np.asarray(y)
    if y.dtype.kind != "f":
        return True
    return not np.any(np.isfinite(y) & (y != np.floor(y)))


def check_y(y, *, classes, several):
    """Validate y, in scikit-learn's own words.

    Parameters
    ----------
    y : array-like
    classes : bool
        Whether it is to be read as classes.
    several : bool
        Whether regression takes several targets.

    Returns
    -------
    y : ndarray of shape (n,) or (n, k)
        What an inner estimator is trained on.
    target : Classes or Numbers
    """
    if classes:
        labels = read_labels(y)
        if labels.dtype.kind == "f":
            check_classification_targets(labels)
        return labels, _encode(labels)
    y = _as_array(y, "y")
    if not several or y.ndim != 2:
        y = column_or_1d(y, warn=True)
    try:
        values = y.astype(np.float64, copy=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Expected numbers in y for regression, got dtype {y.dtype}: {error}. Convert y to "
            "numbers, or use a classifier."
        ) from error
    return y, Numbers(values.reshape(len(y), -1), y.ndim == 1)


def read_labels(y, name="y"):
    """Return labels of any type as an array (n,), none of them missing."""
    if y is None:
        raise ValueError(f"Expected labels in {name}, got None. Pass one label per row.")
    return column_or_1d(refuse_missing(y, name), warn=True)


def refuse_missing(labels, name):
    """Return labels as an array; missing ones are an error."""
    labels = np.asarray(to_host(labels))
    if labels.dtype.kind in "OMm" and labels.ndim:
        missing = [row for row, label in enumerate(labels.ravel()) if is_missing(label)]
        if missing:
            raise ValueError(
                f"Input {name} contains None or NaN, first in row {missing[0]}. Remove such rows, "
                "or give them a label."
            )
    return _as_array(labels, name)


def _encode(labels):
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
            f"{encoder.classes_.tolist()[0]!r}. Nothing can be learned from it; add rows of "
            "another class."
        )
    return Classes(encoder.classes_, codes)


def _as_array(y, name):
    return check_array(to_host(y), ensure_2d=False, dtype=None, input_name=name, allow_nd=True)
