"""Layout of the rows: every row once, groups whole, and back in input order."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skdiva.loo.rows import Block, make_layout
from tests.strategies import SETTINGS

GROUPS = torch.tensor([3, 0, 1, 0, 3, 3, 2, 5, 5, 3])  # sizes 4, 2, 1, 1, 2; code 4 is empty


@SETTINGS
@given(codes=st.lists(st.integers(0, 6), min_size=1, max_size=30), block_rows=st.integers(1, 40))
def test_layout(codes, block_rows):
    groups = torch.tensor(codes)
    layout = make_layout(len(codes), block_rows, groups)
    assert sorted(layout.order.tolist()) == list(range(len(codes)))
    assert [block.start for block in layout.blocks[1:]] == [b.stop for b in layout.blocks[:-1]]
    assert (layout.blocks[0].start, layout.blocks[-1].stop) == (0, len(codes))
    arranged = layout.arrange(groups)
    seen = []
    for block in layout.blocks:
        assert block.stop - block.start <= max(block_rows, block.group_size)
        stacked = arranged[block.rows].reshape(-1, block.group_size)
        assert (stacked == stacked[:, :1]).all()
        seen += stacked[:, 0].tolist()
    assert sorted(seen) == sorted(set(codes))
    rows = torch.arange(len(codes))
    assert (layout.restore(layout.arrange(rows)) == rows).all()
    assert layout.grouped == (len(set(codes)) < len(codes))


@pytest.mark.parametrize("block_rows", [1, 3, 100])
def test_without_groups_rows_stay_where_they_are(block_rows):
    layout = make_layout(10, block_rows)
    assert layout.order is None
    assert not layout.grouped
    assert [row for b in layout.blocks for row in range(b.start, b.stop)] == list(range(10))
    assert {block.group_size for block in layout.blocks} == {1}
    features = torch.arange(20).reshape(10, 2)
    assert layout.arrange(features) is features
    assert layout.restore(features) is features


def test_stack():
    block = Block(4, 10, 3)
    assert block.rows == slice(4, 10)
    assert block.stack(torch.arange(6)).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert block.stack(torch.zeros(6, 2)).shape == (2, 3, 2)


def test_group_sums():
    groups = torch.tensor([0, 1, 0, 2, 1, 0])
    layout = make_layout(6, 2, groups)
    values = torch.arange(6, dtype=torch.float64)
    sums = layout.restore(layout.group_sums(layout.arrange(values)))
    assert sums.tolist() == [7.0, 5.0, 7.0, 3.0, 5.0, 7.0]


@pytest.mark.parametrize("block_rows", [1, 3, 100])
def test_unit_numbers(block_rows):
    device = torch.device("cpu")
    assert make_layout(10, block_rows).unit_numbers(device).tolist() == list(range(10))
    layout = make_layout(10, block_rows, GROUPS)
    pairs = set(
        zip(layout.arrange(GROUPS).tolist(), layout.unit_numbers(device).tolist(), strict=True)
    )
    assert len(pairs) == 5
    assert sorted(number for _, number in pairs) == list(range(5))


@pytest.mark.parametrize(
    ("groups", "with_weight", "expected"),
    [
        (None, [], 0),
        (None, [7], 1),
        (None, [7, 9], 2),
        (GROUPS, [7, 8], 1),
        (GROUPS, [0, 4, 9], 1),
        (GROUPS, [0, 1, 2], 3),
    ],
)
def test_groups_with_weight(groups, with_weight, expected):
    layout = make_layout(10, 3, groups)
    weight = torch.zeros(10)
    weight[with_weight] = 0.5
    weight = layout.arrange(weight)
    assert layout.n_groups_with_weight(weight) == expected
    if expected >= 2:
        layout.require_two_groups(weight)
        return
    with pytest.raises(ValueError, match=f"at least two rows .*; got {expected}\\."):
        layout.require_two_groups(weight)
