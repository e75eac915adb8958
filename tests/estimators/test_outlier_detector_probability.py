"""DivaOutlierDetector(criterion="probability"): probabilities, noise rates, and clean data."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdiva import DivaOutlierDetector
from skdiva.features import KernelFeaturizer
from skdiva.loo import expected_f1_threshold, fit_noise_model
from tests.estimators.data import classes, refitted, standardized

ALPHA = 1.0
CLEAN = {"digits": load_digits, "wine": load_wine, "breast cancer": load_breast_cancer}


@pytest.fixture(scope="module")
def noisy_digits():
    """Digits with a seventh of the labels wrong, a mask of these, and the flags."""
    X, truth = load_digits(return_X_y=True)
    X, truth = X[:900], truth[:900]
    y = truth.copy()
    y[::7] = (y[::7] + 1 + np.arange(len(y[::7])) % 9) % 10
    detector = DivaOutlierDetector()
    return X, y, y != truth, detector, detector.fit_predict(X, y) == -1


@pytest.mark.parametrize("grouped", [False, True])
def test_scores_are_those_of_refits_at_the_curated_weights(grouped):
    """Everything but the noise model itself is done anew."""
    X, y, _ = classes(120, wrong=12)
    groups = np.arange(120) // 2 if grouped else None
    weight = np.linspace(0.5, 1.5, 120)
    detector = DivaOutlierDetector(alpha=ALPHA, featurizer=StandardScaler())
    detector.fit(X, y, weight, groups=groups)
    Z, one_hot, codes = standardized(X), np.eye(3)[y], torch.from_numpy(y)
    start, _ = map(torch.from_numpy, refitted(Z, one_hot, ALPHA, weight, groups))
    noise = fit_noise_model(start, codes, torch.from_numpy(weight))
    curated = weight * (1 - noise.wrong_probability(start, codes, hedged=False).numpy())
    assert curated[:12].mean() < 0.5 * curated[12:].mean()
    assert_allclose(detector.sample_weight_, curated / curated.mean(), rtol=1e-6)
    # The penalty is that of weights that the wrong labels have left.
    outputs, _ = refitted(Z, one_hot, ALPHA / curated.mean(), curated, groups)
    assert_allclose(detector.loo_predictions_, outputs, rtol=1e-6, atol=1e-9)
    final = torch.from_numpy(outputs)
    wrong = fit_noise_model(final, codes, torch.from_numpy(weight)).wrong_probability(final, codes)
    assert_allclose(detector.outlier_scores_, wrong, rtol=1e-5)
    assert_allclose(detector.threshold_, expected_f1_threshold(wrong), rtol=1e-5)
    assert detector.outlier_scores_.min() >= 0
    assert detector.outlier_scores_.max() <= 1


def test_probabilities_are_right_about_as_often_as_they_say(noisy_digits):
    _, _, wrong, detector, flagged = noisy_digits
    scores = detector.outlier_scores_
    assert wrong[scores > 0.9].mean() > 0.9
    assert wrong[scores < 0.1].mean() < 0.02
    assert wrong[flagged].mean() > 0.9
    assert flagged[wrong].mean() > 0.9


def test_noise_rate_is_the_mean_probability_and_the_matrix_says_of_which_class(noisy_digits):
    _, y, wrong, detector, _ = noisy_digits
    scores = detector.outlier_scores_
    assert_allclose(detector.noise_rate_, scores.mean())
    # Hedged probabilities are a little too large where classes are told apart easily.
    assert wrong.mean() - 0.01 < detector.noise_rate_ < wrong.mean() + 0.05
    matrix = detector.noise_matrix_
    assert matrix.shape == (10, 10)
    assert matrix.min() >= 0
    assert_allclose(matrix.sum(axis=1), 1)
    assert_allclose(1 - np.diag(matrix), [scores[y == label].mean() for label in range(10)])


def test_the_matrix_finds_the_pair_that_is_mixed_up():
    X, truth = load_digits(n_class=5, return_X_y=True)
    y = truth.copy()
    confused = np.random.default_rng(0).permutation(np.flatnonzero(truth == 3))[:50]
    y[confused] = 1
    detector = DivaOutlierDetector().fit(X, y)
    expected = 50 / (y == 1).sum()
    assert_allclose(detector.noise_matrix_[1, 3], expected, atol=0.05)
    others = detector.noise_matrix_[~np.eye(5, dtype=bool)]
    assert np.sort(others)[-2] < 0.03


@pytest.mark.parametrize("name", CLEAN)
def test_few_labels_of_clean_data_are_flagged(name):
    X, y = CLEAN[name](return_X_y=True)
    detector = DivaOutlierDetector()
    assert (detector.fit_predict(X, y) == -1).mean() < 0.03
    assert detector.noise_rate_ < 0.05


def test_the_number_of_threads_decides_no_flag():
    X, y = load_digits(return_X_y=True)
    y[::9] = (y[::9] + 1) % 10
    threads, flags = torch.get_num_threads(), []
    try:
        for number in (1, 2):
            torch.set_num_threads(number)
            flags.append(DivaOutlierDetector().fit_predict(X, y))
    finally:
        torch.set_num_threads(threads)
    assert (flags[0] == flags[1]).mean() >= 0.999
    assert 150 < (flags[0] == -1).sum() < 250


def test_the_dtype_decides_little():
    X, y, _ = classes(200, wrong=20)
    single, double = (
        DivaOutlierDetector(dtype=dtype).fit(X, y) for dtype in ("float32", "float64")
    )
    assert_allclose(single.outlier_scores_, double.outlier_scores_, atol=1e-3)


def test_features_of_its_own_are_those_of_a_kernel_featurizer():
    X, y, _ = classes(120)
    detector = DivaOutlierDetector().fit(X, y)
    alone = KernelFeaturizer().fit(X, y)
    assert isinstance(detector.featurizer_, KernelFeaturizer)
    assert detector.featurizer_.loo_results_ == alone.loo_results_
    given = DivaOutlierDetector(featurizer=KernelFeaturizer()).fit(X, y)
    assert_allclose(given.outlier_scores_, detector.outlier_scores_, rtol=1e-6)


def test_a_search_over_its_parameters():
    X, y, _ = classes(120)
    grid = {
        "divaoutlierdetector__contamination": ["auto", 0.1],
        "divaoutlierdetector__featurizer": ["auto", None, KernelFeaturizer("rbf")],
    }
    pipeline = make_pipeline(StandardScaler(), DivaOutlierDetector())
    search = GridSearchCV(pipeline, grid, cv=3, error_score="raise").fit(X, y)
    assert search.best_score_ > 0.6
    assert_array_equal(search.classes_, [0, 1, 2])
