"""Isolated values, such as sentinels, and numbers whose squares overflow, in columns."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_classification
from sklearn.preprocessing import StandardScaler

from skdiva import DivaOutlierDetector
from skdiva.features import KernelFeaturizer
from skdiva.features._columns import StandardizedColumns

LARGEST = np.finfo(np.float64).max


def standardized(X, weight=None, dtype="float64"):
    with np.errstate(all="raise", under="ignore"):
        return StandardizedColumns().fit(X, weight).transform(X, dtype)


@pytest.mark.parametrize("value", [1e12, -1e12, -999, LARGEST, -LARGEST])
@pytest.mark.parametrize("weighted", [False, True])
def test_an_isolated_value_is_replaced_by_the_nearest_other_one(value, weighted):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3))
    weight = rng.random(300) if weighted else None
    nearest = X.copy()
    rows = [5, 100]
    nearest[rows, 1] = (
        np.delete(X[:, 1], rows).max() if value > 0 else np.delete(X[:, 1], rows).min()
    )
    X[rows, 1] = value, value / 2
    expected = StandardScaler().fit(nearest, sample_weight=weight).transform(nearest)
    assert_allclose(standardized(X, weight), expected, atol=1e-12)


def test_an_isolated_value_does_not_blind_a_detector():
    X, y = make_classification(300, 8, n_informative=5, n_classes=3, random_state=0)
    plain = DivaOutlierDetector().fit(X, y)
    X[5] = 1e12
    blinded = DivaOutlierDetector().fit(X, y)
    assert (blinded.outlier_scores_ > blinded.threshold_).mean() < 0.15
    others = np.delete(np.arange(300), 5)
    correlation = np.corrcoef(plain.outlier_scores_[others], blinded.outlier_scores_[others])
    assert correlation[0, 1] > 0.9


DRAW = np.random.default_rng(0)
ROW = np.arange(5000)
UNTOUCHED = {
    "normal": DRAW.normal(size=5000),
    "log-normal": DRAW.lognormal(0, 2, 5000),
    "Pareto": DRAW.pareto(1.5, 5000) + 1,
    "Student's t": DRAW.standard_t(2, 5000),
    "three ones": (ROW < 3).astype(float),
    "three thousands": 1000.0 * (ROW < 3),
    "ones with rounding errors": (ROW < 3) + 1e-17 * DRAW.normal(size=5000),
    "rare counts": DRAW.poisson(0.01, 5000),
    "two rare levels": np.where(ROW < 2, 1e6 ** ROW.clip(0, 1), 0.0),
    "a sentinel in a tenth of the rows": np.where(ROW < 500, -999.0, DRAW.random(5000)),
}


@pytest.mark.parametrize("name", UNTOUCHED)
def test_columns_without_isolated_values_keep_the_plain_scale(name):
    X = UNTOUCHED[name][:, None]
    assert_allclose(standardized(X), StandardScaler().fit_transform(X), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("scale", "dtype"),
    [(1e307, "float64"), (1e-200, "float64"), (1e-308, "float64"), (3e37, "float32")],
)
def test_numbers_with_squares_out_of_range(scale, dtype):
    X = np.random.default_rng(0).normal(size=(50, 2)).clip(-3, 3)
    scaled = (X * scale).astype(dtype)
    atol = 1e-12 if dtype == "float64" else 1e-5
    assert_allclose(standardized(scaled, dtype=dtype), StandardScaler().fit_transform(X), atol=atol)


def test_half_precision():
    X = (300 * np.random.default_rng(0).normal(size=(50, 2))).astype(np.float16)
    expected = StandardScaler().fit_transform(X.astype(np.float64))
    assert_allclose(standardized(X, dtype="float32"), expected, atol=1e-5)


@pytest.mark.parametrize("kernel", ["linear", "rbf", "laplacian"])
def test_new_rows_of_extreme_numbers_give_finite_features(kernel):
    X = np.random.default_rng(0).normal(size=(40, 2))
    for dtype in (np.float32, np.float64):
        featurizer = KernelFeaturizer(kernel, gamma=1.0).fit(X.astype(dtype))
        new = np.array([[np.finfo(dtype).max, 0], [0, -np.finfo(dtype).max]], dtype)
        assert np.isfinite(featurizer.transform(new)).all()


def test_limits_apply_to_new_rows():
    X = np.random.default_rng(0).normal(size=(100, 1))
    X[0] = 1e12
    columns = StandardizedColumns().fit(X)
    new = columns.transform(np.array([[1e12], [1e6], [0.0]]), "float64")
    assert_array_equal(new[0], new[1])
    assert abs(new[2, 0]) < 1
