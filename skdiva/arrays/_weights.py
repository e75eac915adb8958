"""Weights of rows, read from any container and checked."""

from typing import Any

import numpy as np

from skdiva.arrays._containers import is_missing, is_number, to_host


def read_weight(weight: Any, n_rows: int, name: str = "sample_weight") -> np.ndarray:
    """Return weights as an array of finite numbers that are not negative and not all zero.

    Parameters
    ----------
    weight : array-like of shape (n_rows,) or (n_rows, 1)
        In any container. The entries of a pandas object go by position.
    n_rows : int
        Number of rows of X.
    name : str, default="sample_weight"
        Name of the argument, for error messages.

    Returns
    -------
    ndarray of shape (n_rows,)
        In float64.

    Raises
    ------
    ValueError
        If an entry is missing, not a finite number or negative, if all are zero, or if there is not
        one for every row.
    """
    values = one_per_row(_as_numbers(to_host(weight, name), name), n_rows, name, "weight")
    wrong = ~((values >= 0) & np.isfinite(values))
    if wrong.any():
        row = int(wrong.argmax())
        value = values[row]
        problem = f"Negative values in data passed to `{name}`"
        if not np.isfinite(value):
            problem = f"Input {name} contains {'NaN' if np.isnan(value) else 'infinity'}"
        raise ValueError(
            f"{problem}: expected finite numbers that are not negative, got {value} in row {row}. "
            "Use 0 for rows that should not count."
        )
    if not values.any():
        raise ValueError(
            f"{name} is zero for all rows. Sample weights must contain at least one non-zero "
            "number. Give some rows a positive weight, or pass None."
        )
    return values


def mean_one(weight: np.ndarray) -> np.ndarray:
    """Scale weights (n,) to mean 1; their sum, or its inverse, may be too large for a float."""
    # Dividing by a power of two first changes no digit.
    weight = np.ldexp(weight, -np.frexp(weight.max())[1])
    return weight * (len(weight) / weight.sum())


def one_per_row(values: np.ndarray, n_rows: int, name: str, item: str) -> np.ndarray:
    """Return ``values`` of shape (n,) or (n, 1) as (n,).

    Raises
    ------
    ValueError
        If there is not one value for every row. The message calls a value ``item``.
    """
    if values.shape not in ((n_rows,), (n_rows, 1)):
        found = " x ".join(map(str, values.shape)) or "a single one"
        raise ValueError(
            f"{name} must hold one {item} per row of X: expected {n_rows}, got {found}. Pass a 1d "
            "array."
        )
    return values.ravel()


def _as_numbers(values: Any, name: str) -> np.ndarray:
    array = np.asarray(values)
    kinds = {np.dtype(array.dtype).name}
    if array.dtype.kind == "O":
        kinds = {
            type(value).__name__
            for value in array.flat
            if not (is_missing(value) or is_number(value))
        }
        array = np.array(
            [np.nan if is_missing(value) else value for value in array.flat], dtype=object
        ).reshape(array.shape)
    if (array.dtype.kind == "O" and kinds) or array.dtype.kind not in "biufO":
        raise ValueError(
            f"{name} expects numbers, one per row, got {', '.join(sorted(kinds))} (dtype "
            f"{array.dtype}). Convert it to floats."
        )
    return array.astype(np.float64)
