"""Features that say nothing about the labels: a warning, no flags, and unchanged weights."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression

from skdiva import DivaOutlierDetector, DivaReweighter, DivaSampler
from skdiva.exceptions import UninformativeFeaturesWarning

X, Y = make_classification(300, 8, n_informative=5, n_classes=3, random_state=0)
LARGEST = 5.0  # flags, in multiples of the expected number of wrong labels
RNG = np.random.default_rng(0)
NOTHING = {
    "random labels": (X, RNG.integers(0, 3, 300)),
    "constant columns": (np.ones((300, 3)), Y),
    "permuted rows": (X[RNG.permutation(300)], Y),
    "a rare class": (RNG.normal(size=(400, 5)), (np.arange(400) < 20).astype(int)),
}


@pytest.mark.parametrize("name", NOTHING)
def test_nothing_is_flagged_and_a_warning_says_why(name):
    X, y = NOTHING[name]
    with pytest.warns(UninformativeFeaturesWarning, match="say nothing about the labels") as caught:
        detector = DivaOutlierDetector().fit(X, y)
    assert caught[0].filename == __file__
    assert (detector.outlier_scores_ <= detector.threshold_).all()
    assert detector.noise_rate_ == 0
    assert (detector.sample_weight_ == 1).all()
    np.testing.assert_array_equal(detector.noise_matrix_, np.eye(len(np.unique(y))))


@pytest.mark.parametrize("name", NOTHING)
def test_no_weight_is_taken(name):
    X, y = NOTHING[name]
    with pytest.warns(UninformativeFeaturesWarning):
        model = DivaReweighter(LogisticRegression()).fit(X, y)
    assert (model.sample_weight_ == 1).all()
    assert model.n_steps_ == 0


def test_no_row_is_dropped():
    X, y = NOTHING["random labels"]
    with pytest.warns(UninformativeFeaturesWarning):
        assert len(DivaSampler().fit_resample(X, y)[0]) == len(X)


def test_the_rule_of_the_paper_warns_too():
    with pytest.warns(UninformativeFeaturesWarning):
        DivaOutlierDetector(criterion="derivative").fit(*NOTHING["random labels"])


def test_informative_features_do_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        DivaOutlierDetector().fit(X, Y)


def test_few_random_labels_look_informative():
    """At a significance of two standard errors, about one set in forty does."""
    rng, n_flagged = np.random.default_rng(1), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UninformativeFeaturesWarning)
        for _ in range(20):
            y = rng.integers(0, 2, 100)
            detector = DivaOutlierDetector(featurizer=None).fit(rng.normal(size=(100, 4)), y)
            n_flagged.append((detector.outlier_scores_ > detector.threshold_).sum())
            # The number of flags does not exceed a multiple of the expected number.
            assert n_flagged[-1] <= LARGEST * 100 * detector.noise_rate_ + 1
    assert np.count_nonzero(n_flagged) <= 2


@pytest.mark.parametrize("strength", [0.2, 0.4, 0.8])
@pytest.mark.parametrize("n", [300, 1500])
def test_weak_signal(strength, n):
    """Few rows are flagged, compared with the estimated rate, and classes keep their weight."""
    rng = np.random.default_rng(2)
    X = rng.normal(size=(n, 6))
    y = (strength * X[:, 0] + rng.normal(size=n) > 0).astype(int)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UninformativeFeaturesWarning)
        detector = DivaOutlierDetector().fit(X, y)
        model = DivaReweighter().fit(X, y)
        kept = DivaSampler().fit(X, y).sample_indices_
    flagged = detector.outlier_scores_ > detector.threshold_
    assert flagged.mean() <= LARGEST * detector.noise_rate_ + 1 / n
    for code in range(2):
        assert np.isin(np.flatnonzero(y == code), kept).mean() >= 0.5 - 1 / n
        assert model.sample_weight_[y == code].mean() >= 0.5


@pytest.mark.parametrize("quantile", [0.9, 0.95, 0.98])
def test_clean_rare_classes_that_overlap(quantile):
    """No more than a quarter of a rare class is flagged if all labels are correct."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(2000, 5))
    value = X[:, 0] + 0.5 * X[:, 1] ** 2 + 0.7 * rng.normal(size=2000)
    y = (value > np.quantile(value, quantile)).astype(int)
    detector = DivaOutlierDetector().fit(X, y)
    flagged = detector.outlier_scores_ > detector.threshold_
    assert flagged[y == 1].mean() <= 0.25
    new = detector.score_labels(X, y) > detector.threshold_
    assert new[y == 1].mean() <= 0.3


@pytest.mark.parametrize("value", [1e3, 1e6, 1e12])
def test_one_wrong_target_does_not_flag_the_others(value):
    """It moves the intercept and the predictions of all rows."""
    rng = np.random.default_rng(4)
    X = rng.normal(size=(300, 5))
    y = X[:, 0] + 0.2 * rng.normal(size=300)
    y[5] = value
    flagged = DivaOutlierDetector().fit_predict(X, y) == -1
    assert flagged[5]
    assert flagged.mean() < 0.03
    assert len(DivaSampler().fit_resample(X, y)[0]) > 290


def test_the_sampler_keeps_half_of_the_rows_of_a_regression():
    rng = np.random.default_rng(5)
    X, y = rng.normal(size=(100, 3)), rng.normal(size=100) + 0.5
    detector = DivaOutlierDetector(criterion="derivative", featurizer=None)
    sampler = DivaSampler(detector).fit(X, y)
    assert len(sampler.sample_indices_) >= 50
