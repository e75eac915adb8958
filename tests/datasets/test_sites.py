"""Simulated sites: sizes, wrong labels and shifts."""

import numpy as np
import pytest
from scipy.stats import kstest

from skdiva.datasets import shift_sites, split_into_sites

Y = np.arange(1000) % 4
X = np.random.default_rng(0).normal(size=(1000, 3)) * [1, 10, 0.1] + 5


@pytest.mark.parametrize("kind", ["uniform", "pair"])
@pytest.mark.parametrize("rates", [[0, 0.4], [0.05, 0.1, 0.9]], ids=str)
def test_sizes_and_rates_are_exact_and_wrong_labels_are_marked(kind, rates):
    y_noisy, is_flipped, site = split_into_sites(Y, rates, kind=kind, random_state=0)
    sizes = np.bincount(site)
    assert len(sizes) == len(rates)
    assert np.ptp(sizes) <= 1
    assert np.array_equal(y_noisy != Y, is_flipped)
    assert set(y_noisy) <= set(Y)
    for place, rate in enumerate(rates):
        assert is_flipped[site == place].sum() == round(rate * sizes[place])
    if kind == "pair":
        assert np.array_equal(y_noisy[is_flipped], (Y[is_flipped] + 1) % 4)


def test_sites_do_not_depend_on_position_or_class():
    y = np.arange(40_000) % 4
    y_noisy, is_flipped, site = split_into_sites(y, [0.2, 0.4], random_state=0)
    for part in (slice(20_000), slice(20_000, None)):
        counts = np.bincount(4 * site[part] + y[part])
        assert np.abs(counts - 2500).max() < 5 * np.sqrt(2500)
    counts = np.bincount(4 * y[is_flipped] + y_noisy[is_flipped], minlength=16).reshape(4, 4)
    assert np.abs(counts[~np.eye(4, dtype=bool)] - 1000).max() < 5 * np.sqrt(1000)


def test_labels_of_any_type():
    y = np.repeat(["x", "longer"], 10)
    y_noisy, is_flipped, _ = split_into_sites(y, [0.0, 0.5], random_state=0)
    assert y_noisy.dtype == y.dtype
    assert is_flipped.sum() == 5


def test_shift():
    site = np.array(["south", "north"])[np.arange(1000) % 2]
    before = X.copy()
    shifted, shift = shift_sites(X, site, 0.5, random_state=0)
    assert np.array_equal(X, before)
    assert shift.shape == (2, 3)
    # Sites are sorted, so "north" comes first.
    np.testing.assert_allclose(shifted, X + shift[(site == "south").astype(int)])
    same, none = shift_sites(X, site, 0, random_state=0)
    assert np.array_equal(same, X)
    assert not none.any()


def test_shifts_are_normal_in_standard_deviations_of_a_column():
    _, shift = shift_sites(X, np.arange(1000), 0.5, random_state=0)
    assert kstest((shift / X.std(axis=0) / 0.5).ravel(), "norm").pvalue > 1e-4


def test_shift_keeps_single_precision():
    shifted, shift = shift_sites(X.astype(np.float32), Y, random_state=0)
    assert shifted.dtype == shift.dtype == np.float32


def test_seed_decides():
    first, again, other = (split_into_sites(Y, [0.1, 0.2], random_state=s) for s in (0, 0, 1))
    assert all(np.array_equal(*pair) for pair in zip(first, again, strict=True))
    assert not any(np.array_equal(*pair) for pair in zip(first, other, strict=True))
    first, again, other = (shift_sites(X, Y, random_state=s)[1] for s in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"noise_rates": [0.4]}, "at least two shares"),
        ({"noise_rates": [0.4, -1]}, r"noise_rates\[1\] must be a number in \[0, 1\], got -1"),
        ({"noise_rates": [0.1, 0.1, 0.1]}, "got 2 rows and 3 noise_rates. Pass fewer rates"),
        ({"kind": "doubt"}, "kind must be 'uniform' or 'pair', got 'doubt'"),
        ({"y": [1, 1]}, "at least two classes, got 1"),
    ],
    ids=["one rate", "negative rate", "few rows", "kind", "one class"],
)
def test_bad_sites(arguments, message):
    with pytest.raises(ValueError, match=message):
        split_into_sites(**{"y": ["a", "b"], "noise_rates": [0.1, 0.2], **arguments})


@pytest.mark.parametrize("size", [-1, np.inf, np.nan, "1"])
def test_bad_size(size):
    with pytest.raises(ValueError, match="size must be a finite number that is not negative, got"):
        shift_sites(X, Y, size)


def test_bad_shift():
    with pytest.raises(ValueError, match="site must hold one label per row of X: expected 1000"):
        shift_sites(X, Y[:10])


@pytest.mark.parametrize(
    ("rows", "site", "message"),
    [
        (np.ma.array(X, mask=X > 5), Y, "Input X contains NaN"),
        (X.astype("datetime64[D]"), Y, "Expected numbers in X, got dates"),
        (X, np.where(Y == 3, np.nan, Y), "Input site contains NaN, first in row 3"),
        (X, [None, "a"] * 500, "Input site contains None or NaN, first in row 0"),
    ],
)
def test_values_that_are_missing(rows, site, message):
    with pytest.raises(ValueError, match=message):
        shift_sites(rows, site)
