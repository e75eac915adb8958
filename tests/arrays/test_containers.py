"""Containers of all kinds: appended rows, tensors on the host, devices, indices."""

import pickle
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal
from scipy import sparse

from skdiva.arrays import (
    HostCopy,
    append_rows,
    is_tensor,
    refuse_mixed_devices,
    to_host,
    without_graph,
)

FIRST, SECOND = np.arange(6.0).reshape(3, 2), np.arange(4.0).reshape(2, 2)
BOTH = np.concatenate([FIRST, SECOND])


def frame(array, first=0):
    return pd.DataFrame(array, columns=["a", "b"], index=range(first, first + len(array)))


def test_arrays_and_lists():
    assert_array_equal(append_rows(FIRST, SECOND), BOTH)
    assert_array_equal(append_rows(FIRST, SECOND.tolist()), BOTH)
    for second in (SECOND.tolist(), SECOND, frame(SECOND), torch.from_numpy(SECOND)):
        assert_array_equal(append_rows(FIRST.tolist(), second), BOTH)


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


def test_a_column_of_pandas_stays_one():
    first = pd.Series(["a text", "another"], name="text")
    both = append_rows(first, ["a third"], first)
    assert (both.name, both.dtype) == ("text", first.dtype)
    assert both.tolist() == ["a text", "another", "a third", "a text", "another"]


def test_tensors_stay_tensors():
    first = torch.from_numpy(FIRST)
    for second in (torch.from_numpy(SECOND), SECOND, SECOND.tolist()):
        both = append_rows(first, second)
        assert isinstance(both, torch.Tensor)
        assert_array_equal(both, BOTH)


def test_tensors_stay_on_their_device():
    both = append_rows(torch.zeros(3, 2, device="meta"), SECOND, torch.zeros(1, 2))
    assert (both.device.type, both.shape) == ("meta", (6, 2))


def test_tensors_join_what_is_on_the_host():
    second = torch.from_numpy(SECOND).requires_grad_()
    assert_array_equal(append_rows(FIRST, second), BOTH)
    assert_array_equal(append_rows(frame(FIRST), second), BOTH)
    assert_array_equal(append_rows(FIRST, second.detach().bfloat16()), BOTH)


def test_sparse_rows():
    for second in (sparse.csr_array(SECOND), SECOND):
        both = append_rows(sparse.csc_array(FIRST), second)
        assert both.format == "csr"
        assert_array_equal(both.toarray(), BOTH)


def test_polars_dataframes():
    first, second = (pl.DataFrame(x, schema=["a", "b"]) for x in (FIRST, SECOND))
    assert_array_equal(append_rows(first, second).to_numpy(), BOTH)
    assert_array_equal(append_rows(FIRST, second), BOTH)


def test_polars_columns_get_the_dtype_that_holds_both():
    first = pl.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    second = pl.DataFrame({"a": [0.5], "b": ["x"]}, schema_overrides={"b": pl.Categorical})
    both = append_rows(first, second)
    assert both["a"].to_list() == [1.0, 2.0, 0.5]
    assert both["b"].to_list() == ["x", "y", "x"]


def test_several_parts():
    parts = [FIRST, SECOND, FIRST]
    assert_array_equal(append_rows(*parts), np.concatenate(parts))
    kinds = [["x"], ["y", "z"], ["x"]]
    frames = [pd.DataFrame({"a": pd.Categorical(kind)}) for kind in kinds]
    assert append_rows(*frames)["a"].cat.categories.tolist() == ["x", "y", "z"]
    assert append_rows(FIRST) is not FIRST


ENUMS = [pl.DataFrame({"a": ["x"]}, schema={"a": pl.Enum(kinds)}) for kinds in (["x"], ["x", "y"])]
BAD = {
    "pandas to polars": (pl.DataFrame(FIRST), frame(SECOND), TypeError, "polars.* and pandas"),
    "polars to pandas": (frame(FIRST), pl.DataFrame(SECOND), TypeError, "pandas.* and polars"),
    "array to polars": (pl.DataFrame(FIRST), SECOND, TypeError, "polars.* and array ndarray"),
    "sparse to array": (
        FIRST,
        sparse.csr_array(SECOND),
        TypeError,
        "one kind of container, got array ndarray and sparse csr_array. Convert one",
    ),
    "other columns": (
        frame(FIRST),
        frame(SECOND).rename(columns={"b": "c"}),
        ValueError,
        r"columns \['a', 'b'\], got \['a', 'c'\]. Rename",
    ),
    "other polars columns": (
        pl.DataFrame({"a": [1]}),
        pl.DataFrame({"b": [1]}),
        ValueError,
        "Cast or rename the columns",
    ),
    "polars columns of no common dtype": (*ENUMS, ValueError, "Cast or rename the columns"),
}


@pytest.mark.parametrize("what", BAD)
def test_containers_that_do_not_fit(what):
    first, second, error, message = BAD[what]
    with pytest.raises(error, match=message):
        append_rows(first, second)


def test_tensors_come_to_the_host_detached(device):
    tensor = torch.ones(3, requires_grad=True, device=device)
    assert isinstance(to_host(tensor), np.ndarray)
    assert not without_graph(tensor).requires_grad
    assert without_graph(tensor).device == tensor.device


def test_bfloat16_becomes_float32():
    assert to_host(torch.ones(2, dtype=torch.bfloat16)).dtype == np.float32


@pytest.mark.parametrize("other", [[1, 2], np.ones(2), None, "text"])
def test_everything_else_is_left_alone(other):
    assert to_host(other) is other
    assert without_graph(other) is other
    assert not is_tensor(other)


def test_mixed_devices_are_refused_by_name():
    refuse_mixed_devices(X=torch.ones(1), y=np.ones(1), X_val=None)
    with pytest.raises(ValueError, match="got X on cpu, y on meta"):
        refuse_mixed_devices(X=torch.ones(1), y=torch.ones(1, device="meta"))


class Pair(NamedTuple):
    """A record of a tensor and a number."""

    numbers: torch.Tensor
    factor: float


@dataclass(frozen=True)
class DataPair:
    """The same as a dataclass."""

    numbers: torch.Tensor
    factor: float


@pytest.mark.parametrize("kind", [Pair, DataPair])
def test_host_copy(kind, device):
    record = kind(torch.arange(3.0, device=device), 0.5)
    pickled = pickle.dumps(HostCopy(record))
    assert b"torch" not in pickled
    copy = pickle.loads(pickled).restore()
    assert isinstance(copy, kind)
    assert copy.factor == 0.5
    assert copy.numbers.device.type == "cpu"
    assert_array_equal(copy.numbers, to_host(record.numbers))
