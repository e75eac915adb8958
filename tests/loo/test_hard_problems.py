"""Hard problems: every answer is right to its tolerance, or refused with an error.

To check more problems than in CI, set an environment variable:
SKDIVA_HARD_PROBLEMS=2000 pytest tests/loo/test_hard_problems.py
"""

import os

import numpy as np
import pytest
import torch

from skdiva.loo import ClassTargets, FittedRidge, LogLoss, Problem, SquaredError, ValueTargets
from skdiva.loo.ridge import RidgeModel, full_float32
from tests.cases import Case
from tests.exact import exact
from tests.hard_problems import HardProblem, hard_problem
from tests.oracles import reference

N_PROBLEMS = int(os.environ.get("SKDIVA_HARD_PROBLEMS", "100"))
# Largest error of a row, relative to the terms that it is a sum of, and of 1 - leverage.
TOLERANCE = {"float64": 1e-5, "float32": 1e-3}
LOSSES = {"squared_error": SquaredError(), "log_loss": LogLoss()}
_TYPICAL = 1e-2  # share of the median size that is the least size of a row


def targets(values, labels, dtype):
    if labels is None:
        return ValueTargets(torch.tensor(values, dtype=dtype))
    return ClassTargets(torch.tensor(labels), values.shape[1])


def answers(hard, dtype_name):
    """Answers by name, in the form of pairs of actual values and fields of `Exact`."""
    dtype = getattr(torch, dtype_name)
    validation = None
    if hard.validation is not None:
        features, *given = hard.validation
        validation = torch.tensor(features, dtype=dtype), targets(*given, dtype)
    problem = Problem(
        torch.tensor(hard.features, dtype=dtype),
        targets(hard.values, hard.labels, dtype),
        loss=LOSSES[hard.loss],
        fit_intercept=hard.fit_intercept,
        validation_weight=torch.tensor(hard.validation_weight, dtype=dtype),
        groups=None if hard.groups is None else torch.tensor(hard.groups),
        validation=validation,
    )
    fit = FittedRidge(problem, torch.tensor(hard.sample_weight, dtype=dtype), hard.alpha)
    evaluation, form = fit.evaluation(), fit.new_row_form()
    coef, intercept = fit.coefficients
    constant = intercept + form.center.double() @ coef.double()
    model = RidgeModel(form.center, coef.to(form.projection.dtype), constant)
    new = torch.tensor(hard.new_features, dtype=dtype)
    with full_float32():
        residuals = model.residuals(new, targets(hard.new_values, hard.new_labels, dtype))
        new_derivative = form.derivative(new, residuals)
    return evaluation, new_derivative


def row_error(actual, expected, size):
    actual = actual.double().numpy()
    assert np.isfinite(actual).all()
    assert np.isfinite(expected).all()
    difference = np.abs(actual - expected).reshape(len(expected), -1).max(axis=1)
    size = size + _TYPICAL * np.median(size)
    return float(np.divide(difference, size, out=np.zeros(len(size)), where=difference > 0).max())


def check(hard, dtype):
    """Compare with exact refits; return whether the problem was answered."""
    refusal = ""
    try:
        evaluation, new_derivative = answers(hard, dtype)
    except ValueError as error:
        refusal = str(error)
    if refusal:
        assert "se a larger alpha" in refusal or "dtype=float64" in refusal
        return False
    expected = exact(hard)
    errors = {
        "loss": abs(evaluation.loss - expected.loss) / (abs(expected.loss) + 1e-20),
        "derivative": row_error(
            evaluation.derivative, expected.derivative, expected.derivative_size
        ),
        "new rows": row_error(new_derivative, expected.new_derivative, expected.new_size),
        "1 - leverage": row_error(
            evaluation.one_minus_leverage,
            expected.one_minus_leverage,
            expected.one_minus_leverage + np.finfo(dtype).tiny / TOLERANCE[dtype],
        ),
    }
    if hard.validation is None:
        errors["predictions"] = row_error(
            evaluation.loo_predictions, expected.predictions, expected.prediction_size
        )
    assert max(errors.values()) <= TOLERANCE[dtype], (errors, hard.kind)
    return True


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_right_or_refused(dtype):
    answered = [check(hard_problem(seed, dtype), dtype) for seed in range(N_PROBLEMS)]
    assert np.mean(answered) > 0.98


@pytest.mark.parametrize("weight", [0.0, 1e-30, 1.0, 1e30])
@pytest.mark.parametrize("n_columns", [3, 12])
@pytest.mark.parametrize(
    ("dtype", "magnitude", "loss", "answered"),
    [
        ("float32", 1e12, "log_loss", True),
        ("float32", 3e38, "log_loss", None),
        ("float64", 1e12, "squared_error", True),
        ("float64", 1e60, "squared_error", True),
        ("float64", 1e140, "log_loss", None),
        ("float64", 1.7e308, "squared_error", False),
    ],
)
def test_one_entry_of_any_magnitude(dtype, magnitude, loss, answered, n_columns, weight):
    """``answered`` is None where it depends on the weight."""
    draw = np.random.default_rng(0)
    rows = draw.normal(size=(13, n_columns)).astype(dtype).astype(float)
    rows[5, 1] = np.dtype(dtype).type(magnitude)
    labels = np.arange(13) % 2
    values = np.eye(2)[labels]
    sample_weight = np.ones(9)
    sample_weight[5] = np.dtype(dtype).type(weight)
    known, new = slice(0, 9), slice(9, None)
    has_labels = loss == "log_loss"
    hard = HardProblem(
        rows[known], values[known], labels[known] if has_labels else None, sample_weight,
        np.ones(9), None, 1.0, True, loss, rows[new], values[new],
        labels[new] if has_labels else None, None, ("one entry",),
    )  # fmt: skip
    found = check(hard, dtype)
    assert answered is None or found == answered


@pytest.mark.parametrize("alpha", [1e-7, 1e-5, 1e-3])
@pytest.mark.parametrize("n_columns", [3, 20])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_means_of_a_million_without_an_intercept(n_columns, alpha, dtype):
    draw = np.random.default_rng(1)
    rows = (draw.normal(size=(14, n_columns)) + 1e6).astype(dtype).astype(float)
    values = draw.normal(size=(14, 2)).astype(dtype).astype(float)
    hard = HardProblem(
        rows[:10], values[:10], None, np.ones(10), np.ones(10), None, alpha, False,
        "squared_error", rows[10:], values[10:], None, None, ("large means",),
    )  # fmt: skip
    assert check(hard, dtype)


def test_the_exact_answers_of_a_plain_problem():
    """Compare with other refits, in float64."""
    data = Case(12, 4, grouping="ragged", zero_weights=True).data()
    hard = HardProblem(
        data.features.numpy(), data.values.numpy(), None, data.sample_weight.numpy(),
        data.validation_weight.numpy(), data.groups.numpy(), data.alpha, True, "squared_error",
        data.features[:2].numpy(), data.values[:2].numpy(), None, None, (),
    )  # fmt: skip
    expected, found = reference(data), exact(hard)
    np.testing.assert_allclose(found.predictions, expected.predictions, rtol=1e-10)
    np.testing.assert_allclose(found.derivative, expected.derivative, rtol=1e-9, atol=1e-12)
