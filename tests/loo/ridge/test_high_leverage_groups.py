"""Which groups dominate: those that decide their predictions, and a few that lie far out."""

import pytest
import torch

from skdiva.loo.ridge._high_leverage_groups import dominating_rows
from skdiva.loo.rows._source import TensorRows, make_layout

N_ROWS, N_COLUMNS = 40, 4


def mask(whitened, weight, groups, device):
    """Mask of the dominating rows, in input order."""
    whitened, weight = whitened.to(device), weight.to(device)
    groups = None if groups is None else groups.to(device)
    layout = make_layout(N_ROWS, 7, groups)
    leverage = layout.arrange(whitened).square().sum(dim=1)
    rows = TensorRows(whitened, layout)
    return layout.restore(dominating_rows(rows, leverage, layout.arrange(weight))).cpu()


def ordinary(dtype=torch.float64):
    """Rows of a leverage near 0.01, and weights of 1."""
    draw = torch.Generator().manual_seed(0)
    rows = torch.randn(N_ROWS, N_COLUMNS, generator=draw, dtype=dtype)
    return rows / rows.norm(dim=1, keepdim=True) / 10, torch.ones(N_ROWS, dtype=dtype)


@pytest.mark.parametrize("groups", [None, torch.arange(N_ROWS) // 4])
def test_ordinary_rows_do_not(groups, device):
    assert not mask(*ordinary(), groups, device).any()


@pytest.mark.parametrize("leverage", [0.4, 0.6, 0.999])
def test_a_row_that_decides_its_prediction(leverage, device):
    whitened, weight = ordinary()
    weight[7] = 5.0
    whitened[7] *= 10 * (leverage / 5) ** 0.5
    assert mask(whitened, weight, None, device).nonzero().tolist() == [[7]] * (leverage > 0.5)


@pytest.mark.parametrize("size", [4, 10])
def test_a_group_decides_by_its_largest_eigenvalue(size, device):
    whitened, weight = ordinary()
    groups = torch.arange(N_ROWS) // size
    own = groups == 2
    # Leverages that add up to 0.8, in one direction or in all.
    direction = torch.tensor([1.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    whitened[own] = direction * (0.8 / size) ** 0.5
    assert (mask(whitened, weight, groups, device) == own).all()
    whitened[own] = torch.eye(4, dtype=torch.float64).repeat(3, 1)[:size] * (0.8 / size) ** 0.5
    assert not mask(whitened, weight, groups, device).any()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("groups", [None, torch.arange(N_ROWS) // 4])
def test_a_far_row_that_trains_nothing(groups, dtype, device):
    whitened, weight = ordinary(dtype)
    whitened[7] *= 1e4
    weight[7] = 0
    expected = torch.arange(N_ROWS) == 7 if groups is None else groups == groups[7]
    assert (mask(whitened, weight, groups, device) == expected).all()


def test_at_most_a_few_rows_are_far(device):
    """Their columns of H are written out: there may not be as many as rows."""
    whitened, weight = ordinary()
    whitened[:19] *= 1e6
    weight[:19] = 0
    assert mask(whitened, weight, None, device).sum() <= 2 * N_COLUMNS


def test_rows_of_zeros(device):
    whitened, weight = ordinary()
    whitened[:] = 0
    for groups in (None, torch.arange(N_ROWS) // 4):
        assert not mask(whitened, weight, groups, device).any()
