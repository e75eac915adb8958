"""ExtensionDisplay: test errors of models trained on a core and the rows added to it."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import balanced_accuracy_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdiva import DivaExtender
from skdiva.datasets import flip_labels
from skdiva.inspection import ExtensionDisplay
from tests.estimators.data import classes, numbers

X, Y, TRUTH = classes(400, wrong=0)
CORE = X[:40], Y[:40]
X_POOL, Y_POOL = X[40:140], Y[40:140].copy()
Y_POOL[::4] = (Y_POOL[::4] + 1) % 3
TEST = {"X_test": X[140:], "y_test": TRUTH[140:]}
POOL = {"X_pool": X_POOL, "y_pool": Y_POOL}


@pytest.fixture(scope="module")
def extender():
    return DivaExtender(LogisticRegression(), featurizer=None, alpha=2.0).fit(*CORE, **POOL)


def refitted_error(rows, model=None):
    """Share of test rows misclassified by a model trained on the core and some rows."""
    model = LogisticRegression() if model is None else model
    model.fit(np.vstack([CORE[0], X_POOL[rows]]), np.hstack([CORE[1], Y_POOL[rows]]))
    return (model.predict(TEST["X_test"]) != TEST["y_test"]).mean()


def test_errors_are_those_of_refits(extender):
    display = ExtensionDisplay.from_estimator(extender, *CORE, **POOL, **TEST, n_rows=5)
    n_chosen = extender.support_.sum()
    sizes = sorted({0, 25, 50, 75, 100, n_chosen})
    assert_array_equal(display.error_line_.get_xdata(), sizes)
    expected = [refitted_error(np.sort(extender.select(size))) for size in sizes]
    assert_allclose(display.error_line_.get_ydata(), expected)
    assert len(set(expected)) > 2
    stopped = 1 - extender.score(TEST["X_test"], TEST["y_test"])
    assert_allclose(display.test_error[sizes.index(n_chosen)], stopped)
    assert display.error_ax_.get_ylabel() == "test error\n(share misclassified)"


def test_chosen_rows_beat_random_ones(extender):
    display = ExtensionDisplay.from_estimator(extender, *CORE, **POOL, **TEST, n_rows=[20, 40, 60])
    assert (display.test_error < display.random_error.mean(axis=0)).all()


def test_random_orders_differ_but_have_the_same_ends(extender):
    draw = {**POOL, **TEST, "n_rows": [0, 30, 60, 100], "n_repeats": 3}
    once = ExtensionDisplay.from_estimator(extender, *CORE, **draw)
    again = ExtensionDisplay.from_estimator(extender, *CORE, **draw)
    other = ExtensionDisplay.from_estimator(extender, *CORE, **draw, random_state=1)
    assert once.random_error.shape == (3, 4)
    assert_array_equal(again.random_error, once.random_error)
    assert (other.random_error != once.random_error).any()
    assert (np.ptp(once.random_error[:, 1:3], axis=0) > 0).all()
    none, everything = refitted_error(slice(0)), refitted_error(slice(None))
    assert_allclose(once.random_error[:, [0, 3]], [[none, everything]] * 3)
    assert_allclose(once.test_error[[0, 3]], [none, everything])


def _prediction(_, predicted):
    return predicted[0]


def test_random_rows_are_not_those_that_were_flipped_with_the_same_seed():
    """flip_labels flips the first rows of the first permutation that it draws."""
    _, is_flipped = flip_labels(Y_POOL, 0.2, random_state=0)
    core, pool = (CORE[0], np.zeros(40)), {"X_pool": X_POOL, "y_pool": is_flipped.astype(float)}
    extender = DivaExtender(DummyRegressor(), featurizer=None, alpha=2.0).fit(*core, **pool)
    display = ExtensionDisplay.from_estimator(
        extender, *core, **pool, X_test=X[:1], y_test=[0], n_rows=[20], metric=_prediction
    )
    # The model predicts the share of flipped rows; of the 20 rows added, 4 are on average.
    assert (display.random_error * 60 < 10).all()
    assert 2 < display.random_error.mean() * 60 < 6


def test_without_random_orders(extender):
    display = ExtensionDisplay.from_estimator(
        extender, *CORE, **POOL, **TEST, n_rows=2, n_repeats=0
    )
    assert display.random_error is display.random_line_ is display.random_band_ is None
    assert display.random_loss is display.random_loss_line_ is None


def test_another_model_metric_and_number_of_jobs(extender):
    def balanced_error(y_true, y_predicted):
        return 1 - balanced_accuracy_score(y_true, y_predicted)

    model = KNeighborsClassifier(3)
    draw = {**POOL, **TEST, "n_rows": [0, 30], "n_repeats": 2, "estimator": model}
    display = ExtensionDisplay.from_estimator(extender, *CORE, **draw, n_jobs=2)
    rows = np.sort(extender.select(30))
    assert_allclose(display.test_error[1], refitted_error(rows, KNeighborsClassifier(3)))
    assert not hasattr(model, "classes_")
    balanced = ExtensionDisplay.from_estimator(extender, *CORE, **draw, metric=balanced_error)
    assert balanced.error_ax_.get_ylabel() == "test error\n(balanced_error)"
    model.fit(*CORE)
    expected = balanced_error(TEST["y_test"], model.predict(TEST["X_test"]))
    assert_allclose(balanced.test_error[0], expected)


def test_regression():
    X, y = numbers(200, wrong=0)
    pool = {"X_pool": X[40:100], "y_pool": y[40:100]}
    extender = DivaExtender(Ridge()).fit(X[:40], y[:40], **pool)
    display = ExtensionDisplay.from_estimator(
        extender, X[:40], y[:40], **pool, X_test=X[100:], y_test=y[100:], n_rows=3, n_repeats=1
    )
    assert display.error_ax_.get_ylabel() == "test error\n(mean squared)"
    error = ((Ridge().fit(X[:40], y[:40]).predict(X[100:]) - y[100:]) ** 2).mean()
    assert_allclose(display.test_error[0], error)


@pytest.mark.parametrize("container", [torch.from_numpy, pd.DataFrame, lambda X: (X,)])
def test_containers(extender, container):
    how = {**TEST, "n_rows": [0, 30], "n_repeats": 1}
    expected = ExtensionDisplay.from_estimator(extender, *CORE, **POOL, **how)
    pool = {"X_pool": container(X_POOL), "y_pool": Y_POOL.tolist()}
    if container is pd.DataFrame:
        how["X_test"] = container(TEST["X_test"])
        core = container(CORE[0]), CORE[1]
    else:
        core = CORE
    display = ExtensionDisplay.from_estimator(extender, *core, **pool, **how)
    assert_allclose(display.test_error, expected.test_error)
    assert_allclose(display.random_error, expected.random_error)


@pytest.mark.parametrize("raw", [True, False], ids=["raw pool", "scaled pool"])
def test_pipeline(raw):
    """Test rows are transformed by the steps before the extender; the pool if fit does so."""
    scaler = StandardScaler().fit(CORE[0])
    step = DivaExtender(LogisticRegression(C=0.01), featurizer=None, alpha=2.0)
    pool = POOL if raw else POOL | {"X_pool": scaler.transform(X_POOL)}
    with sklearn.config_context(enable_metadata_routing=True):
        step.set_fit_request(X_pool=True, y_pool=True)
        pipeline = make_pipeline(
            StandardScaler(), step, transform_input=["X_pool"] if raw else None
        )
        pipeline.fit(*CORE, **pool)
    n_chosen = pipeline[-1].n_added_[-1]
    how = {"n_rows": [0, n_chosen], "n_repeats": 0}
    display = ExtensionDisplay.from_estimator(pipeline, *CORE, **pool, **TEST, **how)
    assert_allclose(display.test_error[1], (pipeline.predict(X[140:]) != TRUTH[140:]).mean())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_pool": None}, "got no y_pool. Pass the rows that the extender was fitted with"),
        ({"X_test": None}, "got no X_test"),
        ({"X_pool": X_POOL[:5], "y_pool": Y_POOL[:5]}, "the 100 rows of the pool .* got 5. Pass"),
        ({"X_pool": X_POOL[:5]}, "inconsistent numbers of samples"),
        ({"y_pool": Y_POOL[:5]}, "must hold the 100 rows of the pool"),
        ({"n_rows": [1, 101]}, r"ints from 0 to the 100 rows of the pool, got \[1, 101\]"),
        ({"n_rows": 0}, "n_rows must be an int of at least 2, or ints"),
        ({"n_repeats": -1}, "n_repeats must be an int of at least 0, got -1"),
    ],
)
def test_wrong_rows(extender, changes, message):
    with pytest.raises(ValueError, match=message):
        ExtensionDisplay.from_estimator(extender, *CORE, **POOL | TEST | changes)


def test_a_metric_that_is_not_callable(extender):
    never = KNeighborsClassifier(-1)  # its fit raises
    with pytest.raises(TypeError, match=r"metric must be a callable .* got 'accuracy'. Pass a fun"):
        ExtensionDisplay.from_estimator(
            extender, *CORE, **POOL, **TEST, metric="accuracy", estimator=never
        )


@pytest.mark.parametrize("value", [np.nan, np.inf, None, [0.1, 0.2]], ids=str)
def test_a_metric_that_returns_no_number(extender, value):
    how = {**POOL, **TEST, "n_rows": [30], "n_repeats": 0, "metric": lambda *_: value}
    with pytest.raises(ValueError, match=r"finite number, got .* with 30 rows added. Pass a m"):
        ExtensionDisplay.from_estimator(extender, *CORE, **how)


@pytest.mark.parametrize("column", ["core", "pool"])
def test_targets_that_are_a_column(column):
    X, y = numbers(200, wrong=0)
    core, pool = (X[:40], y[:40]), {"X_pool": X[40:100], "y_pool": y[40:100]}
    how = {"X_test": X[100:], "y_test": y[100:], "n_rows": [0, 20], "n_repeats": 1}
    extender = DivaExtender(Ridge(), featurizer=None, alpha=1.0).fit(*core, **pool)
    expected = ExtensionDisplay.from_estimator(extender, *core, **pool, **how)
    if column == "core":
        core = X[:40], y[:40, None]
    else:
        pool["y_pool"] = y[40:100, None]
    extender = DivaExtender(Ridge(), featurizer=None, alpha=1.0).fit(*core, **pool)
    display = ExtensionDisplay.from_estimator(extender, *core, **pool, **how)
    assert_allclose(display.test_error, expected.test_error)
    assert_allclose(display.random_error, expected.random_error)


def test_several_axes_are_refused_before_models_are_trained(extender):
    never = KNeighborsClassifier(-1)  # its fit raises
    how = {**POOL, **TEST, "estimator": never}
    with pytest.raises(TypeError, match="ax must be a single matplotlib Axes"):
        ExtensionDisplay.from_estimator(extender, *CORE, **how, ax=plt.subplots(2)[1])
    with pytest.raises(ValueError, match="n_neighbors"):
        ExtensionDisplay.from_estimator(extender, *CORE, **how)


def test_no_core_or_no_model(extender):
    with pytest.raises(ValueError, match="got no X, y"):
        ExtensionDisplay.from_estimator(extender, **POOL, **TEST)
    alone = DivaExtender(featurizer=None, alpha=2.0).fit(*CORE, **POOL)
    with pytest.raises(ValueError, match=r"without an estimator. Pass estimator=\.\.\."):
        ExtensionDisplay.from_estimator(alone, *CORE, **POOL, **TEST)
