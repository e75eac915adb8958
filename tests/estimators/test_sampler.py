"""DivaSampler: which rows it drops, in what containers, alone and without imbalanced-learn."""

import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
import torch
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError, UnsetMetadataPassedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from skdiva import DivaOutlierDetector, DivaReweighter, DivaSampler
from tests.estimators.data import classes, numbers

X, Y, TRUTH = classes()
PLAIN = DivaOutlierDetector(featurizer=None, alpha=1.0)
STAY = np.flatnonzero(PLAIN.fit_predict(X, Y) == 1)  # the oracle: the detector alone


def test_rows_that_the_detector_flags_are_dropped():
    detector = sklearn.clone(PLAIN)
    sampler = DivaSampler(detector)
    X_clean, y_clean = sampler.fit_resample(X, Y)
    assert 8 <= 80 - len(STAY) <= 12  # something is dropped, and not much
    assert_array_equal(sampler.sample_indices_, STAY)
    assert_array_equal(X_clean, X[STAY])
    assert_array_equal(y_clean, Y[STAY])
    assert sampler.sampling_strategy_ == {k: int((Y[STAY] == k).sum()) for k in range(3)}
    assert_array_equal(np.flatnonzero(~sampler.detector_.label_issues()["is_label_issue"]), STAY)
    with pytest.raises(NotFittedError):
        check_is_fitted(detector)


def test_default_detector():
    sampler = DivaSampler()
    _, y_clean = sampler.fit_resample(X, Y)
    expected = DivaOutlierDetector().fit_predict(X, Y) == 1
    assert_array_equal(sampler.sample_indices_, np.flatnonzero(expected))
    assert (y_clean != TRUTH[sampler.sample_indices_]).sum() <= 1 < (Y != TRUTH).sum()


def test_outlying_targets_are_dropped():
    X, y = numbers()
    for targets in (y, np.column_stack([y, y])):
        sampler = DivaSampler()
        _, kept = sampler.fit_resample(X, targets)
        stay = np.flatnonzero(DivaOutlierDetector().fit_predict(X, targets) == 1)
        assert 55 <= len(stay) <= 57
        assert not {0, 1, 2} & set(stay)
        assert_array_equal(sampler.sample_indices_, stay)
        assert_array_equal(kept, targets[stay])
        assert sampler.sampling_strategy_ == {}


def test_no_class_is_lost():
    # Three rows of a third class amid the first, which the paper's rule flags.
    rng = np.random.default_rng(0)
    X = rng.normal(size=(83, 2))
    X[40:80] += 6
    y = np.repeat(["a", "b", "lost"], [40, 40, 3])
    detector = DivaOutlierDetector(criterion="derivative", featurizer=None)
    assert_array_equal(detector.fit_predict(X, y)[80:], -1)
    sampler = DivaSampler(detector)
    sampler.fit_resample(X, y)
    assert_array_equal(sampler.sample_indices_[-3:], [80, 81, 82])
    assert sampler.sampling_strategy_["lost"] == 3
    # The rows of other classes are dropped as before.
    assert len(DivaSampler(PLAIN).fit_resample(*classes()[:2])[1]) == len(STAY)


def test_numbers_have_no_class_to_lose():
    """A whole number that no other row has as its target is no class, and goes."""
    X, y = numbers()
    y = np.round(y)
    assert not {*y[:3]} & {*y[3:]}
    sampler = DivaSampler(DivaOutlierDetector(criterion="residual"))
    sampler.fit_resample(X, y)
    assert not {0, 1, 2} & set(sampler.sample_indices_)


def test_any_detector_of_outliers():
    X, y = np.random.default_rng(0).normal(size=(80, 2)), np.repeat([0, 1], [77, 3])
    X[77:] += 20  # a class of outliers only
    X[0] -= 20
    forest = IsolationForest(random_state=0)
    inlier = forest.fit_predict(X) == 1
    assert not inlier[77:].any()
    sampler = DivaSampler(forest)
    sampler.fit_resample(X, y)
    assert_array_equal(sampler.sample_indices_, [*np.flatnonzero(inlier), 77, 78, 79])
    piped = DivaSampler(make_pipeline(StandardScaler(), PLAIN))
    scaled = PLAIN.fit_predict(StandardScaler().fit_transform(*classes()[:1]), Y)
    piped.fit_resample(*classes()[:2])
    assert_array_equal(piped.sample_indices_, np.flatnonzero(scaled == 1))


