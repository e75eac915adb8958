"""Weights of rows in any container."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import torch

from skdiva.arrays import mean_one, read_weight


@pytest.mark.parametrize(
    "weight",
    [
        [1, 0, 2],
        (1.0, 0.0, 2.0),
        np.array([1, 0, 2], np.uint8),
        np.array([[1.0], [0.0], [2.0]]),
        np.array([1, Decimal(0), Fraction(2)], dtype=object),
        pd.Series([1, 0, 2], index=[2, 1, 0]),
        pd.Series([1, 0, 2], dtype="Int64"),
        torch.tensor([1.0, 0.0, 2.0], requires_grad=True),
        np.ma.array([1, 0, 2]),
    ],
)
def test_containers(weight):
    read = read_weight(weight, 3)
    assert read.dtype == np.float64
    np.testing.assert_array_equal(read, [1, 0, 2])


def test_booleans_are_weights():
    np.testing.assert_array_equal(read_weight([True, False], 2), [1, 0])


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_missing(missing):
    with pytest.raises(ValueError, match=r"Input w contains NaN: .* got nan in row 1. Use 0"):
        read_weight(np.array([1, missing, 2], dtype=object), 3, "w")


@pytest.mark.parametrize("scale", [5e-324, 1e-320, 1e-300, 1.0, 1e300, 1e308])
def test_mean_one(scale):
    weight = np.array([scale, 0.0, scale])
    np.testing.assert_allclose(mean_one(weight), [1.5, 0, 1.5], rtol=1e-15)


def test_a_scaled_weight_keeps_its_digits():
    weight = np.random.default_rng(0).random(1000)
    np.testing.assert_allclose(mean_one(weight), weight / weight.mean(), rtol=1e-15)
