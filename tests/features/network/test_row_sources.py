"""Rows of arrays, data sets and loaders: probes, numbers of rows, and what is refused."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from skdiva.features.network import NetworkRows
from skdiva.features.network._row_sources import ArrayRows, StreamedRows
from tests.features.row_sources import SOURCES, Dicts, X


def test_a_source_must_be_complete():
    with pytest.raises(TypeError, match="abstract"):
        NetworkRows()


def test_shuffled_rows_are_refused():
    with pytest.raises(ValueError, match=r"got one with shuffle=True\. Pass shuffle=False"):
        StreamedRows(DataLoader(torch.from_numpy(X), shuffle=True))


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([["a"]], "got str"),
        ([{"text": "a"}], "got dict"),
        ([{"labels": torch.ones(1)}], "got dict"),
    ],
)
def test_items_that_hold_no_tensors_are_refused(items, message):
    rows = StreamedRows(DataLoader(items, collate_fn=lambda batch: batch[0]))
    with pytest.raises(ValueError, match=f"{message}.*collate_fn"):
        rows.probe()


def test_probes():
    assert ArrayRows(X).probe().shape == (3, 3)
    assert set(StreamedRows(Dicts()).probe()) == {"values", "ids"}
    lone = StreamedRows(DataLoader(torch.from_numpy(X))).probe()
    np.testing.assert_array_equal(lone, X[[0, 0]])
    with pytest.raises(ValueError, match="expected a data set with rows"):
        StreamedRows(TensorDataset(torch.empty(0, 3))).probe()


def test_numbers_of_rows():
    counts = {name: make().n_rows for name, make in SOURCES.items()}
    assert counts.pop("iterable") is None
    assert set(counts.values()) == {23}
    assert StreamedRows(DataLoader(X, batch_size=5, drop_last=True)).n_rows is None
    sampled = DataLoader(X, batch_size=5, sampler=range(4))
    assert StreamedRows(sampled).n_rows == 4
