"""WeightsDisplay: rows with the largest and smallest weights, as images and as tables."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array
from sklearn.datasets import load_digits

from skdiva import DivaOutlierDetector, DivaReweighter
from skdiva.inspection import WeightsDisplay

X, y = load_digits(n_class=3, return_X_y=True)
X, y = X[:150], y[:150].copy()
y[:15] = (y[:15] + 1) % 3
WEIGHT = np.array([1.0, 0.0, 2.0, 0.5, 2.0, 1.5])
IMAGES = np.random.default_rng(0).uniform(size=(6, 4, 5, 3))


@pytest.fixture(scope="module")
def reweighter():
    return DivaReweighter().fit(X, y)


def drawn_arrays(display):
    return np.array([np.asarray(image.get_array()) for image in display.images_])


def lines(display):
    """Text of every line of the table."""
    cells = display.table_.get_celld()
    n_lines, n_columns = np.max(list(cells), axis=0) + 1
    return [[cells[i, j].get_text().get_text() for j in range(n_columns)] for i in range(n_lines)]


@pytest.mark.parametrize("estimator", [DivaReweighter(), DivaOutlierDetector()])
def test_images_are_the_rows_with_extreme_weights(estimator):
    weight = estimator.fit(X, y).sample_weight_
    display = WeightsDisplay.from_estimator(estimator, X, y, image_shape=(8, 8), n_shown=5)
    up, down = display.up_rows_, display.down_rows_
    assert weight[up].min() >= np.delete(weight, up).max()
    assert weight[down].max() <= np.delete(weight, down).min()
    assert (down < 15).all()
    assert_array_equal(drawn_arrays(display), X[[*up, *down]].reshape(10, 8, 8))
    captions = [text.get_text() for text in display.ax_.texts[:10]]
    assert captions == [f"label {y[i]}\nweight {weight[i]:.2f}" for i in (*up, *down)]
    assert display.table_ is None


def test_ties_go_by_position():
    display = WeightsDisplay(sample_weight=WEIGHT, X=IMAGES).plot(n_shown=3)
    assert_array_equal(display.up_rows_, [2, 4, 5])
    assert_array_equal(display.down_rows_, [1, 3, 0])
    assert [text.get_text() for text in display.ax_.texts[:2]] == ["weight 2.00", "weight 2.00"]


def test_equal_weights_show_no_row_twice():
    display = WeightsDisplay(sample_weight=np.ones(6), X=IMAGES).plot()
    assert_array_equal(display.up_rows_, [0, 1, 2])
    assert_array_equal(display.down_rows_, [3, 4, 5])


def test_images_with_one_channel_share_a_scale(reweighter):
    display = WeightsDisplay.from_estimator(reweighter, X.reshape(-1, 8, 8))
    assert len({image.get_clim() for image in display.images_}) == 1


def test_images_lie_upright_side_by_side():
    """Pixels are square, and no image covers another."""
    display = WeightsDisplay(sample_weight=WEIGHT, X=IMAGES).plot()
    display.figure_.canvas.draw()
    boxes = [image.get_window_extent() for image in display.images_]
    for i, box in enumerate(boxes):
        assert abs(box.height / box.width - 4 / 5) < 1e-6
        assert not any(box.overlaps(other) for other in boxes[:i])
    assert boxes[0].y0 > boxes[3].y0
    assert display.images_[0].origin == "upper"


@pytest.mark.parametrize(
    "images",
    [
        IMAGES,
        np.moveaxis(IMAGES, -1, 1),
        torch.from_numpy(IMAGES).permute(0, 3, 1, 2),
        IMAGES.tolist(),
    ],
    ids=["channels last", "channels first", "tensor", "lists"],
)
def test_color_images(images):
    display = WeightsDisplay(sample_weight=WEIGHT, X=images).plot(n_shown=2)
    assert_array_equal(drawn_arrays(display), IMAGES[[2, 4, 1, 3]])


def test_rows_as_color_images_with_channels_first():
    flat = np.moveaxis(IMAGES, -1, 1).reshape(6, -1)
    display = WeightsDisplay(sample_weight=WEIGHT, X=flat, image_shape=(3, 4, 5)).plot()
    assert_array_equal(drawn_arrays(display)[0], IMAGES[2])


def test_one_channel():
    display = WeightsDisplay(sample_weight=WEIGHT, X=IMAGES[..., :1] > 0.5).plot(n_shown=1)
    assert_array_equal(drawn_arrays(display), IMAGES[[2, 1], ..., 0] > 0.5)


def test_table_of_an_array(reweighter):
    weight = reweighter.sample_weight_
    display = WeightsDisplay.from_estimator(reweighter, X, y, n_shown=4)
    titles, *rest = lines(display)
    assert titles == ["row", "weight", "label", *(f"column {i}" for i in range(5))]
    assert display.images_ == []
    for line, row in zip(rest, [*display.up_rows_, *display.down_rows_], strict=True):
        values = [f"{value:.4g}" for value in X[row, :5]]
        assert line == [str(row), f"{weight[row]:.3f}", str(y[row]), *values]


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_table_of_a_dataframe(frame):
    table = frame({"age": [31.25, 2, 3, 4, 5, 6], "town": [*"abcde", "g" * 40]})
    display = WeightsDisplay(sample_weight=WEIGHT, X=table)
    assert lines(display.plot(n_shown=2)) == [
        ["row", "weight", "age", "town"],
        ["2", "2.000", "3", "c"],
        ["4", "2.000", "5", "e"],
        ["1", "0.000", "2", "b"],
        ["3", "0.500", "4", "d"],
    ]
    assert lines(display.plot(columns=["town"]))[3] == ["5", "1.500", "g" * 19 + "…"]


def test_text_of_a_table_fits_its_cells_and_is_large():
    table = pd.DataFrame({"a": range(6), "name of the town": ["g" * 40] * 6, "b": range(6)})
    display = WeightsDisplay(sample_weight=WEIGHT, X=table)
    assert smallest_letters(display.plot()) == 10
    _, axes = plt.subplots(2, 2)
    assert 4 < smallest_letters(display.plot(axes[0, 0])) < 10


def smallest_letters(display):
    """Smallest font size in a table, after checking that each text lies within its cell."""
    display.figure_.canvas.draw()
    renderer = display.figure_.canvas.get_renderer()
    cells = display.table_.get_celld().values()
    for cell in cells:
        inside, text = cell.get_window_extent(renderer), cell.get_text().get_window_extent(renderer)
        assert inside.x0 <= text.x0
        assert text.x1 <= inside.x1
    return min(cell.get_fontsize() for cell in cells)


def test_the_lower_half_of_a_table_is_gray(reweighter):
    display = WeightsDisplay.from_estimator(reweighter, X, n_shown=2)
    colors = [display.table_[i, 0].get_facecolor() for i in range(1, 5)]
    assert colors[0] == colors[1] != colors[2] == colors[3]


@pytest.mark.parametrize(("n_rows", "n_shown"), [(2, 1), (5, 2)])
def test_few_rows(n_rows, n_shown):
    display = WeightsDisplay(sample_weight=WEIGHT[:n_rows], X=IMAGES[:n_rows]).plot()
    assert len(display.up_rows_) == len(display.down_rows_) == n_shown


def test_long_labels_are_cut():
    display = WeightsDisplay(sample_weight=WEIGHT, X=IMAGES, y=["versicolor-or-so"] * 6).plot()
    assert display.ax_.texts[0].get_text().startswith("label versicol…\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"X": IMAGES[:5]},
            r"6 numbers in sample_weight, got ndarray of shape \(5, 4",
        ),
        (
            {"X": np.ones(6)},
            r"6 numbers in sample_weight, got ndarray of shape \(6,\)",
        ),
        ({"X": csr_array(np.eye(6))}, r"X must be dense .*got csr_array of shape \(6, 6\)"),
        ({"y": [0, 1, None, 0, 1, 1]}, "Input y contains None or NaN, first in row 2"),
        ({"y": [1, 2]}, r"y must have shape \(6,\), got \(2,\)"),
        (
            {"sample_weight": [1.0], "X": IMAGES[:1]},
            "must hold at least 2 numbers, got 1",
        ),
        ({"sample_weight": -WEIGHT}, "sample_weight must hold finite numbers of at least 0"),
    ],
)
def test_wrong_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        WeightsDisplay(**{"sample_weight": WEIGHT, "X": IMAGES} | arguments)


@pytest.mark.parametrize(
    ("rows", "arguments", "message"),
    [
        (np.ones((6, 12)), {"image_shape": (3, 5)}, r"multiply to the 12 values .*got \(3, 5\)"),
        (np.ones((6, 12)), {"image_shape": 12}, r"shape \(height, width\).*got \(12,\)"),
        (np.ones((6, 5, 5, 2)), {}, r"1, 3 or 4 channels first or last, got \(5, 5, 2\)"),
        (255 * IMAGES, {}, "floats from 0 to 1 .*got float64 from"),
        (np.full((6, 2, 2, 3), 256), {}, "integers from 0 to 255, got int64 from 256"),
        (np.full((6, 4), "a"), {"image_shape": (2, 2)}, "must hold numbers, got dtype <U1"),
    ],
)
def test_rows_that_are_not_images_of_this_shape(rows, arguments, message):
    display = WeightsDisplay(sample_weight=WEIGHT, X=rows, **arguments)
    with pytest.raises(ValueError, match=message):
        display.plot()
    assert not plt.get_fignums()


def test_wrong_choice_of_rows_or_columns():
    display = WeightsDisplay(sample_weight=WEIGHT, X=np.ones((6, 2)))
    with pytest.raises(ValueError, match=r"columns must be among \[0, 1\], got \['age'\]"):
        display.plot(columns=[0, "age"])
    for n_shown in (0, 2.5, "a"):
        with pytest.raises(ValueError, match="n_shown must be an int of at least 1, got"):
            display.plot(n_shown=n_shown)
