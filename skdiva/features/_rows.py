"""What a featurizer is given as X: checked, and turned into rows for a network."""

from math import prod

import torch
from sklearn.utils.validation import check_array, validate_data

from skdiva.arrays import all_finite, is_tensor
from skdiva.features._sources import ArrayRows, StreamedRows, is_stream

_MOST_DIMENSIONS = 4


def read_rows(X, input_shape=None, estimator=None, n_least=1):
    """Check X and return its rows.

    Parameters
    ----------
    X : array-like, dataframe, tensor, Dataset or DataLoader
        Two to four dimensions.
    input_shape : sequence of int, default=None
        Shape of a row, where X has two dimensions.
    estimator : estimator, default=None
        Named in messages.
    n_least : int, default=1
        Least number of rows.

    Returns
    -------
    rows : ArrayRows or StreamedRows
    array : ndarray or tensor
        What was checked; None for a Dataset or DataLoader.

    Raises
    ------
    TypeError
        If X is sparse.
    ValueError
        If X holds anything but finite numbers, or has another shape.
    """
    if is_stream(X):
        return StreamedRows(X), None
    if is_tensor(X):
        array = _check_tensor(X, n_least)
    else:
        array = check_array(
            X, dtype="numeric", allow_nd=True, ensure_min_samples=n_least,
            input_name="X", estimator=estimator,
        )  # fmt: skip
    if array.ndim > _MOST_DIMENSIONS:
        raise ValueError(
            f"expected X with 2 to {_MOST_DIMENSIONS} dimensions; got shape {tuple(array.shape)}. "
            "Give the shape of a row as input_shape, and X with two dimensions."
        )
    return ArrayRows(array, _row_shape(array, input_shape)), array


def record_columns(estimator, X, array, *, reset):
    """Remember, or compare, number and names of the columns; for more dimensions, the shape.

    Parameters
    ----------
    estimator : estimator
    X : array-like, dataframe, tensor, Dataset or DataLoader
    array : ndarray, tensor or None
        As `read_rows` returned it.
    reset : bool
        Whether to remember.

    Raises
    ------
    ValueError
        If X differs from what was seen in `fit`.
    """
    if reset:
        estimator._fitted_shape = None if array is None else tuple(array.shape[1:])
        for name in ("n_features_in_", "feature_names_in_"):
            vars(estimator).pop(name, None)
    if array is None or estimator._fitted_shape is None:
        return
    shape = tuple(array.shape[1:])
    if len(shape) == 1 == len(estimator._fitted_shape):
        validate_data(estimator, X=X, reset=reset, skip_check_array=True)
    elif shape != estimator._fitted_shape:
        raise ValueError(
            f"expected rows of shape {estimator._fitted_shape}, as in fit; got rows of shape "
            f"{shape}. Bring X to that shape, or fit again."
        )


def _check_tensor(X, n_least):
    if X.ndim < 2 or len(X) < n_least or 0 in X.shape:
        raise ValueError(
            f"expected a tensor of 2 to {_MOST_DIMENSIONS} dimensions with {n_least} rows at "
            f"least; got shape {tuple(X.shape)}. Give a row as X[None]."
        )
    if X.is_complex() or X.layout is not torch.strided:
        raise ValueError(
            f"expected a dense tensor of real numbers; got {X.dtype}, {X.layout}. Convert it."
        )
    if X.is_floating_point() and not all_finite(X):
        raise ValueError(
            "Input X contains NaN or infinity; expected finite numbers. Fill in or leave out such "
            "rows."
        )
    return X


def _row_shape(array, input_shape):
    """Shape to give to rows; None: they have it."""
    if input_shape is None:
        return None
    wanted, shape = tuple(input_shape), tuple(array.shape[1:])
    if (len(shape) > 1 and shape != wanted) or prod(wanted) != prod(shape):
        raise ValueError(
            f"input_shape={wanted} expects rows of {prod(wanted)} numbers or of that shape; got "
            f"rows of shape {shape}. Change input_shape or X."
        )
    return None if len(shape) > 1 else wanted
