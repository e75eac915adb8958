"""Blocks of rows: sums over rows, maps of rows, and rows that are computed from others."""

import numpy as np
import pytest
import torch

from skdiva.loo.rows import Budget, InMemoryRows, RowSource, SourceBlocks, make_layout

FEATURES = torch.arange(20, dtype=torch.float64).reshape(10, 2)
GROUPS = torch.tensor([3, 0, 1, 0, 3, 3, 2, 5, 5, 3])  # sizes 4, 2, 1, 1, 2; code 4 is empty
BUDGETS = {"kept": Budget(), "computed again": Budget(kept_bytes=0)}

groupings = pytest.mark.parametrize("groups", [None, GROUPS], ids=["rows", "groups"])
budgets = pytest.mark.parametrize("budget", BUDGETS.values(), ids=BUDGETS)


def blocks(groups, **options):
    return SourceBlocks(InMemoryRows(FEATURES.clone()), make_layout(10, 3, groups), **options)


@groupings
def test_map_and_reduce(groups):
    rows = blocks(groups)
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


@groupings
def test_read(groups):
    rows = blocks(groups)
    arranged = rows.layout.arrange(FEATURES)
    assert (rows.read(slice(2, 7)) == arranged[2:7]).all()
    positions = torch.tensor([7, 2, 2])
    assert (rows.read(positions) == arranged[positions]).all()
    assert rows.read(positions[:0]).shape == (0, 2)


@budgets
@groupings
def test_transform(groups, budget):
    visits = []

    def write(features, out):
        visits.append(len(features))
        out[:, :2] = features + 1
        out[:, 2] = 7

    rows = blocks(groups, budget=budget).transform(write, 3)
    keep = budget.kept_bytes is None
    assert bool(visits) == rows.kept == keep
    assert rows.n_columns == 3
    expected = torch.nn.functional.pad(rows.layout.restore(FEATURES) + 1, (0, 1), value=7)
    (seen,) = rows.map(lambda _, z: (z.clone(),))
    assert len(visits) == len(rows.layout.blocks)  # once, either before or now
    arranged = blocks(groups).layout.arrange(FEATURES) + 1
    assert (seen[:, :2] == arranged).all()
    assert (seen[:, 2] == expected[:, 2]).all()
    positions = torch.tensor([7, 2])
    assert (rows.read(positions) == seen[positions]).all()


@budgets
@groupings
def test_replace(groups, budget):
    rows = blocks(groups, budget=budget).transform(lambda z, out: out.copy_(z), 2)
    positions = torch.tensor([1, 4, 8])
    values = -torch.ones(3, 2, dtype=torch.float64)
    rows.replace(positions, values)
    (seen,) = rows.map(lambda _, z: (z.clone(),))
    expected = blocks(groups).layout.arrange(FEATURES).clone()
    expected[positions] = values
    assert (seen == expected).all()
    chosen = torch.tensor([4, 0, 1])
    assert (rows.read(chosen) == expected[chosen]).all()


@budgets
def test_a_transform_of_a_transform(budget):
    first = blocks(GROUPS, budget=budget).transform(lambda z, out: out.copy_(z + 1), 2)
    second = first.transform(lambda z, out: torch.sum(z, dim=1, keepdim=True, out=out), 1)
    (seen,) = second.map(lambda _, z: (z.clone(),))
    assert (second.layout.restore(seen) == FEATURES.sum(dim=1, keepdim=True) + 2).all()


@budgets
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_dtype_of_a_visit(dtype, budget):
    rows = blocks(None, dtype=dtype, budget=budget)
    assert rows.dtype == dtype
    assert rows.read(rows.layout.blocks[0].rows).dtype == dtype
    assert rows.read(torch.tensor([0])).dtype == dtype
    assert rows.source.dtype == torch.float64
    transformed = rows.transform(lambda z, out: out.copy_(z), 2)
    assert transformed.read(slice(0, 3)).dtype == transformed.dtype == dtype
    assert blocks(None).dtype == torch.float64  # that of the source, if none is given


class WrongRows(RowSource):
    """Source that returns the same rows whatever it is asked for."""

    def __init__(self, result, **attributes):
        super().__init__(10, 2, **attributes)
        self.result = result

    def read(self, _rows):
        return self.result


RESULTS = {
    "more rows": torch.zeros((4, 2), dtype=torch.float64),
    "fewer columns": torch.zeros((3, 1), dtype=torch.float64),
    "one dimension": torch.zeros(3, dtype=torch.float64),
    "all rows": FEATURES,
    "dtype": torch.zeros((3, 2), dtype=torch.float32),
    "device": torch.zeros((3, 2), dtype=torch.float64, device="meta"),
    "array": np.zeros((3, 2)),
}


@pytest.mark.parametrize("result", RESULTS.values(), ids=RESULTS)
@pytest.mark.parametrize("rows", [slice(2, 5), torch.tensor([1, 2, 3])], ids=["slice", "positions"])
def test_a_source_that_returns_other_rows_is_refused(rows, result):
    wrong = SourceBlocks(WrongRows(result), make_layout(10, 3))
    with pytest.raises(ValueError, match=r"WrongRows\.read must return .*got .*Return one row for"):
        wrong.read(rows)
