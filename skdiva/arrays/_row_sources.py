"""Row sources that are passed to an estimator as rows of features."""

from typing import Any

from skdiva.arrays._containers import in_memory, is_row_source


def read_source(estimator: Any, X: Any) -> Any:
    """Return all rows of a row source as an array; anything else is returned unchanged.

    Parameters
    ----------
    estimator, X
        See `check_source`.

    Returns
    -------
    ndarray of shape (n_rows, n_columns), or X

    Raises
    ------
    ValueError
        See `check_source`, or if the source returns anything other than its rows.
    """
    return in_memory(check_source(estimator, X))


def check_source(estimator: Any, X: Any) -> Any:
    """Return X unchanged, unless it is a row source that an estimator cannot use.

    Parameters
    ----------
    estimator : estimator
        Estimator with a parameter ``featurizer``, named in error messages.
    X : RowSource or array-like

    Returns
    -------
    RowSource or array-like

    Raises
    ------
    ValueError
        If X is a row source and the estimator has a featurizer, or if its rows are complex or have
        no columns.
    """
    if not is_row_source(X):
        return X
    if estimator.featurizer is not None:
        raise ValueError(
            "Rows of a RowSource are the features themselves; got "
            f"featurizer={estimator.featurizer!r}. Pass featurizer=None, or rows in memory."
        )
    if X.dtype.is_complex:
        raise ValueError(
            f"Complex data not supported: got a {type(X).__name__} of {X.dtype}. Pass real numbers."
        )
    if X.n_columns < 1:
        raise ValueError(
            f"Found array with 0 feature(s) (shape={X.shape}) while a minimum of 1 is required by "
            f"{type(estimator).__name__}."
        )
    return X
