"""ExtensionDisplay: curves, legend and axes, and losses of rows added at random."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdiva import DivaExtender, DivaReweighter
from skdiva.inspection import ExtensionDisplay
from tests.estimators.data import classes

CURVES = {
    "n_added": [0, 5, 9],
    "loo_loss": [0.5, 0.4, 0.3],
    "random_loss": [[0.5, 0.6, 0.4], [0.5, 0.4, 0.4]],
    "n_trained": [0, 9, 20],
    "test_error": [0.3, 0.1, 0.2],
    "random_error": [[0.3, 0.2, 0.2], [0.3, 0.4, 0.2]],
}
X, Y, TRUTH = classes(300, wrong=0)
Y[40:140:4] = (Y[40:140:4] + 1) % 3
CORE = X[:40], Y[:40]
POOL = {"X_pool": X[40:140], "y_pool": Y[40:140]}
VAL = {"X_val": X[140:200], "y_val": TRUTH[140:200]}
TEST = {"X_test": X[200:], "y_test": TRUTH[200:]}
GROUPS = {"groups": np.arange(40) // 2}


def legend(display):
    (legend,) = filter(
        None, (ax and ax.get_legend() for ax in (display.error_ax_, display.loss_ax_))
    )
    return [text.get_text() for text in legend.get_texts()]


@pytest.mark.parametrize("alone", [False, True])
def test_random_orders_are_drawn_as_mean_and_spread(alone):
    losses = {name: CURVES[name] for name in ("n_added", "loo_loss", "random_loss")}
    display = ExtensionDisplay(**losses if alone else CURVES).plot()
    curves = {"loss": (display.random_loss_line_, display.random_loss_band_, [0.5, 0.5, 0.4], 5)}
    if not alone:
        curves["error"] = (display.random_line_, display.random_band_, [0.3, 0.3, 0.2], 9)
    for line, band, mean, place in curves.values():
        assert_allclose(line.get_ydata(), mean)
        (outline,) = band.get_paths()
        there = outline.vertices[outline.vertices[:, 0] == place, 1]
        assert_allclose([there.min(), there.max()], [mean[1] - 0.1, mean[1] + 0.1])
    assert legend(display) == [
        "at random (mean ± std of 2)",
        "in the order chosen",
        "stopped: 9 rows",
    ]


def test_the_legend_names_what_either_axes_show():
    display = ExtensionDisplay(**CURVES | {"random_error": None}).plot()
    assert "at random (mean ± std of 2)" in legend(display)
    display = ExtensionDisplay(**CURVES | {"random_loss": [[0.5, 0.6, 0.4]]}).plot()
    assert legend(display)[-1] == "at random"


def test_one_random_order_has_no_spread():
    curves = CURVES | {"random_error": [[0.3, 0.2, 0.1]], "random_loss": None}
    display = ExtensionDisplay(**curves).plot()
    assert legend(display)[0] == "at random"


@pytest.mark.parametrize(("n_pool", "place"), [(20, "loss_ax_"), (10, "error_ax_")])
def test_the_legend_stands_where_there_is_room(n_pool, place):
    display = ExtensionDisplay(**CURVES | {"n_trained": [0, 9, n_pool]}).plot()
    assert getattr(display, place).get_legend() is not None


def test_both_axes_share_rows_and_hide_the_frame():
    figure, (_, second) = plt.subplots(1, 2, layout="constrained")
    display = ExtensionDisplay(**CURVES).plot(second)
    figure.canvas.draw()
    above, below = display.error_ax_, display.loss_ax_
    assert above.get_xlim() == below.get_xlim()
    assert above.get_window_extent().y0 > below.get_window_extent().y1
    assert above.get_window_extent().x0 > second.get_window_extent().x0 - 1
    assert not display.ax_.axison
    assert len(display.stop_lines_) == 2


def test_errors_alone():
    curves = {name: CURVES[name] for name in ("n_trained", "test_error")}
    display = ExtensionDisplay(**curves, n_chosen=9, error_name="RMSE (cm)").plot()
    assert display.loss_ax_ is display.loss_line_ is None
    assert display.error_ax_ is display.ax_
    assert display.ax_.get_ylabel() == "RMSE (cm)"
    assert_array_equal(display.stop_lines_[0].get_xdata(), [9, 9])
    assert ExtensionDisplay(**curves).plot().stop_lines_ == []


def test_lines_can_be_told_apart_without_color():
    display = ExtensionDisplay(**CURVES).plot()
    for chosen, random in (
        (display.error_line_, display.random_line_),
        (display.loss_line_, display.random_loss_line_),
    ):
        assert chosen.get_linestyle() != random.get_linestyle()
        assert chosen.get_marker() != random.get_marker()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_added": None}, "n_added and loo_loss must be passed together, got loo_loss alone"),
        ({"test_error": None}, "n_trained and test_error must be .* got n_trained alone"),
        ({"n_added": [0, 9, 5]}, r"n_added must increase, got \[0. 9. 5.\]. Sort it"),
        ({"n_trained": [-1, 2, 3]}, "n_trained must hold finite numbers of at least 0"),
        ({"loo_loss": [1, 2]}, r"loo_loss must have shape \(3,\), got \(2,\)"),
        ({"test_error": [1, np.inf, 2]}, "test_error must hold finite numbers"),
        ({"random_error": [1, 2, 3]}, r"shape \(n_repeats, 3\), got \(3,\). Pass one row"),
        ({"random_error": [[1, 2]]}, r"random_error must have shape \(3,\), got \(2,\)"),
        ({"n_trained": None, "test_error": None}, "random_error is drawn beside test_error, got"),
        ({"n_added": None, "loo_loss": None}, "random_loss is drawn .* Pass n_added and loo_loss"),
        ({"random_loss": [[1, 2]]}, r"random_loss must have shape \(3,\), got \(2,\)"),
        ({"n_chosen": 2.5}, "n_chosen must be an int of at least 0, got 2.5. Pass"),
        (dict.fromkeys(CURVES), "expects losses or test errors to draw, got neither"),
    ],
)
def test_wrong_curves(changes, message):
    with pytest.raises(ValueError, match=message):
        ExtensionDisplay(**CURVES | changes)


def fitted(evaluate_on="all", **others):
    extender = DivaExtender(
        LogisticRegression(), featurizer=None, alpha=2.0, evaluate_on=evaluate_on
    )
    return extender.fit(*CORE, **POOL, **others)


def test_losses_alone():
    extender = fitted()
    display = ExtensionDisplay.from_estimator(extender)
    assert_array_equal(display.loss_line_.get_xdata(), extender.n_added_)
    assert_array_equal(display.loss_line_.get_ydata(), extender.loo_loss_path_)
    assert display.error_ax_ is display.error_line_ is display.random_line_ is None
    assert display.loss_ax_ is display.ax_
    n_chosen = extender.support_.sum()
    assert 0 < n_chosen < 100
    assert_array_equal(display.stop_lines_[0].get_xdata(), [n_chosen, n_chosen])
    assert display.random_loss is display.random_loss_line_ is display.random_loss_band_ is None
    assert display.ax_.get_ylabel() == "leave-one-out loss"
    assert "rows added" in display.ax_.get_xlabel()


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


class RecordingModel(LogisticRegression):
    """A classifier that records the rows on which its clones are trained."""

    trained_on = []

    def fit(self, X, y):
        self.trained_on.append((X, y))
        return super().fit(X, y)


def test_losses_and_errors_are_those_of_the_same_random_orders():
    extender = fitted("core")
    first = extender.n_added_[1]
    draw = {**POOL, "n_repeats": 2, "random_state": 3}
    RecordingModel.trained_on.clear()
    tested = ExtensionDisplay.from_estimator(
        extender, *CORE, **draw, **TEST, n_rows=[first], estimator=RecordingModel()
    )
    _, *at_random = RecordingModel.trained_on
    validation_weight = np.repeat([1.0, 0.0], [40, first])
    for (X_train, y_train), losses in zip(at_random, tested.random_loss, strict=True):
        model = DivaReweighter(featurizer=None, alpha=2.0)
        model.fit(X_train, y_train, validation_weight=validation_weight)
        assert losses[1] == pytest.approx(model.loo_loss_)


def test_random_state_determines_the_random_orders():
    extender = fitted()
    draw = {**POOL, "n_repeats": 2}
    first, again, tested, other = (
        ExtensionDisplay.from_estimator(extender, *CORE, **draw, **how).random_loss
        for how in (
            {"random_state": 3},
            {"random_state": 3},
            {"random_state": 3, "n_rows": [30], **TEST},
            {"random_state": 4},
        )
    )
    assert_array_equal(again, first)
    assert_array_equal(tested, first)
    assert (other[:, 1:] != first[:, 1:]).any()


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
def test_loss_of_the_rows_it_is_evaluated_on(others, name, evaluate_on):
    extender = fitted(evaluate_on, **others)
    display = ExtensionDisplay.from_estimator(extender, *CORE, **POOL, **others, n_repeats=1)
    assert display.loss_ax_.get_ylabel() == name
    assert_allclose(display.random_loss[0, 0], extender.loo_loss_)
    named = ExtensionDisplay.from_estimator(extender, loss_name="log-loss (nats)")
    assert named.loss_ax_.get_ylabel() == "log-loss (nats)"


@pytest.mark.parametrize("raw", [True, False], ids=["raw", "scaled"])
def test_pipeline(raw):
    """Rows are transformed by the steps before the extender if the pipeline does so in fit."""
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
def test_validation_rows_or_groups_that_are_omitted(others):
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
        ({"X": X[:40]}, "random orders require X, y, X_pool, y_pool, got no y, X_pool, y_pool"),
        (VAL, "got no X, y, X_pool, y_pool. Pass the rows that the extender was fitted with"),
        (TEST, "Test errors require X, y, X_pool, y_pool, X_test, y_test, got no X, y,"),
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
