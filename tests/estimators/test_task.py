"""Parameter ``task``: what y holds, in every estimator and featurizer that reads it."""

import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

from skdiva import DivaExtender, DivaOutlierDetector, DivaReweighter, DivaSampler
from skdiva.exceptions import UninformativeFeaturesWarning
from skdiva.features import KernelFeaturizer

X, Y = load_diabetes(return_X_y=True)
X, Y = X[:120], Y[:120].astype(int)  # 99 different whole numbers
RATINGS = np.digitize(Y, [70, 120, 180])  # 0 to 3
HALVES = RATINGS + 0.5
CONTAINERS = {
    "pandas": pd.Series,
    "pandas category": lambda y: pd.Series(y, dtype="category"),
    "polars": pl.Series,
    "pyarrow": pa.array,
    "pyarrow dictionary": lambda y: pa.array(y).dictionary_encode(),
    "tensor": torch.tensor,
    "list": list,
    "objects": lambda y: y.astype(object),
    "Decimals": lambda y: [Decimal(str(value)) for value in y],
}
AS_NUMBERS = r"y holds \d+ different whole numbers in 120 rows.* read as numbers"


class Extender(DivaExtender):
    """Extender whose pool are rows near those of the core."""

    def fit(self, X, y):
        nearby = X + 0.02 * np.random.default_rng(0).normal(size=X.shape)
        return super().fit(X, y, X_pool=nearby, y_pool=y)


READERS = {
    "detector": DivaOutlierDetector(),
    "derivative": DivaOutlierDetector(criterion="derivative"),
    "raw features": DivaOutlierDetector(featurizer=None),
    "its own featurizer": DivaOutlierDetector(featurizer=KernelFeaturizer("rbf")),
    "reweighter": DivaReweighter(),
    "extender": Extender(),
    "sampler": DivaSampler(),
    "sampler of a detector": DivaSampler(DivaOutlierDetector(featurizer=None)),
    "sampler of a pipeline": DivaSampler(make_pipeline(StandardScaler(), DivaOutlierDetector())),
    "sampler of a forest": DivaSampler(IsolationForest(n_estimators=10, random_state=0)),
    "featurizer": KernelFeaturizer(),
}


def silently(function):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", UninformativeFeaturesWarning)
        return function()


def read_as(model):
    """What a fitted model took y for."""
    if isinstance(model, DivaSampler):
        return "classification" if model.sampling_strategy_ else "regression"
    if isinstance(model, KernelFeaturizer):
        return None  # known by the losses
    return "classification" if hasattr(model, "classes_") else "regression"


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_whole_numbers_are_read_alike(reader):
    """They are read as numbers that have a fraction are, and one warning says so."""
    with pytest.warns(UserWarning, match=AS_NUMBERS) as caught:
        model = clone(reader).fit(X, Y)
    assert len(caught) == 1
    assert read_as(model) in ("regression", None)
    told = silently(lambda: clone(reader).set_params(task="regression").fit(X, Y))
    shifted = silently(lambda: clone(reader).fit(X, Y + 0.5))
    for other in (told, shifted):
        for name in ("outlier_scores_", "sample_weight_", "ranking_", "sample_indices_"):
            if hasattr(model, name):
                np.testing.assert_allclose(getattr(model, name), getattr(other, name), rtol=1e-6)
    if isinstance(reader, KernelFeaturizer):
        assert model.kernel_ == told.kernel_ == shifted.kernel_
        assert (
            model.loo_results_["loo_loss"]
            == told.loo_results_["loo_loss"]
            == pytest.approx(shifted.loo_results_["loo_loss"])
        )


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_a_few_whole_numbers_are_classes_unless_the_task_is_regression(reader):
    model = silently(lambda: clone(reader).fit(X, RATINGS))
    named = silently(lambda: clone(reader).fit(X, np.array(list("abcd"))[RATINGS]))
    numbers = silently(lambda: clone(reader).set_params(task="regression").fit(X, RATINGS))
    shifted = silently(lambda: clone(reader).fit(X, RATINGS + 0.5))
    assert read_as(model) == read_as(named) in ("classification", None)
    assert read_as(numbers) == read_as(shifted) in ("regression", None)
    if isinstance(reader, KernelFeaturizer):
        assert (
            model.loo_results_["loo_loss"]
            == named.loo_results_["loo_loss"]
            != numbers.loo_results_["loo_loss"]
        )
        assert numbers.loo_results_["loo_loss"] == pytest.approx(shifted.loo_results_["loo_loss"])


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_many_classes_can_be_asked_for(reader):
    y = np.repeat(np.arange(0, 300, 20), 8)  # 15 values that do not look like codes
    with pytest.warns(UserWarning, match="15 different whole numbers in 120 rows, from 0 to 280"):
        clone(reader).fit(X, y)
    model = silently(lambda: clone(reader).set_params(task="classification").fit(X, y))
    assert read_as(model) in ("classification", None)


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_the_task_is_an_ordinary_parameter(reader):
    reader = clone(reader).set_params(task="regression")
    assert clone(reader).get_params()["task"] == "regression"
    assert "task='regression'" in repr(reader)
    before = dict(vars(reader.set_params(task="ranking")))
    with pytest.raises(ValueError, match=r"'task' parameter of .* must be a str among"):
        reader.fit(X, Y)
    assert vars(reader) == before


