"""What `fit` was given: checked, coded, and still on the host."""

import copy
from dataclasses import dataclass, field

import numpy as np
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import _check_sample_weight, _num_samples, validate_data

from skdiva.arrays import refuse_mixed_devices, row_index, to_host, without_graph
from skdiva.estimators._targets import Classes, Numbers, check_y, holds_classes, refuse_missing

_IDENTITY = ("n_features_in_", "feature_names_in_")


@dataclass
class TrainingData:
    """Validated arguments of `fit`; n rows."""

    given: tuple  # X and y as they came: their devices and dtypes decide where to compute
    X: object  # for the inner estimator: untouched, but on the host
    X_checked: object  # for the feature map: numbers, or untouched too
    y: np.ndarray  # (n,) or (n, k)
    target: Classes | Numbers
    index: object = None  # of a dataframe
    sample_weight: np.ndarray | None = None  # (n,), mean 1; None: all 1
    validation_weight: np.ndarray | None = None  # (n,); None: as sample_weight
    groups: np.ndarray | None = None  # (n,), codes
    sources: np.ndarray | None = None  # (n,), codes
    source_names: np.ndarray | None = None
    X_val: object = None  # checked as X_checked
    target_val: Classes | Numbers | None = None
    identity: dict = field(default_factory=dict)  # n_features_in_, feature_names_in_

    @property
    def has_classes(self):
        """Whether this is classification."""
        return isinstance(self.target, Classes)


def read_training_data(
    estimator,
    X,
    y,
    sample_weight,
    *,
    groups,
    sources,
    X_val,
    y_val,
    numeric,
    inner,
    several,
    classes,
    validation_weight=None,
):
    """Check and code the arguments of `fit`; ``estimator`` itself is not touched.

    Parameters
    ----------
    estimator : estimator
        Named in the messages.
    X, y, sample_weight, groups, sources, X_val, y_val, validation_weight : array-like
        As given to `fit`.
    numeric : bool
        Whether X must hold finite numbers; if not, a transformer reads it.
    inner : estimator or None
        Its tag says whether y holds classes.
    several : bool
        Whether regression takes several targets.
    classes : bool or None
        Whether y holds classes; None: as ``inner`` or y itself say.

    Returns
    -------
    TrainingData
    """
    X_val, y_val = _unwrap(X_val, "X_val"), _unwrap(y_val, "y_val")
    refuse_mixed_devices(X=X, y=y, X_val=X_val, y_val=y_val)
    # scikit-learn's validation writes to the estimator it is given; a fit that fails must not.
    scratch = copy.copy(estimator)
    for name in _IDENTITY:
        vars(scratch).pop(name, None)
    X_checked = check_X(scratch, X, numeric=numeric, reset=True)
    if y is None:
        raise ValueError(
            f"This {type(estimator).__name__} estimator requires y to be passed, but the target y "
            "is None."
        )
    labels = to_host(y)
    if classes is None:
        classes = holds_classes(labels, inner)
    y_checked, target = check_y(labels, classes=classes, several=several)
    check_consistent_length(X_checked, y_checked)
    n = len(y_checked)
    weight = check_weight(sample_weight, n, target)
    groups, _ = check_codes(groups, n, "groups")
    if groups is not None and groups.max() == 0:
        raise ValueError(
            "groups puts all rows into one group: leaving it out leaves nothing to train on. "
            "Pass at least two groups, or None to leave out single rows."
        )
    sources, source_names = check_codes(sources, n, "sources")
    judge_weight = _check_validation_weight(validation_weight, n, X_val)
    X_val, target_val = _check_labelled(scratch, X_val, y_val, target, numeric, "val")
    identity = {name: vars(scratch)[name] for name in _IDENTITY if name in vars(scratch)}
    return TrainingData(
        (X, y), to_host(X), X_checked, y_checked, target, row_index(X, y),
        weight, judge_weight, groups, sources, source_names, X_val, target_val, identity,
    )  # fmt: skip


def check_X(estimator, X, *, numeric, reset):
    """Validate X in scikit-learn's own words; ``reset`` in `fit` only.

    Parameters
    ----------
    estimator : estimator
        Gets or holds the number and the names of the columns.
    X : array-like
    numeric : bool
        Whether X must hold finite numbers; if not, only its columns and its length are looked at.
    reset : bool
        Whether this is the X of `fit`.

    Returns
    -------
    ndarray if numeric, else X
    """
    if numeric:
        return validate_data(
            estimator, to_host(X), reset=reset, dtype="numeric", ensure_min_samples=1 + reset
        )
    X = without_graph(X)
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    if _num_samples(X) < 1 + reset:
        raise ValueError(
            f"Found array with {_num_samples(X)} sample(s) while a minimum of {1 + reset} is "
            f"required by {type(estimator).__name__}."
        )
    return X


