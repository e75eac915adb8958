"""Weights reach every learner in a meta-estimator, or `fit` says which one they do not reach."""

import warnings

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    GradientBoostingClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import RFE, RFECV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.multioutput import MultiOutputRegressor, RegressorChain
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier

from skdiva import DivaExtender, DivaReweighter, DivaSampler
from tests.estimators.data import classes, numbers

SEEN = []


class Recorder(LogisticRegression):
    """Records what every fit is given: this class, not the library, watches it."""

    def fit(self, X, y, sample_weight=None):
        SEEN.append(sample_weight)
        return super().fit(X, y, sample_weight)


class RidgeRecorder(Ridge):
    def fit(self, X, y, sample_weight=None):
        SEEN.append(sample_weight)
        return super().fit(X, y, sample_weight)


class Forwards(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """A meta-estimator of another library that passes all arguments on."""

    def __init__(self, model=None):
        self.model = model

    def fit(self, X, y, **arguments):
        self.model_ = clone(self.model).fit(X, y, **arguments)
        self.classes_ = self.model_.classes_
        return self

    def predict(self, X):
        return self.model_.predict(X)


class Loses(Forwards):
    """One that takes weights and does not pass them on."""

    def fit(self, X, y, sample_weight=None):  # noqa: ARG002
        return super().fit(X, y)


R = Recorder()
KNN = KNeighborsClassifier()
PIPED = make_pipeline(StandardScaler(), R)
REST = OneVsRestClassifier(R)
FITTED = FrozenEstimator(LogisticRegression().fit(*classes(k=2)[:2]))

TAKES = [
    PIPED,
    OneVsRestClassifier(PIPED), OneVsOneClassifier(R), OutputCodeClassifier(R, random_state=0),
    CalibratedClassifierCV(R, cv=2), CalibratedClassifierCV(PIPED, cv=2),
    CalibratedClassifierCV(REST, cv=2),
    BaggingClassifier(R, n_estimators=3), AdaBoostClassifier(R, n_estimators=3),
    VotingClassifier([("a", R), ("b", REST)]), StackingClassifier([("a", PIPED)], cv=2),
    StackingClassifier([("a", R)], final_estimator=PIPED, cv=2),
    GradientBoostingClassifier(init=R, n_estimators=3),
    RFE(R), RFECV(R, cv=2), SelfTrainingClassifier(PIPED),
    TunedThresholdClassifierCV(PIPED, cv=2), FixedThresholdClassifier(R),
    GridSearchCV(PIPED, {"recorder__C": [1, 2]}, cv=2),
    GridSearchCV(REST, {"estimator__C": [1, 2]}, cv=2, scoring="f1"),
    GridSearchCV(REST, {}, cv=15),  # more folds than the rows of a trial
    GridSearchCV(REST, {}, cv=2, scoring=["f1", "accuracy"], refit="f1"),
    RandomizedSearchCV(REST, {"estimator__C": [1, 2]}, n_iter=2, cv=2),
    HalvingGridSearchCV(REST, {"estimator__C": [1, 2]}, cv=2),
    Forwards(R), Forwards(PIPED), Forwards(REST), Forwards(Forwards(CalibratedClassifierCV(PIPED))),
]  # fmt: skip

# The learner that the message names, and the chain that it is found in.
REFUSES = [
    (KNN, "KNeighborsClassifier, "),
    (make_pipeline(StandardScaler(), KNN), "Pipeline > KNeighborsClassifier"),
    (CalibratedClassifierCV(KNN), "CalibratedClassifierCV > KNeighborsClassifier"),
    (VotingClassifier([("a", R), ("b", KNN)]), "VotingClassifier > KNeighborsClassifier"),
    (StackingClassifier([("a", R)], final_estimator=KNN), "StackingClassifier > KNeighbors"),
    (GridSearchCV(PIPED, {"recorder": [R, KNN]}), "GridSearchCV > KNeighborsClassifier"),
    (make_pipeline(DivaSampler(), R), "Pipeline > DivaSampler"),
    (AdaBoostClassifier(PIPED), "AdaBoostClassifier, .* Pipeline doesn't support sample_weight"),
    (Loses(R), "Loses > Recorder, .* It does not receive them"),
    (VotingClassifier([("a", R), ("b", Loses(PIPED))]), "Voting.* > Loses > Pipeline > Recorder"),
    (FITTED, "FrozenEstimator"),
]


@pytest.fixture(autouse=True)
def nothing_seen():
    SEEN.clear()


def name(case):
    return str(case).replace("\n", "").replace(" ", "")[:70]


@pytest.mark.filterwarnings("ignore:y contains no unlabeled samples")
@pytest.mark.parametrize("inner", TAKES, ids=name)
def test_every_fit_of_a_learner_gets_weights(inner):
    X, y, _ = classes(200, k=2, wrong=20)
    model = DivaReweighter(inner).fit(X, y)
    assert SEEN
    assert all(weight is not None for weight in SEEN)
    assert any(
        weight.min() < 0.2 * weight.mean() for weight in SEEN
    )  # learned, not those of a trial
    assert model.apply_ == "sample_weight"
    assert model.predict(X).shape == (200,)
    assert not sklearn.get_config()["enable_metadata_routing"]


@pytest.mark.parametrize("kind", [MultiOutputRegressor, RegressorChain])
def test_several_targets(kind):
    X, y = numbers(targets=2)
    DivaReweighter(kind(make_pipeline(StandardScaler(), RidgeRecorder()))).fit(X, y)
    assert SEEN
    assert all(weight is not None for weight in SEEN)


@pytest.mark.parametrize(("inner", "message"), REFUSES, ids=name)
def test_the_refusal_names_the_learner_before_anything_is_computed(inner, message, monkeypatch):
    X, y, _ = classes(k=2)
    model = DivaReweighter(R).fit(X, y).set_params(estimator=inner)
    before = dict(vars(model))

    def computed(*_):
        raise AssertionError("features were computed")

    monkeypatch.setattr(DivaReweighter, "_build_adapter", computed)
    with pytest.raises(ValueError, match=f"(?s){message}.*apply='drop'"):
        model.fit(X, y)
    assert vars(model) == before


@pytest.mark.parametrize("inner", [KNN, make_pipeline(StandardScaler(), KNN), Loses(R)], ids=name)
def test_auto_drops_rows_where_weights_are_not_taken(inner):
    X, y, _ = classes()
    model = DivaReweighter(inner, apply="auto").fit(X, y)
    dropped = DivaReweighter(inner, apply="drop").fit(X, y)
    assert model.apply_ == dropped.apply_ == "drop"
    assert_array_equal(model.predict(X), dropped.predict(X))


def test_auto_passes_weights_where_they_are_taken():
    X, y, _ = classes()
    model = DivaReweighter(LogisticRegression(), apply="auto").fit(X, y)
    weighted = DivaReweighter(LogisticRegression()).fit(X, y)
    assert model.apply_ == "sample_weight"
    assert_array_equal(model.estimator_.coef_, weighted.estimator_.coef_)


@pytest.mark.filterwarnings("ignore:Since FrozenEstimator does not")
def test_a_frozen_classifier_needs_no_weights():
    X, y, _ = classes(k=2)
    model = DivaReweighter(CalibratedClassifierCV(FITTED)).fit(X, y)
    alone = CalibratedClassifierCV(FITTED).fit(X, y, sample_weight=model.sample_weight_)
    assert_array_equal(model.predict_proba(X), alone.predict_proba(X))


def test_a_trial_leaves_no_trace():
    X, y, _ = classes(k=2)
    inner = CalibratedClassifierCV(make_pipeline(StandardScaler(), LogisticRegression()), cv=2)
    np.random.seed(0)  # noqa: NPY002
    state = np.random.get_state()[1]  # noqa: NPY002
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = DivaReweighter(inner).fit(X, y)
    assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    last = model.estimator_.calibrated_classifiers_[0].estimator[-1]
    assert type(last) is LogisticRegression
    assert not hasattr(inner.estimator[-1], "_metadata_request")


def test_errors_of_the_inner_fit_are_raised_as_they_are():
    X, y, _ = classes(k=2)
    inner = CalibratedClassifierCV(LogisticRegression(), cv=70)
    with pytest.raises(ValueError, match="less than 70 examples"):
        DivaReweighter(inner).fit(X, y)


@pytest.mark.parametrize("kind", [DivaReweighter, DivaExtender])
@pytest.mark.parametrize(
    ("inner", "error", "message"),
    [
        (LogisticRegression, TypeError, r"instance, LogisticRegression\(\), got the class"),
        (StandardScaler(), TypeError, "predicts, got StandardScaler"),
        (make_pipeline(StandardScaler()), TypeError, "predicts, got Pipeline"),
        (GridSearchCV(R, {}, refit=False), ValueError, "Use refit=True"),
        ({}, ValueError, "'fit' and 'get_params'"),
    ],
    ids=name,
)
def test_what_is_no_estimator_to_train(kind, inner, error, message):
    X, y, _ = classes()
    with pytest.raises(error, match=message):
        kind(inner).fit(X, y)


def test_a_search_scores_with_weights_as_it_does_for_the_inner_estimator():
    X, y, _ = classes(200, k=2, wrong=40)
    weight = np.random.default_rng(0).uniform(0.1, 3, 200)
    model = DivaReweighter(LogisticRegression())
    search = GridSearchCV(model, {"estimator__C": [0.01, 1]}, cv=3)
    search.fit(X, y, sample_weight=weight)
    for value, score in zip((0.01, 1), search.cv_results_["mean_test_score"], strict=True):
        scores = []
        for train, test in sklearn.model_selection.StratifiedKFold(3).split(X, y):
            part = (
                clone(model).set_params(estimator__C=value).fit(X[train], y[train], weight[train])
            )
            right = part.predict(X[test]) == y[test]
            scores.append(np.average(right, weights=weight[test]))
        assert np.isclose(score, np.mean(scores), rtol=1e-12)


def test_a_score_without_weights_says_so():
    X, y, _ = classes(k=2)
    model = DivaReweighter(GridSearchCV(LogisticRegression(), {}, cv=2)).fit(X, y)
    with pytest.warns(UserWarning, match="score of GridSearchCV does not take sample_weight"):
        score = model.score(X, y, sample_weight=np.linspace(1, 2, 80))
    assert score == model.score(X, y)
