"""Scores of rows that come later: rows of any numbers, wherever their mean, a block at a time."""

import tracemalloc

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from skdiva import DivaExtender
from skdiva.loo._brute_force import refit
from tests.estimators.data import classes, numbers

PLAIN = {"featurizer": None, "alpha": 2.0}


def scores_by_refits(X, y, X_new, y_new, step=1e-5):
    """Forward differences of the mean squared leave-one-out error, from refits."""
    X, y, X_new, y_new = (torch.from_numpy(a).reshape(len(a), -1) for a in (X, y, X_new, y_new))

    def loss(row, weight):
        features, values = torch.cat([X, X_new[[row]]]), torch.cat([y, y_new[[row]]])
        errors = []
        for left_out in range(len(X)):
            at = torch.ones(len(features), dtype=torch.float64)
            at[-1], at[left_out] = weight, 0.0
            model = refit(features, values, at, PLAIN["alpha"])
            errors.append(float((model.predict(X[[left_out]]) - y[left_out]).square().sum()))
        return np.mean(errors)

    def difference(row):
        losses = [loss(row, times * step) for times in range(3)]
        return (4 * losses[1] - losses[2] - 3 * losses[0]) / (2 * step)

    return np.array([difference(row) for row in range(len(X_new))])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("targets", [1, 2])
def test_scores_are_differences_of_refits(targets, dtype):
    X, y = numbers(20, targets, wrong=3)
    core, new = (X[5:], y[5:]), (X[:5], y[:5])
    scores = DivaExtender(dtype=dtype, **PLAIN).fit(*core).score_rows(*new)
    expected = scores_by_refits(*core, *new)
    tolerance = 1e-6 if dtype == "float64" else 1e-3
    assert_allclose(scores, expected, atol=tolerance * np.abs(expected).max())


def test_means_far_from_zero_in_float32():
    """How a row is predicted must not hang on the digits of its mean."""
    X, y, _ = classes(100)
    X = (X + 1e4).astype(np.float32)
    model, exact = (
        DivaExtender(dtype=dtype, **PLAIN).fit(X[:40], y[:40]) for dtype in ("float32", "float64")
    )
    assert model.coef_.dtype == np.float32
    expected = exact.score_rows(X[40:], y[40:])
    assert_allclose(model.score_rows(X[40:], y[40:]), expected, atol=1e-5 * np.ptp(expected))


@pytest.mark.parametrize("kind", ["uint8", "int64", "float16"])
def test_rows_of_any_numbers(kind):
    X, y, _ = classes(100)
    X = np.round(10 * (X - X.min()))
    expected = DivaExtender(**PLAIN).fit(X[:40], y[:40]).score_rows(X[40:], y[40:])
    X = X.astype(kind)
    scores = DivaExtender(dtype="float64", **PLAIN).fit(X[:40], y[:40]).score_rows(X[40:], y[40:])
    assert_allclose(scores, expected, rtol=1e-6, atol=1e-9 * np.abs(expected).max())


@pytest.mark.parametrize("kind", ["float64", "float32"])
def test_rows_are_scored_without_a_copy_of_them(kind):
    """NumPy's memory; what torch takes for a block does not depend on the number of rows."""
    X, y, _ = classes(60_000)
    X = np.tile(X, 20).astype(kind)
    model = DivaExtender(**PLAIN).fit(X[:200], y[:200])
    model.score_rows(X[:100], y[:100])  # imports
    tracemalloc.start()
    scores = model.score_rows(X, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert scores.shape == y.shape
    assert peak < X.nbytes / 2
