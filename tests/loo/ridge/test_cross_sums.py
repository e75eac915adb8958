"""Sums over the rows of other groups: nothing of one's own, however much one dominates."""

import pytest
import torch

from skdiva.loo.ridge._cross_sums import others_sums, total_sums
from skdiva.loo.ridge._group_blocks import group_sums
from skdiva.loo.rows._source import TensorRows, make_layout
from tests.tolerances import assert_close

N_ROWS, N_COLUMNS = 24, 3
GROUPS = {
    "single rows": None,
    "pairs": torch.arange(N_ROWS) // 2,
    "ragged": torch.arange(N_ROWS).sqrt().long(),
    "longer than outputs": torch.arange(N_ROWS) // 8,
}


class Example:
    """Whitened rows, the two arrays that are summed, and both sums written plainly."""

    def __init__(self, groups, device, scale=1.0):
        draw = torch.Generator().manual_seed(0)
        layout = make_layout(N_ROWS, 5, groups)
        self.codes = layout.arrange(torch.arange(N_ROWS) if groups is None else groups)
        features = torch.randn(N_ROWS, N_COLUMNS, generator=draw, dtype=torch.float64) / 10
        features[7] *= scale
        self.first, self.second = (
            torch.randn(N_ROWS, 2, generator=draw, dtype=torch.float64).to(device) for _ in range(2)
        )
        self.rows = TensorRows(features.to(device), make_layout_on(layout, device))
        (self.whitened,) = self.rows.map(lambda _, t: (t,))
        self.leverage = self.whitened.square().sum(dim=1)
        self.group_leverage = group_sums(layout, self.leverage)

    def actual(self):
        weight = torch.ones_like(self.leverage)
        return others_sums(self.rows, self.first, self.second, self.leverage, weight)

    def expected(self):
        whitened, first, second = (x.cpu() for x in (self.whitened, self.first, self.second))
        hat = whitened @ whitened.T
        hat.masked_fill_(self.codes[:, None] == self.codes, 0.0)
        sums = torch.zeros(N_ROWS, dtype=torch.float64)
        for code in self.codes.unique():
            own = self.codes == code
            sums += ((hat[:, own] @ first[own]) * (hat[:, own] @ second[own])).sum(dim=1)
        return hat @ first, sums


def make_layout_on(layout, device):
    order = None if layout.order is None else layout.order.to(device)
    return type(layout)(layout.n_rows, layout.blocks, order)


@pytest.mark.parametrize("scale", [1.0, 30.0, 1e6])
@pytest.mark.parametrize("name", GROUPS)
def test_against_plain_sums(name, scale, device):
    example = Example(GROUPS[name], device, scale)
    assert (example.group_leverage > 0.5).any() == (scale > 1)
    actual, expected = example.actual(), example.expected()
    for ours, theirs in zip(actual, expected, strict=True):
        assert_close(ours, theirs, 1e-12)


@pytest.mark.parametrize("name", GROUPS)
def test_what_dominates_leaves_its_own_sums_exact(name, device):
    """Its own entry of H is 1e10 times the others': added and subtracted, it would leave noise."""
    example = Example(GROUPS[name], device, 1e6)
    (row,) = torch.nonzero(example.leverage.cpu() > 1e3)[:, 0]
    for ours, theirs in zip(example.actual(), example.expected(), strict=True):
        torch.testing.assert_close(ours[row].cpu(), theirs[row], rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", GROUPS)
def test_total_sums(name, device):
    example = Example(GROUPS[name], device)
    total_first, total_second = total_sums(example.rows, example.first, example.second)
    whitened, first, second = (x.cpu() for x in (example.whitened, example.first, example.second))
    expected = torch.zeros(N_COLUMNS, N_COLUMNS, dtype=torch.float64)
    for code in example.codes.unique():
        own = example.codes == code
        expected += whitened[own].T @ first[own] @ second[own].T @ whitened[own]
    assert_close(total_first, whitened.T @ first, 1e-13)
    assert_close(total_second, (expected + expected.T) / 2, 1e-13)
