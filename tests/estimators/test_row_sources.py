"""Estimators fitted on a row source, compared with a fit on the same rows in memory."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from skdiva import DivaExtender, DivaOutlierDetector, DivaReweighter, DivaSampler
from skdiva.features import KernelFeaturizer
from skdiva.inspection import ExtensionDisplay, WeightsDisplay
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
    detector = DivaOutlierDetector(featurizer=featurizer).fit(X, Y)
    extender = DivaExtender(featurizer=featurizer).fit(X, Y, X_pool=X_OTHER, y_pool=Y_OTHER)
    other = {"X_val": source(X_OTHER), "y_val": Y_OTHER}
    pool = {"X_pool": source(X_OTHER), "y_pool": Y_OTHER}
    for refused in (
        lambda: detector.fit(source(X), Y),
        lambda: detector.fit(X, Y, **other),
        lambda: detector.score_labels(source(X_OTHER), Y_OTHER),
        lambda: detector.score(source(X_OTHER), Y_OTHER),
        lambda: detector.transform(source(X_OTHER)),
        lambda: DivaReweighter(featurizer=featurizer).fit(source(X), Y),
        lambda: extender.fit(source(X), Y, X_pool=X_OTHER, y_pool=Y_OTHER),
        lambda: extender.fit(X, Y, **pool),
        lambda: extender.score_rows(source(X_OTHER), Y_OTHER),
    ):
        with pytest.raises(ValueError, match=r"are the features themselves.*featurizer=None"):
            refused()


def test_the_inner_estimator_gets_the_rows_after_the_weights_are_learned():
    sizes = []

    def function(rows):
        sizes.append(len(rows))
        return torch.from_numpy(X)[rows]

    inner = LogisticRegression(max_iter=200)
    for apply in ("sample_weight", "drop"):
        model = DivaReweighter(inner, apply=apply, featurizer=None, batch_size=64)
        expected = fresh(model).fit(X, Y)
        rows = MadeRows(function, len(X))
        sizes.clear()
        model.fit(rows, Y)
        assert max(sizes[:-1]) == 64
        assert sizes[-1] == len(X)
        np.testing.assert_array_equal(model.estimator_.coef_, expected.estimator_.coef_)


def test_sources_without_real_columns_are_refused():
    detector = DivaOutlierDetector(featurizer=None)
    with pytest.raises(ValueError, match="Complex data not supported"):
        detector.fit(source(X.astype(complex), torch.complex128), Y)
    with pytest.raises(
        ValueError, match=r"0 feature\(s\) \(shape=\(200, 0\)\) while a minimum of 1"
    ):
        detector.fit(source(X[:, :0]), Y)
    detector.fit(X, Y)
    with pytest.raises(ValueError, match="Complex data not supported"):
        detector.score_labels(source(X_OTHER.astype(complex), torch.complex128), Y_OTHER)


def test_what_reads_rows_into_memory_checks_them():
    detector = DivaOutlierDetector(featurizer=None).fit(X, Y)
    extender = DivaExtender(featurizer=None)
    wrong = ShortRows(*X.shape)
    for read in (
        lambda: detector.score_labels(wrong, Y),
        lambda: detector.score(wrong, Y),
        lambda: fresh(detector).fit(X, Y, X_val=wrong, y_val=Y),
        lambda: extender.fit(X, Y, X_pool=wrong, y_pool=Y),
        lambda: extender.fit(wrong, Y, X_pool=X, y_pool=Y),
    ):
        with pytest.raises(ValueError, match=r"ShortRows\.read must return"):
            read()


def test_scikit_learn_cannot_split_a_source():
    with pytest.raises(TypeError, match=r"got a MadeRows, which can be neither split.*read\(slice"):
        cross_val_score(DivaOutlierDetector(featurizer=None), source(X), Y, cv=3)
    with pytest.raises(TypeError, match="got a MadeRows, which can be neither split nor converted"):
        LogisticRegression().fit(source(X), Y)


def test_displays_show_the_rows_of_a_source():
    model = DivaReweighter(featurizer=None).fit(source(X), Y)
    display = WeightsDisplay.from_estimator(model, source(X), Y, image_shape=(8, 8))
    np.testing.assert_array_equal(display.X, X)
    extender = DivaExtender(LogisticRegression(), featurizer=None)
    answers = []
    for convert in (lambda X: X, source):
        rows = {"X": convert(X[:100]), "X_pool": convert(X[100:]), "y_pool": Y[100:]}
        extender.fit(rows["X"], Y[:100], X_pool=rows["X_pool"], y_pool=rows["y_pool"])
        test = {"X_test": convert(X_OTHER), "y_test": Y_OTHER}
        shown = ExtensionDisplay.from_estimator(
            extender, y=Y[:100], **rows, **test, n_rows=[0, 100], n_repeats=1
        )
        answers.append((shown.random_loss, shown.test_error))
    for ours, theirs in zip(*answers, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_bad_rows_are_refused():
    detector = DivaOutlierDetector(featurizer=None)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        detector.fit(source(X), Y[:-1])
    with pytest.raises(ValueError, match=r"contain NaN\..*impute"):
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
