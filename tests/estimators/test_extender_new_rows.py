"""DivaExtender.score_rows: derivatives of new rows, their precision and memory."""

import pickle
import tracemalloc

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.preprocessing import StandardScaler

from skdiva import DivaExtender
from skdiva.loo._brute_force import refit
from tests.estimators.data import classes, numbers

PLAIN = {"featurizer": None, "alpha": 2.0}
X, Y, TRUTH = classes(240, wrong=0)
CORE, X_POOL = (X[:40], Y[:40]), X[40:]
Y_POOL = np.where(np.arange(200) % 5 == 0, (TRUTH[40:] + 1) % 3, TRUTH[40:])
POOL = {"X_pool": X_POOL, "y_pool": Y_POOL}


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
    """Predictions must not depend on the digits of a large mean."""
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


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("featurizer", ["auto", None, StandardScaler()])
def test_scores_of_pool_rows_are_their_derivatives(featurizer, dtype):
    how = {"featurizer": featurizer, "dtype": dtype, "evaluate_on": "core"}
    model = DivaExtender(step=30, **how).fit(*CORE, **POOL)
    scores = pickle.loads(pickle.dumps(model)).score_rows(X_POOL, Y_POOL)
    scale = np.abs(model.pool_derivative_).max()
    tolerance = 1e-3 if dtype == "float32" else 1e-9
    assert_allclose(scores, model.pool_derivative_, atol=tolerance * scale)
    if featurizer is None:  # the others learn from the pool
        alone = DivaExtender(alpha=model.alpha_, **how).fit(*CORE)
        assert_allclose(alone.score_rows(X_POOL, Y_POOL), scores, atol=tolerance * scale)


def test_scores_in_blocks():
    """More rows than one block holds."""
    model = DivaExtender(**PLAIN).fit(*CORE)
    n_copies = 2**20 // (X_POOL.shape[1] * len(X_POOL)) + 2
    whole = np.tile(model.score_rows(X_POOL, Y_POOL), n_copies)
    parts = model.score_rows(np.tile(X_POOL, (n_copies, 1)), np.tile(Y_POOL, n_copies))
    assert_allclose(parts, whole, rtol=1e-10)
