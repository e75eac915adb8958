"""Kinds of dataframe columns: numeric, nominal, ordinal, and what is refused."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal

from skdiva.arrays import columns_by_kind, has_categories, take_rows

COLORS = ["red", "green", "blue", "green"]
SIZES = ["small", "large", "medium", "medium"]
ORDER = ["small", "medium", "large"]


def pandas_frame():
    return pd.DataFrame(
        {
            "a": np.arange(4.0),
            "color": pd.Categorical(COLORS),
            "b": np.arange(4),
            "size": pd.Categorical(SIZES, categories=ORDER, ordered=True),
            "name": COLORS,
        }
    )


def polars_frame():
    return pl.DataFrame(
        {
            "a": np.arange(4.0),
            "color": pl.Series(COLORS).cast(pl.Categorical),
            "b": np.arange(4),
            "size": pl.Series(SIZES).cast(pl.Enum(ORDER)),
            "name": COLORS,
        }
    )


FRAMES = {"pandas": pandas_frame, "polars": polars_frame}


@pytest.mark.parametrize("library", FRAMES)
def test_columns_by_kind(library):
    assert columns_by_kind(FRAMES[library]()) == ([0, 2], [1, 4], [3])


@pytest.mark.parametrize("library", FRAMES)
def test_only_dataframes_with_columns_that_are_not_numeric_have_categories(library):
    frame = FRAMES[library]()
    assert has_categories(frame)
    assert has_categories(frame[["a", "size"]])
    assert not has_categories(frame[["a", "b"]])
    assert not has_categories(np.ones((2, 2)))
    assert not has_categories([["a", "b"]])


def test_booleans_and_nullable_integers_are_numeric():
    frame = pd.DataFrame(
        {
            "yes": pd.array([True, False], dtype="boolean"),
            "count": pd.array([1, 2], dtype="Int64"),
            "plain": [False, True],
        }
    )
    assert not has_categories(frame)
    assert has_categories(frame.assign(name=["a", "b"]))


@pytest.mark.parametrize("library", FRAMES)
def test_dates_are_refused(library):
    X = FRAMES[library]()
    dates = np.array(["2020-01-01", "2020-01-02", "2020-01-03", "2020-01-04"], "datetime64[us]")
    X = X.assign(day=dates) if library == "pandas" else X.with_columns(pl.Series("day", dates))
    message = r"got dtype datetime.* in column 'day' \(position 5\)\. Convert it, .*featurizer="
    with pytest.raises(ValueError, match=f"(?i){message}"):
        has_categories(X)


@pytest.mark.parametrize("positions", [slice(1, 3), np.array([2, 0, 0])])
def test_rows_by_position(positions):
    values = np.arange(12.0).reshape(4, 3)
    expected = values[positions]
    frame = pd.DataFrame(values, index=list("dcba"))
    for container in (values, frame, pl.DataFrame(values)):
        assert_array_equal(take_rows(container, positions), expected)
