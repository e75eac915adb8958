"""Dual smoother, in cases where subtraction would cost digits."""

import pytest
import torch

from skdiva.loo import evaluate
from skdiva.loo.ridge import DualSmoother
from tests.cases import Case
from tests.oracles import reference
from tests.tolerances import assert_close, assert_rows_close


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("relative_alpha", [1e-6, 1e-2, 1e2])
@pytest.mark.parametrize("large_means", [False, True])
def test_float32(large_means, relative_alpha, fit_intercept, device):
    case = Case(
        14,
        40,
        2,
        large_means=large_means,
        relative_alpha=relative_alpha,
        fit_intercept=fit_intercept,
    )
    data = case.data(torch.float32, device)
    evaluation = evaluate(data.problem(), data.sample_weight, data.alpha)
    expected = reference(data)
    assert_rows_close(
        evaluation.loo_predictions, expected.predictions, expected.prediction_size, 1e-4
    )
    assert_rows_close(evaluation.derivative, expected.derivative, expected.derivative_size, 1e-3)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(
    "fields",
    [
        {"row_scale": 1e4},
        {"large_means": True, "fit_intercept": False},
        {"large_means": True, "fit_intercept": False, "grouping": "ragged"},
    ],
)
def test_far_rows_of_weight_zero(fields, dtype, device):
    """Their own entries of H are small differences: what the training rows do not explain."""
    data = Case(14, 24, 2, relative_alpha=1e-6, **fields).data(dtype, device)
    data.sample_weight[:4] = 0
    evaluation = evaluate(data.problem(), data.sample_weight, data.alpha)
    expected = reference(data)
    limit = 1e-8 if dtype == torch.float64 else 1e-3
    assert_rows_close(evaluation.derivative, expected.derivative, expected.derivative_size, limit)


def test_leverages_near_one_come_out_without_subtraction(device):
    """With more columns than rows and a small alpha, every row nearly determines its prediction."""
    data = Case(12, 40, 1, relative_alpha=1e-13, fit_intercept=False).data(device=device)
    rows = data.problem().row_blocks(torch.float64)
    smoother = DualSmoother(rows, data.sample_weight, data.alpha, False)
    gram = (data.features @ data.features.T).cpu()
    weight = data.sample_weight.cpu()
    # To first order in alpha.
    expected = data.alpha * torch.linalg.inv(gram).diagonal() / weight
    assert expected.max() < 1e-10
    assert_close(smoother.one_minus_leverage, expected, 1e-8)


def test_groups_whose_leverages_are_near_one(device):
    case = Case(12, 40, 2, grouping="ragged", relative_alpha=1e-12, fit_intercept=False)
    data = case.data(device=device)
    evaluation = evaluate(data.problem(), data.sample_weight, data.alpha)
    assert evaluation.one_minus_leverage.max() < 1e-10
    expected = reference(data)
    assert_rows_close(
        evaluation.loo_predictions, expected.predictions, expected.prediction_size, 1e-9
    )


def test_one_column_more_than_rows_changes_nothing(device):
    """The primal takes the square shape, the dual one column more."""
    data = Case(12, 12, 2, zero_weights=True).data(device=device)
    padded = data._replace(features=torch.nn.functional.pad(data.features, (0, 1)))
    square, wide = (evaluate(x.problem(), x.sample_weight, data.alpha) for x in (data, padded))
    assert_close(wide.derivative, square.derivative.cpu(), 1e-10)
    assert_close(wide.loo_predictions, square.loo_predictions.cpu(), 1e-10)
