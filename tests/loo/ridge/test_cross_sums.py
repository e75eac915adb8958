"""Sums over the rows of other groups, exact also for high-leverage groups."""

import pytest
import torch

from skdiva.loo.ridge import cross_sums, total_sums
from skdiva.loo.ridge._cross_sums import high_leverage
from skdiva.loo.rows import InMemoryRows, SourceBlocks, make_layout
from tests.tolerances import assert_close

N_ROWS, N_COLUMNS = 24, 3
GROUPS = {
    "single rows": None,
    "pairs": torch.arange(N_ROWS) // 2,
    "ragged": torch.arange(N_ROWS).sqrt().long(),
    "longer than outputs": torch.arange(N_ROWS) // 8,
}


class Example:
    """Whitened rows, the two arrays that are summed, and both sums computed directly."""

    def __init__(self, groups, device, scale=1.0):
        draw = torch.Generator().manual_seed(0)
        layout = make_layout(N_ROWS, 5, groups)
        self.codes = layout.arrange(torch.arange(N_ROWS) if groups is None else groups)
        features = torch.randn(N_ROWS, N_COLUMNS, generator=draw, dtype=torch.float64) / 10
        features[7] *= scale
        self.first, self.second = (
            torch.randn(N_ROWS, 2, generator=draw, dtype=torch.float64).to(device) for _ in range(2)
        )
        self.rows = SourceBlocks(InMemoryRows(features.to(device)), make_layout_on(layout, device))
        (self.whitened,) = self.rows.map(lambda _, t: (t,))
        self.leverage = self.whitened.square().sum(dim=1)
        self.group_leverage = layout.group_sums(self.leverage)

    def actual(self):
        weight = torch.ones_like(self.leverage)
        return cross_sums(self.rows, self.first, self.second, self.leverage, weight)

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
def test_the_sums_of_a_high_leverage_row_itself_are_exact(name, device):
    """Its own entry of H is 1e10 times the others'. Added and subtracted, it would leave noise."""
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


def mask(whitened, weight, groups, device):
    """Mask of the rows of high-leverage groups, in input order."""
    whitened, weight = whitened.to(device), weight.to(device)
    groups = None if groups is None else groups.to(device)
    layout = make_layout(len(whitened), 7, groups)
    leverage = layout.arrange(whitened).square().sum(dim=1)
    rows = SourceBlocks(InMemoryRows(whitened), layout)
    return layout.restore(high_leverage(rows, leverage, layout.arrange(weight))).cpu()


def ordinary(dtype=torch.float64):
    """Rows of a leverage near 0.01, and weights of 1."""
    draw = torch.Generator().manual_seed(0)
    rows = torch.randn(40, 4, generator=draw, dtype=dtype)
    return rows / rows.norm(dim=1, keepdim=True) / 10, torch.ones(40, dtype=dtype)


@pytest.mark.parametrize("groups", [None, torch.arange(40) // 4])
def test_ordinary_rows_have_no_high_leverage(groups, device):
    assert not mask(*ordinary(), groups, device).any()


@pytest.mark.parametrize("leverage", [0.4, 0.6, 0.999])
def test_a_row_that_determines_its_prediction(leverage, device):
    whitened, weight = ordinary()
    weight[7] = 5.0
    whitened[7] *= 10 * (leverage / 5) ** 0.5
    assert mask(whitened, weight, None, device).nonzero().tolist() == [[7]] * (leverage > 0.5)


@pytest.mark.parametrize("size", [4, 10])
def test_the_largest_eigenvalue_of_a_group_counts(size, device):
    whitened, weight = ordinary()
    groups = torch.arange(40) // size
    own = groups == 2
    # Leverages that add up to 0.8, in one direction or in all.
    direction = torch.tensor([1.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    whitened[own] = direction * (0.8 / size) ** 0.5
    assert (mask(whitened, weight, groups, device) == own).all()
    whitened[own] = torch.eye(4, dtype=torch.float64).repeat(3, 1)[:size] * (0.8 / size) ** 0.5
    assert not mask(whitened, weight, groups, device).any()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("groups", [None, torch.arange(40) // 4])
def test_a_far_row_of_weight_zero(groups, dtype, device):
    whitened, weight = ordinary(dtype)
    whitened[7] *= 1e4
    weight[7] = 0
    expected = torch.arange(40) == 7 if groups is None else groups == groups[7]
    assert (mask(whitened, weight, groups, device) == expected).all()


def test_at_most_a_few_rows_are_far(device):
    """Their columns of H are formed, so there must be fewer of them than rows."""
    whitened, weight = ordinary()
    whitened[:19] *= 1e6
    weight[:19] = 0
    assert mask(whitened, weight, None, device).sum() <= 2 * 4


def test_rows_of_zeros(device):
    whitened, weight = ordinary()
    whitened[:] = 0
    for groups in (None, torch.arange(40) // 4):
        assert not mask(whitened, weight, groups, device).any()
