"""Factorization updated with rows of a pool, against one that is made of all rows."""

import pytest
import torch

from skdiva.loo import Budget, FittedRidge, evaluate, fit_ridge, new_row_form
from skdiva.loo.pool import UpdatedSmoother
from skdiva.loo.ridge import PrimalSmoother
from tests.cases import Case
from tests.loo.pool.extended_cases import CASES, core_of, grown, other_rows, pool_of
from tests.oracles import loo_predictions
from tests.tolerances import assert_close


def primal(data, problem):
    """The problem of a case, factorized in feature space."""
    weight = problem.layout.arrange(data.sample_weight)
    rows = problem.row_blocks(problem.dtype)
    return PrimalSmoother(rows, weight, data.alpha, problem.fit_intercept)


def extended(core, pool, size, **changes):
    """The core's problem, and its factorization with the pool added ``size`` rows at a time."""
    problem = core.problem(**changes)
    smoother = UpdatedSmoother(primal(core, problem), problem.targets)
    features, targets = pool_of(pool)
    for part in torch.arange(len(features), device=features.device).split(size):
        smoother.add(features[part], targets.select(part))
    return problem, smoother


def compare(core, pool, size, tolerance=1e-9, **changes):
    """Compare all answers with those of a problem that holds all rows from the start."""
    problem, smoother = extended(core, pool, size, **changes)
    n = len(core.features)
    all_rows = grown(core, pool, range(len(pool.features)))
    fresh = evaluate(all_rows.problem(), all_rows.sample_weight, core.alpha)
    fit = FittedRidge.from_smoother(problem, smoother, core.alpha)
    answers = fit.evaluation()
    for name in (
        "derivative", "loo_predictions", "leverage", "one_minus_leverage", "loo_residuals",
    ):  # fmt: skip
        assert_close(getattr(answers, name), getattr(fresh, name)[:n], tolerance)
    features = other_rows(core.case, 9, seed=5).features
    coef, intercept = fit_ridge(all_rows.problem(), all_rows.sample_weight, core.alpha)
    assert_close(smoother.predict(features), features @ coef + intercept, tolerance)
    assert answers.loss == pytest.approx(fresh.loss, rel=tolerance)
    expected = new_row_form(all_rows.problem(), all_rows.sample_weight, core.alpha)
    values = torch.randn(9, core.case.n_outputs, generator=torch.manual_seed(0)).double()
    assert_close(
        fit.new_row_form().derivative(features, values),
        expected.derivative(features, values),
        tolerance,
    )
    return smoother


@pytest.mark.parametrize("size", [1, 5])
@pytest.mark.parametrize("name", CASES)
def test_answers_are_those_of_a_new_factorization(name, size):
    compare(core_of(CASES[name]), other_rows(CASES[name], 13), size)


@pytest.mark.parametrize("size", [1, 5])
@pytest.mark.parametrize("name", CASES)
def test_single_answers_are_those_of_a_primal_smoother(name, size):
    core, pool = core_of(CASES[name]), other_rows(CASES[name], 13)
    problem, smoother = extended(core, pool, size)
    n, k = len(core.features), core.case.n_outputs
    all_rows = grown(core, pool, range(13))
    whole = all_rows.problem()
    refit = primal(all_rows, whole)

    def same(found, expected):
        assert_close(problem.layout.restore(found), whole.layout.restore(expected)[:n], 1e-9)

    same(smoother.residuals(problem.targets), refit.residuals(whole.targets))
    (coef, intercept), (expected_coef, expected_intercept) = (
        one.coefficients(targets)
        for one, targets in ((smoother, problem.targets), (refit, whole.targets))
    )
    assert_close(coef, expected_coef, 1e-9)
    torch.testing.assert_close(intercept, expected_intercept, rtol=1e-9, atol=1e-9)
    draw = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, n, k, generator=draw, dtype=torch.float64)
    ours = problem.layout.arrange(first), problem.layout.arrange(second)
    zeros = torch.zeros(13, k, dtype=torch.float64)  # the sums are over the rows of the core
    theirs = [whole.layout.arrange(torch.cat([values, zeros])) for values in (first, second)]
    for transposed in (False, True):
        found = smoother.solve_left_out(ours[0], transposed=transposed)
        same(found, refit.solve_left_out(theirs[0], transposed=transposed))
    for found, expected in zip(smoother.cross_sums(*ours), refit.cross_sums(*theirs), strict=True):
        same(found, expected)
    other = other_rows(core.case, 9, seed=5)
    assert_close(
        smoother.predict(other.features, problem.targets),
        refit.predict(other.features, whole.targets),
        1e-9,
    )
    values = torch.randn(9, k, generator=draw, dtype=torch.float64)
    same(smoother.adjoint(other.features, values), refit.adjoint(other.features, values))
    forms = [one.adjoint_form(other.features, values) for one in (smoother, refit)]
    found, expected = (form.derivative(pool.features, pool.values) for form in forms)
    assert_close(found, expected, 1e-9)


