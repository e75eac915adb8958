"""SourceDisplay: bars of the weights and probabilities of sources, and intervals."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skdiva import DivaOutlierDetector, DivaReweighter
from skdiva.inspection import SourceDisplay
from tests.estimators.data import classes

X, y, _ = classes(200, wrong=40)
SITES = np.where(np.arange(200) < 80, "hasty", np.where(np.arange(200) % 2, "north", "south"))
NUMBERS = {"sources": ["a", "b"], "source_weight": [1.0, 1.0], "source_probability": [0.5, 0.5]}


def lengths(bars):
    return [bar.get_width() for bar in bars]


@pytest.mark.parametrize("estimator", [DivaReweighter(), DivaOutlierDetector()])
def test_bars_are_the_attributes(estimator):
    estimator.fit(X, y, sources=SITES)
    display = SourceDisplay.from_estimator(estimator)
    assert_array_equal(display.sources, estimator.sources_)
    assert_allclose(lengths(display.weight_bars_), estimator.source_weight_)
    assert_allclose(lengths(display.probability_bars_), 100 * estimator.source_probability_)
    assert np.ptp(lengths(display.weight_bars_)) > 0.02
    left, right = display.axes_
    names = [label.get_text() for label in left.get_yticklabels()]
    assert names == ["hasty", "north", "south"]
    assert_allclose(left.get_yticks(), [b.get_y() + b.get_height() / 2 for b in left.patches])
    assert left.yaxis_inverted()
    assert right.yaxis_inverted()
    assert "weight" in left.get_xlabel()
    assert "%" in right.get_xlabel()
    assert [text.get_text() for text in right.texts] == [
        f"{100 * p:.1f}" for p in estimator.source_probability_
    ]


def test_intervals_are_error_bars():
    estimator = DivaReweighter().fit(X, y, sources=SITES)
    display = SourceDisplay.from_estimator(estimator)
    assert_allclose(display.source_weight_interval, estimator.source_weight_interval_)
    (lines,) = display.weight_bars_.errorbar.lines[2]
    drawn = np.array([segment[:, 0] for segment in lines.get_segments()])
    assert_allclose(drawn, estimator.source_weight_interval_)
    assert display.axes_[0].get_xlim()[1] > estimator.source_weight_interval_.max()
    assert SourceDisplay(**NUMBERS).plot().weight_bars_.errorbar is None


def test_the_initial_weight_is_marked():
    display = SourceDisplay(**NUMBERS).plot()
    (line,) = display.axes_[0].lines
    assert_array_equal(line.get_xdata(), [1, 1])
    assert display.axes_[0].get_xlim()[1] > 1


def test_one_source_without_weight():
    display = SourceDisplay(**NUMBERS | {"source_weight": [0.0, 2.0]}).plot()
    assert lengths(display.weight_bars_) == [0, 2]
    display.figure_.canvas.draw()


def test_long_names_and_many_sources_fit():
    n = 40
    names = [f"the source of rows that has the number {i}" for i in range(n)]
    display = SourceDisplay(
        sources=names, source_weight=np.ones(n), source_probability=np.full(n, 1 / n)
    )
    assert name_size(display.plot()) == 10
    assert display.axes_[0].get_yticklabels()[0].get_text() == "the source of rows that has t…"
    _, ax = plt.subplots(figsize=(6, 3))
    assert name_size(display.plot(ax)) < 10


def name_size(display):
    """Font size of the names, after checking that they do not overlap."""
    display.figure_.canvas.draw()
    labels = display.axes_[0].get_yticklabels()
    boxes = [label.get_window_extent() for label in labels]
    assert not any(box.overlaps(after) for box, after in itertools.pairwise(boxes))
    return labels[0].get_fontsize()


def test_no_share_above_100_percent():
    display = SourceDisplay(sources=["a"], source_weight=[1.0], source_probability=[1.0]).plot()
    assert display.axes_[1].get_xticks().max() == 100


def test_fitted_without_sources():
    with pytest.raises(ValueError, match=r"got DivaReweighter fitted without them.*sources=\.\.\."):
        SourceDisplay.from_estimator(DivaReweighter().fit(X, y))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sources": []}, r"sources must have shape \(n,\), n > 0"),
        ({"source_weight": [1.0]}, r"source_weight must have shape \(2,\), got \(1,\)"),
        ({"source_probability": [0.2] * 3}, r"source_probability must have shape \(2,\)"),
        ({"source_weight": [-1.0, 1.0]}, "source_weight must hold finite numbers of at least 0"),
        ({"source_probability": ["a", "b"]}, "source_probability must hold numbers"),
        (
            {"source_weight_interval": [0.5, 2.0]},
            r"source_weight_interval must have shape \(2, 2\), got \(2,\)",
        ),
        (
            {"source_weight_interval": [[0.5, 2.0], [0.5, 0.9]]},
            "source_weight_interval must contain source_weight",
        ),
        (
            {"source_weight_interval": [[0.5, 2.0], [0.5, np.inf]]},
            "source_weight_interval must hold finite numbers of at least 0",
        ),
    ],
)
def test_wrong_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        SourceDisplay(**NUMBERS | arguments)
