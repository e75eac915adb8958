"""Validated and encoded arguments of `fit`, as NumPy arrays."""

import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import _num_samples

from skdiva.arrays import (
    check_source,
    check_sparse,
    is_row_source,
    mean_one,
    read_source,
    read_weight,
    refuse_mixed_devices,
    refuse_non_finite,
    refuse_unread_rows,
    row_index,
    to_host,
    without_graph,
    without_mask,
)
from skdiva.features import check_names, check_numbers
from skdiva.targets import (
    ClassLabels,
    Target,
    encode_like,
    read_codes,
    read_target,
)

_IDENTITY = ("n_features_in_", "feature_names_in_")


@dataclass
class TrainingData:
    """Validated arguments of `fit`, with n rows."""

    given: tuple  # X and y as passed, whose devices and dtypes decide where to compute
    X: Any  # for the inner estimator: as passed, but on the host
    X_checked: Any  # for the feature map: an array of numbers, or as passed
    y: np.ndarray  # (n,) or (n, k)
    target: Target
    index: Any = None  # of a dataframe, for `restore_index`
    sample_weight: np.ndarray | None = None  # (n,), mean 1; None if all are 1
    validation_weight: np.ndarray | None = None  # (n,); None if the same as sample_weight
    groups: np.ndarray | None = None  # (n,), codes
    sources: np.ndarray | None = None  # (n,), codes
    source_names: np.ndarray | None = None
    X_val: Any = None  # as X_checked
    target_val: Target | None = None
    identity: dict = field(default_factory=dict)  # n_features_in_, feature_names_in_


def read_training_data(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    numeric: bool,
    inner: Any = None,
    several: bool = True,
    task: str = "auto",
    sample_weight: Any = None,
    groups: Any = None,
    sources: Any = None,
    validation_weight: Any = None,
    X_val: Any = None,
    y_val: Any = None,
) -> TrainingData:
    """Validate and encode the arguments of `fit`, without changing the estimator.

    Parameters
    ----------
    estimator : estimator
        Estimator that is named in error messages.
    X, y : array-like
        As passed to `fit`.
    numeric : bool
        Whether X must hold finite numbers. If not, it is read by a transformer.
    inner : estimator, default=None
        Estimator whose tags say whether y holds classes.
    several : bool, default=True
        Whether several regression targets are allowed.
    task : {"auto", "classification", "regression"}, default="auto"
        What y holds. If "auto", ``inner`` or y itself decides.
    sample_weight, groups, sources, validation_weight, X_val, y_val : array-like, default=None
        As passed to `fit`.

    Returns
    -------
    TrainingData
    """
    if X_val is not None or y_val is not None:
        X_val, y_val = unwrap(X_val, "X_val"), unwrap(y_val, "y_val")
    refuse_mixed_devices(X=X, y=y, X_val=X_val, y_val=y_val)
    # The validation of scikit-learn writes to its estimator; a fit that fails must not change ours.
    scratch = copy_without_identity(estimator)
    X_checked = check_X(scratch, X, numeric=numeric, reset=True)
    if y is None:
        raise ValueError(
            f"This {type(estimator).__name__} estimator requires y to be passed, but the target y "
            "is None."
        )
    y_checked, target = read_target(y, task=task, inner=inner, several=several)
    check_consistent_length(X_checked, y_checked)
    n = len(y_checked)
    data = TrainingData((X, y), to_host(X, "X"), X_checked, y_checked, target, row_index(X, y))
    if sample_weight is not None:
        data.sample_weight = _check_weight(sample_weight, n, target)
    if groups is not None:
        data.groups = _check_groups(groups, n)
    if sources is not None:
        data.sources, data.source_names = read_codes(sources, n, "sources")
    if validation_weight is not None:
        data.validation_weight = _check_validation_weight(validation_weight, n, X_val)
    if X_val is not None or y_val is not None:
        data.X_val, data.target_val = check_labeled_rows(
            scratch, X_val, y_val, target, numeric, "val"
        )
    data.identity = {name: vars(scratch)[name] for name in _IDENTITY if name in vars(scratch)}
    return data


def copy_without_identity(estimator: Any) -> Any:
    """Return a shallow copy of an estimator that has not seen any columns."""
    scratch = copy.copy(estimator)
    for name in _IDENTITY:
        vars(scratch).pop(name, None)
    return scratch


