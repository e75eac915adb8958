"""Joint problems against refits without every sample."""

import pytest
import torch

from skdiva.loo import (
    FittedRidge,
    SquaredError,
    choose_penalty,
    evaluate,
    fit_ridge,
    new_row_form,
)
from skdiva.loo.joint import augmented_rows
from tests.loo.joint.joint_oracle import JointData
from tests.tolerances import assert_close

SHAPES = {"tall": (15, 3, 6), "wide": (9, 3, 40)}
CASES = [
    {},
    {"loss": "squared_error"},
    {"fit_intercept": False},
    {"grouped": True},
    {"zeros": True},
    {"grouped": True, "zeros": True, "loss": "squared_error"},
    {"n_val": 5},
    {"n_val": 5, "grouped": True, "zeros": True},
    {"n_val": 5, "fit_intercept": False, "loss": "squared_error"},
]


@pytest.fixture(params=SHAPES)
def shape(request):
    return SHAPES[request.param]


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("gram_only", [False, True])
def test_loss_predictions_and_derivative(case, gram_only, shape):
    data = JointData(*shape, **case)
    answer = evaluate(data.problem(gram_only), data.weight, data.alpha)
    assert_close(answer.loo_predictions, data.predictions(data.weight), 1e-9)
    assert answer.loss == pytest.approx(float(data.mean_loss(data.weight)), rel=1e-9)
    assert_close(answer.derivative, data.derivative(), 1e-8)


@pytest.mark.parametrize("case", [{}, {"zeros": True, "loss": "squared_error"}], ids=str)
@pytest.mark.parametrize("gram_only", [False, True])
def test_derivative_by_finite_differences(case, gram_only, shape):
    data, step = JointData(*shape, **case), 1e-5
    problem = data.problem(gram_only)
    derivative = evaluate(problem, data.weight, data.alpha).derivative
    for row in (1, 3):
        moved = [data.weight.clone() for _ in range(2)]
        data.weight[row], moved[0][row] = data.weight[row], data.weight[row] - step
        moved[1][row] += step
        low, high = (evaluate(problem, weight, data.alpha).loss for weight in moved)
        assert float(derivative[row]) == pytest.approx((high - low) / (2 * step), rel=1e-6)


@pytest.mark.parametrize("fit_intercept", [False, True])
def test_the_model_itself(fit_intercept, shape):
    data = JointData(*shape, fit_intercept=fit_intercept)
    expected, intercepts = data.fit(data.weight)
    coef, intercept = fit_ridge(data.problem(False), data.weight, data.alpha)
    assert_close(coef, expected, 1e-9)
    torch.testing.assert_close(intercept, intercepts, atol=1e-9, rtol=1e-9)
    # By inner products the coefficients are those of the rows.
    duals, _ = fit_ridge(data.problem(True), data.weight, data.alpha)
    assert_close(duals @ data.features.flatten(0, 1), expected, 1e-9)


@pytest.mark.parametrize(
    "case", [{}, {"grouped": True}, {"n_val": 20, "seed": 3}, {"fit_intercept": False}]
)
@pytest.mark.parametrize("gram_only", [False, True])
def test_penalty_is_the_best_of_the_grid(case, gram_only, shape):
    data = JointData(*shape, loss="squared_error", **case)
    problem = data.problem(gram_only)
    penalty = choose_penalty(problem, data.weight)
    losses = [
        evaluate(problem, data.weight, penalty.alpha * factor).loss
        for factor in (1, 10**-0.5, 10**0.5)
    ]
    assert penalty.loss == pytest.approx(losses[0], rel=1e-9)
    assert losses[0] == min(losses)


@pytest.mark.parametrize("gram_only", [False, True])
def test_float32(gram_only, shape, device):
    data = JointData(*shape, device=device)
    problem = data.problem(gram_only, torch.float32)
    answer = evaluate(problem, data.weight.float(), data.alpha)
    assert answer.derivative.dtype == answer.loo_predictions.dtype == torch.float32
    assert_close(answer.loo_predictions, data.predictions(data.weight), 1e-4)
    assert_close(answer.derivative, data.derivative(), 1e-3)


