"""DivaOutlierDetector: scores of new rows, which labels they may have, and their precision."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_diabetes, load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler

from skdiva import DivaOutlierDetector
from tests.estimators.data import classes, numbers


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


@pytest.mark.parametrize("criterion", ["probability", "derivative"])
def test_new_rows_get_the_scores_of_training_rows_without_weight(criterion):
    """Rows of weight zero have no effect on the fit, so they are like new rows."""
    X, y, _ = classes(200, wrong=20)
    weight = np.ones(200)
    weight[::4] = 0
    detector = DivaOutlierDetector(criterion=criterion).fit(X, y, weight)
    kept = detector.sample_weight_ / detector.sample_weight_.max()
    assert (kept[1:20:4].mean() < 0.7) == (criterion == "probability")
    scores = detector.score_labels(X[::4], y[::4])
    assert_allclose(scores, detector.outlier_scores_[::4], rtol=1e-6, atol=1e-12)


def test_new_numbers_are_scored_in_the_same_deviations():
    X, y = numbers(wrong=3)
    detector = DivaOutlierDetector().fit(X, y)
    assert_allclose(detector.score_labels(X[5:], y[5:]).mean(), 1, atol=0.5)
    assert (detector.score_labels(X[5:], y[5:] + 100) > detector.threshold_).all()


def test_new_rows_are_scored_by_the_validation_loss():
    X, y, truth = classes()
    detector = DivaOutlierDetector(criterion="derivative", alpha=10.0)
    validation = {"X_val": X[40:], "y_val": truth[40:]}
    detector.fit(X[:40], y[:40], **validation)
    # A copy of a training row at weight zero has that row's derivative.
    assert_allclose(detector.score_labels(X[:40], y[:40]), detector.derivative_, rtol=1e-9)


def test_later_labels_must_be_known():
    X, y, _ = classes()
    detector = DivaOutlierDetector().fit(X, y)
    with pytest.raises(ValueError, match=r"labels that the training y does not: \[3\]"):
        detector.score_labels(X, y + 1)
    # In a test set an unknown label is a wrong prediction, as for any classifier.
    assert detector.score(X, np.full(len(y), 99)) == 0
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        detector.score_labels(X, y[:-1])
    assert detector.score_labels(X[:1], y[:1]).shape == (1,)


def test_a_likely_label_scores_lower_than_an_unlikely_one():
    X, y, truth = classes(200, wrong=20)
    detector = DivaOutlierDetector().fit(X[:150], y[:150])
    right = detector.score_labels(X[150:], truth[150:])
    assert np.median(right) < 0.1 < detector.threshold_ + 0.1
    assert np.median(detector.score_labels(X[150:], (truth[150:] + 1) % 3)) > 0.8
    by_class = [detector.score_labels(X[150:], np.full(50, label)) for label in range(3)]
    assert min(map(np.min, by_class)) >= 0
    assert max(map(np.max, by_class)) <= 1
