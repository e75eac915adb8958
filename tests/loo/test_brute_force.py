"""Refits against exact rational arithmetic, scikit-learn, and finite differences."""

from fractions import Fraction

import pytest
import torch
from sklearn.linear_model import Ridge

from skdiva.loo import brute_force_derivative, brute_force_loo
from skdiva.loo._brute_force import refit
from tests.cases import NAMED, Case
from tests.oracles import loo_loss, loo_predictions, loss_gradient
from tests.tolerances import assert_close

# Small integers, so that the numbers below are exact in both kinds of arithmetic.
FEATURES = [[3, -1], [1, 4], [-2, 2], [5, 1], [0, -3], [2, 2], [-4, 1]]
VALUES = [[1, 0], [2, -1], [-1, 3], [4, 4], [0, 5], [-3, 1], [2, 2]]
WEIGHT = [1, 2, 1, 3, 1, 0, 2]
GROUPS = [0, 1, 1, 0, 2, 3, 3]
ALPHA = Fraction(1, 2)


def exact_solve(matrix, right):
    """Gauss-Jordan elimination of lists of Fractions."""
    rows = [list(m) + list(r) for m, r in zip(matrix, right, strict=True)]
    for pivot in range(len(rows)):
        other = next(i for i in range(pivot, len(rows)) if rows[i][pivot])
        rows[pivot], rows[other] = rows[other], rows[pivot]
        rows[pivot] = [x / rows[pivot][pivot] for x in rows[pivot]]
        for i, row in enumerate(rows):
            if i != pivot:
                rows[i] = [x - row[pivot] * y for x, y in zip(row, rows[pivot], strict=True)]
    return [row[len(matrix) :] for row in rows]


def exact_prediction(row, kept, fit_intercept):
    """Ridge prediction at ``row`` of the model trained on the rows ``kept``."""
    extended = [[*map(Fraction, z), *([Fraction(1)] if fit_intercept else [])] for z in FEATURES]
    size = len(extended[0])
    penalty = [ALPHA] * 2 + [Fraction(0)] * (size - 2)
    matrix = [
        [
            sum(WEIGHT[i] * extended[i][a] * extended[i][b] for i in kept) + penalty[a] * (a == b)
            for b in range(size)
        ]
        for a in range(size)
    ]
    right = [
        [sum(WEIGHT[i] * extended[i][a] * VALUES[i][c] for i in kept) for c in range(2)]
        for a in range(size)
    ]
    coef = exact_solve(matrix, right)
    return [float(sum(extended[row][a] * coef[a][c] for a in range(size))) for c in range(2)]


@pytest.mark.parametrize("groups", [None, GROUPS])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_predictions_in_rational_arithmetic(fit_intercept, groups):
    codes = list(range(7)) if groups is None else groups
    expected = [
        exact_prediction(row, [i for i in range(7) if codes[i] != codes[row]], fit_intercept)
        for row in range(7)
    ]
    features, values, weight = (
        torch.tensor(x, dtype=torch.float64) for x in (FEATURES, VALUES, WEIGHT)
    )
    actual = brute_force_loo(
        features,
        values,
        weight,
        float(ALPHA),
        fit_intercept=fit_intercept,
        groups=None if groups is None else torch.tensor(groups),
    )
    assert_close(actual, expected, 1e-14)


@pytest.mark.parametrize("name", ["tall", "wide", "no intercept", "zero weights", "means of 1000"])
def test_refit_is_ridge(name):
    data = NAMED[name].data()
    fit_intercept = data.case.fit_intercept
    model = refit(data.features, data.values, data.sample_weight, data.alpha, fit_intercept)
    ridge = Ridge(alpha=data.alpha, fit_intercept=fit_intercept, solver="cholesky")
    ridge.fit(data.features, data.values, sample_weight=data.sample_weight)
    assert_close(model.coef, ridge.coef_.T, 1e-9)
    assert_close(model.predict(data.features), ridge.predict(data.features), 1e-9)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_hat_maps_weighted_values_to_predictions(fit_intercept):
    data = Case(fit_intercept=fit_intercept).data()
    model = refit(data.features, data.values, data.sample_weight, data.alpha, fit_intercept)
    hat = model.hat(data.features, data.features)
    predictions = hat @ (data.sample_weight[:, None] * data.values)
    assert_close(predictions, model.predict(data.features), 1e-12)


@pytest.mark.parametrize(
    "case",
    [
        Case(12, 3, 2),
        Case(12, 3, 3, "log_loss", initial_outputs=True),
        Case(12, 20, 2, "pseudo_huber", fit_intercept=False),
        Case(12, 3, 2, grouping="ragged"),
    ],
)
def test_derivative_is_that_of_the_loss(case):
    """Central finite differences of refits and loss, with respect to every weight."""
    data = case.data()
    derivative = brute_force_derivative(
        data.features,
        data.ridge_values,
        data.sample_weight,
        data.alpha,
        loss_gradient(data, loo_predictions(data)),
        fit_intercept=case.fit_intercept,
        groups=data.groups,
    )
    step = 1e-5 * torch.eye(12, dtype=torch.float64)
    differences = [
        (loo_loss(data, data.sample_weight + s) - loo_loss(data, data.sample_weight - s)) / 2e-5
        for s in step
    ]
    assert_close(derivative, differences)
