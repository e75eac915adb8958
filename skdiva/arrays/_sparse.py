"""Validation of sparse arrays and matrices."""

from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data


def check_sparse(estimator: Any, X: Any, *, reset: bool) -> Any:
    """Validate sparse rows of numbers, with the checks of scikit-learn.

    Parameters
    ----------
    estimator : estimator
        Receives or holds the number of columns.
    X : sparse array or matrix of shape (n, p)
        In any format.
    reset : bool
        True in `fit`, False for other rows.

    Returns
    -------
    CSR array or matrix of shape (n, p)
        Of float32 or float64, without duplicates. X is not modified.

    Raises
    ------
    ValueError
        If X does not hold finite numbers. The message names the first row and column that do not.
    """
    checked = validate_data(
        estimator, X, reset=reset, accept_sparse="csr", dtype="numeric",
        ensure_all_finite=False, ensure_min_samples=1 + reset,
    )  # fmt: skip
    if checked.dtype not in (np.float32, np.float64):
        checked = checked.astype(np.float64)
    if not checked.has_canonical_format:
        if checked is X or np.shares_memory(checked.data, X.data):
            checked = checked.copy()
        checked.sum_duplicates()
    _refuse_non_finite(checked)
    return checked


def first_non_finite(X: Any) -> tuple[int, int, float] | None:
    """Return row, column and value of the first stored entry of a CSR array that is not finite."""
    bad = np.flatnonzero(~np.isfinite(X.data))
    if not len(bad):
        return None
    row = int(np.searchsorted(X.indptr, bad[0], side="right")) - 1
    return row, int(X.indices[bad[0]]), X.data[bad[0]]


def _refuse_non_finite(X: Any) -> None:
    found = first_non_finite(X)
    if found is None:
        return
    row, column, value = found
    remedy = (
        "Fill it in, for example with sklearn.impute.SimpleImputer, or drop the row."
        if np.isnan(value)
        else "Correct it, or drop the row."
    )
    raise ValueError(
        f"Input X contains {'NaN' if np.isnan(value) else 'infinity'}: expected finite numbers, "
        f"got {value} in row {row}, column {column}. {remedy}"
    )
