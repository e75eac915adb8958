"""Rows that a fitted detector has not seen: labels, precision, searches."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_diabetes, load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler

from skdiva import DivaOutlierDetector


@pytest.mark.parametrize(
    ("labels", "unknown"),
    [
        (["a", "bb"], ["bbb"]),
        ([0, 1], [1.5]),
        ([0, 1], ["1"]),
        (np.array([0, 1], dtype=np.uint8), [257]),
        ([False, True], [7]),
    ],
)
def test_labels_are_compared_not_cast(labels, unknown):
    X = np.array([[0.0], [1.0], [0.1], [1.1]])
    detector = DivaOutlierDetector(alpha=1.0).fit(X, np.tile(labels, 2))
    with pytest.raises(ValueError, match="labels that the training y does not"):
        detector.score_labels(X[:1], unknown)


def test_a_search_meets_labels_that_a_fold_did_not_hold():
    X, y = load_iris(return_X_y=True)
    search = GridSearchCV(DivaOutlierDetector(), {"alpha": [0.1, 1.0]}, cv=3).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_new_rows_after_an_escalation_to_float64():
    draw = np.random.default_rng(0)
    A = draw.normal(size=(400, 6)).astype(np.float32)
    X = np.hstack([A, A + 1e-4 * draw.normal(size=A.shape).astype(np.float32)])
    detector = DivaOutlierDetector(criterion="derivative", alpha=1e-4, featurizer=None)
    detector.fit(X, X[:, 0] > 0)
    assert np.isfinite(detector.score_labels(X[:5], X[:5, 0] > 0)).all()


def test_large_means_in_float32():
    draw = np.random.default_rng(0)
    X = draw.normal(size=(400, 6)).astype(np.float32)
    y = X[:, 0] + 0.3 * draw.normal(size=400)
    near = DivaOutlierDetector().fit(X, y)
    far = DivaOutlierDetector().fit(X, y + 1e8)
    assert_allclose(far.score(X, y + 1e8), near.score(X, y), rtol=1e-3)
    assert_allclose(far.suggested_label_ - 1e8, near.suggested_label_, atol=1e-3)


def test_integer_targets_are_numbers_for_the_residual():
    X, y = load_diabetes(return_X_y=True)
    y = y.astype(int)
    y[7] += 1000
    detector = DivaOutlierDetector(criterion="residual", featurizer=StandardScaler())
    assert_array_equal(np.flatnonzero(detector.fit_predict(X, y) == -1), [7])
    assert not hasattr(detector, "classes_")
    assert detector.score(np.delete(X, 7, axis=0), np.delete(y, 7)) > 0.4
