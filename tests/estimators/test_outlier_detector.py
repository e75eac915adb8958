"""DivaOutlierDetector: scores, thresholds and the table of labels."""

import pickle
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import is_outlier_detector
from sklearn.linear_model import Ridge
from sklearn.metrics import accuracy_score, r2_score
from sklearn.preprocessing import StandardScaler

from skdiva import DivaOutlierDetector
from skdiva.exceptions import UninformativeFeaturesWarning
from skdiva.loo import Problem
from tests.estimators.data import classes, numbers, same_fit, standardized


def linear_detector(**parameters):
    """Detector on standardized columns with a penalty that refits can use too."""
    return DivaOutlierDetector(alpha=1.0, featurizer=StandardScaler(), **parameters)


@pytest.mark.parametrize(("criterion", "n_flagged"), [("auto", 20), ("derivative", None)])
def test_wrong_labels_score_highest(criterion, n_flagged):
    X, y, truth = classes(200, wrong=20)
    detector = DivaOutlierDetector(criterion=criterion)
    verdict = detector.fit_predict(X, y)
    assert set(verdict) == {-1, 1}
    assert verdict.dtype.kind == "i"
    assert_array_equal(verdict == -1, detector.outlier_scores_ > detector.threshold_)
    if n_flagged is None:
        assert detector.threshold_ == 0
        assert not hasattr(detector, "noise_rate_")
    else:
        assert 0.1 <= detector.threshold_ < 1
        assert abs((verdict == -1).sum() - n_flagged) <= 2
    assert (verdict[:20] == -1).sum() >= 19
    assert detector.outlier_scores_[:20].min() > np.median(detector.outlier_scores_)
    assert (detector.suggested_label_ == truth)[:20].sum() >= 19
    assert is_outlier_detector(detector)


@pytest.mark.parametrize("targets", [1, 2])
def test_residuals_are_studentized(targets):
    X, y = numbers(targets=targets)
    detector = DivaOutlierDetector(alpha=1e-6, featurizer=StandardScaler()).fit(X, y)
    Z = np.column_stack([np.ones(60), standardized(X)])
    hat = Z @ np.linalg.pinv(Z)
    residuals = (y - hat @ y).reshape(60, -1) / np.sqrt(1 - np.diag(hat))[:, None]
    centered = residuals - np.median(residuals, axis=0)
    spread = np.median(np.abs(centered), axis=0)
    expected = np.sqrt(np.square(centered / (1.4826 * spread)).mean(axis=1))
    assert_allclose(detector.outlier_scores_, expected, rtol=1e-4)
    assert detector.threshold_ == 3
    verdict = detector.fit_predict(X, y)
    assert (verdict[:3] == -1).all()
    assert (verdict == -1).sum() < 8
    assert detector.suggested_label_.shape == y.shape
    assert_array_equal(detector.sample_weight_, 1)


def test_residuals_that_are_mostly_zero_have_a_scale():
    X = np.zeros((20, 2))
    y = np.full(20, 0.5)
    y[0] = 9.5
    detector = DivaOutlierDetector()
    assert_array_equal(np.flatnonzero(detector.fit_predict(X, y) == -1), [0])
    assert np.isfinite(detector.outlier_scores_).all()


@pytest.mark.parametrize("contamination", [0.05, 0.25, 0.5])
def test_contamination_is_a_share_of_the_rows(contamination):
    X, y, _ = classes(100)
    detector = DivaOutlierDetector(contamination=contamination)
    assert (detector.fit_predict(X, y) == -1).sum() == 100 * contamination
    assert_allclose(detector.threshold_, np.quantile(detector.outlier_scores_, 1 - contamination))


def test_ties_at_the_threshold_stay_inliers():
    X, y, _ = classes(40)
    X, y = np.repeat(X, 5, axis=0), np.repeat(y, 5)  # scores come in fives
    detector = DivaOutlierDetector(contamination=7 / 200)
    flagged = (detector.fit_predict(X, y) == -1).sum()
    assert flagged <= 10


def test_score_is_that_of_a_ridge_trained_on_the_inliers():
    X, y, truth = classes(200, wrong=20)
    detector = linear_detector(criterion="derivative").fit(X, y)
    inlier = detector.outlier_scores_ <= 0
    Z = standardized(X)
    ridge = Ridge(alpha=1.0).fit(Z[inlier], np.eye(3)[y[inlier]])
    assert_allclose(detector.coef_, ridge.coef_.T)
    assert_allclose(detector.intercept_, ridge.intercept_)
    predicted = ridge.predict(Z).argmax(axis=1)
    assert detector.score(X, truth) == accuracy_score(truth, predicted)
    weight = np.arange(200)
    expected = accuracy_score(truth, predicted, sample_weight=weight)
    assert_allclose(detector.score(X, truth, weight), expected)


def test_score_of_numbers():
    X, y = numbers(targets=2)
    detector = linear_detector().fit(X, y)
    predicted = standardized(X) @ detector.coef_ + detector.intercept_
    assert_allclose(detector.score(X, y), r2_score(y, predicted))


