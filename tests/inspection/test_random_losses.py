"""ExtensionDisplay: losses of rows added at random, for the extender as it was fitted."""

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdiva import DivaExtender
from skdiva.estimators._added_losses import added_losses
from skdiva.inspection import ExtensionDisplay
from tests.estimators.data import classes

X, Y, TRUTH = classes(300, wrong=0)
Y[40:140:4] = (Y[40:140:4] + 1) % 3
CORE = X[:40], Y[:40]
POOL = {"X_pool": X[40:140], "y_pool": Y[40:140]}
VAL = {"X_val": X[140:200], "y_val": TRUTH[140:200]}
TEST = {"X_test": X[200:], "y_test": TRUTH[200:]}
GROUPS = {"groups": np.arange(40) // 2}


def fitted(evaluate_on="all", **others):
    extender = DivaExtender(
        LogisticRegression(), featurizer=None, alpha=2.0, evaluate_on=evaluate_on
    )
    return extender.fit(*CORE, **POOL, **others)


def test_losses_of_random_orders_without_test_rows():
    extender = fitted()
    display = ExtensionDisplay.from_estimator(extender, *CORE, **POOL, n_repeats=3)
    assert display.random_loss.shape == (3, len(extender.n_added_))
    assert_array_equal(display.random_loss_line_.get_xdata(), extender.n_added_)
    assert_allclose(display.random_loss_line_.get_ydata(), display.random_loss.mean(axis=0))
    assert_allclose(display.random_loss[:, 0], extender.loo_loss_)
    assert (np.ptp(display.random_loss[:, 1:], axis=0) > 0).all()
    assert (display.random_loss[:, 1:] > extender.loo_loss_path_[1:]).all()
    assert display.error_ax_ is display.random_line_ is None


def test_the_same_orders_as_those_of_the_errors():
    extender = fitted()
    how = {**POOL, "n_repeats": 2, "random_state": 3}
    seen = []

    def spy(orders, rows):
        seen.extend(orders)
        return added_losses(extender, rows, orders)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extender, "_losses_in", spy)
        tested = ExtensionDisplay.from_estimator(extender, *CORE, **how, **TEST, n_rows=[30])
    for order, error in zip(seen, tested.random_error[:, 0], strict=True):
        rows = np.sort(order[:30])
        model = LogisticRegression()
        model.fit(np.r_[CORE[0], POOL["X_pool"][rows]], np.r_[CORE[1], POOL["y_pool"][rows]])
        assert_allclose(1 - model.score(*TEST.values()), error)
    alone = ExtensionDisplay.from_estimator(extender, *CORE, **how)
    assert_array_equal(alone.random_loss, tested.random_loss)
    other = ExtensionDisplay.from_estimator(extender, *CORE, **how | {"random_state": 4})
    assert (other.random_loss[:, 1:] != alone.random_loss[:, 1:]).any()


@pytest.mark.parametrize("evaluate_on", ["all", "core"])
@pytest.mark.parametrize(
    ("others", "name"),
    [
        ({}, "leave-one-out loss"),
        (GROUPS, "leave-one-out loss"),
        (VAL, "validation loss"),
        ({name: (value,) for name, value in VAL.items()}, "validation loss"),
    ],
    ids=["rows", "groups", "validation rows", "validation rows in tuples"],
)
def test_who_judges(others, name, evaluate_on):
    extender = fitted(evaluate_on, **others)
    display = ExtensionDisplay.from_estimator(extender, *CORE, **POOL, **others, n_repeats=1)
    assert display.loss_ax_.get_ylabel() == name
    assert_allclose(display.random_loss[0, 0], extender.loo_loss_)
    named = ExtensionDisplay.from_estimator(extender, loss_name="log-loss (nats)")
    assert named.loss_ax_.get_ylabel() == "log-loss (nats)"


@pytest.mark.parametrize("raw", [True, False], ids=["raw", "scaled"])
def test_pipeline(raw):
    """Rows are brought to where the extender stands, those that the pipeline transforms too."""
    scaler = StandardScaler().fit(CORE[0])
    others = POOL | VAL
    if not raw:
        others |= {name: scaler.transform(others[name]) for name in ("X_pool", "X_val")}
    step = DivaExtender(featurizer=None, alpha=2.0)
    with sklearn.config_context(enable_metadata_routing=True):
        step.set_fit_request(**dict.fromkeys(others, True))
        pipeline = make_pipeline(
            StandardScaler(), step, transform_input=["X_pool", "X_val"] if raw else None
        )
        pipeline.fit(*CORE, **others)
    display = ExtensionDisplay.from_estimator(pipeline, *CORE, **others, n_repeats=2)
    core = scaler.transform(CORE[0]), CORE[1]
    scaled = others | {name: scaler.transform(others[name]) for name in ("X_pool", "X_val") if raw}
    alone = DivaExtender(featurizer=None, alpha=2.0).fit(*core, **scaled)
    expected = ExtensionDisplay.from_estimator(alone, *core, **scaled, n_repeats=2)
    assert_allclose(display.random_loss, expected.random_loss)


@pytest.mark.parametrize("others", [VAL, GROUPS], ids=["X_val", "groups"])
def test_judges_that_are_left_out(others):
    extender = fitted("core", **others)
    with pytest.raises(ValueError, match=r"got rows with .* Pass X, y, .* as given to fit"):
        ExtensionDisplay.from_estimator(extender, *CORE, **POOL)


@pytest.mark.parametrize("n_repeats", [0, 1])
@pytest.mark.parametrize("evaluate_on", ["all", "core"])
def test_a_pool_in_another_order(evaluate_on, n_repeats):
    order = np.random.default_rng(0).permutation(100)
    pool = {name: value[order] for name, value in POOL.items()}
    with pytest.raises(ValueError, match=r"Expected the rows .* in their order; got rows"):
        ExtensionDisplay.from_estimator(
            fitted(evaluate_on), *CORE, **pool, **TEST, n_repeats=n_repeats
        )


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"X": X[:40]}, "random orders expect X, y, X_pool, y_pool, got no y, X_pool, y_pool"),
        (VAL, "got no X, y, X_pool, y_pool. Pass the rows that the extender was fitted with"),
        (TEST, "Test errors expect X, y, X_pool, y_pool, X_test, y_test, got no X, y,"),
    ],
    ids=["X alone", "X_val alone", "X_test alone"],
)
def test_rows_that_are_missing(rows, message):
    with pytest.raises(ValueError, match=message):
        ExtensionDisplay.from_estimator(fitted(), **rows)


def test_an_extender_that_added_nothing():
    harms = fitted("core").pool_derivative_ > 0
    pool = {name: value[harms] for name, value in POOL.items()}
    extender = DivaExtender(featurizer=None, alpha=2.0, evaluate_on="core").fit(*CORE, **pool)
    assert_array_equal(extender.n_added_, [0])
    display = ExtensionDisplay.from_estimator(extender, *CORE, **pool)
    assert display.random_loss.shape == (5, 1)
    assert display.loss_line_.get_ydata() == pytest.approx([extender.loo_loss_])
