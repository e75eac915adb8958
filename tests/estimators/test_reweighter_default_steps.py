"""DivaReweighter(learning_rate="auto"): trust in labels for classes, otherwise early stopping."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler

from skdiva import DivaReweighter
from skdiva.loo import ClassTargets, LogLoss, Problem, learn_weights
from tests.estimators.data import classes, numbers, same_fit


def test_wrong_labels_lose_their_weight_by_default():
    X, y, _ = classes(200, wrong=20)
    model = DivaReweighter().fit(X, y)
    assert model.sample_weight_[:20].max() < 0.05
    assert np.median(model.sample_weight_[20:]) > 1
    assert_allclose(model.sample_weight_.mean(), 1)
    assert model.n_iter_ == model.n_steps_ == 2  # trust, and one along the derivative
    assert model.loo_loss_path_.shape == (3,)
    assert model.loo_loss_path_[0] == model.loo_loss_ > model.loo_loss_path_[-1]


@pytest.mark.parametrize("max_iter", [1, 2, 9])
def test_steps_by_default_are_those_of_the_core(max_iter):
    X, y, _ = classes(200, wrong=20)
    model = DivaReweighter(featurizer=None, alpha=2.0, max_iter=max_iter).fit(X, y)
    codes = torch.from_numpy(y)
    problem = Problem(torch.from_numpy(X), ClassTargets(codes, 3), loss=LogLoss())
    ones = torch.ones(200, dtype=torch.float64)
    learned = learn_weights(problem, ones, 2.0, codes, max_iter=max_iter)
    assert_allclose(model.sample_weight_, learned.sample_weight)
    assert_allclose(model.loo_loss_path_, learned.loss_path)
    assert model.n_iter_ == min(max_iter, 2)


def test_clean_labels_keep_their_weight():
    X, y = load_wine(return_X_y=True)
    weight = np.linspace(1, 2, len(y))
    model = DivaReweighter().fit(X, y, weight)
    assert_allclose(model.sample_weight_, weight / weight.mean())
    assert model.n_steps_ == 0
    assert model.loo_loss_path_.shape == (1,)


@pytest.mark.parametrize("held_out", ["numbers", "X_val"])
def test_held_out_rows_decide_the_number_of_steps(held_out):
    """The weights are those of `descend` with the number of steps that was chosen."""
    X, y, truth = classes(200, wrong=40)
    fit = {}
    if held_out == "numbers":
        X, y = numbers(200)
        y[:10] += 500
    else:
        fit = {"X_val": X[100:], "y_val": truth[100:]}
    how = {"alpha": 1.0, "featurizer": StandardScaler()}
    model = DivaReweighter(**how).fit(X, y, **fit)
    assert 1 <= model.n_steps_ <= model.n_iter_ == 3
    plain = DivaReweighter(learning_rate=0.25, max_iter=model.n_steps_, **how).fit(X, y, **fit)
    same_fit(model, plain)
    assert model.sample_weight_[:10].mean() < 0.9


def test_one_validation_row_allows_no_step():
    X, y = numbers()
    model = DivaReweighter().fit(X, y, X_val=X[:1], y_val=y[:1])
    assert_array_equal(model.sample_weight_, 1)
    assert (model.n_iter_, model.n_steps_) == (3, 0)
