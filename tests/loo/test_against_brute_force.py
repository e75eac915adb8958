"""Leave-one-out predictions and the dataset derivative against refits, for all kinds of cases."""

import pytest
import torch
from hypothesis import event, given, settings

from skdiva.loo import evaluate
from tests.cases import NAMED, Case
from tests.oracles import reference
from tests.strategies import SETTINGS, cases
from tests.tolerances import assert_rows_close, tolerances


def check(case, dtype, device):
    """Compare with refits; return whether the promised tolerance applies."""
    data = case.data(dtype, device)
    evaluation = evaluate(data.problem(), data.sample_weight, data.alpha)
    expected = reference(data)
    allowed = tolerances(dtype, expected.conditioning)
    assert evaluation.derivative.dtype == evaluation.loo_predictions.dtype == dtype
    assert_rows_close(
        evaluation.loo_predictions,
        expected.predictions,
        expected.prediction_size,
        allowed.predictions,
    )
    assert_rows_close(
        evaluation.derivative, expected.derivative, expected.derivative_size, allowed.derivative
    )
    return allowed == tolerances(dtype)


@settings(SETTINGS, max_examples=400)
@given(case=cases())
def test_float64(case, device):
    event(f"at the promised tolerance: {check(case, torch.float64, device)}")


@settings(SETTINGS, max_examples=400)
@given(case=cases(smallest_exponent=-5))
def test_float32(case, device):
    event(f"at the promised tolerance: {check(case, torch.float32, device)}")


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", NAMED)
def test_named_case(name, dtype, device):
    check(NAMED[name], dtype, device)


def test_more_columns_than_a_leaf_of_the_products():
    # Products are only halved in matrices above this size.
    check(Case(150, 140, 2, block_rows=37), torch.float64, "cpu")