def test_pandas_keeps_index_names_and_dtypes():
    frame = pd.DataFrame(X, columns=list("abcdef"), index=[f"row {i}" for i in range(80)])
    frame = frame.astype({"a": "float32"}).assign(g=pd.Categorical(np.where(X[:, 0] > 0, "+", "-")))
    labels = pd.Series(pd.Categorical(np.array(["x", "y", "z"])[Y]), frame.index, name="kind")
    sampler = DivaSampler()
    X_clean, y_clean = sampler.fit_resample(frame, labels)
    assert 0 < len(X_clean) < 80
    pd.testing.assert_frame_equal(X_clean, frame.iloc[sampler.sample_indices_])
    pd.testing.assert_series_equal(y_clean, labels.iloc[sampler.sample_indices_])
    assert_array_equal(sampler.feature_names_in_, list("abcdefg"))
    assert_array_equal(sampler.get_feature_names_out(), list("abcdefg"))
    sampler.fit_resample(X, Y)
    assert not hasattr(sampler, "feature_names_in_")


def test_polars():
    X_clean, y_clean = DivaSampler(PLAIN).fit_resample(pl.DataFrame(X), pl.Series("kind", Y))
    assert X_clean.equals(pl.DataFrame(X)[STAY])
    assert y_clean.equals(pl.Series("kind", Y)[STAY])


def test_tensors(device):
    X_torch, y_torch = torch.from_numpy(X).to(device), torch.from_numpy(Y).to(device)
    X_clean, y_clean = DivaSampler(PLAIN).fit_resample(X_torch, y_torch)
    assert X_clean.device == y_clean.device == X_torch.device
    assert_array_equal(X_clean.cpu(), X[STAY])
    assert_array_equal(y_clean.cpu(), Y[STAY])


@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.coo_array])
def test_sparse(kind):
    svd = DivaOutlierDetector(featurizer=TruncatedSVD(4), alpha=1.0)
    X_clean, _ = DivaSampler(svd).fit_resample(kind(X), Y)
    stay = np.flatnonzero(svd.fit_predict(X, Y) == 1)
    assert sparse.issparse(X_clean)
    assert len(stay) < 80
    assert_array_equal(X_clean.toarray(), X[stay])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (Y[:, None], Y[STAY, None]),
        (np.eye(3, dtype=int)[Y], np.eye(3, dtype=int)[Y[STAY]]),
        (Y.tolist(), Y[STAY].tolist()),
    ],
    ids=["column", "one-hot", "list"],
)
def test_labels_come_back_as_they_came(given, expected):
    _, y_clean = DivaSampler(PLAIN).fit_resample(X, given)
    assert type(y_clean) is type(given)
    assert_array_equal(y_clean, expected)


def test_metadata_reach_the_detector():
    groups = np.arange(80) // 8
    expected = sklearn.clone(PLAIN).fit(X, Y, groups=groups).outlier_scores_
    assert np.abs(expected - sklearn.clone(PLAIN).fit(X, Y).outlier_scores_).max() > 1e-4
    sampler = DivaSampler(PLAIN)
    sampler.fit_resample(X, Y, groups=groups)
    assert_array_equal(sampler.detector_.outlier_scores_, expected)
    with sklearn.config_context(enable_metadata_routing=True):
        with pytest.raises(UnsetMetadataPassedError, match=r"Detector\.set_fit_request"):
            DivaSampler().fit_resample(X, Y, groups=groups)
        requested = DivaSampler(sklearn.clone(PLAIN).set_fit_request(groups=True))
        requested.fit_resample(X, Y, groups=groups)
    assert_array_equal(requested.detector_.outlier_scores_, expected)


def test_it_needs_no_imbalanced_learn():
    code = (
        "import sys; sys.modules['imblearn'] = None\n"
        "import sklearn; from skdiva import DivaOutlierDetector, DivaSampler\n"
        "from sklearn.datasets import load_iris\n"
        "X, y = load_iris(return_X_y=True); y[0] = 2\n"
        "sklearn.set_config(enable_metadata_routing=True)\n"
        "detector = DivaOutlierDetector(featurizer=None, alpha=1.0)\n"
        "sampler = DivaSampler(detector.set_fit_request(groups=True))\n"
        "sampler.fit_resample(X, y, groups=range(150))\n"
        "print(0 in sampler.sample_indices_, 1 in sampler.sample_indices_)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "False True"), done.stderr


def test_a_fit_that_fails_leaves_the_sampler_as_it_was():
    sampler = DivaSampler(PLAIN).fit(X, Y)
    before = dict(vars(sampler))
    with pytest.raises(ValueError, match="groups must hold one label per row of X"):
        sampler.fit_resample(X, Y, groups=[1, 2])
    assert vars(sampler) == before


def test_what_is_no_detector():
    with pytest.raises(ValueError, match=r"'detector' .* must be .*'fit_predict'.* Got"):
        DivaSampler(DivaReweighter()).fit_resample(X, Y)


def test_several_labels_per_row():
    with pytest.raises(ValueError, match="1d array, got an array of shape"):
        DivaSampler(PLAIN).fit_resample(X, np.ones((80, 2), dtype=int))
