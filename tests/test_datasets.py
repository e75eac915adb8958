"""The label noise is of the size and kind asked for, and repeats with its seed."""

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
    # Rows are drawn whatever their place or class.
    halves = is_flipped[: n_rows // 2].mean(), is_flipped[n_rows // 2 :].mean()
    assert halves == pytest.approx((0.5, 0.5), abs=0.02)


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
