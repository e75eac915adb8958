"""What y holds: classes or numbers, and how later labels are coded like the first ones."""

from dataclasses import dataclass

import numpy as np
from sklearn.base import is_classifier, is_regressor
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import assert_all_finite

from skdiva.arrays.containers import to_host


@dataclass
class Classes:
    """Labels of any type and their codes."""

    classes: np.ndarray  # (k,), sorted
    codes: np.ndarray  # (n,), int64

    @property
    def n_outputs(self):
        """Number of classes: two classes are two one-hot columns."""
        return len(self.classes)

    @property
    def given(self):
        """The labels themselves."""
        return self.classes[self.codes]

    def decode(self, outputs):
        """Return the class with the largest output of every row."""
        return self.classes[outputs.argmax(axis=1)]

    def encode(self, y, name="y"):
        """Code labels that arrive later; unknown ones are an error."""
        labels = column_or_1d(np.asarray(to_host(y)), warn=True)
        assert_all_finite(labels, input_name=name)
        encoder = LabelEncoder()
        encoder.classes_ = self.classes
        try:
            return Classes(self.classes, encoder.transform(labels))
        except ValueError as error:
            raise ValueError(
                f"{name} holds labels that the training y does not: {error}. "
                f"Expected labels out of {self.classes.tolist()!r}."
            ) from error


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

    def decode(self, outputs):
        """Return outputs (n, k) in the shape of y."""
        return outputs[:, 0] if self.flat else outputs

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
        labels = column_or_1d(_as_array(y), warn=True)
        if labels.dtype.kind == "f":
            check_classification_targets(labels)
        if labels.dtype.kind == "O" and any(label is None for label in labels):
            raise ValueError("Input y contains None. Remove these rows, or give them a label.")
        encoder = LabelEncoder()
        codes = encoder.fit_transform(labels).astype(np.int64, copy=False)
        if len(encoder.classes_) < 2:
            raise ValueError(
                "Expected y with at least two classes, got only one class: "
                f"{encoder.classes_[0]!r}. Nothing can be learned from it; add rows of another "
                "class, or pass floats for regression."
            )
        return labels, Classes(encoder.classes_, codes)
    y = _as_array(y)
    if not several or y.ndim != 2:
        y = column_or_1d(y, warn=True)
    values = y.astype(np.float64, copy=False)
    return y, Numbers(values.reshape(len(y), -1), y.ndim == 1)


def _as_array(y):
    return check_array(y, ensure_2d=False, dtype=None, input_name="y", allow_nd=True)
