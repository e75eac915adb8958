"""Columns of dataframes, read by position: numbers, categories and missing values."""

import re
from typing import Any, NamedTuple, NoReturn

import numpy as np

from skdiva.arrays._containers import is_frame, is_missing, is_number, to_host

_NUMBERS = re.compile(r"(u?int\d|float|double|half|bool|decimal|null)")
_TEXTS = re.compile(r"(str$|string|large_string|utf8|categor|dictionary|interval)")


class ColumnKinds(NamedTuple):
    """Positions of the columns of a dataframe, by what the columns hold."""

    numeric: list[int]  # numbers and booleans
    nominal: list[int]  # strings and categories without an order
    ordinal: list[int]  # categories with an order


def column_at(X: Any, position: int) -> Any:
    """Return a column of a dataframe or of an array by its position."""
    if hasattr(X, "iloc"):
        return _decoded(X.iloc[:, position])
    return X.to_series(position) if hasattr(X, "to_series") else np.asarray(X)[:, position]


def _decoded(column: Any) -> Any:
    """Return a pandas column with a dictionary of pyarrow as a categorical column."""
    if not str(column.dtype).startswith("dictionary"):
        return column
    import pandas as pd

    return pd.Series(column.array.__arrow_array__().to_pandas())


def with_unique_names(X: Any) -> Any:
    """Return a dataframe with positions for names if names occur twice; X if they do not.

    scikit-learn refuses such names, which are of no use for a comparison of columns.
    """
    if not hasattr(X, "iloc") or X.ndim != 2 or X.columns.is_unique:
        return X
    return X.set_axis(range(X.shape[1]), axis=1)


def has_categories(X: Any) -> bool:
    """Return whether ``X`` is a pandas or polars dataframe with columns that are not numeric.

    Raises
    ------
    ValueError
        If a column is neither numeric nor categorical.
    """
    if not is_frame(X):
        return False
    kinds = columns_by_kind(X)
    return bool(kinds.nominal or kinds.ordinal)


def columns_by_kind(frame: Any) -> ColumnKinds:
    """Return the positions of the numeric, the nominal and the ordinal columns of a dataframe.

    Columns of objects are numeric if they hold numbers only, and nominal if they hold strings, or
    strings and numbers. A column with missing values only is numeric.

    Parameters
    ----------
    frame : pandas or polars dataframe

    Returns
    -------
    ColumnKinds

    Raises
    ------
    ValueError
        If a column is neither numeric nor categorical.
    """
    kinds = ColumnKinds([], [], [])
    for position, (name, dtype) in enumerate(zip(frame.columns, frame.dtypes, strict=True)):
        kind = _kind_of_dtype(dtype)
        if kind == "objects":
            kind = _kind_of_objects(column_at(frame, position))
        if kind is None:
            raise ValueError(
                "Expected numbers, strings or categories in every column, got "
                f"{_described(column_at(frame, position), dtype)} in column {name!r} (position "
                f"{position}). Convert it, for example dates to numbers of days, drop it, or pass "
                "featurizer= a transformer that reads it."
            )
        getattr(kinds, kind).append(position)
    return kinds


def _kind_of_dtype(dtype: Any) -> str | None:
    text = str(dtype).lower().removeprefix("sparse[")
    if getattr(dtype, "ordered", False) or text.startswith("enum") or "ordered=1" in text:
        return "ordinal"
    if text.startswith("object"):
        return "objects"
    if _NUMBERS.match(text):
        return "numeric"
    return "nominal" if _TEXTS.match(text) else None


def _kind_of_objects(column: Any) -> str | None:
    # One value of every type.
    kinds = {type(value): value for value in column if not is_missing(value)}
    others = [value for value in kinds.values() if not is_number(value)]
    if not others:
        return "numeric"
    if all(isinstance(v, str | bytes) or type(v).__name__ == "Interval" for v in others):
        return "nominal"
    return None


def _described(column: Any, dtype: Any) -> str:
    if not str(dtype).lower().startswith("object"):
        return f"dtype {dtype}"
    return f"objects of type {', '.join(sorted({type(v).__name__ for v in column}))}"


def read_numbers(column: Any, name: Any) -> np.ndarray:
    """Return a column of numbers (n,) with NaN for missing values.

    Parameters
    ----------
    column : column of a dataframe or ndarray
    name : object
        Name of the column, for the error message.

    Returns
    -------
    ndarray of shape (n,)
        In the dtype of the column if that is one of NumPy's for numbers, else float64.

    Raises
    ------
    ValueError
        If a value is not a number.
    """
    dtype = column.dtype
    if getattr(dtype, "kind", "O") in "biuf" and isinstance(dtype, np.dtype):
        return np.asarray(column)
    if _kind_of_dtype(dtype) == "numeric":
        return _cast(column)
    values = np.empty(len(column))
    for row, value in enumerate(column):
        if is_missing(value):
            values[row] = np.nan
        elif is_number(value):
            values[row] = float(value)
        elif isinstance(value, str | bytes):
            _refuse_value(value, name, row, "a number", "numbers")
        else:
            raise TypeError(
                f"Expected a number in column {name!r}, got {value!r} in row {row}: an argument "
                f"must be a string or a real number, not {type(value).__name__!r}. Convert the "
                "column to numbers; a missing value may be None or NaN."
            )
    return values


