"""DerivativeDisplay: histograms of the derivatives of an estimator."""

import numpy as np
import pytest
from matplotlib.patches import StepPatch
from numpy.testing import assert_allclose, assert_array_equal

from skdiva import DivaExtender, DivaOutlierDetector, DivaReweighter
from skdiva.inspection import DerivativeDisplay
from tests.estimators.data import classes, numbers

X, y, truth = classes(200, wrong=20)
IS_WRONG = y != truth
ZERO = "helps ← 0 → harms"


@pytest.fixture(scope="module")
def detector():
    return DivaOutlierDetector().fit(X, y)


def heights(bars):
    return np.array([bar.get_height() for bar in bars])


def counted(values, edges):
    """Number of values in every bin, found by comparing each value with the edges."""
    inside = (values[:, None] >= edges[:-1]) & (values[:, None] < edges[1:])
    inside[:, -1] |= values == edges[-1]
    return inside.sum(axis=0)


def legend(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def test_known_labels(detector):
    display = DerivativeDisplay.from_estimator(detector, is_wrong=IS_WRONG)
    assert_array_equal(display.derivative, detector.derivative_)
    right, wrong = display.bars_
    edges = display.bin_edges_
    assert len(edges) == 51
    assert_array_equal(heights(right), counted(detector.derivative_[~IS_WRONG], edges))
    assert_array_equal(heights(wrong), counted(detector.derivative_[IS_WRONG], edges))
    assert_allclose([bar.get_x() for bar in right], edges[:-1])
    assert_allclose([bar.get_x() + bar.get_width() for bar in wrong], edges[1:])
    assert legend(display) == [ZERO, "right label (n = 180)", "wrong label (n = 20)"]
    assert display.ax_.get_ylabel() == "rows per bin"
    assert "per unit of the row's weight" in display.ax_.get_xlabel()


def test_wrong_labels_default_to_those_that_the_detector_flags(detector):
    display = DerivativeDisplay.from_estimator(detector)
    is_flagged = detector.label_issues()["is_label_issue"].to_numpy()
    assert 0 < is_flagged.sum() < 200
    assert_array_equal(display.is_wrong, is_flagged)
    assert_array_equal(
        heights(display.bars_[1]), counted(detector.derivative_[is_flagged], display.bin_edges_)
    )
    n_flagged = is_flagged.sum()
    assert legend(display) == [
        ZERO,
        f"not flagged (n = {200 - n_flagged})",
        f"flagged (n = {n_flagged})",
    ]


def test_without_wrong_labels_all_rows_are_drawn_together():
    reweighter = DivaReweighter().fit(X, y)
    display = DerivativeDisplay.from_estimator(reweighter)
    (bars,) = display.bars_
    assert_array_equal(heights(bars), counted(reweighter.derivative_, display.bin_edges_))
    assert legend(display) == [ZERO, "all (n = 200)"]


def test_targets():
    detector = DivaOutlierDetector().fit(*numbers())
    display = DerivativeDisplay.from_estimator(detector)
    assert display.is_wrong.sum() == (detector.outlier_scores_ > detector.threshold_).sum() > 0


def test_relative_bars_sum_to_100_percent(detector):
    display = DerivativeDisplay.from_estimator(detector, is_wrong=IS_WRONG, relative=True)
    counts = counted(detector.derivative_[IS_WRONG], display.bin_edges_)
    assert_allclose(heights(display.bars_[1]), 100 * counts / 20)
    assert_allclose(heights(display.bars_[0]).sum(), 100)
    assert "%" in display.ax_.get_ylabel()


def test_bins_given(detector):
    edges = np.quantile(detector.derivative_, [0, 0.5, 1])
    display = DerivativeDisplay(derivative=detector.derivative_).plot(bins=edges)
    assert_array_equal(display.bin_edges_, edges)
    assert_array_equal(heights(display.bars_[0]), [100, 100])


def test_no_label_is_wrong():
    display = DerivativeDisplay(derivative=[-1.0, 2.0], is_wrong=[False, False])
    display.plot(relative=True)
    assert heights(display.bars_[1]).sum() == 0
    assert legend(display)[2] == "wrong label (n = 0)"


def test_zero_is_marked(detector):
    display = DerivativeDisplay.from_estimator(detector)
    (line,) = display.ax_.lines
    assert_array_equal(line.get_xdata(), [0, 0])


def test_counts_have_whole_ticks():
    display = DerivativeDisplay(derivative=[-1.0, 2.0, 3.0]).plot()
    ticks = display.ax_.get_yticks()
    assert_array_equal(ticks, ticks.round())


def test_rows_of_a_pool():
    pool = {"X_pool": X[:60], "y_pool": y[:60]}
    extender = DivaExtender(featurizer=None, alpha=1.0).fit(X[60:], y[60:], **pool)
    display = DerivativeDisplay.from_estimator(extender)
    n_chosen = extender.support_.sum()
    assert 0 < n_chosen < 60
    assert_array_equal(display.derivative, extender.pool_derivative_)
    assert_array_equal(display.is_wrong, ~extender.support_)
    assert legend(display)[1:] == [f"chosen (n = {n_chosen})", f"not chosen (n = {60 - n_chosen})"]
    known = DerivativeDisplay.from_estimator(extender, is_wrong=IS_WRONG[:60])
    assert legend(known)[1:] == ["right label (n = 40)", "wrong label (n = 20)"]


def test_dark_bars_do_not_hide_the_outline_of_light_ones():
    display = DerivativeDisplay(derivative=[1.0, 2.0, 1.0], is_wrong=[True, False, False]).plot()
    outlines = [patch for patch in display.ax_.patches if isinstance(patch, StepPatch)]
    bars = [bar for container in display.bars_ for bar in container]
    assert min(line.zorder for line in outlines) > max(bar.zorder for bar in bars)
    for line, container in zip(outlines, display.bars_, strict=True):
        assert_array_equal(line.get_data().values, heights(container))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"derivative": []}, r"derivative must have shape \(n,\), n > 0, got \(0,\)"),
        ({"derivative": np.ones((2, 2))}, r"derivative must have shape \(n,\).*\(2, 2\)"),
        ({"derivative": ["a", "b"]}, "derivative must hold numbers, got dtype <U1"),
        ({"derivative": [1.0, np.nan]}, "derivative must hold finite numbers, got"),
        ({"derivative": [1.0, 2.0], "is_wrong": [True]}, r"is_wrong must have shape \(2,\).*\(1,"),
        ({"derivative": [1.0, 2.0], "is_wrong": [0, 1]}, "is_wrong must hold booleans, got dtype"),
        ({"derivative": [1.0], "status_names": ("a",)}, r"two str, got \('a',\). Pass the name of"),
        ({"derivative": [1.0], "status_names": "ab"}, "status_names must be a tuple .*, got 'ab'"),
        ({"derivative": [1.0], "status_names": ("a", 1)}, r"tuple of two str, got \('a', 1\)"),
    ],
)
def test_wrong_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        DerivativeDisplay(**arguments)
