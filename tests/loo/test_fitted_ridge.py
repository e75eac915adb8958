"""Fitted ridge problem: every answer is computed once, from one factorization."""

import pytest
import torch

from skdiva.loo import (
    FittedRidge,
    JointGram,
    JointProblem,
    Problem,
    SquaredError,
    evaluate,
    fit_ridge,
    new_row_form,
    predict_leave_one_out,
)
from skdiva.loo.ridge import InsufficientPrecisionError, NewRowForm
from tests.cases import Case
from tests.loo.counted_problem import COUNTED, counted
from tests.oracles import reference
from tests.tolerances import assert_rows_close

CASES = {
    "tall": Case(20, 4, 3, "log_loss", initial_outputs=True),
    "wide": Case(12, 30, 2, zero_weights=True),
    "groups": Case(20, 4, 2, grouping="ragged"),
    "groups, wide": Case(12, 30, 2, "pseudo_huber", grouping="ragged"),
}
cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
with_validation = pytest.mark.parametrize("validation", [False, True])


def validation_set(data):
    other = Case(**(vars(data.case) | {"n_rows": 25, "seed": 9})).data(data.features.dtype)
    return other.features, other.targets()


@with_validation
@cases
def test_every_answer_is_computed_once(case, validation):
    data = case.data()
    problem = counted(data, validation=validation_set(data) if validation else None)
    fit = FittedRidge(problem, data.sample_weight, data.alpha)
    assert sum(problem.calls.values()) == 0
    answers = [
        (fit.loss, fit.derivative, fit.loo_predictions, fit.coefficients, fit.evaluation())
        for _ in range(3)
    ]
    assert problem.dtypes == [torch.float64]
    assert problem.calls["residuals"] == problem.calls["coefficients"] == 1
    if validation:
        assert problem.calls["solve_left_out"] == 1
        assert problem.calls["predict"] == problem.calls["adjoint"] == 1
        assert problem.calls["cross_sums"] == 0
    else:
        assert problem.calls["solve_left_out"] == 2  # the second one is the transposed solve
        assert problem.calls["cross_sums"] == 1
        assert problem.calls["predict"] == problem.calls["adjoint"] == 0
    first, *others = answers
    for other in others:
        assert other[0] == first[0]
        assert all(torch.equal(a, b) for a, b in zip(other[1:3], first[1:3], strict=True))


@cases
def test_only_what_is_asked_for_is_computed(case):
    data = case.data()
    problem = counted(data)
    coefficients = FittedRidge(problem, data.sample_weight, data.alpha).coefficients
    assert problem.calls == dict.fromkeys(COUNTED, 0) | {"coefficients": 1}
    expected = fit_ridge(data.problem(), data.sample_weight, data.alpha)
    assert all(
        torch.equal(ours, theirs) for ours, theirs in zip(coefficients, expected, strict=True)
    )
    problem = counted(data)
    FittedRidge(problem, data.sample_weight, data.alpha).evaluation(derivative=False)
    asked = {"residuals": 1, "solve_left_out": 1, "coefficients": 1}
    assert problem.calls == dict.fromkeys(COUNTED, 0) | asked
    assert problem.dtypes == [torch.float64]


@with_validation
@cases
def test_single_questions_have_the_same_answers(case, validation, device):
    data = case.data(device=device)
    how = {}
    if validation:
        other = Case(**(vars(case) | {"n_rows": 25, "seed": 9})).data(device=device)
        how["validation"] = other.features, other.targets()
    problem, arguments = data.problem(**how), (data.sample_weight, data.alpha)
    fit = FittedRidge(problem, *arguments)
    answers = evaluate(problem, *arguments)
    assert fit.loss == answers.loss == predict_leave_one_out(problem, *arguments).loss
    for name in ("derivative", "loo_predictions"):
        assert torch.equal(getattr(fit, name), getattr(answers, name))
    form = fit.new_row_form()
    assert isinstance(form, NewRowForm)
    pairs = [*zip(form, new_row_form(problem, *arguments), strict=True)]
    pairs += zip(fit.coefficients, fit_ridge(problem, *arguments), strict=True)
    assert all(torch.equal(ours, theirs) for ours, theirs in pairs)


@cases
def test_another_objective_shares_the_factorization(case):
    data = case.data()
    problem = counted(data)
    fit = FittedRidge(problem, data.sample_weight, data.alpha)
    weight = data.validation_weight.flip(0)
    other = problem.replace(loss=SquaredError(), validation_weight=weight)
    moved = fit.with_objective(other)
    actual = moved.evaluation()
    assert problem.dtypes == [torch.float64]
    assert problem.calls["residuals"] == 1
    fresh = evaluate(
        data.problem(loss=SquaredError(), validation_weight=weight), data.sample_weight, data.alpha
    )
    assert actual.loss == fresh.loss
    for ours, theirs in zip(actual[1:], fresh[1:], strict=True):
        assert torch.equal(ours, theirs)
    # The first fit answers as before.
    assert fit.loss == evaluate(data.problem(), data.sample_weight, data.alpha).loss


@cases
def test_a_validation_set_shares_the_factorization(case):
    data = case.data()
    problem, validation = counted(data), validation_set(data)
    fit = FittedRidge(problem, data.sample_weight, data.alpha)
    actual = fit.with_objective(problem.replace(validation=validation))
    fresh = evaluate(data.problem(validation=validation), data.sample_weight, data.alpha)
    assert actual.loss == fresh.loss != fit.loss
    assert torch.equal(actual.derivative, fresh.derivative)
    assert torch.equal(actual.loo_predictions, fit.loo_predictions)
    assert problem.dtypes == [torch.float64]