def test_a_detector_that_flags_everything_still_has_a_model():
    X = np.array([[0.0], [1.0], [0.0], [1.0]])
    detector = DivaOutlierDetector(criterion="derivative")
    with pytest.warns(UninformativeFeaturesWarning):
        flags = detector.fit_predict(X, ["a", "b", "b", "a"])
    assert_array_equal(flags, [-1, -1, -1, -1])
    assert np.isfinite(detector.coef_).all()


def test_groups_are_left_out_together():
    X, y, _ = classes(60)
    groups = np.arange(60) // 4
    detector = linear_detector(criterion="derivative").fit(X, y, groups=groups)
    Z, targets = standardized(X), np.eye(3)[y]
    for group in (0, 7):
        rest = groups != group
        outputs = Ridge(alpha=1.0).fit(Z[rest], targets[rest]).predict(Z[~rest])
        assert_allclose(detector.loo_predictions_[~rest], outputs)


def test_rows_of_a_source_share_one_curated_weight():
    X, y, _ = classes(200, wrong=20)
    weight, sources = np.linspace(1, 2, 200), np.arange(200) // 25
    detector = DivaOutlierDetector().fit(X, y, weight, sources=sources)
    start = weight / weight.mean()
    assert_allclose(detector.sample_weight_, start * detector.source_weight_[sources])
    held = [detector.sample_weight_[sources == s].sum() for s in range(8)]
    assert_allclose(detector.source_weight_, held / np.bincount(sources, start))
    assert_allclose(detector.source_probability_, np.array(held) / 200)
    assert detector.source_weight_.argmin() == 0  # 20 of its 25 labels are wrong


def test_validation_loss_replaces_the_leave_one_out_loss():
    X, y, truth = classes(200, wrong=20)
    detector = linear_detector(loss="squared_error")
    detector.fit(X, y, X_val=(X[100:],), y_val=(truth[100:],))
    Z, targets = standardized(X), np.eye(3)
    fitted = Ridge(alpha=1.0).fit(Z, targets[y])
    errors = np.square(fitted.predict(Z[100:]) - targets[truth[100:]]).sum(axis=1)
    assert_allclose(detector.loo_loss_, errors.mean())
    assert (detector.outlier_scores_[:20] > detector.threshold_).all()


def test_a_pickle_holds_numpy_only():
    X, y, _ = classes()
    for criterion in ("probability", "derivative"):
        detector = DivaOutlierDetector(criterion=criterion).fit(X, y)
        pickled = pickle.dumps(detector)
        assert b"torch" not in pickled
        copy = pickle.loads(pickled)
        same_fit(copy, detector)
        assert_array_equal(copy.score_labels(X, y), detector.score_labels(X, y))


def test_a_pickle_is_loaded_without_torch(tmp_path):
    X, y, _ = classes()
    for criterion in ("probability", "derivative"):
        detector = DivaOutlierDetector(criterion=criterion).fit(X, y)
        (tmp_path / criterion).write_bytes(pickle.dumps(detector))
    code = (
        "import pickle, sys\n"
        "for name in ('probability', 'derivative'):\n"
        f"    with open({str(tmp_path)!r} + '/' + name, 'rb') as file:\n"
        "        pickle.load(file).label_issues()\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "False"), done.stderr


def test_criterion_must_fit_the_labels():
    X, y, _ = classes()
    wanted = "continuous. Expected classes in y, got numbers with a fraction, such as"
    with pytest.raises(ValueError, match=wanted):
        DivaOutlierDetector(criterion="probability").fit(X, y + 0.5)
    with pytest.raises(ValueError, match="Expected numbers in y for regression"):
        DivaOutlierDetector(criterion="residual").fit(X, np.array(["a", "b", "c"])[y])


def test_there_is_no_predict():
    for method in ("predict", "decision_function", "score_samples"):
        assert not hasattr(DivaOutlierDetector(), method)


@pytest.mark.parametrize("criterion", ["probability", "derivative", "residual"])
def test_no_weights_are_factorized_twice(criterion, monkeypatch):
    factorize, counts = Problem.smoother, Counter()

    def counted(problem, sample_weight, *arguments):
        counts[tuple(sample_weight.tolist())] += 1
        return factorize(problem, sample_weight, *arguments)

    monkeypatch.setattr(Problem, "smoother", counted)
    X, y, _ = classes(80, wrong=8)
    DivaOutlierDetector(criterion=criterion, featurizer=None).fit(X, y)
    # Start weights, curated weights, and those of the inliers.
    assert 1 <= len(counts) <= 3
    assert set(counts.values()) == {1}


def test_without_outliers_the_model_is_that_of_all_rows():
    X, y = numbers(wrong=0)
    detector = DivaOutlierDetector(criterion="residual", alpha=1.0, featurizer=StandardScaler())
    assert (detector.fit_predict(X, y) == 1).all()
    ridge = Ridge(alpha=1.0).fit(standardized(X), y)
    assert_allclose(detector.coef_[:, 0], ridge.coef_)
    assert_allclose(detector.intercept_[0], ridge.intercept_)


def test_a_refit_leaves_nothing_of_the_fit_before():
    X, y, _ = classes()
    detector = DivaOutlierDetector().fit(X, y, sources=y)
    new = DivaOutlierDetector(criterion="residual").fit(X, y)
    detector.set_params(criterion="residual").fit(X, y)
    assert vars(detector).keys() == vars(new).keys()
