"""Single questions to a ridge problem: precision, errors and results."""

import pytest
import torch

from skdiva.loo import SquaredError, evaluate, fit_ridge, new_row_form, predict_leave_one_out
from skdiva.loo.ridge import InsufficientPrecisionError
from tests.cases import Case
from tests.loo.counted_problem import counted
from tests.oracles import reference
from tests.tolerances import assert_close, assert_rows_close

FUNCTIONS = {
    "evaluate": evaluate,
    "predict_leave_one_out": predict_leave_one_out,
    "fit_ridge": fit_ridge,
    "new_row_form": new_row_form,
}


@pytest.fixture(params=FUNCTIONS)
def function(request):
    return FUNCTIONS[request.param]


@pytest.mark.parametrize("case", [Case(20, 4, 3, "log_loss"), Case(12, 30, 2, grouping="ragged")])
def test_predictions_without_the_derivative(case, device):
    data = case.data(device=device)
    full = evaluate(data.problem(), data.sample_weight, data.alpha)
    cheap = predict_leave_one_out(data.problem(), data.sample_weight, data.alpha)
    assert cheap.derivative is None
    assert cheap.loss == full.loss
    for name in ("loo_predictions", "loo_residuals", "leverage", "one_minus_leverage"):
        assert (getattr(cheap, name) == getattr(full, name)).all()


@pytest.mark.parametrize("case", [Case(20, 4, 3, "log_loss"), Case(12, 30, 2)])
def test_evaluation_carries_the_coefficients(case, device):
    data = case.data(torch.float32, device)
    evaluation = evaluate(data.problem(), data.sample_weight, data.alpha)
    coef, intercept = fit_ridge(data.problem(), data.sample_weight, data.alpha)
    assert (evaluation.coef == coef).all()
    assert (evaluation.intercept == intercept).all()
    assert evaluation.coef.dtype == torch.float32


def test_leverages_are_in_input_order():
    data = Case(20, 4, 2, grouping="ragged").data()
    evaluation = evaluate(data.problem(), data.sample_weight, data.alpha)
    expected = 1 - data.sample_weight * evaluation.leverage
    assert_close(evaluation.one_minus_leverage, expected, 1e-12)
    # Leverages of the training rows add up to less than columns and intercept.
    assert 3 < (data.sample_weight * evaluation.leverage).sum() < 5


@pytest.mark.parametrize("loss", ["squared_error", "log_loss", "pseudo_huber"])
def test_loss_is_the_mean_over_the_validation_weights(loss):
    data = Case(20, 4, 3, loss).data()
    losses = data.loss.value(reference(data).predictions, data.values)
    expected = data.validation_weight @ losses / data.validation_weight.sum()
    evaluation = evaluate(data.problem(), data.sample_weight, data.alpha)
    assert evaluation.loss == pytest.approx(float(expected), rel=1e-12)
    uniform = evaluate(data.problem(validation_weight=None), data.sample_weight, data.alpha)
    assert uniform.loss == pytest.approx(float(losses.mean()), rel=1e-12)


@pytest.mark.parametrize(
    "case",
    [
        Case(30, 5, 2, relative_alpha=1e-9, constant_column=True, large_means=True),
        Case(12, 30, 2, duplicate_rows=True, relative_alpha=1e-6),
        Case(30, 5, 2, large_means=True, fit_intercept=False, relative_alpha=1e-8),
    ],
)
def test_float64_where_float32_does_not_suffice(case, device):
    data = case.data(torch.float32, device)
    if case.constant_column:  # two columns that differ by a constant
        data.features[:, -1] = data.features[:, 0] + 2
    problem = counted(data)
    evaluation = evaluate(problem, data.sample_weight, data.alpha)
    assert problem.dtypes == [torch.float32, torch.float64]
    expected = reference(data)
    assert evaluation.derivative.dtype == torch.float32
    assert_rows_close(
        evaluation.loo_predictions, expected.predictions, expected.prediction_size, 1e-4
    )
    assert_rows_close(evaluation.derivative, expected.derivative, expected.derivative_size, 1e-3)


