"""Rows kept out of a factorisation and added back."""

import pytest
import torch

from skdiva.loo.ridge._high_leverage_rows import SetAside
from skdiva.loo.rows._source import Block
from tests.tolerances import assert_close

N_COLUMNS = 5
POSITIONS = torch.tensor([2, 6, 7])


def normal(*shape):
    draw = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=draw, dtype=torch.float64)


class Example:
    """Rows whitened without those set aside, and H of all of them written plainly."""

    def __init__(self, device, scale):
        self.rows = normal(9, N_COLUMNS).to(device) / 3
        self.rows[POSITIONS] *= scale
        self.positions = POSITIONS.to(device)
        self.weight = torch.tensor([0.5, 2.0, 1.0], dtype=torch.float64, device=device)
        own = self.rows[self.positions]
        self.aside = SetAside(self.positions, own, self.weight)
        gram = own.T @ (self.weight[:, None] * own)
        self.inverse = torch.linalg.inv(torch.eye(N_COLUMNS, device=device) + gram)
        self.hat = self.rows @ self.inverse @ self.rows.T

    def extended(self):
        width = len(self.aside.shrink)
        out = torch.cat([self.rows, self.rows.new_full((9, width), torch.nan)], dim=1)
        self.aside.extend(out)
        return out


@pytest.fixture(params=[1.0, 100.0])
def example(request, device):
    return Example(device, request.param)


def test_extended_rows_give_the_hat_matrix(example):
    extended = example.extended()
    assert_close(extended @ extended.T, example.hat.cpu(), 1e-11)
    extended[example.positions] = example.aside.whitened
    assert_close(extended @ extended.T, example.hat.cpu(), 1e-11)


def test_rows_set_aside_have_no_part_in_the_first_coordinates(example):
    assert (example.aside.whitened[:, :N_COLUMNS] == 0).all()
    others = example.extended()[:, :N_COLUMNS]
    assert others[example.positions].abs().max() < 1e-12 * example.rows.abs().max()


def test_operator(example):
    root = example.weight.sqrt()
    own = example.hat[example.positions][:, example.positions]
    expected = torch.eye(3, device=root.device) - root[:, None] * own * root
    torch.testing.assert_close(example.aside.operator, expected, rtol=1e-9, atol=1e-12)


def test_contracted_coefficients_predict_the_same(example):
    coef = normal(N_COLUMNS + len(example.aside.shrink), 2).to(example.rows.device)
    predictions = example.rows @ example.aside.contract(coef)
    assert_close(predictions, (example.extended() @ coef).cpu(), 1e-11)


def test_residuals(example):
    """Those of the model of all rows, from what the others' targets add up to."""
    values, others_values = normal(3, 2), normal(9, 2)
    values, others_values = (x.to(example.rows.device) for x in (values, others_values))
    others_values[example.positions] = 0
    moment = example.extended().T @ others_values
    everything = others_values.clone()
    everything[example.positions] = example.weight[:, None] * values
    expected = (example.hat @ everything)[example.positions] - values
    actual = example.aside.residuals(values, moment)
    torch.testing.assert_close(actual, expected, rtol=1e-7, atol=1e-11)


def test_nothing_set_aside(device):
    rows = normal(4, N_COLUMNS).to(device)
    empty = torch.empty(0, dtype=torch.int64, device=device)
    aside = SetAside(empty, rows[:0], rows.new_empty(0))
    out = rows.clone()
    aside.extend(out)
    assert (out == rows).all()
    coef = normal(N_COLUMNS, 2).to(device)
    assert (aside.contract(coef) == coef).all()
    assert aside.residuals(rows.new_empty(0, 2), coef).shape == (0, 2)
    assert not aside.touches(Block(0, 4, 2))


def test_entries_of_own_blocks(example):
    """Rows 6 and 7 share a group, row 2 is with one that is not set aside."""
    block = Block(2, 8, 2)
    assert example.aside.touches(block)
    assert not example.aside.touches(Block(3, 6, 1))
    operator = torch.zeros(3, 2, 2, dtype=torch.float64, device=example.rows.device)
    scale = example.aside.write_operator(block, operator)
    known = example.aside.operator
    expected = torch.zeros_like(operator)
    expected[0, 0, 0] = known[0, 0]
    expected[2] = known[1:, 1:]
    assert (operator == expected).all()
    sizes = torch.ones_like(scale)
    sizes[0, 0], sizes[2] = known[0, 0], known.diagonal()[1:]
    assert (scale == sizes).all()