def check_weight(sample_weight, n, target):
    """Return weights (n,) scaled to mean 1, or None for None.

    Raises
    ------
    ValueError
        If weights are negative, not finite, all zero, or leave a class without any.
    """
    if sample_weight is None:
        return None
    # A single number stands for all rows; [()] makes it one again.
    weight = _as_numbers(sample_weight, "sample_weight")[()]
    weight = _check_sample_weight(weight, np.empty(n), dtype=np.float64, ensure_non_negative=True)
    if not weight.any():  # scikit-learn before 1.9 leaves this to us
        raise ValueError("Sample weights must contain at least one non-zero number.")
    if isinstance(target, Classes):
        totals = np.bincount(target.codes, weights=weight, minlength=target.n_outputs)
        if not totals.all():
            lost = target.classes[totals == 0].tolist()
            raise ValueError(
                f"sample_weight must leave every class some weight; class(es) {lost!r} have none. "
                "Remove their rows, or give them positive weight."
            )
    return weight * (n / weight.sum())


def _check_validation_weight(validation_weight, n, X_val):
    """Return weights (n,) of the rows that judge, or None for None."""
    if validation_weight is None:
        return None
    if X_val is not None:
        raise ValueError(
            "validation_weight says which rows of X judge, but with X_val none of them does. Pass "
            "one of the two."
        )
    weight = _as_numbers(validation_weight, "validation_weight")
    weight = _one_per_row(weight, n, "validation_weight", "weight")
    if not (np.isfinite(weight).all() and (weight >= 0).all()):
        raise ValueError(
            "validation_weight expects finite numbers that are not negative, got "
            f"{weight[~(weight >= 0) | np.isinf(weight)][0]}. Use 0 for rows that are not to judge."
        )
    if not weight.any():
        raise ValueError(
            "validation_weight is zero for all rows: nothing would judge. Give some a positive "
            "weight, or pass X_val and y_val."
        )
    return weight * (n / weight.sum())


def check_codes(labels, n, name):
    """Return integer codes (n,) and the sorted labels; None and None for None."""
    if labels is None:
        return None, None
    labels = _one_per_row(np.asarray(to_host(labels)), n, name, "label")
    encoder = LabelEncoder()
    codes = encoder.fit_transform(refuse_missing(labels, name))
    return codes.astype(np.int64, copy=False), encoder.classes_


def _as_numbers(values, name):
    values = np.asarray(to_host(values))
    try:
        casting = "unsafe" if values.dtype.kind == "O" else "same_kind"
        return values.astype(np.float64, casting=casting)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} expects numbers, got dtype {values.dtype}: {error}. Convert it to floats."
        ) from error


def _one_per_row(values, n, name, what):
    """Return ``values`` (n,) of an array (n,) or (n, 1)."""
    if values.shape not in ((n,), (n, 1)):
        found = " x ".join(map(str, values.shape)) or "a single one"
        raise ValueError(
            f"{name} must hold one {what} per row of X: expected {n}, got {found}. Pass a 1d array."
        )
    return values.ravel()


def _unwrap(value, name):
    """Take a validation set out of its 1-tuple (a search slices a bare array of length n)."""
    if not isinstance(value, tuple):
        return value
    if len(value) != 1:
        raise ValueError(
            f"{name} must be an array or a tuple holding one array; got a tuple of {len(value)}."
        )
    return value[0]


def _check_labelled(estimator, X, y, target, numeric, kind):
    """Check rows with labels beside the training rows: ``kind`` is "val" or "pool"."""
    names = f"X_{kind}", f"y_{kind}"
    if X is None and y is None:
        return None, None
    if X is None or y is None:
        missing = names[X is not None]
        raise ValueError(
            f"{names[0]} and {names[1]} must be passed together; {missing} is missing."
        )
    try:
        X = check_X(estimator, X, numeric=numeric, reset=False)
    except ValueError as error:
        raise ValueError(f"{names[0]} must hold rows like those of X. {error}") from error
    labels = target.encode(y, names[1])
    if _num_samples(X) != len(labels.given):
        raise ValueError(
            f"{names[0]} and {names[1]} must have the same number of rows; got "
            f"{_num_samples(X)} and {len(labels.given)}."
        )
    return X, labels


@dataclass
class Pool:
    """Rows that may be added to the training rows; ``X`` as in `TrainingData`."""

    X: object
    X_checked: object
    target: Classes | Numbers
    n_rows: int


def read_pool(estimator, data, X_pool, y_pool, *, numeric):
    """Check and code the pool; ``estimator`` itself is not touched.

    Parameters
    ----------
    estimator : estimator
        Named in the messages.
    data : TrainingData
    X_pool, y_pool : array-like or tuple of one, or None
        As given to `fit`.
    numeric : bool
        As in `read_training_data`.

    Returns
    -------
    Pool or None
        None if there is none.
    """
    X_pool, y_pool = _unwrap(X_pool, "X_pool"), _unwrap(y_pool, "y_pool")
    refuse_mixed_devices(X=data.given[0], X_pool=X_pool, y_pool=y_pool)
    scratch = copy.copy(estimator)
    for name in _IDENTITY:
        vars(scratch).pop(name, None)
    vars(scratch).update(data.identity)
    X, target = _check_labelled(scratch, X_pool, y_pool, data.target, numeric, "pool")
    return None if X is None else Pool(to_host(X_pool), X, target, _num_samples(X))
