"""Targets of a ridge model, written out for a block of rows at a time."""

import pytest
import torch

from skdiva.loo import ClassTargets, ValueTargets

LABELS = torch.tensor([2, 0, 1, 2, 1])
ONE_HOT = torch.nn.functional.one_hot(LABELS, 3).double()
INITIAL = torch.arange(15, dtype=torch.float64).reshape(5, 3)
ROWS = {"slice": slice(1, 4), "positions": torch.tensor([4, 0]), "all": slice(None)}


def both(initial_outputs=None):
    return [
        ClassTargets(LABELS, 3, initial_outputs),
        ValueTargets(ONE_HOT.clone(), initial_outputs),
    ]


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize("targets", both(), ids=["classes", "values"])
def test_block(targets, rows):
    assert (targets.n_rows, targets.n_outputs) == (5, 3)
    assert (targets.block(rows, torch.float64) == ONE_HOT[rows]).all()


@pytest.mark.parametrize("targets", both(), ids=["classes", "values"])
def test_a_block_is_a_copy(targets):
    targets.block(slice(None), torch.float64).fill_(7.0)
    assert (targets.block(slice(None), torch.float64) == ONE_HOT).all()


def test_values_are_not_rounded_before_they_are_centered():
    targets = ValueTargets(torch.tensor([[1e8 + 1]], dtype=torch.float64))
    assert targets.block(slice(None), torch.float32).item() == 1e8 + 1


@pytest.mark.parametrize("targets", both(INITIAL), ids=["classes", "values"])
def test_initial_outputs_are_subtracted(targets):
    values = targets.ridge_values(slice(1, 4), torch.float64)
    assert (values == (ONE_HOT - INITIAL)[1:4]).all()


@pytest.mark.parametrize("initial", [None, INITIAL], ids=["plain", "initial outputs"])
@pytest.mark.parametrize("rows", [[4, 0], [3, 1, 4, 0, 2], [1, 1], []])
def test_select(rows, initial):
    rows = torch.tensor(rows, dtype=torch.int64)
    for targets in both(initial):
        selected = targets.select(rows)
        assert (selected.n_rows, selected.n_outputs) == (len(rows), 3)
        actual = selected.ridge_values(slice(None), torch.float64)
        assert (actual == targets.ridge_values(slice(None), torch.float64)[rows]).all()


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize("initial", [None, INITIAL], ids=["plain", "initial outputs"])
def test_a_mean_is_subtracted_before_rounding(rows, initial):
    mean = torch.tensor([0.5, -2.0, 0.25], dtype=torch.float64)
    expected = (ONE_HOT - (0.0 if initial is None else initial) - mean)[rows]
    for targets in both(initial):
        for dtype in (torch.float64, torch.float32):
            values = targets.ridge_values(rows, dtype, mean)
            assert values.dtype == dtype
            assert (values == expected).all()


@pytest.mark.parametrize("initial", [None, INITIAL], ids=["plain", "initial outputs"])
def test_concatenate(initial):
    rows = torch.tensor([4, 0]), torch.tensor([3]), torch.tensor([], dtype=torch.int64)
    for targets in both(initial):
        first, *others = (targets.select(part) for part in rows)
        joined = first.concatenate(others)
        assert type(joined) is type(targets)
        assert (joined.n_rows, joined.n_outputs) == (3, 3)
        actual = joined.ridge_values(slice(None), torch.float64)
        assert (actual == targets.ridge_values(torch.cat(rows), torch.float64)).all()
        assert (joined.initial_outputs is None) == (initial is None)
