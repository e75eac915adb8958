"""Rows of two containers as one."""

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal
from scipy import sparse

from skdiva.arrays.containers import append_rows

FIRST, SECOND = np.arange(6.0).reshape(3, 2), np.arange(4.0).reshape(2, 2)
BOTH = np.concatenate([FIRST, SECOND])


def frame(array, first=0):
    return pd.DataFrame(array, columns=["a", "b"], index=range(first, first + len(array)))


def test_arrays_and_lists():
    assert_array_equal(append_rows(FIRST, SECOND), BOTH)
    assert_array_equal(append_rows(FIRST, SECOND.tolist()), BOTH)
    assert append_rows(FIRST.tolist(), SECOND.tolist()) == BOTH.tolist()


def test_dataframes_keep_their_dtypes_and_index():
    mixed = frame(FIRST).assign(c=["x", "y", "z"])
    both = append_rows(mixed, frame(SECOND, 7).assign(c="x"))
    assert both.index.tolist() == [0, 1, 2, 7, 8]
    assert_frame_equal(both[:3], mixed)
    assert_array_equal(append_rows(frame(FIRST), SECOND), BOTH)
    assert append_rows(frame(FIRST), SECOND).columns.tolist() == ["a", "b"]
    assert_array_equal(append_rows(FIRST, frame(SECOND)), BOTH)


def test_categories_stay_categories():
    first = pd.DataFrame({"a": pd.Categorical(["x", "y"]), "b": pd.Categorical([1, 2])})
    second = pd.DataFrame({"a": pd.Categorical(["y", "x"]), "b": pd.Categorical([3, 2])})
    both = append_rows(first, second)
    assert both["a"].dtype == first["a"].dtype
    assert both["b"].cat.categories.tolist() == [1, 2, 3]
    assert both["a"].tolist() == ["x", "y", "y", "x"]
    assert both["b"].tolist() == [1, 2, 3, 2]
    assert first["b"].cat.categories.tolist() == [1, 2]


def test_tensors_stay_tensors():
    both = append_rows(torch.from_numpy(FIRST), torch.from_numpy(SECOND))
    assert isinstance(both, torch.Tensor)
    assert_array_equal(both, BOTH)


def test_sparse_rows():
    both = append_rows(sparse.csc_array(FIRST), sparse.csr_array(SECOND))
    assert both.format == "csr"
    assert_array_equal(both.toarray(), BOTH)


def test_polars_dataframes():
    polars = pytest.importorskip("polars")
    first, second = (polars.DataFrame(x, schema=["a", "b"]) for x in (FIRST, SECOND))
    assert_array_equal(append_rows(first, second).to_numpy(), BOTH)
