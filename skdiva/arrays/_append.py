"""Rows of several containers, appended in a container of the kind of the first."""

import sys
from typing import Any

import numpy as np

from skdiva.arrays._containers import is_tensor, to_host


def append_rows(first: Any, *others: Any) -> Any:
    """Return the rows of several containers in a container of the kind of the first.

    Parameters
    ----------
    first, *others : array-like, dataframe, tensor, sparse array or list
        Containers with the same columns.

    Returns
    -------
    container of the kind of ``first``
        Every column has a dtype that can hold the values of all containers. Tensors are on the
        device of the first.

    Raises
    ------
    TypeError
        If a container cannot be converted to the kind of the first without losing dtypes or names.
    ValueError
        If dataframes have different columns, or if columns have no common dtype.
    """
    if is_tensor(first):
        torch = sys.modules["torch"]
        tensors = (torch.as_tensor(other, device=first.device) for other in others)
        return torch.cat([first, *tensors])
    parts = [first, *map(to_host, others)]
    for part in parts:
        _refuse_other_kind(first, part)
    if isinstance(first, list):
        return [row for part in parts for row in _as_rows(part)]
    append: dict[str, Any] = {
        "pandas": _append_pandas,
        "polars": _append_polars,
        "sparse": _append_sparse,
    }
    return append.get(_kind(first), np.concatenate)(parts)


def _kind(container: Any) -> str:
    for kind, method in (("pandas", "iloc"), ("polars", "vstack"), ("sparse", "tocsr")):
        if hasattr(container, method):
            return kind
    return "array"


def _refuse_other_kind(first: Any, second: Any) -> None:
    kinds = _kind(first), _kind(second)
    mixed = {("pandas", "array"), ("sparse", "array"), ("array", "pandas"), ("array", "polars")}
    if kinds[0] != kinds[1] and kinds not in mixed:
        raise TypeError(
            f"Expected all rows in one kind of container, got {kinds[0]} {type(first).__name__} "
            f"and {kinds[1]} {type(second).__name__}. Convert one to the kind of the other."
        )


def _as_rows(part: Any) -> Any:
    # A loop over a dataframe would run over its columns.
    return part if isinstance(part, list) else np.asarray(part)


def _append_pandas(parts: list) -> Any:
    import pandas as pd

    first = parts[0]
    if first.ndim == 1:
        columns = [pd.Series(part).to_frame(0) for part in parts]
        return _append_pandas(columns)[0].rename(first.name)
    frames = [
        part if _kind(part) == "pandas" else pd.DataFrame(np.asarray(part), columns=first.columns)
        for part in parts
    ]
    names = list(first.columns)
    by_name = all(isinstance(name, str) for name in names) and first.columns.is_unique
    for i, frame in enumerate(frames):
        same = set(frame.columns) == set(names) if by_name else frame.shape[1] == len(names)
        if not same:
            raise ValueError(
                f"Expected dataframes with the columns {names}, got {list(frame.columns)}. Rename "
                "or add the columns that differ."
            )
        # scikit-learn compares names only if all are strings; otherwise columns go by position.
        frames[i] = frame[names] if by_name else frame.set_axis(first.columns, axis=1)
    return pd.concat(_with_common_categories(frames))


def _with_common_categories(frames: list) -> list:
    """Give categorical columns the same categories, because pandas would append them as objects."""
    from pandas import CategoricalDtype
    from pandas.api.types import union_categoricals

    frames = [frame.copy(deep=False) for frame in frames]
    for position in range(frames[0].shape[1]):
        columns = [frame.iloc[:, position] for frame in frames]
        kinds = {column.dtype for column in columns}
        if len(kinds) > 1 and all(isinstance(kind, CategoricalDtype) for kind in kinds):
            both = union_categoricals(columns, ignore_order=True).categories
            for frame, column in zip(frames, columns, strict=True):
                frame.isetitem(position, column.cat.set_categories(both))
    return frames


def _append_polars(parts: list) -> Any:
    import polars as pl

    try:
        return pl.concat(parts, how="vertical_relaxed")
    except pl.exceptions.PolarsError as error:
        raise ValueError(
            "Expected dataframes with the same columns, got "
            f"{', '.join(str(p.schema) for p in parts)}: {error}. Cast or rename the columns that "
            "differ."
        ) from error


def _append_sparse(parts: list) -> Any:
    from scipy.sparse import vstack

    return vstack(parts, format="csr")