def check_X(estimator: Any, X: Any, *, numeric: bool, reset: bool) -> Any:
    """Validate X with the checks and messages of scikit-learn.

    Parameters
    ----------
    estimator : estimator
        Receives or holds the number and the names of the columns.
    X : array-like
    numeric : bool
        Whether X must hold numbers: finite ones, or with missing values for ``featurizer="auto"``.
        If not, its columns and its length are checked, and that it holds no infinite value.
    reset : bool
        True in `fit`, False for other rows.

    Returns
    -------
    ndarray or CSR array if numeric, otherwise X; a row source is returned unchanged
    """
    if numeric and issparse(X):
        return check_sparse(estimator, X, reset=reset)
    refuse_unread_rows(X, type(estimator).__name__, numeric=numeric)
    chooses = isinstance(estimator.featurizer, str)  # a KernelFeaturizer reads missing values
    if numeric and not is_row_source(X):  # whose rows are checked when they are read
        return check_numbers(estimator, X, reset=reset, allow_nan=chooses)
    X = without_mask(without_graph(check_source(estimator, X), "X"))
    check_names(estimator, X, reset=reset)
    if chooses:
        refuse_non_finite(X, allow_nan=True)
    if _num_samples(X) < 1 + reset:
        raise ValueError(
            f"Found array with {_num_samples(X)} sample(s) while a minimum of {1 + reset} is "
            f"required by {type(estimator).__name__}."
        )
    return X


def unwrap(value: Any, name: str) -> Any:
    """Unpack a tuple of length one, in which an array is protected from slicing by a search."""
    if not isinstance(value, tuple):
        return value
    if len(value) != 1:
        raise ValueError(
            f"{name} must be an array or a tuple holding one array; got a tuple of {len(value)}."
        )
    return value[0]


def check_labeled_rows(
    estimator: Any, X: Any, y: Any, target: Target, numeric: bool, suffix: str
) -> tuple[Any, Any]:
    """Validate labeled rows that are not training rows; ``suffix`` is "val" or "pool"."""
    names = f"X_{suffix}", f"y_{suffix}"
    if X is None and y is None:
        return None, None
    if X is None or y is None:
        raise ValueError(
            f"{names[0]} and {names[1]} must be passed together; {names[X is not None]} is missing."
        )
    try:
        X = check_X(estimator, read_source(estimator, X), numeric=numeric, reset=False)
    except ValueError as error:
        raise ValueError(f"{names[0]} must hold rows like those of X. {error}") from error
    labels = encode_like(target, y, names[1])
    if _num_samples(X) != len(labels.given):
        raise ValueError(
            f"{names[0]} and {names[1]} must have the same number of rows; got "
            f"{_num_samples(X)} and {len(labels.given)}."
        )
    return X, labels


def _check_weight(sample_weight: Any, n: int, target: Target) -> np.ndarray:
    """Return weights (n,) scaled to mean 1.

    Raises
    ------
    ValueError
        If weights are negative, not finite, all zero, or leave a class without weight.
    """
    weight = np.asarray(to_host(sample_weight, "sample_weight"))
    if weight.ndim == 0:  # a single number is the weight of all rows
        weight = np.full(n, weight)
    weight = read_weight(weight, n)
    if isinstance(target, ClassLabels):
        totals = np.bincount(target.codes, weights=weight > 0, minlength=target.n_outputs)
        if lost := target.classes[totals == 0].tolist():
            raise ValueError(
                f"sample_weight must leave every class some weight; class(es) {lost!r} have none. "
                "Remove their rows, or give them positive weight."
            )
    return mean_one(weight)


def _check_validation_weight(validation_weight: Any, n: int, X_val: Any) -> np.ndarray:
    """Return weights (n,) of the rows in the mean leave-one-out loss, scaled to mean 1."""
    if X_val is not None:
        raise ValueError(
            "validation_weight gives the rows of X weights in the leave-one-out loss, which X_val "
            "replaces. Pass one of the two."
        )
    return mean_one(read_weight(validation_weight, n, "validation_weight"))


def _check_groups(groups: Any, n: int) -> np.ndarray:
    codes, _ = read_codes(groups, n, "groups")
    if codes.max() == 0:
        raise ValueError(
            "groups puts all rows into one group: leaving it out leaves nothing to train on. "
            "Pass at least two groups, or None to leave out single rows."
        )
    return codes
