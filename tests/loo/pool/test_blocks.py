"""Blocks of a pool, and rows selected from it, are those of the whole."""

import pytest
import torch

from skdiva.loo import Budget, ClassTargets, ValueTargets, extend
from skdiva.loo.pool._blocks import PoolBlocks
from tests.cases import Case
from tests.loo.pool.extended_cases import RecordedRows

FEATURES = torch.arange(22.0).reshape(11, 2)
INITIAL = torch.arange(33.0).reshape(11, 3)
LABELS = torch.arange(11) % 3
TARGETS = {
    "classes": ClassTargets(LABELS, 3),
    "classes with initial outputs": ClassTargets(LABELS, 3, INITIAL),
    "numbers": ValueTargets(FEATURES.double() ** 2),
    "numbers with initial outputs": ValueTargets(INITIAL.double(), INITIAL),
}
ROWS = torch.tensor([9, 0, 4, 3, 10])
POOLS = {
    "tensor": lambda: FEATURES,
    "row source": lambda: RecordedRows(lambda rows: FEATURES[rows], 11, torch.float32),
}
every_pool = pytest.mark.parametrize("kind", POOLS)


def pool_of(kind, name, size):
    return PoolBlocks(POOLS[kind](), TARGETS[name], Budget(block_rows=size))


def assert_same_targets(found, expected):
    for one, other in (
        (found.block(slice(None), torch.float64), expected.block(slice(None), torch.float64)),
        (found.initial_outputs, expected.initial_outputs),
    ):
        assert other is one if other is None else torch.equal(one, other)


def test_a_source_that_returns_other_rows_is_refused():
    wrong = RecordedRows(lambda rows: FEATURES[rows][:-1], 11, torch.float32)
    pool = PoolBlocks(wrong, TARGETS["numbers"], Budget(block_rows=4))
    for read in (lambda: pool.select(ROWS), lambda: list(pool)):
        with pytest.raises(ValueError, match=r"RecordedRows\.read must return.*Return one row for"):
            read()


@pytest.mark.parametrize(
    ("columns", "outputs", "found"), [(3, 2, "3 columns"), (4, 1, "1 outputs")]
)
def test_a_pool_unlike_the_core_is_refused(columns, outputs, found):
    data = Case(30, 4, 2).data()
    pool = torch.zeros(5, columns).double(), ValueTargets(torch.zeros(5, outputs).double())
    with pytest.raises(ValueError, match=rf"4 columns and 2 outputs of the core, got .*{found}"):
        extend(data.problem(), 1.0, pool)


@every_pool
@pytest.mark.parametrize("size", [1, 4, 11])
@pytest.mark.parametrize("name", TARGETS)
def test_selected_rows_are_those_of_the_whole(name, size, kind):
    features, targets = pool_of(kind, name, size).select(ROWS)
    torch.testing.assert_close(features, FEATURES[ROWS])
    assert_same_targets(targets, TARGETS[name].select(ROWS))


@every_pool
@pytest.mark.parametrize("size", [1, 4, 11, 50])
@pytest.mark.parametrize("name", TARGETS)
def test_blocks_are_the_whole(name, size, kind):
    pool = pool_of(kind, name, size)
    slices, features, targets = zip(*pool, strict=True)
    assert [rows.stop - rows.start for rows in slices] == [len(part) for part in features]
    assert all(len(part) == size for part in features[:-1])
    assert slices[0].start == 0
    assert [rows.start for rows in slices[1:]] == [rows.stop for rows in slices[:-1]]
    assert torch.equal(torch.cat(features), FEATURES)
    assert_same_targets(targets[0].concatenate(list(targets[1:])), TARGETS[name])


def test_a_pass_reads_every_row_once():
    source = POOLS["row source"]()
    pool = PoolBlocks(source, TARGETS["classes"], Budget(block_rows=4))
    for _ in pool:
        pass
    assert source.read_rows == [slice(0, 4), slice(4, 8), slice(8, 11)]


def test_an_empty_pool_has_no_blocks():
    targets = TARGETS["classes"].select(slice(0, 0))
    assert list(PoolBlocks(FEATURES[:0], targets, Budget())) == []


@every_pool
def test_targets_of_other_rows(kind):
    with pytest.raises(ValueError, match="each of the 11 rows of the pool, got 3"):
        PoolBlocks(POOLS[kind](), TARGETS["classes"].select(slice(0, 3)), Budget())