@cases
def test_from_smoother(case, device):
    data = case.data(device=device)
    problem = data.problem()
    weight = problem.layout.arrange(data.sample_weight)
    smoother = problem.smoother(weight, data.alpha, torch.float64)
    actual = FittedRidge.from_smoother(problem, smoother, data.alpha).evaluation()
    expected = evaluate(problem, data.sample_weight, data.alpha)
    assert actual.loss == expected.loss
    for ours, theirs in zip(actual[1:], expected[1:], strict=True):
        assert torch.equal(ours, theirs)


def group_that_float32_cannot_leave_out(dtype, share):
    """Two rows of moderate leverage that together nearly determine their own predictions.

    ``share`` is about the smallest eigenvalue of I - S H_II S of their group.
    """
    draw = torch.Generator().manual_seed(0)
    features = torch.randn(40, 3, generator=draw, dtype=torch.float64)
    features[:, 2] *= share**0.5 / 4
    features[[5, 17], 2] = 1.0
    values = torch.randn(40, 2, generator=draw, dtype=torch.float64)
    groups = torch.arange(40)
    groups[17] = 5
    groups = groups.unique(return_inverse=True)[1]
    data = Case(40, 3, 2, fit_intercept=False).data(dtype)
    return data._replace(
        features=features.to(dtype), values=values.to(dtype), groups=groups, alpha=share / 4
    )


def test_float64_where_only_the_left_out_solve_falls_short():
    data = group_that_float32_cannot_leave_out(torch.float32, 1e-3)
    problem = counted(data)
    fit = FittedRidge(problem, data.sample_weight, data.alpha)
    assert problem.dtypes == [torch.float32]
    assert fit.smoother.dtype == torch.float32  # it is sufficient for the model itself
    answer = fit.evaluation()
    assert problem.dtypes == [torch.float32, torch.float64]
    assert fit.smoother.dtype == torch.float64
    assert answer.derivative.dtype == answer.loo_predictions.dtype == torch.float32
    assert answer.leverage.dtype == answer.one_minus_leverage.dtype == torch.float32
    expected = reference(data)
    assert_rows_close(answer.loo_predictions, expected.predictions, expected.prediction_size, 1e-4)
    assert_rows_close(answer.derivative, expected.derivative, expected.derivative_size, 1e-3)


@pytest.mark.parametrize("first", ["loss", "derivative", "loo_predictions", "coefficients"])
def test_the_first_question_does_not_matter(first):
    data = group_that_float32_cannot_leave_out(torch.float32, 1e-3)
    expected = evaluate(data.problem(), data.sample_weight, data.alpha)
    fit = FittedRidge(data.problem(), data.sample_weight, data.alpha)
    getattr(fit, first)
    moved = fit.with_objective(fit.problem.replace(loss=SquaredError()))
    for answer in (fit.evaluation(), moved.evaluation()):
        assert answer.loss == expected.loss
        assert torch.equal(answer.derivative, expected.derivative)
        assert torch.equal(answer.one_minus_leverage, expected.one_minus_leverage)
        # The float64 factorization is used for all answers, also where an earlier one was cached.
        assert torch.equal(answer.coef, expected.coef)


def test_the_form_for_new_rows_may_be_the_first_question():
    data = group_that_float32_cannot_leave_out(torch.float32, 1e-3)
    fit = FittedRidge(data.problem(), data.sample_weight, data.alpha)
    first = fit.new_row_form()
    assert fit.smoother.dtype == torch.float64
    assert all(map(torch.equal, first, fit.new_row_form()))


def test_weights_that_change_later_change_no_answer():
    data = Case(30, 4, 2, "log_loss").data()
    weight = data.sample_weight.clone()
    fit = FittedRidge(data.problem(), weight, data.alpha)
    weight.zero_()
    expected = evaluate(data.problem(), data.sample_weight, data.alpha)
    assert torch.equal(fit.derivative, expected.derivative)


def test_an_objective_of_another_problem_is_refused():
    data = Case(30, 4, 2).data()
    fit = FittedRidge(data.problem(), data.sample_weight, data.alpha)
    with pytest.raises(TypeError, match="loss"):
        fit.problem.replace(loss="log_loss")
    same_targets = {"loss": SquaredError()}
    targets = fit.problem.targets
    others = (
        data.problem(),
        Problem(data.features, targets, **same_targets),
        Problem(data.features + 1, targets, **same_targets),
        Problem(data.features, targets, fit_intercept=False, **same_targets),
    )
    for other in others:
        with pytest.raises(ValueError, match="`replace` of the fitted problem"):
            fit.with_objective(other)


def test_a_given_smoother_is_not_replaced():
    data = group_that_float32_cannot_leave_out(torch.float32, 1e-3)
    problem = data.problem()
    weight = problem.layout.arrange(data.sample_weight)
    smoother = problem.smoother(weight, data.alpha, torch.float32)
    fit = FittedRidge.from_smoother(problem, smoother, data.alpha)
    with pytest.raises(InsufficientPrecisionError, match="group"):
        _ = fit.loss
    assert fit.smoother is smoother
    assert fit.coefficients[0].dtype == torch.float32


def test_no_new_row_form_by_inner_products():
    data = Case(12, 4, 2).data()
    features = torch.randn(12, 2, 40, dtype=torch.float64)
    problem = JointProblem(
        JointGram.from_tiles([features], 12), data.targets(), loss=SquaredError()
    )
    fit = FittedRidge(problem, data.sample_weight, 1.0)
    assert torch.isfinite(fit.derivative).all()
    with pytest.raises(ValueError, match="n_components"):
        fit.new_row_form()
