"""The index of a pandas object as arrays: the same index is made of them again."""

import numpy as np
import pandas as pd
import pytest

from skdiva.arrays import restore_index, row_index

LETTERS = list("abca")
DATES = pd.to_datetime(
    ["2020-10-25 00:30", "2020-10-25 01:30", "2020-01-01 00:00", "2021-05-05 12:00"]
)
INDEXES = {
    "numbers of the rows": pd.RangeIndex(4),
    "range": pd.RangeIndex(9, 1, -2, name="id"),
    "integers": pd.Index([3, 1, 2, 2]),
    "strings": pd.Index(LETTERS, name=("x", 1)),
    "objects": pd.Index([1, "a", 2.5, None], dtype=object),
    "booleans": pd.Index([True, False, True, True]),
    "dates": DATES,
    "dates of a zone": DATES.tz_localize("UTC").tz_convert("Europe/Rome"),
    "dates of an offset": DATES.tz_localize("+01:00"),
    "durations": pd.to_timedelta([1, 2, 3, 4], unit="s"),
    "nullable": pd.Index([1, 2, 4, 3], dtype="Int64"),
    "arrow strings": pd.Index(LETTERS, dtype="string[pyarrow]"),
    "arrow numbers": pd.Index([1.5, 2, 3, 4], dtype="double[pyarrow]"),
    "categories": pd.CategoricalIndex(LETTERS, categories=list("cba"), ordered=True, name="c"),
    "periods": pd.period_range("2020", periods=4),
    "intervals": pd.interval_range(0, 4),
    "several levels": pd.MultiIndex.from_arrays(
        [LETTERS, DATES.tz_localize("UTC")], names=["u", None]
    ),
}


@pytest.mark.parametrize("name", INDEXES)
def test_the_index_is_restored(name):
    index = INDEXES[name]
    stored = row_index(np.zeros(4), pd.Series(np.zeros(4), index=index))
    pd.testing.assert_index_equal(restore_index(stored, 4), index, exact=True)


@pytest.mark.parametrize("name", [n for n in INDEXES if n not in ("periods", "intervals")])
def test_only_arrays_and_built_in_types_are_stored(name):
    def look(value):
        if isinstance(value, dict):
            assert all(isinstance(key, str) for key in value)
            return all(map(look, value.values()))
        if isinstance(value, list | tuple):
            return all(map(look, value))
        return value is None or type(value) in (np.ndarray, int, bool, str)

    assert look(row_index(pd.Series(np.zeros(4), index=INDEXES[name])))


def test_what_is_stored_does_not_change_with_the_frame():
    index = pd.Index(np.array([3, 1, 2]))
    stored = row_index(pd.Series([0, 0, 0], index=index))
    assert not np.shares_memory(stored["values"], index.to_numpy())


def test_without_pandas_objects_rows_are_numbered():
    assert row_index(np.zeros((3, 2)), [0, 1, 0]) is None
    pd.testing.assert_index_equal(restore_index(None, 3), pd.RangeIndex(3), exact=True)
