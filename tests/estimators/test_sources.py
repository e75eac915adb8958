"""One weight per source, and validation weights: probabilities by refits, and planted truth."""

import numpy as np
import pytest
import sklearn
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from skdiva import DivaOutlierDetector, DivaReweighter
from skdiva.datasets import flip_labels
from tests.estimators.data import classes, numbers, refitted, standardized

LOAD = {"digits": load_digits, "breast cancer": load_breast_cancer, "wine": load_wine}
ESTIMATORS = [DivaReweighter, DivaOutlierDetector]


def site_data(name, n_sites, noise_rate, seed, n=300):
    """A real set spread over sites; the first has this share of wrong labels."""
    X, y = LOAD[name](return_X_y=True)
    rows = np.random.RandomState(seed).permutation(len(y))[:n]
    X, y, site = X[rows], y[rows], np.arange(len(rows)) % n_sites
    y[site == 0], _ = flip_labels(y[site == 0], noise_rate, random_state=seed)
    return X, y, site


def stepped(derivative, sources, rate=0.5):
    """Probabilities after one step on equal weights along derivatives of the sources."""
    total, size = np.bincount(sources, derivative), np.bincount(sources)
    slope = total / size
    factor = np.clip(1 - rate * slope / (size @ np.abs(slope) / size.sum()), 0, 2)
    return size * factor / (size @ factor)


@pytest.mark.parametrize("grouped", [False, True], ids=["rows", "groups"])
def test_probabilities_are_those_of_group_derivatives_by_refits(grouped):
    X, y = numbers(40)
    X, sources = standardized(X), np.arange(40) % 3
    groups = np.arange(40) // 2 if grouped else None
    how = {"featurizer": None, "alpha": 2.0, "learning_rate": 0.5, "max_iter": 1}
    model = DivaReweighter(**how).fit(X, y, groups=groups, sources=sources)
    _, derivative = refitted(X, y[:, None], 2.0, groups=groups)
    assert_allclose(model.source_probability_, stepped(derivative, sources), rtol=1e-8)


def test_probabilities_are_those_of_group_derivatives_by_autograd():
    X, y = numbers(40)
    X, sources = standardized(X), np.arange(40) % 3
    how = {"featurizer": None, "alpha": 2.0, "learning_rate": 0.5, "max_iter": 1}
    validation_weight = np.linspace(0, 1, 40)
    metadata = {"sources": sources, "validation_weight": validation_weight}
    model = DivaReweighter(**how).fit(X, y, **metadata)
    factor = torch.ones(3, dtype=torch.float64, requires_grad=True)
    rows = torch.from_numpy(np.column_stack([X, np.ones(40)]))
    targets, penalty = torch.from_numpy(y), torch.diag(torch.tensor([2.0] * 5 + [0.0]).double())
    loss = 0.0
    for i in range(40):
        weight = factor[torch.from_numpy(sources)] * (torch.arange(40) != i)
        gram = rows.T @ (weight[:, None] * rows) + penalty
        coef = torch.linalg.solve(gram, rows.T @ (weight * targets))
        share = validation_weight[i] / validation_weight.sum()
        loss = loss + share * (rows[i] @ coef - targets[i]) ** 2
    (slope,) = torch.autograd.grad(loss, factor)
    size = np.bincount(sources)
    assert_allclose(model.loo_loss_, float(loss.detach()), rtol=1e-9)
    expected = stepped(slope.numpy()[sources] / size[sources], sources)
    assert_allclose(model.source_probability_, expected, rtol=1e-8)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("n_sites", [2, 3])
@pytest.mark.parametrize("name", LOAD)
def test_a_site_with_wrong_labels_gets_less_than_half_the_weight_of_any_other(name, n_sites, seed):
    X, y, site = site_data(name, n_sites, 0.4, seed)
    bad, *good = DivaReweighter().fit(X, y, sources=site).source_weight_
    assert bad < 0.5 * min(good)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_site_with_noisy_targets_gets_less_than_half(seed):
    X, y = load_diabetes(return_X_y=True)
    rows = np.random.RandomState(seed).permutation(len(y))
    X, y, site = X[rows], y[rows], np.arange(len(rows)) % 3
    y[site == 0] += 3 * y.std() * np.random.RandomState(seed).randn((site == 0).sum())
    bad, *good = DivaReweighter().fit(X, y, sources=site).source_weight_
    assert bad < 0.5 * min(good)


@pytest.mark.parametrize("name", LOAD)
def test_sites_that_are_equal_keep_about_their_weights(name):
    ratios = []
    for seed in range(5):
        X, y, site = site_data(name, 4, 0.0, seed, n=170)
        weight = DivaReweighter().fit(X, y, sources=site).source_weight_
        ratios.append(weight.max() / weight.min())
    assert np.median(ratios) < 1.2
    assert max(ratios) < 2


@pytest.mark.parametrize("name", LOAD)
def test_the_interval_contains_the_weight(name):
    X, y, site = site_data(name, 3, 0.4, 0)
    model = DivaReweighter().fit(X, y, sources=site)
    low, high = model.source_weight_interval_.T
    assert (low < model.source_weight_).all()
    assert (model.source_weight_ < high).all()
    assert high[0] < low[1:].min()
    assert high[0] < 1 < min(high[1:])


def test_a_source_without_start_weight_has_no_interval():
    X, y, _ = classes()
    sources = np.arange(80) % 3
    model = DivaReweighter().fit(X, y, sample_weight=1.0 * (sources > 0), sources=sources)
    assert_array_equal(model.source_weight_interval_[0], [0, 0])
    assert (model.source_weight_interval_[1:, 1] > 0).all()


