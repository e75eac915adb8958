"""Blocks of rows: every row once, groups whole, and back in input order."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skdiva.loo.rows import _source as row_blocks
from skdiva.loo.rows._source import TensorRows, default_batch_size, make_layout
from tests.strategies import SETTINGS

FEATURES = torch.arange(20, dtype=torch.float64).reshape(10, 2)
GROUPS = torch.tensor([3, 0, 1, 0, 3, 3, 2, 5, 5, 3])  # sizes 4, 2, 1, 1, 2; code 4 is empty


@SETTINGS
@given(codes=st.lists(st.integers(0, 6), min_size=1, max_size=30), batch_size=st.integers(1, 40))
def test_layout(codes, batch_size):
    groups = torch.tensor(codes)
    layout = make_layout(len(codes), batch_size, groups)
    assert sorted(layout.order.tolist()) == list(range(len(codes)))
    assert [block.start for block in layout.blocks[1:]] == [b.stop for b in layout.blocks[:-1]]
    assert (layout.blocks[0].start, layout.blocks[-1].stop) == (0, len(codes))
    arranged = layout.arrange(groups)
    seen = []
    for block in layout.blocks:
        assert block.stop - block.start <= max(batch_size, block.group_size)
        stacked = arranged[block.rows].reshape(-1, block.group_size)
        assert (stacked == stacked[:, :1]).all()
        seen += stacked[:, 0].tolist()
    assert sorted(seen) == sorted(set(codes))
    rows = torch.arange(len(codes))
    assert (layout.restore(layout.arrange(rows)) == rows).all()


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_layout_without_groups_leaves_rows_where_they_are(batch_size):
    layout = make_layout(10, batch_size)
    assert layout.order is None
    assert [row for b in layout.blocks for row in range(b.start, b.stop)] == list(range(10))
    assert {block.group_size for block in layout.blocks} == {1}
    assert layout.arrange(FEATURES) is FEATURES


def tensor_rows(groups, **options):
    return TensorRows(FEATURES.clone(), make_layout(10, 3, groups), **options)


@pytest.mark.parametrize("groups", [None, GROUPS])
def test_map_and_reduce(groups):
    rows = tensor_rows(groups)
    weight = torch.linspace(1, 2, 10, dtype=torch.float64)
    arranged = rows.layout.arrange(weight)

    def add(total, block, features, a):
        assert len(features) == block.stop - block.start
        moment = a @ features
        return (moment if total is None else total[0] + moment,)

    (total,) = rows.reduce(add, arranged)
    torch.testing.assert_close(total, weight @ FEATURES)
    doubled, sums = rows.map(lambda _, z, a: (2 * z, a * z.sum(dim=1)), arranged)
    assert (rows.layout.restore(doubled) == 2 * FEATURES).all()
    torch.testing.assert_close(rows.layout.restore(sums), weight * FEATURES.sum(dim=1))


@pytest.fixture(params=[False, True], ids=["made again", "kept"])
def keep(request, monkeypatch):
    if not request.param:
        monkeypatch.setattr(row_blocks, "_KEEP_BYTES", 0)
    return request.param


@pytest.mark.parametrize("groups", [None, GROUPS])
def test_transform(groups, keep):
    visits = []

    def write(features, out):
        visits.append(len(features))
        out[:, :2] = features + 1
        out[:, 2] = 7

    rows = tensor_rows(groups).transform(write, 3)
    assert bool(visits) == keep
    assert rows.n_columns == 3
    expected = torch.nn.functional.pad(rows.layout.restore(FEATURES) + 1, (0, 1), value=7)
    (seen,) = rows.map(lambda _, z: (z.clone(),))
    arranged = tensor_rows(groups).layout.arrange(FEATURES) + 1
    assert (seen[:, :2] == arranged).all()
    assert (seen[:, 2] == expected[:, 2]).all()
    positions = torch.tensor([7, 2])
    assert (rows.select(positions) == seen[positions]).all()


@pytest.mark.usefixtures("keep")
@pytest.mark.parametrize("groups", [None, GROUPS])
def test_replace(groups):
    rows = tensor_rows(groups).transform(lambda z, out: out.copy_(z), 2)
    positions = torch.tensor([1, 4, 8])
    values = -torch.ones(3, 2, dtype=torch.float64)
    rows.replace(positions, values)
    (seen,) = rows.map(lambda _, z: (z.clone(),))
    expected = tensor_rows(groups).layout.arrange(FEATURES).clone()
    expected[positions] = values
    assert (seen == expected).all()
    chosen = torch.tensor([4, 0, 1])
    assert (rows.select(chosen) == expected[chosen]).all()


def test_dtype_of_a_visit():
    rows = tensor_rows(None, dtype=torch.float32)
    assert rows[rows.layout.blocks[0]].dtype == torch.float32
    assert rows.select(torch.tensor([0])).dtype == torch.float32
    assert rows.features.dtype == torch.float64


@pytest.mark.parametrize("n_columns", [1, 100, 10**7])
def test_default_batch_size(n_columns, device):
    size = default_batch_size(n_columns, torch.device(device), 4)
    assert size >= 256
    assert device == "cuda" or size * n_columns <= max(2**20, 256 * n_columns)
