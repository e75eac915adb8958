"""Primal smoother: whitened rows, high-leverage rows and memory."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from skdiva.loo import Budget, ClassTargets, LogLoss, Problem, evaluate
from skdiva.loo.ridge import InsufficientPrecisionError, PrimalSmoother
from tests.cases import Case
from tests.oracles import reference
from tests.tolerances import TOLERANCES, assert_close, assert_rows_close

CASES = {
    "rows": Case(40, 4, 3, "log_loss", block_rows=7),
    "groups": Case(40, 4, 2, grouping="ragged", block_rows=7),
    "a row that determines its own prediction": Case(40, 4, 2, row_scale=1e4, block_rows=7),
    "such a row in a group": Case(40, 4, 2, row_scale=1e4, grouping="ragged", block_rows=7),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_whitened_rows_kept_or_computed_again(name, dtype, device):
    data = CASES[name].data(dtype, device)
    kept = evaluate(data.problem(), data.sample_weight, data.alpha)
    problems = data.problem(), data.problem(budget=Budget(block_rows=7, kept_bytes=0))
    weight = problems[0].layout.arrange(data.sample_weight)
    smoothers = (p.smoother(weight, data.alpha, torch.float64) for p in problems)
    assert [smoother.whitened.kept for smoother in smoothers] == [True, False]
    again = evaluate(problems[1], data.sample_weight, data.alpha)
    tolerance = 1e-11 if dtype == torch.float64 else 1e-4
    assert again.loss == pytest.approx(kept.loss, rel=tolerance)
    assert_close(again.derivative, kept.derivative.cpu(), tolerance)
    assert_close(again.loo_predictions, kept.loo_predictions.cpu(), tolerance)


class LargestTensor(TorchDispatchMode):
    """Largest tensor that any operation returned."""

    elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (tuple, list)) else [out]:
            if isinstance(tensor, torch.Tensor):
                self.elements = max(self.elements, tensor.untyped_storage().nbytes() // 4)
        return out


def test_largest_tensor_is_seen():
    with LargestTensor() as largest:
        torch.ones(3, dtype=torch.float32)[:, None] @ torch.ones(1, 5, dtype=torch.float32)
    assert largest.elements == 15


def largest_tensor(group_size, row_scale, device, n_zero_weight=0):
    """Numbers in the largest tensor, per number in the features."""
    n_rows, n_columns = 100_000, 6
    draw = torch.Generator().manual_seed(0)
    features = torch.randn(n_rows, n_columns, generator=draw)
    features[0] *= row_scale
    features[-n_zero_weight:] *= 1e4 if n_zero_weight else 1
    weight = torch.ones(n_rows, device=device)
    weight[-n_zero_weight:] *= 0 if n_zero_weight else 1
    labels = torch.randint(3, (n_rows,), generator=draw)
    groups = torch.arange(n_rows, device=device) // group_size if group_size > 1 else None
    problem = Problem(
        features.to(device), ClassTargets(labels.to(device), 3), loss=LogLoss(), groups=groups
    )
    with LargestTensor() as largest:
        evaluation = evaluate(problem, weight, 1.0)
    assert torch.isfinite(evaluation.derivative).all()
    assert (evaluation.one_minus_leverage[0] < 0.05) == (row_scale > 1)
    return largest.elements / features.numel()


@pytest.mark.parametrize("row_scale", [1.0, 1e4])
@pytest.mark.parametrize("group_size", [1, 3])
def test_memory_is_linear_in_the_rows(group_size, row_scale, device):
    """No n x n array is made, at n = 100000."""
    assert largest_tensor(group_size, row_scale, device) < 5


def test_memory_with_many_far_rows_of_weight_zero(device):
    assert largest_tensor(1, 1.0, device, n_zero_weight=20_000) < 5


def test_memory_with_long_groups(device):
    """No array of all rows by the rows of a group is made."""
    assert largest_tensor(1000, 1.0, device) < 5


@pytest.mark.xfail(reason="a long group with a high-leverage row is solved by rows, not by columns")
def test_memory_with_a_high_leverage_row_in_a_long_group():
    assert largest_tensor(1000, 1e4, "cpu") < 5


@pytest.mark.parametrize("scale", [1.0, 1e2, 1e4])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_row_that_determines_its_own_prediction(dtype, scale, device):
    """An outlier detector reads its derivative, which must stay exact however large the row is."""
    data = Case(60, 8, 2, row_scale=scale).data(dtype, device)._replace(alpha=1.0)
    evaluation = evaluate(data.problem(), data.sample_weight, data.alpha)
    expected = reference(data)
    assert (evaluation.one_minus_leverage[0] < 1e-3) == (scale > 1)
    allowed = TOLERANCES[dtype]
    assert_rows_close(
        evaluation.loo_predictions,
        expected.predictions,
        expected.prediction_size,
        allowed.predictions,
    )
    assert_rows_close(
        evaluation.derivative, expected.derivative, expected.derivative_size, allowed.derivative
    )
    own, expected_own = evaluation.derivative[0].item(), expected.derivative[0].item()
    assert own == pytest.approx(expected_own, rel=allowed.derivative)


def test_several_high_leverage_rows(device):
    data = Case(60, 8, 2).data(device=device)
    features = data.features.clone()
    features[:3] *= features.new_tensor([[1e5], [1e4], [1e3]])
    features[3] = features[2] * 1.5
    data = data._replace(features=features)
    evaluation = evaluate(data.problem(), data.sample_weight, 1.0)
    expected = reference(data._replace(alpha=1.0))
    assert_rows_close(
        evaluation.loo_predictions, expected.predictions, expected.prediction_size, 1e-9
    )
    assert_rows_close(evaluation.derivative, expected.derivative, expected.derivative_size, 1e-9)


def test_a_far_row_that_does_not_determine_its_prediction():
    """Scaled by 10000, at a leverage of a tenth: its entry of H is 10000 times the others'."""
    case = Case(12, 12, 3, row_scale=1e4, relative_alpha=100.0, fit_intercept=False, seed=977236)
    data = case.data(torch.float32)
    evaluation = evaluate(data.problem(), data.sample_weight, data.alpha)
    expected = reference(data)
    assert 0.9 > evaluation.one_minus_leverage[0] > 0.5
    own, expected_own = evaluation.derivative[0].item(), expected.derivative[0].item()
    assert own == pytest.approx(expected_own, rel=1e-3)