@pytest.mark.parametrize("n_val", [0, 5])
def test_new_rows_are_scored_as_rows_of_weight_zero(n_val):
    data = JointData(15, 3, 6, n_val=n_val)
    data.weight[[2, 7]], data.validation_weight[[2, 7]] = 0.0, 0.0
    problem = data.problem(False)
    answer = evaluate(problem, data.weight, data.alpha)
    coef, intercept = fit_ridge(problem, data.weight, data.alpha)
    new = data.features[[2, 7]]
    residuals = new @ coef + intercept + (data.initial - data.dense())[[2, 7]]
    form = new_row_form(problem, data.weight, data.alpha)
    scores = form.derivative(augmented_rows(new, problem.center), residuals.reshape(-1, 1))
    assert_close(scores.reshape(2, 3).sum(dim=1), answer.derivative[[2, 7]], 1e-9)


def test_new_rows_by_inner_products_are_refused():
    data = JointData(9, 3, 40)
    with pytest.raises(ValueError, match="n_components"):
        new_row_form(data.problem(True), data.weight, data.alpha)


def test_a_large_gram_matrix_is_decomposed_in_part():
    data = JointData(60, 3, 200, n_val=4, grouped=True)
    whole = data.problem(True, max_decomposed_rows=30)
    spectrum = whole.spectrum(whole.layout.arrange(data.weight), torch.float64)
    assert len(spectrum.eigenvalues) <= 30 == spectrum.rows.n_rows
    assert len(spectrum.weight) == len(spectrum.validation_weight) == spectrum.targets.n_rows == 30
    assert spectrum.validation[0].shape == (4 * 3, 30)
    assert choose_penalty(whole, data.weight).alpha > 0


@pytest.mark.parametrize("gram_only", [False, True])
@pytest.mark.parametrize("n_val", [0, 5])
def test_another_objective_shares_the_factorization(n_val, gram_only, shape):
    data = JointData(*shape, grouped=True, n_val=n_val)
    problem = data.problem(gram_only)
    fit = FittedRidge(problem, data.weight, data.alpha)
    changed = problem.replace(loss=SquaredError(), validation_weight=data.validation_weight.flip(0))
    moved = fit.with_objective(changed)
    assert moved.smoother is fit.smoother
    actual, expected = moved.evaluation(), evaluate(changed, data.weight, data.alpha)
    assert actual.loss == expected.loss != fit.loss
    for ours, theirs in zip(actual[1:], expected[1:], strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("gram_only", [False, True])
def test_an_objective_of_another_problem_is_refused(gram_only, shape):
    data = JointData(*shape)
    fit = FittedRidge(data.problem(gram_only), data.weight, data.alpha)
    with pytest.raises(ValueError, match="`replace` of the fitted problem"):
        fit.with_objective(data.problem(gram_only))


@pytest.mark.parametrize("gram_only", [False, True])
def test_shapes_of_the_answers(gram_only, shape):
    n, k, p = shape
    data = JointData(*shape, grouped=True)
    answer = evaluate(data.problem(gram_only), data.weight, data.alpha)
    assert answer.derivative.shape == (n,)
    for values in answer[2:6]:
        assert values.shape == (n, k)
    assert answer.coef.shape == ((n * k,) if gram_only else (p,))
    assert answer.intercept.shape == (k,)
    shares = 1 - data.weight[:, None] * answer.leverage
    assert_close(answer.one_minus_leverage, shares, 1e-9)


def test_attributes(shape):
    n, k, p = shape
    data = JointData(*shape)
    by_rows, by_gram = data.problem(False), data.problem(True)
    assert by_gram.gram_only
    assert not by_rows.gram_only
    for problem in (by_rows, by_gram):
        assert (problem.n_rows, problem.n_outputs) == (n, k)
        assert problem.row_targets.n_rows == n * k
    assert by_rows.center.shape == (k, p)
    assert JointData(*shape, fit_intercept=False).problem(False).center is None


def test_a_part_of_a_large_gram_matrix_has_the_objective_of_the_whole():
    data = JointData(60, 3, 200, loss="squared_error", grouped=True)
    problem = data.problem(True, max_decomposed_rows=60)
    data.validation_weight = data.validation_weight.flip(0) ** 8
    changed = problem.replace(validation_weight=data.validation_weight)
    fresh = data.problem(True, max_decomposed_rows=60)
    before, actual, expected = (choose_penalty(p, data.weight) for p in (problem, changed, fresh))
    assert actual == expected != before