def test_steps_of_a_fixed_size_have_no_interval():
    X, y, _ = classes()
    model = DivaReweighter().fit(X, y, sources=np.arange(80) % 3)
    assert model.source_weight_interval_.shape == (3, 2)
    for refit in (model.set_params(learning_rate=0.5), DivaOutlierDetector()):
        refit.fit(X, y, sources=np.arange(80) % 3)
        assert not hasattr(refit, "source_weight_interval_")


def test_a_trusted_site_decides():
    """Of two sites that contradict each other, the one with validation weight is right."""
    X, y, site = site_data("digits", 2, 0.0, 0)
    y[site == 0] = (y[site == 0] + 1) % 10
    for trusted in (0, 1):
        model = DivaReweighter().fit(X, y, sources=site, validation_weight=site == trusted)
        assert model.source_weight_[1 - trusted] < 0.1 * model.source_weight_[trusted]


def test_weights_of_classes_follow_the_validation_weight():
    """Evaluated by the balanced error, the rare class gains; evaluated on all rows, it does not."""
    X, y = load_breast_cancer(return_X_y=True)
    rows = np.r_[np.flatnonzero(y == 0)[:20], np.flatnonzero(y == 1)[:280]]
    X, y = X[rows], y[rows]
    balanced = 1 / np.bincount(y)[y]
    rare, frequent = (
        DivaReweighter().fit(X, y, sources=y, validation_weight=balanced).source_weight_
    )
    assert rare > 5 * frequent
    rare, frequent = DivaReweighter().fit(X, y, sources=y).source_weight_
    assert rare < 2 * frequent


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_rows_without_validation_weight_are_not_in_the_loss(estimator):
    X, y = numbers(60)
    validation_weight = np.arange(60) < 50
    how = {"featurizer": None, "alpha": 1.0}
    model = estimator(**how).fit(X, y, validation_weight=validation_weight)
    predictions, _ = refitted(X, y[:, None], 1.0)
    expected = np.mean((predictions[:50, 0] - y[:50]) ** 2)
    assert model.loo_loss_ == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_equal_validation_weights_are_no_validation_weights(estimator):
    X, y, _ = classes()
    plain = estimator().fit(X, y)
    same = estimator().fit(X, y, validation_weight=np.full(80, 7.0))
    assert_allclose(same.sample_weight_, plain.sample_weight_)
    assert same.loo_loss_ == pytest.approx(plain.loo_loss_)
    weight = np.linspace(1, 2, 80)
    same = estimator().fit(X, y, weight, validation_weight=weight)
    assert_allclose(same.derivative_, estimator().fit(X, y, weight).derivative_)


def test_penalty_and_features_depend_on_the_validation_weight():
    """Rows without validation weight are noise, which asks for another penalty and kernel."""
    X, y, _ = site_data("digits", 2, 0.0, 0)
    X = np.r_[X, X]
    y = np.r_[y, flip_labels(y, 1.0, random_state=0)[0]]
    is_clean, groups = np.arange(600) < 300, np.arange(600) % 300
    by_some = DivaReweighter().fit(X, y, groups=groups, validation_weight=is_clean)
    by_all = DivaReweighter().fit(X, y, groups=groups)
    losses = [min(model.featurizer_.loo_results_["loo_loss"]) for model in (by_some, by_all)]
    assert losses[0] < losses[1]
    linear = {"featurizer": None}
    alphas = [
        DivaReweighter(**linear).fit(X, y, groups=groups, validation_weight=rows).alpha_
        for rows in (is_clean, ~is_clean)
    ]
    assert alphas[0] != alphas[1]


def test_the_sample_that_chooses_the_kernel_has_rows_with_validation_weight():
    """The sample has 3000 rows, and only one row has validation weight."""
    X, y, _ = classes(4000)
    model = DivaReweighter().fit(X, y, validation_weight=np.arange(4000) == 7)
    assert np.isfinite(model.featurizer_.loo_results_["loo_loss"]).all()


BAD = {
    "negative": ({"validation_weight": np.r_[-1.0, np.ones(79)]}, "not negative, got -1.0"),
    "NaN": ({"validation_weight": np.r_[np.nan, np.ones(79)]}, "finite numbers.*got nan"),
    "all zero": (
        {"validation_weight": np.zeros(80)},
        "validation_weight is zero for all rows",
    ),
    "too short": ({"validation_weight": np.ones(79)}, "expected 80, got 79"),
    "two columns": ({"validation_weight": np.ones((80, 2))}, "1d array"),
    "with X_val": (
        {"validation_weight": np.ones(80), "X_val": np.ones((2, 6)), "y_val": [0, 1]},
        "which X_val replaces",
    ),
}


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("what", BAD)
def test_bad_validation_weight(what, estimator):
    X, y, _ = classes()
    given, message = BAD[what]
    model = estimator()
    with pytest.raises(ValueError, match=message):
        model.fit(X, y, **given)
    assert not hasattr(model, "sample_weight_")


def test_the_validation_weight_is_routed():
    X, y, _ = classes()
    weight, grid = (np.arange(80) % 4 > 0).astype(float), {"max_iter": [1, 2]}
    with sklearn.config_context(enable_metadata_routing=True):
        inner = LogisticRegression().set_fit_request(sample_weight=True)
        model = DivaReweighter(inner).set_fit_request(validation_weight=True)
        search = GridSearchCV(model, grid, cv=2).fit(X, y, validation_weight=weight)
    assert_array_equal(
        search.best_estimator_.sample_weight_,
        DivaReweighter(max_iter=search.best_params_["max_iter"])
        .fit(X, y, validation_weight=weight)
        .sample_weight_,
    )