@pytest.mark.parametrize("name", CASES)
def test_derivatives_of_a_validation_loss(name):
    core, pool = core_of(CASES[name]), other_rows(CASES[name], 13)
    validation = pool_of(other_rows(CASES[name], 25, seed=5))
    problem, smoother = extended(core, pool, 5, validation=validation)
    found = FittedRidge.from_smoother(problem, smoother, core.alpha)
    all_rows = grown(core, pool, range(13))
    whole = all_rows.problem(validation=validation)
    expected = evaluate(whole, all_rows.sample_weight, core.alpha)
    assert found.loss == pytest.approx(expected.loss, rel=1e-9)
    assert_close(found.derivative, expected.derivative[: len(core.features)], 1e-9)


@pytest.mark.parametrize("name", CASES)
def test_leave_one_out_predictions_are_those_of_refits(name):
    core, pool = core_of(CASES[name]), other_rows(CASES[name], 6)
    problem, smoother = extended(core, pool, 3)
    predictions = FittedRidge.from_smoother(problem, smoother, core.alpha).loo_predictions
    expected = loo_predictions(grown(core, pool, range(6)))[: len(core.features)]
    assert_close(predictions, expected, 1e-8)


@pytest.mark.parametrize("grouping", [None, "ragged", "long"])
def test_a_thousand_updates(grouping):
    case = Case(60, 12, 2, relative_alpha=1e-4, grouping=grouping)
    compare(core_of(case), other_rows(case, 1000), 1)


def test_rows_far_out_in_the_pool():
    case = Case(60, 6, 2)
    pool = other_rows(case, 80)
    pool.features[::7] *= 1e4
    compare(core_of(case), pool, 2)


@pytest.mark.parametrize("name", CASES)
def test_whitened_rows_that_are_not_kept(name):
    budget = Budget(block_rows=CASES[name].block_rows, kept_bytes=0)
    smoother = compare(core_of(CASES[name]), other_rows(CASES[name], 13), 4, budget=budget)
    assert not smoother.whitened.kept


def test_a_pool_in_directions_that_the_core_lacks():
    """Whitened rows of the pool are huge, since the core hardly varies in these directions."""
    case = Case(40, 8, 2, relative_alpha=1e-7)
    core, pool = core_of(case), other_rows(case, 300)
    core.features[:, 4:] *= 1e-6
    compare(core, pool, 2, 1e-7)


# Where rows have a leverage close to 1, `extend` turns to float64.
@pytest.mark.parametrize("name", [name for name in CASES if "wide" not in name])
def test_float32(name, device):
    where = {"dtype": torch.float32, "device": device}
    case = Case(**(vars(CASES[name]) | {"row_scale": 1.0}))
    core, pool = core_of(case, **where), other_rows(case, 13, **where)
    problem, smoother = extended(core, pool, 4)
    predictions = FittedRidge.from_smoother(problem, smoother, core.alpha).loo_predictions
    expected = loo_predictions(grown(core.double(), pool.double(), range(13)))
    assert_close(predictions, expected[: len(core.features)], 1e-4)
