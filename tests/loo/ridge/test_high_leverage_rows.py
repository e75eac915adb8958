"""High-leverage rows, excluded from a factorization and restored."""

import pytest
import torch

from skdiva.loo.ridge._high_leverage_rows import HighLeverageRows
from skdiva.loo.rows import Block
from tests.tolerances import assert_close

N_COLUMNS = 5
POSITIONS = torch.tensor([2, 6, 7])


def normal(*shape):
    draw = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=draw, dtype=torch.float64)


class Example:
    """Rows whitened without the high-leverage rows, and the dense hat matrix of all rows."""

    def __init__(self, device, scale):
        self.rows = normal(9, N_COLUMNS).to(device) / 3
        self.rows[POSITIONS] *= scale
        self.positions = POSITIONS.to(device)
        self.weight = torch.tensor([0.5, 2.0, 1.0], dtype=torch.float64, device=device)
        own = self.rows[self.positions]
        self.high = HighLeverageRows(self.positions, own, self.weight)
        gram = own.T @ (self.weight[:, None] * own)
        self.inverse = torch.linalg.inv(torch.eye(N_COLUMNS, device=device) + gram)
        self.hat = self.rows @ self.inverse @ self.rows.T

    def extended(self):
        width = len(self.high.shrink)
        out = torch.cat([self.rows, self.rows.new_full((9, width), torch.nan)], dim=1)
        self.high.extend(out)
        return out


@pytest.fixture(params=[1.0, 100.0])
def example(request, device):
    return Example(device, request.param)


def test_extended_rows_give_the_hat_matrix(example):
    extended = example.extended()
    assert_close(extended @ extended.T, example.hat.cpu(), 1e-11)
    extended[example.positions] = example.high.whitened
    assert_close(extended @ extended.T, example.hat.cpu(), 1e-11)


def test_high_leverage_rows_are_zero_in_the_first_coordinates(example):
    assert (example.high.whitened[:, :N_COLUMNS] == 0).all()
    others = example.extended()[:, :N_COLUMNS]
    assert others[example.positions].abs().max() < 1e-12 * example.rows.abs().max()


def test_operator(example):
    root = example.weight.sqrt()
    own = example.hat[example.positions][:, example.positions]
    expected = torch.eye(3, device=root.device) - root[:, None] * own * root
    torch.testing.assert_close(example.high.operator, expected, rtol=1e-9, atol=1e-12)


def test_contracted_coefficients_predict_the_same(example):
    coef = normal(N_COLUMNS + len(example.high.shrink), 2).to(example.rows.device)
    predictions = example.rows @ example.high.contract(coef)
    assert_close(predictions, (example.extended() @ coef).cpu(), 1e-11)


def test_residuals(example):
    """Residuals of the model of all rows, from the moment of the other rows."""
    values, others_values = normal(3, 2), normal(9, 2)
    values, others_values = (x.to(example.rows.device) for x in (values, others_values))
    others_values[example.positions] = 0
    moment = example.extended().T @ others_values
    everything = others_values.clone()
    everything[example.positions] = example.weight[:, None] * values
    expected = (example.hat @ everything)[example.positions] - values
    actual = example.high.residuals(values, moment)
    torch.testing.assert_close(actual, expected, rtol=1e-7, atol=1e-11)


def test_no_high_leverage_rows(device):
    rows = normal(4, N_COLUMNS).to(device)
    empty = torch.empty(0, dtype=torch.int64, device=device)
    high = HighLeverageRows(empty, rows[:0], rows.new_empty(0))
    out = rows.clone()
    high.extend(out)
    assert (out == rows).all()
    coef = normal(N_COLUMNS, 2).to(device)
    assert (high.contract(coef) == coef).all()
    assert high.residuals(rows.new_empty(0, 2), coef).shape == (0, 2)
    assert not high.inside(Block(0, 4, 2)).any()


def test_write_operator(example):
    """Rows 6 and 7 are a group; row 2 is in a group with an ordinary row."""
    block = Block(2, 8, 2)
    assert example.high.inside(block).tolist() == [True, True, True]
    assert not example.high.inside(Block(3, 6, 1)).any()
    operator = torch.zeros(3, 2, 2, dtype=torch.float64, device=example.rows.device)
    scale = example.high.write_operator(block, operator)
    known = example.high.operator
    expected = torch.zeros_like(operator)
    expected[0, 0, 0] = known[0, 0]
    expected[2] = known[1:, 1:]
    assert (operator == expected).all()
    sizes = torch.ones_like(scale)
    sizes[0, 0], sizes[2] = known[0, 0], known.diagonal()[1:]
    assert (scale == sizes).all()