def _cast(column: Any) -> np.ndarray:
    if hasattr(column, "cast"):  # polars
        import polars as pl

        return column.cast(pl.Float64).to_numpy()
    if hasattr(column, "sparse"):
        return np.asarray(column)
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def read_texts(column: Any) -> np.ndarray:
    """Return the text of every value of a column (n,), with None for missing values.

    Numbers are compared by value: 1 and 1.0 have the same text.
    """
    if hasattr(column, "cat") and hasattr(column.cat, "codes"):  # a categorical column of pandas
        categories = np.array([*category_texts(column), None], dtype=object)
        return categories[column.cat.codes.to_numpy()]
    texts = np.empty(len(column), dtype=object)
    for row, value in enumerate(column):
        texts[row] = _as_text(value)
    return texts


def category_texts(column: Any) -> list[str]:
    """Return the texts of the categories of a categorical column, in their order."""
    categories = column.cat.categories if hasattr(column.cat, "categories") else None
    return [_as_text(c) for c in (column.dtype.categories if categories is None else categories)]


def read_positions(column: Any, categories: list[str], name: Any) -> np.ndarray:
    """Return the position in ``categories`` of every value (n,), with NaN for missing values.

    Raises
    ------
    ValueError
        If a value is not among the categories.
    """
    known: dict[Any, float] = {text: float(i) for i, text in enumerate(categories)}
    known[None] = np.nan
    texts = read_texts(column)
    positions = np.empty(len(texts))
    for row, text in enumerate(texts):
        if text not in known:
            _refuse_value(text, name, row, f"one of the ordered categories {categories}", "these")
        positions[row] = known[text]
    return positions


def _as_text(value: Any) -> Any:
    if is_missing(value):
        return None
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _refuse_value(value: Any, name: Any, row: int, expected: str, to: str) -> NoReturn:
    raise ValueError(
        f"Expected {expected} in column {name!r}, got {value!r} in row {row}. Convert the column "
        f"to {to}; a missing value may be None or NaN."
    )


def frame_numbers(X: Any) -> np.ndarray:
    """Return the columns of a dataframe of numbers as an array (n, p), with NaN for missing values.

    Raises
    ------
    ValueError
        If a value is not a number.
    """
    dtypes = set(X.dtypes)
    if len(dtypes) == 1 and isinstance(dtype := dtypes.pop(), np.dtype) and dtype.kind in "biuf":
        return X.to_numpy()
    kinds = columns_by_kind(X)
    for position in sorted(kinds.nominal + kinds.ordinal):
        raise ValueError(
            f"Expected numbers in column {X.columns[position]!r} (position {position}), got dtype "
            f"{list(X.dtypes)[position]}. Convert or encode it, or fit with featurizer='auto' on "
            "rows that have such a column."
        )
    columns = [read_numbers(column_at(X, j), name) for j, name in enumerate(X.columns)]
    dtype = np.result_type(*columns) if columns else np.float64
    numbers = np.empty((len(X), len(columns)), dtype=dtype)
    for j, column in enumerate(columns):
        numbers[:, j] = column
    return numbers


def count_non_finite(X: Any) -> int:
    """Return the number of entries of a container that are missing, NaN or infinite."""
    if is_frame(X):
        return sum(count_non_finite(column_at(X, j)) for j in range(len(X.columns)))
    if hasattr(X, "tocsr"):
        X = X.tocsr().data
    elif hasattr(X, "to_frame"):  # a column
        numeric = _kind_of_dtype(X.dtype) == "numeric"
        X = read_numbers(X, None) if numeric else np.fromiter(X, object, len(X))
    array = np.asarray(to_host(X))
    if array.dtype.kind == "O":
        return sum(is_missing(value) or value in (np.inf, -np.inf) for value in array.flat)
    return int((~np.isfinite(array)).sum()) if array.dtype.kind in "fc" else 0


def refuse_non_finite(X: Any, *, allow_nan: bool) -> None:
    """Raise an error that names the place of the first infinite value, or NaN, of a table.

    Parameters
    ----------
    X : dataframe or ndarray
        Only the numeric columns of a dataframe are read.
    allow_nan : bool
        Whether NaN and other missing values are accepted.

    Raises
    ------
    ValueError
        If there is such a value, or if a column of a dataframe is of no kind that can be read.
    """
    if is_frame(X):
        for j in columns_by_kind(X).numeric:
            name = X.columns[j]
            values = read_numbers(column_at(X, j), name)
            _refuse_in(values[:, None], f"column {name!r} (position {j})", allow_nan)
        return
    X = np.asarray(X)
    if X.dtype.kind == "O":
        try:
            X = X.astype(np.float64)
        except (TypeError, ValueError):
            return
    if X.ndim == 2:
        _refuse_in(X, None, allow_nan)


def _refuse_in(values: np.ndarray, place: str | None, allow_nan: bool) -> None:
    if values.dtype.kind not in "fc":
        return
    bad = np.isinf(values) if allow_nan else ~np.isfinite(values)
    if not bad.any():
        return
    row, column = (int(i) for i in np.argwhere(bad)[0])
    value = values[row, column]
    remedy = (
        "Fill it in, for example with sklearn.impute.SimpleImputer, drop the row, or use a "
        "featurizer and an estimator that read missing values; featurizer='auto' does."
        if np.isnan(value)
        else "Correct it, drop the row, or replace it by NaN if it stands for a missing value."
    )
    raise ValueError(
        f"Input X contains {'NaN' if np.isnan(value) else 'infinity'}: expected finite numbers, "
        f"got {value} in {place or f'column {column}'}, row {row}. {remedy}"
    )
