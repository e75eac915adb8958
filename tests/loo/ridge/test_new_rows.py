"""Derivative and predictions of rows that are not in the training set."""

import pytest
import torch

from skdiva.loo import ValueTargets, evaluate, fit_ridge, new_row_form
from skdiva.loo._brute_force import refit
from skdiva.loo.ridge import NewRowForm, RidgeModel
from tests.cases import Case
from tests.oracles import loo_loss
from tests.tolerances import assert_close

CASES = {
    "tall": Case(14, 3, 2),
    "classes": Case(14, 3, 3, "log_loss", initial_outputs=True),
    "wide": Case(10, 20, 2, zero_weights=True),
    "groups": Case(14, 3, 2, grouping="ragged", block_rows=3),
    "no intercept": Case(14, 3, 2, fit_intercept=False),
    "a row that determines its own prediction": Case(14, 3, 2, row_scale=1e3),
}
N_NEW = 5


def new_rows(case):
    other = Case(**(vars(case) | {"n_rows": 12, "row_scale": 1.0, "seed": 77})).data()
    return other._replace(
        features=other.features[:N_NEW],
        values=other.values[:N_NEW],
        initial_outputs=None if other.initial_outputs is None else other.initial_outputs[:N_NEW],
    )


def appended(data, new, row, weight):
    """The case with one new row at the end, which is trained on and not validated on."""

    def grow(array, more):
        return None if array is None else torch.cat([array, more])

    groups = data.groups
    return data._replace(
        features=grow(data.features, new.features[row : row + 1]),
        values=grow(data.values, new.values[row : row + 1]),
        initial_outputs=None
        if data.initial_outputs is None
        else grow(data.initial_outputs, new.initial_outputs[row : row + 1]),
        sample_weight=grow(data.sample_weight, torch.tensor([weight], dtype=torch.float64)),
        validation_weight=grow(data.validation_weight, torch.zeros(1, dtype=torch.float64)),
        groups=None if groups is None else grow(groups, groups.max()[None] + 1),
    )


def new_residuals(data, new):
    model = refit(
        data.features, data.ridge_values, data.sample_weight, data.alpha, data.case.fit_intercept
    )
    return model.predict(new.features) - new.ridge_values


@pytest.mark.parametrize("name", CASES)
def test_appending_a_row_at_a_small_weight(name, device):
    data, new = CASES[name].data(), new_rows(CASES[name])
    there = CASES[name].data(device=device)
    form = new_row_form(there.problem(), there.sample_weight, there.alpha)
    residuals = new_residuals(data, new)
    actual = form.derivative(new.features.to(device), residuals.to(device))
    step, expected = 1e-6, []
    for row in range(N_NEW):
        losses = [loo_loss(appended(data, new, row, step * times)) for times in range(3)]
        expected.append((-3 * losses[0] + 4 * losses[1] - losses[2]) / (2 * step))
    assert_close(actual, expected)


@pytest.mark.parametrize("name", CASES)
def test_a_row_appended_at_weight_zero(name):
    """Equal to the derivative that `evaluate` finds for a training row of weight zero."""
    data, new = CASES[name].data(), new_rows(CASES[name])
    form = new_row_form(data.problem(), data.sample_weight, data.alpha)
    actual = form.derivative(new.features, new_residuals(data, new))
    for row in range(N_NEW):
        grown = appended(data, new, row, 0.0)
        if data.labels is not None:
            grown = grown._replace(labels=grown.values.argmax(dim=1))
        derivative = evaluate(grown.problem(), grown.sample_weight, data.alpha).derivative
        assert derivative[-1].item() == pytest.approx(actual[row].item(), rel=1e-8)


@pytest.mark.parametrize("name", ["tall", "wide", "no intercept"])
def test_with_a_validation_set(name):
    data, new = CASES[name].data(), new_rows(CASES[name])
    others = Case(**(vars(CASES[name]) | {"n_rows": 25, "seed": 5})).data()

    def loss(row, weight):
        grown = appended(data, new, row, weight)
        model = refit(
            grown.features, grown.values, grown.sample_weight, data.alpha, data.case.fit_intercept
        )
        return float(data.loss.value(model.predict(others.features), others.values).mean())

    problem = data.problem(validation=(others.features, others.targets()))
    form = new_row_form(problem, data.sample_weight, data.alpha)
    actual = form.derivative(new.features, new_residuals(data, new))
    expected = [
        (-3 * loss(row, 0.0) + 4 * loss(row, 1e-6) - loss(row, 2e-6)) / 2e-6 for row in range(N_NEW)
    ]
    assert_close(actual, expected)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_large_means(dtype, device):
    case = Case(40, 5, 2, large_means=True)
    data, new = case.data(dtype, device), new_rows(case)
    residuals = new_residuals(data.double(), new)
    form = new_row_form(data.problem(), data.sample_weight, data.alpha)
    features = new.features.to(device, dtype)
    actual = form.derivative(features, residuals.to(device, dtype))
    double = data.double()
    exact = new_row_form(double.problem(), double.sample_weight, double.alpha)
    expected = exact.derivative(features.double().cpu(), residuals)
    assert_close(actual, expected, 1e-12 if dtype == torch.float64 else 1e-3)


def test_a_form_by_its_definition():
    draw = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    center, projection, offset, first, second = (
        normal(*shape) for shape in ((4,), (4, 3), (3,), (3, 2), (3, 3))
    )
    form = NewRowForm(center, projection, offset, first, second + second.T)
    features, residuals = normal(6, 4), normal(6, 2)
    short = (features - center) @ projection + offset
    expected = [
        -(t @ first @ e) - t @ (second + second.T) @ t
        for t, e in zip(short, residuals, strict=True)
    ]
    assert_close(form.derivative(features, residuals), torch.stack(expected), 1e-14)


def test_any_number_of_rows():
    """Rows are worked on in blocks."""
    data, new = CASES["classes"].data(), new_rows(CASES["classes"])
    form = new_row_form(data.problem(), data.sample_weight, data.alpha)
    features, residuals = new.features, new_residuals(data, new)
    one = form.derivative(features, residuals)
    many = form.derivative(features.repeat(30_000, 1), residuals.repeat(30_000, 1))
    assert_close(many, one.repeat(30_000), 1e-14)
    assert form.derivative(features[:0], residuals[:0]).shape == (0,)


def test_a_model_predicts_like_a_refit(device):
    data, new = CASES["classes"].data(), new_rows(CASES["classes"])
    coef, intercept = fit_ridge(data.problem(), data.sample_weight, data.alpha)
    center = data.features.mean(dim=0)
    model = RidgeModel(center, coef, intercept + center @ coef)
    model = RidgeModel(*(part.to(device) for part in model))
    targets = ValueTargets(new.values.to(device), new.initial_outputs.to(device))
    residuals = model.residuals(new.features.to(device), targets)
    assert_close(residuals, new_residuals(data, new), 1e-9)


def test_rows_in_float32_for_a_form_in_float64(device):
    """As it happens when float32 falls short for the factorization."""
    data, new = CASES["classes"].data(device=device), new_rows(CASES["classes"])
    form = new_row_form(data.problem(), data.sample_weight, data.alpha)
    rounded = new.features.float().to(device)
    residuals = new_residuals(CASES["classes"].data(), new).to(device)
    actual = form.derivative(rounded, residuals)
    assert_close(actual, form.derivative(rounded.double(), residuals), 1e-15)
    assert_close(form.whiten(rounded), form.whiten(rounded.double()), 1e-15)
