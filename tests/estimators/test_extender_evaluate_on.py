"""DivaExtender: the rows it is evaluated on, and those that its features and penalty come from."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from skdiva import DivaExtender
from skdiva.features import KernelFeaturizer
from skdiva.loo import ClassTargets, LogLoss, Problem, choose_penalty
from tests.estimators.data import classes

N_CORE = 40
X, Y, TRUTH = classes(240, wrong=0)
CORE = X[:N_CORE], Y[:N_CORE]
WRONG = np.arange(200) % 5 == 0
POOL = {"X_pool": X[N_CORE:], "y_pool": np.where(WRONG, (TRUTH[N_CORE:] + 1) % 3, TRUTH[N_CORE:])}


@pytest.mark.parametrize("evaluate_on", ["all", "core"])
def test_features_and_penalty_are_chosen_on_core_and_pool(evaluate_on):
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    core, pool = order[:100], order[100:400]
    labels = y[pool].copy()
    labels[::5] = (labels[::5] + 1) % 10
    model = DivaExtender(evaluate_on=evaluate_on)
    model.fit(X[core], y[core], X_pool=X[pool], y_pool=labels)
    both = KernelFeaturizer().fit(X[order[:400]], np.r_[y[core], labels])
    assert_allclose(model.featurizer_.transform(X), both.transform(X))
    features, targets = (torch.from_numpy(both.transform(X[order[:400]])), np.r_[y[core], labels])
    problem = Problem(features, ClassTargets(torch.from_numpy(targets), 10), loss=LogLoss())
    assert model.alpha_ == pytest.approx(choose_penalty(problem, torch.ones(400)).alpha)
    # A penalty for 100 rows would be too small for 400: the core would be predicted worse.
    assert model.loo_loss_path_[-1] < model.loo_loss_path_[0]


@pytest.mark.parametrize("evaluate_on", ["all", "core"])
def test_a_large_pool_is_sampled_for_the_choice(evaluate_on):
    X, y, truth = classes(12_000, wrong=0)
    y[N_CORE::5] = (truth[N_CORE::5] + 1) % 3
    core, groups = (X[:N_CORE], y[:N_CORE]), np.arange(N_CORE) // 2
    how = {"evaluate_on": evaluate_on, "featurizer": StandardScaler(), "step": 3000}
    models = [DivaExtender(random_state=s, **how) for s in (0, None, 1)]
    for model in models:
        model.fit(*core, groups=groups, X_pool=X[N_CORE:], y_pool=y[N_CORE:])
        assert model.featurizer_.n_samples_seen_ == N_CORE + 10_000
        assert model.support_[::5].mean() < model.support_[1::5].mean() / 2
    assert_array_equal(models[0].ranking_, models[1].ranking_)
    assert models[0].featurizer_.mean_[0] != models[2].featurizer_.mean_[0]


def test_a_small_core_is_a_worse_test_set_than_all_rows():
    """Why "all" is the default: 50 rows say little about 1200, even if all labels are right."""
    X, y = load_digits(return_X_y=True)
    error = {"all": 0.0, "core": 0.0}
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(y))
        core, pool, test = np.split(order, [50, 1200])
        for evaluate_on in error:
            extender = DivaExtender(
                LogisticRegression(max_iter=200), n_samples_to_select=100, evaluate_on=evaluate_on
            )
            extender.fit(X[core] / 16, y[core], X_pool=X[pool] / 16, y_pool=y[pool])
            error[evaluate_on] += (1 - extender.score(X[test] / 16, y[test])) / 3
    assert error["all"] < error["core"] - 0.02


def test_a_penalty_chosen_with_the_pool_fits_the_core_too():
    """Copies of core rows in the pool favor a penalty that the core alone cannot be solved with."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 80)), np.arange(60) % 2
    extender = DivaExtender(featurizer=None).fit(X, y, X_pool=X, y_pool=y)
    assert np.isfinite(extender.pool_derivative_).all()
    with pytest.raises(ValueError, match="alpha=1e-12 is too small"):
        DivaExtender(featurizer=None, alpha=1e-12).fit(X, y, X_pool=X, y_pool=y)