@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
@pytest.mark.parametrize("y", [RATINGS, HALVES], ids=["codes", "halves"])
@pytest.mark.parametrize("reader", [DivaOutlierDetector, DivaReweighter, Extender, DivaSampler])
def test_any_container_is_the_same_y(reader, y, container):
    is_sampler = reader is DivaSampler
    make = (
        {"detector": DivaOutlierDetector(featurizer=None)} if is_sampler else {"featurizer": None}
    )
    held, task = container(y), "classification"
    if y is HALVES and container not in (
        CONTAINERS["pandas category"],
        CONTAINERS["pyarrow dictionary"],
    ):
        task = "regression"
    expected = reader(**make).fit(X, y if task == "regression" else RATINGS)
    model = silently(lambda: reader(**make).fit(X, held))
    assert read_as(model) == read_as(expected) == task
    name = {Extender: "ranking_", DivaSampler: "sample_indices_"}.get(reader, "sample_weight_")
    assert_array_equal(getattr(model, name), getattr(expected, name))
    if reader is DivaOutlierDetector:
        assert_array_equal(
            model.score_labels(X, held),
            expected.score_labels(X, y if task == "regression" else RATINGS),
        )
    if is_sampler:
        assert type(reader(**make).fit_resample(X, held)[1]) is type(held)


@pytest.mark.parametrize("meta", [DivaReweighter, Extender])
def test_the_inner_estimator_decides(meta):
    model = silently(lambda: meta(Ridge()).fit(X, RATINGS))
    assert not hasattr(model, "classes_")
    same = silently(lambda: meta(Ridge(), task="regression").fit(X, RATINGS))
    assert_array_equal(model.predict(X), same.predict(X))
    # The featurizer is told as well.
    featurizer = KernelFeaturizer()
    other = silently(lambda: meta(Ridge(), featurizer=featurizer).fit(X, RATINGS))
    assert other.featurizer_.loo_results_["loo_loss"] == pytest.approx(
        model.featurizer_.loo_results_["loo_loss"]
    )
    assert (featurizer.task, other.featurizer_.task) == ("auto", "regression")
    piped = make_pipeline(StandardScaler(), KernelFeaturizer())
    piped = silently(lambda: meta(Ridge(), featurizer=piped).fit(X, RATINGS))
    assert piped.featurizer_[-1].task == "regression"
    # Many whole numbers are class codes for a classifier.
    y = np.repeat(np.arange(0, 300, 20), 8)
    model = silently(lambda: meta(LogisticRegression(max_iter=5000)).fit(X, y))
    assert_array_equal(model.classes_, np.unique(y))


@pytest.mark.parametrize("meta", [DivaReweighter, DivaExtender])
def test_a_task_that_contradicts(meta):
    for estimator, task in ((Ridge(), "classification"), (LogisticRegression(), "regression")):
        with pytest.raises(ValueError, match=f"task='{task}' contradicts the estimator"):
            meta(estimator, task=task).fit(X, RATINGS)
    featurizer = KernelFeaturizer(task="classification")
    with pytest.raises(ValueError, match="y is read for regression, but KernelFeaturizer has task"):
        meta(featurizer=featurizer, task="regression").fit(X, RATINGS)


def test_a_criterion_decides():
    model = silently(lambda: DivaOutlierDetector(criterion="residual").fit(X, RATINGS))
    assert not hasattr(model, "classes_")
    y = np.repeat(np.arange(0, 300, 20), 8)
    model = silently(lambda: DivaOutlierDetector(criterion="probability").fit(X, y))
    assert len(model.classes_) == 15
    for criterion, task, message in (
        ("residual", "classification", "'residual' expects y with numbers, got y with classes"),
        ("probability", "regression", "'probability' expects y with classes, got y with numbers"),
    ):
        with pytest.raises(ValueError, match=message):
            DivaOutlierDetector(criterion=criterion, task=task).fit(X, RATINGS)
    with pytest.raises(ValueError, match="loss='log_loss' expects y with classes"):
        DivaReweighter(loss="log_loss", task="regression").fit(X, RATINGS)


