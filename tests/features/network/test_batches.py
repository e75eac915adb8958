"""Batches: every row once and in order, whatever the source, the batch size and the memory."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from skdiva.features.network._batches import Batches, automatic_size
from skdiva.features.network._frozen import FrozenNetwork
from skdiva.features.network._row_sources import ArrayRows, StreamedRows, count_rows

X = np.random.default_rng(0).normal(size=(23, 3))


class Stream(IterableDataset):
    """Rows without a number."""

    def __iter__(self):
        return iter(torch.from_numpy(X))


class Dicts(Dataset):
    """Rows as transformers has them."""

    def __len__(self):
        return len(X)

    def __getitem__(self, i):
        return {"values": torch.from_numpy(X[i]), "ids": torch.tensor(i), "labels": torch.tensor(7)}


def batches(device, size=5, keep_integers=False, progress=None):
    return Batches(torch.device(device), torch.float64, keep_integers, size, progress)


def doubled(batch):
    return 2 * (batch["values"] if isinstance(batch, dict) else batch)


SOURCES = {
    "array": lambda: ArrayRows(X),
    "float32": lambda: ArrayRows(X.astype(np.float32)),
    "big-endian": lambda: ArrayRows(X.astype(">f8")),
    "reversed": lambda: ArrayRows(X[::-1].copy()[::-1]),
    "tensor": lambda: ArrayRows(torch.from_numpy(X).requires_grad_()),
    "dataset": lambda: StreamedRows(TensorDataset(torch.from_numpy(X), torch.arange(23))),
    "loader": lambda: StreamedRows(DataLoader(torch.from_numpy(X), batch_size=8)),
    "iterable": lambda: StreamedRows(Stream()),
    "dicts": lambda: StreamedRows(Dicts()),
    "loader of dicts": lambda: StreamedRows(DataLoader(Dicts(), batch_size=4)),
}


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


class Hungry:
    """Needs more memory than there is for more rows than a few: no machine has 10^14 bytes."""

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
    with pytest.raises(MemoryError, match=f"one row at least; on {device}.* GiB are free. Choose"):
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
    counts = {name: count_rows(make()) for name, make in SOURCES.items()}
    assert counts.pop("iterable") is None
    assert set(counts.values()) == {23}
    assert count_rows(StreamedRows(DataLoader(X, batch_size=5, drop_last=True))) is None
    sampled = DataLoader(X, batch_size=5, sampler=range(4))
    assert count_rows(StreamedRows(sampled)) == 4


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
