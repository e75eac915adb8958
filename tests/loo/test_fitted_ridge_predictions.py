"""Leave-one-out predictions of a fitted ridge problem, against other libraries."""

import numpy as np
import pytest
import statsmodels.api as sm
import torch
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict

from skdiva.loo import FittedRidge, evaluate
from tests.cases import Case
from tests.tolerances import assert_close

SHAPES = [Case(40, 5, 3), Case(12, 30, 3), Case(15, 15, 1), Case(40, 5, 2, large_means=True)]


def with_unit_weights(case, device="cpu"):
    data = case.data(device=device)
    return data._replace(sample_weight=torch.ones_like(data.sample_weight))


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("case", SHAPES)
def test_ridge_cv(case, fit_intercept, device):
    data = with_unit_weights(case, device)
    problem = data.problem(fit_intercept=fit_intercept)
    evaluation = evaluate(problem, data.sample_weight, data.alpha)
    features, values = data.features.cpu().numpy(), data.values.cpu().numpy()
    ridge = RidgeCV([data.alpha], fit_intercept=fit_intercept, store_cv_results=True)
    ridge.fit(features, values)
    squares = ridge.cv_results_.reshape(values.shape)
    assert_close(evaluation.loo_residuals.abs(), np.sqrt(squares))
    assert_close(evaluation.loo_predictions - data.values, evaluation.loo_residuals.cpu(), 1e-12)


@pytest.mark.parametrize("case", SHAPES[::2])
def test_ridge_left_out_by_group(case):
    data = with_unit_weights(case)
    groups = torch.arange(case.n_rows) % 4
    evaluation = evaluate(data.problem(groups=groups), data.sample_weight, data.alpha)
    expected = cross_val_predict(
        Ridge(alpha=data.alpha, solver="svd"),
        data.features.numpy(),
        data.values.numpy(),
        groups=groups.numpy(),
        cv=LeaveOneGroupOut(),
    )
    assert_close(evaluation.loo_predictions, expected.reshape(data.values.shape))


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_press_residuals(fit_intercept, device):
    """Least squares of weighted rows: a penalty that is too small to matter."""
    data = Case(40, 5, 1, relative_alpha=1e-9, fit_intercept=fit_intercept).data(device=device)
    evaluation = evaluate(data.problem(), data.sample_weight, data.alpha)
    columns = data.features.cpu().numpy()
    if fit_intercept:
        columns = sm.add_constant(columns)
    root = data.sample_weight.sqrt().cpu().numpy()
    fit = sm.OLS(root * data.values[:, 0].cpu().numpy(), root[:, None] * columns).fit()
    # statsmodels subtracts the prediction from the target.
    assert_close(evaluation.loo_residuals[:, 0], -fit.get_influence().resid_press / root)


def test_initial_outputs_are_added_to_predictions_and_not_to_residuals():
    data = Case(20, 4, 2, initial_outputs=True).data()
    problem = data.problem()
    smoother = problem.smoother(data.sample_weight, data.alpha, torch.float64)
    shifted = data._replace(values=data.ridge_values, initial_outputs=None).problem()
    actual, plain = (
        FittedRidge.from_smoother(p, smoother, data.alpha).evaluation() for p in (problem, shifted)
    )
    residuals = [smoother.residuals(p.row_targets) for p in (problem, shifted)]
    assert_close(*residuals, 1e-12)
    assert_close(actual.loo_residuals, plain.loo_residuals, 1e-12)
    assert_close(actual.loo_predictions, plain.loo_predictions + data.initial_outputs, 1e-12)


def test_a_row_of_weight_zero_is_predicted_as_by_the_model_of_all_rows():
    data = Case(20, 4, 2, zero_weights=True).data()
    fit = FittedRidge(data.problem(), data.sample_weight, data.alpha)
    residuals = fit.smoother.residuals(fit.problem.row_targets)
    answer = fit.evaluation()
    left_out = data.sample_weight == 0
    assert (answer.one_minus_leverage[left_out] == 1).all()
    assert (answer.loo_residuals[left_out] == residuals[left_out]).all()
