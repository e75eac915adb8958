"""Features and weights of extreme magnitudes, in the estimators: right, or refused."""

import numpy as np
import pytest

from skdiva import DivaOutlierDetector, DivaReweighter
from tests.exact import exact
from tests.hard_problems import HardProblem

DETECTOR = {"criterion": "derivative", "featurizer": None, "alpha": 1.0}


def rows(n_rows, n_columns, seed=0):
    draw = np.random.default_rng(seed)
    return draw.normal(size=(n_rows, n_columns)), np.arange(n_rows) % 2


@pytest.mark.parametrize("factor", [1.0, 1e3, 1e5, 1e8])
@pytest.mark.parametrize("n_columns", [4, 40])
def test_label_scores_after_a_fit_with_validation_rows(n_columns, factor):
    X, y = rows(20, n_columns)
    X[3] *= factor
    (X_val, y_val), (X_new, y_new) = rows(10, n_columns, 1), rows(6, n_columns, 2)
    detector = DivaOutlierDetector(**DETECTOR, dtype="float64")
    detector.fit(X, y, X_val=X_val, y_val=y_val)
    one_hot = np.eye(2)
    expected = exact(
        HardProblem(
            X, one_hot[y], y, np.ones(20), np.ones(20), None, 1.0, True, "log_loss",
            X_new, one_hot[y_new], y_new, (X_val, one_hot[y_val], y_val), (),
        )
    )  # fmt: skip
    for actual, right in (
        (detector.score_labels(X_new, y_new), expected.new_derivative),
        (detector.derivative_, expected.derivative),
    ):
        np.testing.assert_allclose(actual, right, rtol=0, atol=1e-9 * np.abs(right).max())


@pytest.mark.parametrize("n_columns", [3, 60])
def test_a_large_row_of_weight_zero_in_float32(n_columns):
    X, y = rows(40, n_columns)
    X[5] *= 1e12
    X = X.astype(np.float32)
    weight = np.ones(40)
    weight[5] = 0
    narrow = DivaOutlierDetector(**DETECTOR).fit(X, y, weight)
    wide = DivaOutlierDetector(**DETECTOR).fit(X.astype(float), y, weight)
    assert narrow.derivative_.dtype == np.float32
    assert np.isfinite(narrow.derivative_).all()
    np.testing.assert_allclose(narrow.derivative_, wide.derivative_, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("weight", [5e-324, 1e-320, 1e-300, 1e300, 1e308])
@pytest.mark.parametrize("estimator", [DivaOutlierDetector, DivaReweighter])
def test_equal_weights_of_any_magnitude(estimator, weight):
    X, y = rows(30, 3)
    fitted, unweighted = (
        estimator(featurizer=None).fit(X, y, sample_weight=w) for w in (np.full(30, weight), None)
    )
    assert np.isfinite(fitted.sample_weight_).all()
    for name in ("derivative_", "loo_predictions_", "sample_weight_"):
        np.testing.assert_allclose(getattr(fitted, name), getattr(unweighted, name), rtol=1e-9)


def test_validation_weights_of_any_magnitude():
    X, y = rows(30, 3)
    weight = np.arange(1.0, 31)
    plain, large = (
        DivaOutlierDetector(**DETECTOR).fit(X, y, validation_weight=scale * weight)
        for scale in (1, 2.0**1018)
    )
    np.testing.assert_array_equal(plain.derivative_, large.derivative_)


@pytest.mark.parametrize(("dtype", "advice"), [("float32", "float64"), ("float64", "scale large")])
def test_results_that_are_no_numbers_are_refused(dtype, advice):
    X, y = rows(30, 3)
    X = X.astype(dtype)
    X[4, 1] = np.finfo(dtype).max
    weight = np.ones(30)
    weight[4] = 0
    with pytest.raises(ValueError, match=advice):
        DivaOutlierDetector(**DETECTOR).fit(X, y, weight)


def test_a_score_that_is_no_number_is_refused():
    X, y = rows(30, 3)
    detector = DivaOutlierDetector(**DETECTOR).fit(X, y)
    X[4, 1] = np.finfo(float).max
    with pytest.raises(ValueError, match=r"derivative of new row 4 .*Scale large features"):
        detector.score_labels(X, y)


def test_products_that_overflow_are_refused_by_name():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 5)) * 1e160, np.arange(60) % 2
    with pytest.raises(ValueError, match=r"overflow torch.float64. Scale the features down"):
        DivaOutlierDetector(featurizer=None).fit(X, y)
    DivaOutlierDetector(featurizer=None).fit((X / 1e138).astype(np.float32), y)
