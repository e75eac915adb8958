"""Label noise: number and kind of wrong labels, and reproducibility."""

import numpy as np
import pytest

from skdiva.datasets import flip_labels

LABELS = {
    "int": np.repeat([0, 1, 2, 3], 50),
    "gaps": np.repeat([-7, 2, 1000], 50),
    "binary": np.repeat([0, 1], 50),
    "float": np.repeat([0.0, 1.0, 2.0], 50),
    "bool": np.repeat([False, True], 50),
    "str": np.repeat(["a", "much longer", "b"], 50),
    "object": np.repeat(np.array(["a", "b", "c"], dtype=object), 50),
}


@pytest.fixture(params=LABELS.values(), ids=LABELS.keys())
def y(request):
    return request.param.copy()


@pytest.mark.parametrize("noise_rate", [0, 0.1, 0.25, 1.0])
def test_exact_share_of_rows_is_flipped_to_other_known_labels(y, noise_rate):
    original = y.copy()
    y_noisy, is_flipped = flip_labels(y, noise_rate, random_state=0)
    assert is_flipped.dtype == bool
    assert is_flipped.sum() == round(noise_rate * len(y))
    assert np.array_equal(y_noisy != y, is_flipped)
    assert set(y_noisy) <= set(y)
    assert y_noisy.dtype == y.dtype
    assert np.array_equal(y, original)


def test_every_other_class_is_as_likely():
    n_rows = 40_000
    y = np.arange(n_rows) % 4
    y_noisy, is_flipped = flip_labels(y, 0.5, random_state=0)
    counts = np.zeros((4, 4))
    np.add.at(counts, (y, y_noisy), 1)
    expected = np.full((4, 4), n_rows / 4 * 0.5 / 3)
    np.fill_diagonal(expected, n_rows / 4 * 0.5)
    # Five standard deviations of a count, which is at most that of a Poisson variable.
    assert np.all(np.abs(counts - expected) < 5 * np.sqrt(expected))
    # Rows are drawn regardless of their position.
    halves = is_flipped[: n_rows // 2].mean(), is_flipped[n_rows // 2 :].mean()
    assert halves == pytest.approx((0.5, 0.5), abs=0.02)


def test_pair_is_the_next_class(y):
    y_noisy, is_flipped = flip_labels(y, 0.3, kind="pair", random_state=0)
    classes, codes = np.unique(y, return_inverse=True)
    assert is_flipped.sum() == round(0.3 * len(y))
    assert np.array_equal(y_noisy[is_flipped], np.roll(classes, -1)[codes][is_flipped])
    assert np.array_equal(y_noisy[~is_flipped], y[~is_flipped])


def test_doubt_is_where_classes_meet():
    """On a line, classes 0 and 1 overlap around 1, and class 2 is far from both."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 300)
    X = np.array([0, 2, 20])[y] + rng.normal(size=900)
    noise = {"kind": "doubt", "X": X[:, None]}
    y_noisy, is_flipped = flip_labels(y, 0.1, **noise, random_state=0)
    assert is_flipped.sum() == 90
    assert np.array_equal(y_noisy != y, is_flipped)
    distance = np.abs(X - 1)
    assert np.median(distance[is_flipped]) < 0.7 * np.median(distance[y < 2])
    assert is_flipped[y == 2].mean() < 0.02 < is_flipped[y < 2].mean()
    assert (y_noisy[is_flipped & (y == 0)] == 1).mean() > 0.95
    again, _ = flip_labels(y, 0.1, **noise, random_state=0)
    assert np.array_equal(y_noisy, again)


def test_doubt_flips_all_rows_if_asked():
    y = LABELS["int"]
    X = np.random.default_rng(0).normal(size=(len(y), 2))
    y_noisy, is_flipped = flip_labels(y, 1.0, kind="doubt", X=X, random_state=0)
    assert is_flipped.all()
    assert (y_noisy != y).all()


def test_seed_decides():
    y = LABELS["int"]
    first, again, other = (flip_labels(y, 0.3, random_state=seed) for seed in (0, 0, 1))
    assert np.array_equal(first[0], again[0])
    assert not np.array_equal(first[1], other[1])
    from_instance = flip_labels(y, 0.3, random_state=np.random.RandomState(0))
    assert np.array_equal(first[0], from_instance[0])


@pytest.mark.parametrize("noise_rate", [-0.1, 1.5, np.nan, "0.1"])
def test_noise_rate_outside_its_range(noise_rate):
    with pytest.raises(ValueError, match=r"noise_rate must be a number in \[0, 1\], got"):
        flip_labels([0, 1], noise_rate)


def test_one_class():
    with pytest.raises(ValueError, match="at least two classes, got 1"):
        flip_labels(["a", "a"], 0.5)


def test_two_columns():
    with pytest.raises(ValueError, match="1d array"):
        flip_labels([[0, 1], [1, 0]], 0.5)


@pytest.mark.parametrize(
    ("kind", "message"),
    [("doubt", "kind='doubt' expects X"), ("own", "must be 'uniform', 'pair' or 'doubt', got 'o")],
)
def test_kind(kind, message):
    with pytest.raises(ValueError, match=message):
        flip_labels([0, 1], 0.5, kind=kind)


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        ([0.0, np.nan] * 4, ValueError, "Input y contains NaN, first in row 1"),
        (["a", None] * 4, ValueError, "Input y contains None or NaN, first in row 1"),
        (["a", "b", np.nan, "a"], ValueError, "Input y contains None or NaN, first in row 2"),
        (np.ma.array([0, 1, 0, 1], mask=[0, 0, 0, 1]), ValueError, "Input y contains NaN.* row 3"),
        ([1, "a"] * 4, ValueError, "one type in y, got a mixture of"),
        ({0, 1}, TypeError, "one label per row in y, got a single set"),
    ],
)
def test_labels_that_are_none(y, error, message):
    with pytest.raises(error, match=message):
        flip_labels(y)