def test_float32_where_it_suffices(device):
    data = Case(30, 5, 2).data(torch.float32, device)
    problem = counted(data)
    evaluate(problem, data.sample_weight, data.alpha)
    assert problem.dtypes == [torch.float32]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_penalty_too_small_for_float64(dtype, function, device):
    data = Case(30, 5, 2).data(dtype, device)
    data.features[:, -1] = data.features[:, 0]
    with pytest.raises(ValueError, match=r"alpha=1e-18 is too small.*float64.*larger alpha") as e:
        function(data.problem(), data.sample_weight, 1e-18)
    assert isinstance(e.value.__cause__, InsufficientPrecisionError)


def test_a_row_that_alone_determines_a_coefficient(device):
    """Without that row the penalty determines it, however small the penalty is."""
    data = Case(30, 5, 2).data(device=device)
    data.features[1:, -1] = 0
    data = data._replace(alpha=1e-18)
    evaluation = evaluate(data.problem(), data.sample_weight, data.alpha)
    expected = reference(data)
    assert_rows_close(
        evaluation.loo_predictions, expected.predictions, expected.prediction_size, 1e-9
    )


@pytest.mark.parametrize("groups", [None, "ragged"])
def test_all_the_weight_in_one_row_or_group(groups, function, device):
    data = Case(20, 4, 2, grouping=groups).data(device=device)
    weight = torch.zeros_like(data.sample_weight)
    weight[4] = 1.0
    if groups:
        weight = (data.groups == data.groups[4]).double()
    with pytest.raises(ValueError, match=r"positive weight in at least two .*; got 1\."):
        function(data.problem(), weight, data.alpha)
    with pytest.raises(ValueError, match=r"at least two .*; got 0\."):
        function(data.problem(), torch.zeros_like(weight), data.alpha)


def test_a_single_group(function):
    data = Case(20, 4, 2).data()
    everything = data.problem(groups=torch.zeros(20, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"two groups.*; got 1\."):
        function(everything, data.sample_weight, data.alpha)


@pytest.mark.parametrize("precision", ["highest", "high", "medium"])
def test_the_callers_matmul_precision_is_restored(precision, function):
    data = Case(20, 4, 2).data(torch.float32)
    before = torch.get_float32_matmul_precision()
    seen = []

    class Loss(SquaredError):
        def derivative(self, predictions, targets):
            seen.append(torch.get_float32_matmul_precision())
            return super().derivative(predictions, targets)

    try:
        torch.set_float32_matmul_precision(precision)
        function(data.problem(loss=Loss()), data.sample_weight, data.alpha)
        assert torch.get_float32_matmul_precision() == precision
        with pytest.raises(ValueError, match="got 0"):
            function(data.problem(), torch.zeros(20), data.alpha)
        assert torch.get_float32_matmul_precision() == precision
    finally:
        torch.set_float32_matmul_precision(before)
    assert set(seen) <= {"highest"}


def test_inputs_stay_as_they_are(function, device):
    data = Case(20, 4, 2, grouping="ragged", initial_outputs=True).data(device=device)
    tensors = [x for x in data if torch.is_tensor(x)]
    before = [x.clone() for x in tensors]
    function(data.problem(), data.sample_weight, data.alpha)
    for tensor, copy in zip(tensors, before, strict=True):
        assert (tensor == copy).all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_fit_ridge(dtype, device):
    data = Case(20, 4, 3, "log_loss", initial_outputs=True).data(dtype, device)
    coef, intercept = fit_ridge(data.problem(), data.sample_weight, data.alpha)
    assert (coef.shape, intercept.shape, coef.dtype) == ((4, 3), (3,), dtype)
    # The gradient of the ridge objective vanishes.
    assert intercept.dtype == torch.float64
    residuals = (data.features.double() @ coef.double() + intercept).to(dtype) - data.ridge_values
    weighted = data.sample_weight[:, None] * residuals
    slope = data.features.T @ weighted + data.alpha * coef
    size = data.features.abs().T @ weighted.abs()
    limit = 1e-12 if dtype == torch.float64 else 1e-5
    assert (slope.abs() < limit * size).all()
    assert (weighted.sum(dim=0).abs() < limit * weighted.abs().sum(dim=0)).all()
