"""Invariants that hold for every problem."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skdiva.loo import (
    Budget,
    FittedRidge,
    SquaredError,
    evaluate,
    fit_ridge,
    predict_leave_one_out,
)
from skdiva.loo.ridge import DualSmoother, PrimalSmoother
from tests.cases import Case
from tests.oracles import reference
from tests.strategies import SETTINGS, cases
from tests.tolerances import assert_close, assert_rows_close, tolerances

KINDS = {
    "tall": Case(20, 4, 2, "log_loss"),
    "wide": Case(12, 25, 2, "log_loss"),
    "groups": Case(20, 4, 2, grouping="ragged"),
    "groups, wide": Case(12, 25, 2, grouping="ragged"),
    "long groups": Case(20, 3, 2, "pseudo_huber", grouping="long"),
}
kinds = pytest.mark.parametrize("case", KINDS.values(), ids=KINDS)


def evaluated(data, **changes):
    return evaluate(data.problem(**changes), data.sample_weight, data.alpha)


@kinds
def test_own_weight_has_no_derivative(case, device):
    """Only one row (group) is validated on, and its weight cannot change the model without it."""
    data = case.data(device=device)
    own = torch.zeros(case.n_rows, dtype=torch.bool, device=device)
    own[5] = True
    if data.groups is not None:
        own = data.groups == data.groups[5]
    derivative = evaluated(data, validation_weight=own.double()).derivative
    others = derivative[~own].abs().median()
    assert others > 1e-3 * derivative.abs().max() > 0
    assert (derivative[own].abs() < 1e-12 * others).all()


@kinds
def test_a_weight_of_zero_is_a_removed_row(case, device):
    data = case.data(device=device)
    kept = (torch.arange(case.n_rows, device=device) if data.groups is None else data.groups) > 1
    weight = data.sample_weight * kept
    without = data._replace(
        features=data.features[kept],
        values=data.values[kept],
        labels=None if data.labels is None else data.labels[kept],
        sample_weight=weight[kept],
        validation_weight=data.validation_weight[kept],
        groups=None if data.groups is None else data.groups[kept] - 2,
    )
    coefficients = fit_ridge(data.problem(), weight, data.alpha)
    expected = fit_ridge(without.problem(), weight[kept], data.alpha)
    for actual, wanted in zip(coefficients, expected, strict=True):
        assert_close(actual, wanted.cpu(), 1e-10)
    # Where the row is not validated on either, all that is left of it is its own derivative.
    silent = data.problem(validation_weight=data.validation_weight * kept)
    zeroed, removed = evaluate(silent, weight, data.alpha), evaluated(without)
    assert zeroed.loss == pytest.approx(removed.loss, rel=1e-10)
    assert_close(zeroed.derivative[kept], removed.derivative.cpu(), 1e-9)


@settings(SETTINGS, max_examples=40)
@given(case=cases(smallest_exponent=-6), exponent=st.integers(-3, 3))
def test_weights_and_penalty_times_a_constant(case, exponent):
    data = case.data()
    times = 10.0**exponent
    base, scaled = (
        evaluate(data.problem(), data.sample_weight * c, data.alpha * c) for c in (1.0, times)
    )
    expected = reference(data)
    allowed = tolerances(torch.float64, expected.conditioning)
    assert_rows_close(
        scaled.loo_predictions, base.loo_predictions, expected.prediction_size, allowed.predictions
    )
    assert_rows_close(
        scaled.derivative * times,
        base.derivative,
        expected.derivative_size,
        2 * allowed.derivative,  # two answers, either of which may be off by as much
    )


@kinds
def test_an_infinite_penalty_predicts_the_mean_of_the_others(case, device):
    data = case.data(device=device)
    predictions = evaluate(data.problem(), data.sample_weight, 1e13).loo_predictions
    groups = torch.arange(case.n_rows, device=device) if data.groups is None else data.groups
    others = (groups[:, None] != groups).double() * data.sample_weight
    expected = others @ data.values / others.sum(dim=1, keepdim=True)
    assert_close(predictions, expected.cpu(), 1e-9)


@kinds
def test_row_order(case, device):
    data = case.data(device=device)
    order = torch.randperm(case.n_rows, generator=torch.Generator().manual_seed(3)).to(device)
    fields = ("features", "values", "labels", "sample_weight", "validation_weight", "groups")
    moved = {name: getattr(data, name) for name in fields}
    moved = data._replace(**{k: v[order] for k, v in moved.items() if v is not None})
    base, shuffled = evaluated(data), evaluated(moved)
    assert shuffled.loss == pytest.approx(base.loss, rel=1e-12)
    assert_close(shuffled.derivative, base.derivative[order].cpu(), 1e-11)
    assert_close(shuffled.loo_predictions, base.loo_predictions[order].cpu(), 1e-11)
    assert_close(shuffled.one_minus_leverage, base.one_minus_leverage[order].cpu(), 1e-12)


@kinds
@pytest.mark.parametrize("block_rows", [1, 2, 7, 1000])
def test_block_rows(case, block_rows, device):
    data = case.data(device=device)
    base, batched = evaluated(data), evaluated(data, budget=Budget(block_rows=block_rows))
    assert batched.loss == pytest.approx(base.loss, rel=1e-12)
    assert_close(batched.derivative, base.derivative.cpu(), 1e-11)
    assert_close(batched.loo_predictions, base.loo_predictions.cpu(), 1e-11)


@settings(SETTINGS, max_examples=60)
@given(case=cases(smallest_exponent=-4, row_scale=1.0, large_means=False))
def test_primal_equals_dual(case):
    data = case.data()
    # Half the mean squared error over all rows.
    problem = data.problem(loss=SquaredError(), validation_weight=None)
    weight = problem.layout.arrange(data.sample_weight)
    answers = []
    for kind in (PrimalSmoother, DualSmoother):
        rows = problem.row_blocks(torch.float64)
        smoother = kind(rows, weight, data.alpha, case.fit_intercept)
        fit = FittedRidge.from_smoother(problem, smoother, data.alpha)
        answers.append((fit.loo_predictions, fit.derivative / 2))
    expected = reference(data._replace(case=Case(**(vars(case) | {"loss": "squared_error"}))))
    allowed = tolerances(torch.float64, expected.conditioning)
    (primal, primal_derivative), (dual, dual_derivative) = answers
    assert_rows_close(primal, dual, expected.prediction_size, 2 * allowed.predictions)
    size = expected.derivative_size
    assert_rows_close(primal_derivative, dual_derivative, size, 2 * allowed.derivative)


@pytest.mark.parametrize(
    "case", [Case(15, 3, 2), Case(8, 20, 2), Case(15, 3, 2, fit_intercept=False)]
)
def test_an_integer_weight_is_a_repeated_row(case):
    """For the coefficients, and for predictions if the repeated rows are left out together."""
    data = case.data()
    counts = torch.arange(case.n_rows) % 3 + 1
    repeated = data._replace(
        features=data.features.repeat_interleave(counts, dim=0),
        values=data.values.repeat_interleave(counts, dim=0),
        validation_weight=data.validation_weight.repeat_interleave(counts),
        sample_weight=torch.ones(int(counts.sum()), dtype=torch.float64),
    )
    weighted = fit_ridge(data.problem(), counts.double(), data.alpha)
    expected = fit_ridge(repeated.problem(), repeated.sample_weight, data.alpha)
    for actual, wanted in zip(weighted, expected, strict=True):
        if wanted.abs().max() > 0:
            assert_close(actual, wanted, 1e-10)
        else:
            assert (actual == 0).all()
    # Left out together, the repeated rows are the weighted row again.
    groups = torch.arange(case.n_rows).repeat_interleave(counts)
    one = predict_leave_one_out(data.problem(), counts.double(), data.alpha)
    all_of_them = predict_leave_one_out(
        repeated.problem(groups=groups), repeated.sample_weight, data.alpha
    )
    assert_close(
        all_of_them.loo_predictions, one.loo_predictions.repeat_interleave(counts, dim=0), 1e-9
    )
