"""ExtensionDisplay: how curves are drawn, whatever they come from."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skdiva.inspection import ExtensionDisplay

CURVES = {
    "n_added": [0, 5, 9],
    "loo_loss": [0.5, 0.4, 0.3],
    "random_loss": [[0.5, 0.6, 0.4], [0.5, 0.4, 0.4]],
    "n_trained": [0, 9, 20],
    "test_error": [0.3, 0.1, 0.2],
    "random_error": [[0.3, 0.2, 0.2], [0.3, 0.4, 0.2]],
}


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


def test_the_legend_has_what_either_axes_show():
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


def test_lines_are_apart_without_colour():
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
        ({"random_error": [1, 2, 3]}, r"shape \(n_repeats, 3\), got \(3,\). Pass one line"),
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
