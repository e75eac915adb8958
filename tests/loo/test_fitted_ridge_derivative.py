"""Dataset derivative of a fitted ridge problem: autograd, finite differences and an identity."""

import pytest
import torch
from hypothesis import given, settings

from skdiva.loo import ClassTargets, ValueTargets, evaluate
from skdiva.loo._brute_force import refit
from tests.cases import Case
from tests.oracles import loo_loss
from tests.strategies import SETTINGS, cases
from tests.tolerances import assert_close

CASES = {
    "tall": Case(14, 3, 2),
    "wide": Case(10, 20, 2),
    "square": Case(9, 9, 1, "pseudo_huber"),
    "classes": Case(14, 3, 4, "log_loss", initial_outputs=True),
    "groups": Case(14, 3, 2, "log_loss", grouping="ragged"),
    "groups, wide": Case(10, 20, 2, grouping="ragged"),
    "groups larger than p": Case(14, 2, 3, "pseudo_huber", grouping="long"),
    "no intercept": Case(14, 3, 2, fit_intercept=False),
    "zero weights": Case(14, 3, 2, zero_weights=True),
    "zero weights, wide": Case(10, 20, 3, zero_weights=True),
    "zero weights in groups": Case(14, 3, 2, zero_weights=True, grouping="ragged"),
}


def hat_matrix(features, sample_weight, alpha, fit_intercept):
    """H = Z C Z', with a column of ones that is not penalized for the intercept."""
    penalty = features.new_full((features.shape[1],), alpha)
    if fit_intercept:
        features = torch.cat([features, torch.ones_like(features[:, :1])], dim=1)
        penalty = torch.cat([penalty, penalty.new_zeros(1)])
    gram = features.T @ (sample_weight[:, None] * features) + torch.diag(penalty)
    return features @ torch.linalg.solve(gram, features.T)


def closed_form_loss(data, sample_weight):
    """Mean leave-one-out loss by the closed form with the dense hat matrix."""
    hat = hat_matrix(data.features, sample_weight, data.alpha, data.case.fit_intercept)
    values = data.ridge_values
    residuals = hat @ (sample_weight[:, None] * values) - values
    groups = torch.arange(len(values)) if data.groups is None else data.groups
    same = groups[:, None] == groups
    own = torch.eye(len(values), dtype=hat.dtype) - torch.where(same, hat, 0.0) * sample_weight
    predictions = data.values + torch.linalg.solve(own, residuals)
    share = data.validation_weight / data.validation_weight.sum()
    return share @ data.loss.value(predictions, data.values)


def difference(function, weight, row):
    """Derivative of ``function`` by differences: central, or forward where the weight is zero."""
    unit = torch.eye(len(weight), dtype=weight.dtype)[row]
    if weight[row] > 0:
        return (function(weight + 1e-5 * unit) - function(weight - 1e-5 * unit)) / 2e-5
    ahead = [function(weight + 1e-6 * times * unit) for times in range(3)]
    return (-3 * ahead[0] + 4 * ahead[1] - ahead[2]) / 2e-6


@pytest.mark.parametrize("name", CASES)
def test_autograd(name, device):
    data = CASES[name].data()
    weight = data.sample_weight.clone().requires_grad_()
    loss = closed_form_loss(data, weight)
    (expected,) = torch.autograd.grad(loss, weight)
    there = CASES[name].data(device=device)
    evaluation = evaluate(there.problem(), there.sample_weight, there.alpha)
    assert evaluation.loss == pytest.approx(loss.item(), rel=1e-9)
    assert_close(evaluation.derivative, expected)


@pytest.mark.parametrize("name", CASES)
def test_finite_differences_of_refits(name):
    data = CASES[name].data()
    evaluation = evaluate(data.problem(), data.sample_weight, data.alpha)

    def loss(weight):
        return loo_loss(data, weight)

    rows = range(len(data.sample_weight))
    expected = [difference(loss, data.sample_weight, row) for row in rows]
    assert evaluation.loss == pytest.approx(loss(data.sample_weight), rel=1e-9)
    assert_close(evaluation.derivative, expected)


@settings(SETTINGS, max_examples=50)
@given(case=cases(smallest_exponent=-3, row_scale=1.0))
def test_weights_and_penalty_scale_together(case):
    """sum_j a_j dL/da_j = - alpha dL/dalpha, the latter by central differences of refits."""
    data = case.data()
    derivative = evaluate(data.problem(), data.sample_weight, data.alpha).derivative
    step = 1e-4
    up, down = (loo_loss(data, alpha=data.alpha * (1 + s)) for s in (step, -step))
    terms = data.sample_weight * derivative
    size = float(terms.abs().sum()) + 1e-6 * up
    assert float(terms.sum()) == pytest.approx(-(up - down) / (2 * step), abs=1e-6 * size)


VALIDATION_CASES = {
    "tall": Case(14, 3, 2),
    "wide": Case(10, 20, 3, "pseudo_huber", zero_weights=True),
    "classes": Case(14, 3, 3, "log_loss", initial_outputs=True, zero_weights=True),
    "groups": Case(14, 3, 2, grouping="ragged", fit_intercept=False, block_rows=3),
}


def validation_set(case, device="cpu"):
    """Features, targets and dense values of other rows of the same kind."""
    other = Case(**(vars(case) | {"n_rows": 25, "seed": case.seed + 1})).data(device=device)
    return other.features, other.targets(), other


@pytest.mark.parametrize("name", VALIDATION_CASES)
def test_validation_loss(name, device):
    case = VALIDATION_CASES[name]
    data, others = case.data(), validation_set(case)[2]
    initial = others.values - others.ridge_values

    def loss(weight):
        model = refit(data.features, data.ridge_values, weight, data.alpha, case.fit_intercept)
        predictions = model.predict(others.features) + initial
        return float(data.loss.value(predictions, others.values).mean())

    there = case.data(device=device)
    problem = there.problem(validation=validation_set(case, device)[:2])
    evaluation = evaluate(problem, there.sample_weight, there.alpha)
    assert evaluation.loss == pytest.approx(loss(data.sample_weight), rel=1e-9)
    rows = range(len(data.sample_weight))
    assert_close(evaluation.derivative, [difference(loss, data.sample_weight, row) for row in rows])


def test_validation_leaves_the_leave_one_out_predictions_as_they_are():
    data = Case(14, 3, 2).data()
    with_validation = data.problem(validation=validation_set(data.case)[:2])
    plain, validated = (
        evaluate(problem, data.sample_weight, data.alpha)
        for problem in (data.problem(), with_validation)
    )
    assert (plain.loo_predictions == validated.loo_predictions).all()
    assert plain.loss != validated.loss


def test_class_targets_equal_one_hot_values(device):
    data = Case(20, 4, 3, "log_loss", initial_outputs=True).data(device=device)
    by_class, by_value = (
        evaluate(data.problem(targets=targets), data.sample_weight, data.alpha)
        for targets in (
            ClassTargets(data.labels, 3, data.initial_outputs),
            ValueTargets(data.values, data.initial_outputs),
        )
    )
    assert by_class.loss == by_value.loss
    assert (by_class.derivative == by_value.derivative).all()
