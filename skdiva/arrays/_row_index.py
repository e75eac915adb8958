"""Index of a pandas object as NumPy arrays, so that a fitted estimator can be saved without pandas.

skops and similar tools save arrays, strings and dicts, but not the objects of pandas.
"""

from typing import Any


def store_index(index: Any) -> Any:
    """Return an index as a dict of arrays, for `restore_index`.

    An index of periods, intervals or the like is returned unchanged.
    """
    if hasattr(index, "levels"):
        levels = [index.get_level_values(i) for i in range(index.nlevels)]
        return {"levels": [_store_values(level) for level in levels]}
    return _store_values(index)


def restore_index(stored: Any, n_rows: int) -> Any:
    """Return the pandas index that was stored; the numbers of the rows if there was none."""
    import pandas as pd

    if stored is None:
        return pd.RangeIndex(n_rows)
    if not isinstance(stored, dict):
        return stored
    if "levels" in stored:
        return pd.MultiIndex.from_arrays([_restore_values(level) for level in stored["levels"]])
    return _restore_values(stored)


def _store_values(index: Any) -> Any:
    dtype, name = str(index.dtype), index.name
    if dtype.startswith(("period", "interval")):
        return index
    if hasattr(index, "step"):
        return {"range": [index.start, index.stop, index.step], "name": name}
    if hasattr(index, "categories"):
        categories = _store_values(index.categories)
        codes = index.codes.copy()
        return {"codes": codes, "categories": categories, "ordered": index.ordered, "name": name}
    if getattr(index, "tz", None) is not None:
        index = index.tz_convert("UTC").tz_localize(None)
    return {"values": index.to_numpy(copy=True), "dtype": dtype, "name": name}


def _restore_values(stored: Any) -> Any:
    import pandas as pd

    if not isinstance(stored, dict):
        return stored
    name = stored["name"]
    if "range" in stored:
        start, stop, step = stored["range"]
        return pd.RangeIndex(start, stop, step, name=name)
    if "codes" in stored:
        categories = _restore_values(stored["categories"])
        values = pd.Categorical.from_codes(stored["codes"], categories, stored["ordered"])
        return pd.CategoricalIndex(values, name=name)
    dtype: Any = pd.api.types.pandas_dtype(stored["dtype"])
    if getattr(dtype, "tz", None) is not None:
        return pd.DatetimeIndex(stored["values"], name=name).tz_localize("UTC").tz_convert(dtype.tz)
    return pd.Index(stored["values"], dtype=dtype, name=name)