def test_a_far_row_of_weight_zero_that_is_validated_on():
    data = Case(30, 5, 2, row_scale=1e4).data(torch.float32)._replace(alpha=1.0)
    data.sample_weight[0] = 0
    evaluation = evaluate(data.problem(), data.sample_weight, data.alpha)
    expected = reference(data)
    assert_rows_close(evaluation.derivative, expected.derivative, expected.derivative_size, 1e-3)


@pytest.fixture(params=[True, False], ids=["intercept", "no intercept"])
def example(request, device):
    case = Case(30, 5, 2, fit_intercept=request.param, zero_weights=True, block_rows=7)
    data = case.data(device=device)
    rows = data.problem().row_blocks(torch.float64)
    return data, PrimalSmoother(rows, data.sample_weight, data.alpha, request.param)


def dense_hat(data):
    features, weight = data.features, data.sample_weight
    if data.case.fit_intercept:
        features = torch.cat([features, torch.ones_like(features[:, :1])], dim=1)
    penalty = torch.full_like(features[0], data.alpha)
    penalty[5:] = 0
    gram = features.T @ (weight[:, None] * features) + torch.diag(penalty)
    return features @ torch.linalg.solve(gram, features.T)


def test_products_of_whitened_rows(example):
    data, smoother = example
    whitened = smoother.whiten(data.features)
    assert whitened.shape == (30, smoother.whitened.n_columns)
    assert_close(whitened @ whitened.T, dense_hat(data).cpu(), 1e-12)
    everything = smoother.whitened.read(slice(0, 30))
    assert_close(everything, whitened.cpu(), 1e-14)


def test_coefficients_predict_as_the_whitened_fit(example):
    data, smoother = example
    targets = data.targets()
    coef, mean, residuals = smoother.whitened_fit(targets)
    assert residuals is None
    plain, intercept = smoother.coefficients(targets)
    predictions = smoother.whiten(data.features) @ coef + mean
    assert_close(data.features @ plain + intercept, predictions.cpu(), 1e-12)


def test_affine(example):
    data, smoother = example
    projection, offset = smoother.affine()
    actual = (data.features - smoother.center) @ projection + offset
    assert_close(actual, smoother.whiten(data.features).cpu(), 1e-13)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_affine_with_a_high_leverage_row(fit_intercept, device):
    case = Case(30, 5, 2, fit_intercept=fit_intercept, row_scale=1e4)
    data = case.data(device=device)
    rows = data.problem().row_blocks(torch.float64)
    smoother = PrimalSmoother(rows, data.sample_weight, 1.0, fit_intercept)
    assert smoother.has_high_leverage(rows.layout.blocks[0])
    projection, offset = smoother.affine()
    assert projection.shape == (5, 6 + fit_intercept)
    actual = (data.features - smoother.center) @ projection + offset
    whitened = smoother.whiten(data.features)
    assert_close(actual, whitened.cpu(), 1e-11)
    assert_close(actual[1:], whitened[1:].cpu(), 1e-13)


def test_columns_that_depend_on_each_other_are_refused(device):
    data = Case(30, 5, 2).data(device=device)
    data.features[:, 1] = data.features[:, 0]
    rows = data.problem().row_blocks(torch.float64)
    with pytest.raises(InsufficientPrecisionError):
        PrimalSmoother(rows, data.sample_weight, 1e-18, fit_intercept=True)
