"""Reading of y: the rule that tells classes from numbers, and class labels."""

import warnings
from dataclasses import dataclass
from datetime import date, time, timedelta
from numbers import Complex, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import is_classifier, is_regressor
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import check_array, column_or_1d

from skdiva.arrays import is_categorical, is_missing, one_per_row, to_host
from skdiva.targets._numbers import plain_dtype, read_numbers
from skdiva.targets._target import Target

_TIMES = (date, time, timedelta, np.datetime64, np.timedelta64)
_FEW = 10  # different whole numbers, which are classes even if they do not look like codes
_FILLED = 0.9  # share of the numbers up to the largest one that occur if they are codes


@dataclass
class ClassLabels(Target):
    """Class labels of any type, and their integer codes."""

    task: ClassVar[str] = "classification"
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

    def encode(self, values: np.ndarray, name: str) -> Self:
        """Encode labels that were not seen in `fit`; unknown classes are an error."""
        labels = column_or_1d(values, warn=True).tolist()
        # Labels are looked up, because a cast to the dtype of the classes would truncate strings
        # and round numbers.
        known = {label: code for code, label in enumerate(self.classes.tolist())}
        unknown = {label for label in labels if label not in known}
        if unknown:
            raise ValueError(
                f"{name} holds labels that the training y does not: {sorted(unknown, key=str)!r}. "
                f"Expected labels out of {self.classes.tolist()!r}. Remove the rows with others."
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


def read_target(
    y: Any, *, task: str = "auto", inner: Any = None, several: bool = True
) -> tuple[np.ndarray, Target]:
    """Validate the y of a fit, and encode it as classes or as numbers.

    Parameters
    ----------
    y : array-like of shape (n,) or (n, k)
        In any container.
    task, inner
        As for `holds_classes`.
    several : bool, default=True
        Whether several regression targets are allowed.

    Returns
    -------
    y : ndarray of shape (n,) or (n, k)
        The y for an inner estimator.
    target : ClassLabels or RegressionTargets
    """
    values, categorical = read_values(y), is_categorical(y)
    if holds_classes(values, categorical=categorical, task=task, inner=inner):
        return _encode_classes(values, categorical)
    return read_numbers(values, several=several)


def encode_like(target: Target, y: Any, name: str = "y") -> Target:
    """Validate and encode labels or targets that were not seen in `fit`."""
    return target.encode(read_values(y, name), name)


def holds_classes(
    values: np.ndarray, *, categorical: bool = False, task: str = "auto", inner: Any = None
) -> bool:
    """Return whether y holds classes.

    The tag of an inner classifier or regressor decides, or ``task``. With "auto", strings,
    booleans and categories are classes, and numbers with a fraction are not. Whole numbers are
    classes if there are at most 10 different ones, or if they look like codes: they start at -1, 0
    or 1, and nine tenths of the numbers up to the largest occur. They are numbers if there are
    more, or if most rows have a number of their own. If this is in doubt, a warning says so.

    Parameters
    ----------
    values : ndarray of shape (n,) or (n, k)
        As given by `read_values`.
    categorical : bool, default=False
        Whether y came in a categorical dtype.
    task : {"auto", "classification", "regression"}, default="auto"
    inner : estimator, default=None

    Returns
    -------
    bool

    Raises
    ------
    ValueError
        If ``task`` contradicts the tag of ``inner``.
    """
    if inner is not None and (is_classifier(inner) or is_regressor(inner)):
        tagged = "classification" if is_classifier(inner) else "regression"
        if task not in ("auto", tagged):
            raise ValueError(
                f"task={task!r} contradicts the estimator: {type(inner).__name__} is for {tagged}. "
                f"Pass task='auto', or an estimator for {task}."
            )
        task = tagged
    if task != "auto":
        return task == "classification"
    if categorical or values.dtype.kind not in "iuf":
        return True
    if values.dtype.kind == "f" and np.any(values != np.floor(values)):
        return False
    if values.size > len(values):
        if np.isin(values, (0, 1)).all():  # several labels per row, which are an error
            return True
        values = max(values.reshape(len(values), -1).T, key=lambda column: len(np.unique(column)))
    return _are_codes(values.ravel())


def _are_codes(values: np.ndarray) -> bool:
    """Return whether whole numbers (n,) are class labels; if this is in doubt, warn."""
    found, counts = np.unique(values, return_counts=True)
    n, k, low, high = len(values), len(found), float(found[0]), float(found[-1])
    like_codes = low in (-1, 0, 1) and k >= _FILLED * (high - low + 1)
    rare = counts <= (2 if n > 10 * k else 1)  # as few by chance are unlikely in a class
    read, other = "classes", ("classification", "regression")
    if k > 2 and 2 * np.count_nonzero(counts == 1) > n:
        read, reason = "numbers", "because most rows have a number of their own"
    elif k > _FEW and not like_codes:
        read, reason = "numbers", "because they are many and do not look like class codes"
    elif (k > _FEW or n > 10 * k > 20) and (20 * rare.sum() > k or np.median(counts) <= 2):
        reason = "although some of them occur in very few rows"
    else:
        return True
    if read == "numbers":
        other = other[::-1]
    warnings.warn(
        f"y holds {k} different whole numbers in {n} rows, from {low:g} to {high:g}. They are "
        f"read as {read}, {reason}. Pass task={other[0]!r} if this is right, or "
        f"task={other[1]!r} if not.",
        UserWarning,
        stacklevel=2,
    )
    return read == "classes"


def _encode_classes(values: np.ndarray, categorical: bool) -> tuple[np.ndarray, ClassLabels]:
    if values.ndim > 1 and values.size > len(values):
        raise ValueError(
            f"y should be a 1d array, got an array of shape {values.shape} instead. Pass one label "
            "per row (of one-hot rows, y.argmax(axis=1)), or task='regression' if these are "
            "several targets."
        )
    labels = column_or_1d(values, warn=True)
    if labels.dtype.kind == "f" and not categorical and np.any(labels != np.floor(labels)):
        raise ValueError(
            "Unknown label type: continuous. Expected classes in y, got numbers with a fraction, "
            f"such as {labels[labels != np.floor(labels)][0]}. Use a regressor or "
            "task='regression', or convert classes to strings."
        )
    classes, codes = _unique_labels(labels, "y")
    if len(classes) < 2:
        raise ValueError(
            "Expected y with at least two classes, got only one class: "
            f"{classes.tolist()[0]!r}. Nothing can be learned from one class; add "
            "rows of another class."
        )
    return labels, ClassLabels(classes, codes)


def read_codes(labels: Any, n_rows: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the integer codes (n,) of groups or sources in any container, and the sorted labels.

    Raises
    ------
    TypeError, ValueError
        If there is not one label per row, if labels are missing, or if they are of several types.
    """
    values = one_per_row(refuse_missing(labels, name), n_rows, name, "label")
    names, codes = _unique_labels(values, name)
    return codes, names


def _unique_labels(labels: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the sorted different labels and the position (n,) of every label among them.

    Raises
    ------
    ValueError
        If the labels are of several types, or of a type that has no order, such as tuples.
    """
    encoder = LabelEncoder()
    try:
        codes = encoder.fit_transform(labels)
    except TypeError as error:
        kinds = sorted({type(label).__name__ for label in labels})
        found = f"a mixture of {kinds}" if len(kinds) > 1 else f"objects of type {kinds[0]}"
        raise ValueError(
            f"Expected labels of one type in {name}, got {found}. Convert them to one type, for "
            "example with str."
        ) from error
    return encoder.classes_, codes.astype(np.int64, copy=False)


def read_labels(y: Any, name: str = "y") -> np.ndarray:
    """Return labels of any type as an array (n,); missing labels are an error."""
    return column_or_1d(read_values(y, name), warn=True)


def read_values(y: Any, name: str = "y") -> np.ndarray:
    """Return y in any container as an array of labels or numbers.

    Raises
    ------
    ValueError
        If entries are missing or infinite, or are dates, times or complex numbers.
    """
    if y is None:
        raise ValueError(f"Expected labels in {name}, got None. Pass one label per row.")
    values = _as_array(y, name)
    if values.dtype.kind in "OMmc":
        _refuse_other_kinds(values, name)
    values = refuse_missing(values, name)
    return plain_dtype(values) if values.dtype.kind == "O" else values


def _as_array(labels: Any, name: str) -> np.ndarray:
    """Return labels in any container as an array.

    Raises
    ------
    TypeError
        If it is no container of labels, such as a set, a generator or a sparse array.
    """
    values = np.asarray(to_host(labels, name))
    if values.ndim == 0:
        raise TypeError(
            f"Expected one label per row in {name}, got a single {type(labels).__name__}. Pass an "
            "array, a list or a column of a dataframe; convert sparse arrays with .toarray()."
        )
    if values.dtype.kind in "US" and isinstance(labels, list | tuple):
        # NumPy turns the numbers, and NaN, in a list of strings into strings.
        objects = np.asarray(labels, dtype=object)
        if not all(isinstance(label, str | bytes) for label in objects.flat):
            return objects
    return values


def _refuse_other_kinds(values: np.ndarray, name: str) -> None:
    is_object = values.dtype.kind == "O"
    kinds = {type(value) for value in values.flat} if is_object else {values.dtype.type}
    if any(issubclass(kind, _TIMES) or kind.__name__ == "Period" for kind in kinds):
        raise ValueError(
            f"Expected classes or numbers in {name}, got dates, times or durations (dtype "
            f"{values.dtype}). Convert them to numbers, such as days since the first one, or to "
            "labels, for example with str."
        )
    if any(issubclass(kind, Complex) and not issubclass(kind, Real) for kind in kinds):
        raise ValueError(
            f"Complex data not supported: expected classes or real numbers in {name}. Pass the "
            "real part, or both parts as two targets."
        )


def refuse_missing(labels: Any, name: str) -> np.ndarray:
    """Return labels as an array; missing labels are an error."""
    labels = _as_array(labels, name)
    if labels.dtype.kind in "fOMm":
        if labels.dtype.kind == "O":
            missing = np.array([is_missing(label) for label in labels.flat])
        else:
            missing = np.isnan(labels)
        if missing.any():
            what = "NaN" if labels.dtype.kind == "f" else "None or NaN"
            row = int(missing.argmax()) * len(labels) // labels.size
            raise ValueError(
                f"Input {name} contains {what}, first in row {row}. Remove such rows, or give them "
                "a label."
            )
    return check_array(labels, ensure_2d=False, dtype=None, input_name=name, allow_nd=True)
