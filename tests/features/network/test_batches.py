"""Batches: every row once and in order, for any source, batch size and free memory."""

import numpy as np
import pytest
import torch
from torch import nn

from skdiva.features.network import FrozenNetwork, NetworkRows
from skdiva.features.network._batches import Batches, automatic_size
from skdiva.features.network._row_sources import ArrayRows
from tests.features.row_sources import SOURCES, X


def batches(device, size=5, keep_integers=False, progress=None):
    return Batches(torch.device(device), torch.float64, keep_integers, size, progress)


def doubled(batch):
    return 2 * (batch["values"] if isinstance(batch, dict) else batch)


@pytest.mark.parametrize("on_host", [False, True])
@pytest.mark.parametrize("source", SOURCES)
def test_every_row_once_and_in_order(source, device, on_host):
    positions, results = zip(*batches(device).map(doubled, SOURCES[source](), on_host), strict=True)
    assert [p.start for p in positions] == [0, *(p.stop for p in positions[:-1])]
    assert positions[-1].stop == len(X)
    assert all(p.stop - p.start == len(r) <= 5 for p, r in zip(positions, results, strict=True))
    assert {r.device.type for r in results} == {"cpu" if on_host else device}
    torch.testing.assert_close(torch.cat(results).cpu(), torch.from_numpy(2 * X), rtol=1e-7, atol=0)


def test_rows_beside_the_batches(device):
    beside = torch.arange(23.0, dtype=torch.float64, device=device)
    results = batches(device).map(lambda b, c: b * c[:, None], ArrayRows(X), beside=beside)
    found = torch.cat([r for _, r in results]).cpu().numpy()
    np.testing.assert_array_equal(found, X * np.arange(23)[:, None])


class MadeUp(NetworkRows):
    """The least that a source must offer: rows that a function makes, in batches of any size."""

    n_rows = 23

    def probe(self):
        return X[:3]

    def batches(self, size):
        start = 0
        while start < self.n_rows:
            stop = start + 3 * size() - 1
            yield X[start:stop]
            start = stop


def test_a_source_of_ones_own(device):
    positions, results = zip(*batches(device).map(doubled, MadeUp()), strict=True)
    assert positions[-1].stop == 23
    torch.testing.assert_close(torch.cat(results).cpu(), torch.from_numpy(2 * X))


class Hungry:
    """Computes a few rows; for more it needs 10^14 bytes, which no machine has."""

    def __init__(self, most):
        self.most, self.sizes = most, []

    def __call__(self, batch):
        self.sizes.append(len(batch))
        torch.empty(10**14 * max(len(batch) - self.most, 0), dtype=torch.uint8, device=batch.device)
        return 2 * batch


@pytest.mark.parametrize("source", ["array", "loader", "iterable"])
def test_batches_are_halved_where_memory_does_not_suffice(source, device):
    work, compute = batches(device, size=8), Hungry(most=3)
    results = torch.cat([r for _, r in work.map(compute, SOURCES[source]())])
    np.testing.assert_array_equal(results.cpu().numpy(), 2 * X)
    assert compute.sizes[:3] == [8, 4, 2]  # and it goes on from there
    assert max(compute.sizes[3:]) == work.size == 2


def test_numpys_lack_of_memory_counts_too():
    def compute(batch):
        np.empty(10**15 * (len(batch) > 2))
        return batch

    assert len(torch.cat([r for _, r in batches("cpu").map(compute, ArrayRows(X))])) == 23


def test_a_single_row_that_does_not_fit(device):
    with pytest.raises(MemoryError, match=f"a batch of one row; on {device}.* GiB are free."):
        list(batches(device).map(Hungry(most=0), ArrayRows(X)))


def test_other_errors_pass():
    def compute(_batch):
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        list(batches("cpu").map(compute, ArrayRows(X)))


def test_a_network_that_works_in_place_leaves_the_rows_alone(device):
    before = X.copy()
    for rows in (ArrayRows(X), ArrayRows(torch.from_numpy(X))):
        list(batches(device).map(lambda batch: batch.zero_(), rows))
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize("name", ["uint8", "int16", "int64", "bool", "float16"])
@pytest.mark.parametrize("make", [np.asarray, torch.from_numpy])
def test_dtypes(name, make):
    values = make(np.arange(6).reshape(2, 3).astype(name))
    converted = batches("cpu").convert(values)
    assert converted.dtype == torch.float64
    np.testing.assert_array_equal(converted.numpy(), np.asarray(values).astype(float))
    ids = batches("cpu", keep_integers=True).convert(values)
    assert ids.dtype == (torch.int64 if "int" in name else torch.float64)


def test_integers_in_dicts_stay():
    converted = batches("cpu").convert({"a": np.arange(3), "b": np.ones(3, np.float32)})
    assert (converted["a"].dtype, converted["b"].dtype) == (torch.int64, torch.float64)


def test_the_progress_bar_counts_rows(capsys):
    list(batches("cpu", progress="Name").map(doubled, ArrayRows(X)))
    assert "23/23" in (shown := capsys.readouterr().err)
    assert shown.strip().startswith("Name")
    list(batches("cpu").map(doubled, ArrayRows(X)))
    assert not capsys.readouterr().err


def test_automatic_sizes(device):
    device = torch.device(device)
    x = torch.ones(3, 8, device=device)

    def size(width, differentiates=False, row_bytes=8):
        module = nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, 2))
        network = FrozenNetwork(module, device, torch.float32)
        return automatic_size(network, x, device, differentiates, row_bytes)

    wide = 2**13  # 64 KiB per row, of two layers
    if device.type == "cpu":
        assert size(wide) == 2**26 // (8 * wide + 8 + 8)
        assert size(wide, differentiates=True) == 2**26 // (3 * (8 * wide + 8) + 8)
        assert size(4) == 1024
    else:
        assert size(4) == 8192
    # Some rows in any case, unless they take too much together.
    assert 8 <= size(4, row_bytes=2**26) <= 32
    assert size(4, row_bytes=2**50) == 1
