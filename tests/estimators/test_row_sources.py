"""Estimators fitted on a row source, compared with a fit on the same rows in memory."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from skdiva import DivaExtender, DivaOutlierDetector, DivaReweighter, DivaSampler
from skdiva.features import KernelFeaturizer
from skdiva.loo import RowSource
from tests.loo.rows.made_rows import MadeRows

X, Y = load_digits(return_X_y=True)
X, Y = X[:300] / 16, np.where(np.arange(300) % 20 == 0, (Y[:300] + 1) % 10, Y[:300])
X_OTHER, Y_OTHER = X[200:], Y[200:]
X, Y = X[:200], Y[:200]


def source(X, dtype=torch.float64):
    return MadeRows(lambda rows: torch.from_numpy(X)[rows], len(X), dtype)


def fitted_arrays(estimator):
    return {
        name: value
        for name, value in vars(estimator).items()
        if name.endswith("_") and isinstance(value, np.ndarray | float | int)
    }


def assert_same(estimator, expected):
    arrays, wanted = fitted_arrays(estimator), fitted_arrays(expected)
    assert len(wanted) > 5
    assert arrays.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_array_equal(arrays[name], value, err_msg=name)


ESTIMATORS = {
    "probability": DivaOutlierDetector(featurizer=None),
    "derivative": DivaOutlierDetector(criterion="derivative", featurizer=None),
    "small blocks": DivaOutlierDetector(featurizer=None, batch_size=64),
    "float32": DivaOutlierDetector(featurizer=None, dtype="float32"),
    "weights": DivaReweighter(featurizer=None),
    "steps": DivaReweighter(featurizer=None, learning_rate=0.1, max_iter=3),
    "inner estimator": DivaReweighter(LogisticRegression(max_iter=200), featurizer=None),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_fit_reads_the_rows_of_a_source(name):
    estimator = ESTIMATORS[name]
    expected = fresh(estimator).fit(X, Y)
    assert_same(fresh(estimator).fit(source(X), Y), expected)


def fresh(estimator):
    return type(estimator)(**estimator.get_params(deep=False))


def test_with_sources_groups_and_weights():
    rng = np.random.default_rng(0)
    weight, sources = rng.uniform(0.5, 1.5, len(X)), rng.integers(0, 4, len(X))
    arguments = {"sample_weight": weight, "sources": sources, "groups": np.arange(len(X)) // 2}
    expected = DivaOutlierDetector(featurizer=None).fit(X, Y, **arguments)
    assert_same(DivaOutlierDetector(featurizer=None).fit(source(X), Y, **arguments), expected)


def test_regression_targets():
    targets = X @ np.arange(64) + 0.5
    expected = DivaOutlierDetector(featurizer=None).fit(X, targets)
    assert_same(DivaOutlierDetector(featurizer=None).fit(source(X), targets), expected)


def test_validation_rows_and_pools_are_read_into_memory():
    detector = DivaOutlierDetector(criterion="derivative", featurizer=None)
    expected = fresh(detector).fit(X, Y, X_val=X_OTHER, y_val=Y_OTHER)
    assert_same(fresh(detector).fit(source(X), Y, X_val=source(X_OTHER), y_val=Y_OTHER), expected)
    extender = DivaExtender(featurizer=None).fit(X, Y, X_pool=X_OTHER, y_pool=Y_OTHER)
    other = DivaExtender(featurizer=None).fit(source(X), Y, X_pool=source(X_OTHER), y_pool=Y_OTHER)
    assert_same(other, extender)
    np.testing.assert_array_equal(
        other.score_rows(source(X_OTHER), Y_OTHER), extender.score_rows(X_OTHER, Y_OTHER)
    )


@pytest.mark.parametrize("criterion", ["probability", "derivative"])
def test_other_rows_may_be_a_source(criterion):
    detector = DivaOutlierDetector(criterion=criterion, featurizer=None).fit(source(X), Y)
    np.testing.assert_array_equal(
        detector.score_labels(source(X_OTHER), Y_OTHER), detector.score_labels(X_OTHER, Y_OTHER)
    )
    assert detector.score(source(X_OTHER), Y_OTHER) == detector.score(X_OTHER, Y_OTHER)
    rows = source(X_OTHER)
    assert detector.transform(rows) is rows


def test_a_sampler_returns_an_array():
    sampler = DivaSampler(DivaOutlierDetector(featurizer=None))
    kept, labels = sampler.fit_resample(source(X), Y)
    expected, expected_labels = sampler.fit_resample(X, Y)
    assert len(kept) < len(X)
    np.testing.assert_array_equal(kept, expected)
    np.testing.assert_array_equal(labels, expected_labels)


def test_the_dtype_follows_the_source():
    detector = DivaOutlierDetector(criterion="derivative", featurizer=None)
    single = fresh(detector).fit(source(X, torch.float32), Y)
    assert_same(single, fresh(detector).fit(X.astype(np.float32), Y))


@pytest.mark.parametrize("featurizer", ["auto", KernelFeaturizer()], ids=str)
def test_a_source_already_holds_features(featurizer):
    with pytest.raises(ValueError, match=r"RowSource are the features themselves.*featurizer=None"):
        DivaOutlierDetector(featurizer=featurizer).fit(source(X), Y)


def test_bad_rows_are_refused():
    detector = DivaOutlierDetector(featurizer=None)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        detector.fit(source(X), Y[:-1])
    with pytest.raises(ValueError, match="NaN, infinity"):
        detector.fit(source(np.where(np.arange(len(X))[:, None] == 150, np.nan, X)), Y)
    with pytest.raises(ValueError, match=r"ShortRows\.read must return"):
        detector.fit(ShortRows(*X.shape), Y)
    assert not fitted_arrays(detector)
    detector.fit(source(X), Y)
    with pytest.raises(ValueError, match="X has 3 features, but DivaOutlierDetector is expecting"):
        detector.score_labels(source(X_OTHER[:, :3]), Y_OTHER)


class ShortRows(RowSource):
    """Source that forgets the last row of every block."""

    def read(self, rows):
        return torch.from_numpy(X)[rows][:-1]