def test_a_sampler_and_its_detector_must_agree():
    sampler = DivaSampler(DivaOutlierDetector(task="classification"), task="regression")
    with pytest.raises(ValueError, match="y is read for regression, but DivaOutlierDetector has"):
        sampler.fit(X, RATINGS)
    numbers = DivaSampler(DivaOutlierDetector(task="regression")).fit(X, RATINGS)
    assert numbers.sampling_strategy_ == {}
    told = DivaSampler(task="regression").fit(X, RATINGS)
    assert_array_equal(told.sample_indices_, numbers.sample_indices_)
    assert (told.detector, told.detector_.task) == (None, "regression")


def test_rows_of_zeros_and_ones():
    """They are one-hot labels for a sampler, and several targets if numbers are asked for."""
    one_hot = np.eye(4, dtype=int)[RATINGS]
    as_labels = DivaSampler().fit(X, RATINGS)
    assert_array_equal(DivaSampler().fit(X, one_hot).sample_indices_, as_labels.sample_indices_)
    numbers = DivaSampler(task="regression").fit(X, one_hot)
    assert numbers.detector_.suggested_label_.shape == (120, 4)
    with pytest.raises(ValueError, match=r"y should be a 1d array.*task='regression'"):
        DivaOutlierDetector().fit(X, one_hot)


def test_several_targets_of_whole_numbers():
    two = np.c_[Y, 2 * Y + RATINGS]
    with pytest.warns(UserWarning, match=AS_NUMBERS):
        model = DivaOutlierDetector().fit(X, two)
    same = silently(lambda: DivaOutlierDetector(task="regression").fit(X, two.astype(float)))
    assert_array_equal(model.outlier_scores_, same.outlier_scores_)
    assert model.suggested_label_.shape == (120, 2)


def test_a_categorical_column():
    """A dataframe of one column is labels, for the sampler too; unused categories do not count."""
    y = pd.Series(pd.Categorical(10 * RATINGS, categories=[0, 10, 20, 30, 40]))
    expected = DivaOutlierDetector().fit(X, RATINGS)
    model = silently(lambda: DivaOutlierDetector().fit(X, y))
    assert_array_equal(model.classes_, [0, 10, 20, 30])
    assert_array_equal(model.outlier_scores_, expected.outlier_scores_)
    many = pd.DataFrame({"y": pd.Categorical(np.repeat(np.arange(0, 300, 20), 8))})
    sampler = silently(lambda: DivaSampler().fit(X, many))
    assert len(sampler.sampling_strategy_) == 15


def test_later_rows_are_read_like_those_of_the_fit():
    """Whatever a few labels look like on their own."""
    detector = DivaOutlierDetector(task="regression").fit(X, Y)
    few = np.array([1, 2, 1, 2])
    for y in (few, few.astype(object), pd.Series(few, dtype="Int64")):
        scores = silently(lambda y=y: detector.score_labels(X[:4], y))
        assert_array_equal(scores, detector.score_labels(X[:4], few.astype(float)))
    with pytest.raises(ValueError, match="Expected numbers in y for regression, got strings"):
        detector.score_labels(X[:2], ["1", "2"])
    with pytest.raises(ValueError, match="Expected numbers in y_val for regression, got strings"):
        detector.fit(X, Y, X_val=X[:2], y_val=["1", "2"])
    extender = DivaExtender(task="regression")
    with pytest.raises(ValueError, match="classes or numbers in y_pool, got dates"):
        extender.fit(X, Y, X_pool=X[:2], y_pool=np.array([1, 2], "M8[D]"))
    few = silently(lambda: extender.fit(X, Y, X_pool=X[:4], y_pool=few, X_val=X[:2], y_val=[1, 2]))
    assert few.ranking_.shape == (4,)


def test_a_search_over_the_task():
    grid = {"task": ["classification", "regression"]}
    search = GridSearchCV(DivaOutlierDetector(featurizer=None), grid, cv=2).fit(X, RATINGS)
    assert search.best_params_["task"] in grid["task"]
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_tags_say_whether_several_targets_are_read():
    for reader in (DivaOutlierDetector, DivaReweighter, DivaExtender):
        assert get_tags(reader()).target_tags.multi_output
        assert not get_tags(reader(task="classification")).target_tags.multi_output
    assert get_tags(DivaReweighter(Ridge())).target_tags.multi_output
    assert not get_tags(DivaReweighter(LogisticRegression())).target_tags.multi_output
