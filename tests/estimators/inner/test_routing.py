"""Weights reach the inner estimator, or an error says why not; metadata routing off and on."""

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    BaggingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.feature_selection import RFE, SelectFromModel
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.metadata_routing import get_routing_for_object

from skdiva import DivaOutlierDetector, DivaReweighter
from skdiva.estimators.inner._sample_weight import find_refusal
from tests.estimators.data import classes, same_fit


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


LOGISTIC = LogisticRegression()
NEIGHBORS = KNeighborsClassifier()


@pytest.mark.parametrize(
    ("estimator", "takes"),
    [
        (LOGISTIC, True),
        (RandomForestClassifier(), True),
        (BaggingClassifier(), True),
        (make_pipeline(StandardScaler(), LOGISTIC), True),
        (GridSearchCV(LOGISTIC, {}), True),
        (GridSearchCV(make_pipeline(StandardScaler(), LOGISTIC), {}), True),
        (RFE(LOGISTIC), True),
        (make_pipeline(SelectFromModel(LOGISTIC), NEIGHBORS), False),
        (VotingClassifier([("a", LOGISTIC), ("b", "drop")]), True),
        (VotingClassifier([("a", LOGISTIC), ("b", NEIGHBORS)]), False),
        (TransformedTargetRegressor(Ridge()), True),
        (NEIGHBORS, False),
        (GridSearchCV(NEIGHBORS, {}), False),
        (make_pipeline(StandardScaler(), "passthrough"), False),
        (FrozenEstimator(LOGISTIC), False),
    ],
    ids=lambda value: str(value)[:40],
)
def test_learners_that_take_weights_without_routing(estimator, takes):
    assert (find_refusal(estimator) is None) == takes


@pytest.mark.parametrize(
    "inner",
    [
        make_pipeline(StandardScaler(), LogisticRegression(C=0.1)),
        GridSearchCV(LogisticRegression(), {"C": [0.1]}),
        VotingClassifier([("a", LogisticRegression(C=0.1))], voting="soft"),
        RFE(LogisticRegression(C=0.1), n_features_to_select=6),
    ],
)
def test_weights_arrive_through_estimators_that_forward_them(inner):
    X, y, _ = classes(200, wrong=40)
    weighted = DivaReweighter(inner).fit(X, y)
    plain = sklearn.clone(inner).fit(X, y)
    assert not np.allclose(weighted.predict_proba(X), plain.predict_proba(X))


@pytest.mark.usefixtures("routing")
def test_weights_must_be_requested():
    X, y, _ = classes()
    for inner in (
        LogisticRegression(),
        LogisticRegression().set_fit_request(sample_weight=False),
        make_pipeline(StandardScaler(), LogisticRegression()),
    ):
        with pytest.raises(ValueError, match=r"set_fit_request\(sample_weight=True\)"):
            DivaReweighter(inner).fit(X, y)
    with pytest.raises(ValueError, match="Use apply='drop'"):
        DivaReweighter(NEIGHBORS).fit(X, y)


@pytest.mark.usefixtures("routing")
def test_requested_weights_arrive():
    X, y, _ = classes()
    inner = LogisticRegression().set_fit_request(sample_weight=True)
    model = DivaReweighter(inner).fit(X, y)
    alone = LogisticRegression().fit(X, y, sample_weight=model.sample_weight_)
    assert_array_equal(model.estimator_.coef_, alone.coef_)
    scaler = StandardScaler().set_fit_request(sample_weight=False)
    piped = DivaReweighter(make_pipeline(scaler, inner)).fit(X, y)
    assert_array_equal(piped.sample_weight_, model.sample_weight_)
    assert piped.predict(X).shape == (80,)


@pytest.mark.usefixtures("routing")
def test_dropping_requests_nothing():
    X, y, _ = classes()
    DivaReweighter(NEIGHBORS, apply="drop").fit(X, y, np.linspace(1, 2, 80))
    inner = LogisticRegression()
    DivaReweighter(inner, apply="drop").fit(X, y)
    with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
        DivaReweighter(inner, apply="drop").fit(X, y, np.linspace(1, 2, 80))


@pytest.mark.usefixtures("routing")
def test_delegated_methods_route_what_is_requested():
    X, y, _ = classes()
    inner = LogisticRegression().set_fit_request(sample_weight=True)
    inner.set_score_request(sample_weight=True)
    model = DivaReweighter(inner).fit(X, y)
    weight = np.linspace(0, 1, 80)
    expected = model.estimator_.score(X, y, sample_weight=weight)
    assert model.score(X, y, sample_weight=weight) == expected
    with pytest.raises(TypeError, match="unexpected"):
        model.predict(X, sample_weight=weight)


def test_delegated_methods_without_routing():
    X, y, _ = classes()
    model = DivaReweighter(LogisticRegression()).fit(X, y)
    weight = np.linspace(0, 1, 80)
    assert_allclose(
        model.score(X, y, sample_weight=weight),
        model.estimator_.score(X, y, sample_weight=weight),
    )
    with pytest.raises(ValueError, match="enable_metadata_routing"):
        model.predict(X, sample_weight=weight)


@pytest.mark.parametrize("estimator", [DivaReweighter(), DivaOutlierDetector()])
def test_metadata_can_be_requested(estimator):
    with sklearn.config_context(enable_metadata_routing=True):
        asked = sklearn.clone(estimator).set_fit_request(
            sample_weight=True, groups="patients", sources=True, X_val=True, y_val=True
        )
        request = get_routing_for_object(asked)
        names = {"sample_weight", "patients", "sources", "X_val", "y_val"}
        assert request.consumes("fit", names) == names


@pytest.mark.usefixtures("routing")
def test_groups_reach_the_splitter_and_the_fit_of_a_search():
    X, y, _ = classes()
    groups = np.arange(80) // 4
    inner = LogisticRegression().set_fit_request(sample_weight=True)
    model = DivaReweighter(inner).set_fit_request(groups=True, X_val=True, y_val=True)
    search = GridSearchCV(model, {"alpha": [0.1, 10.0]}, cv=GroupKFold(4))
    search.fit(X, y, groups=groups, X_val=(X,), y_val=(y,))
    alone = DivaReweighter(**search.best_params_).fit(X, y, groups=groups, X_val=X, y_val=y)
    same_fit(search.best_estimator_, alone)
    assert search.cv_results_["mean_test_score"].shape == (2,)


@pytest.mark.usefixtures("routing")
def test_a_pipeline_transforms_the_validation_rows():
    X, y, _ = classes()
    scaled = StandardScaler().fit(X)
    pipeline = make_pipeline(
        StandardScaler(),
        DivaReweighter(featurizer=None).set_fit_request(X_val=True, y_val=True),
        transform_input=["X_val"],
    )
    pipeline.fit(X, y, X_val=X[:30], y_val=y[:30])
    Z = scaled.transform(X)
    same_fit(pipeline[-1], DivaReweighter(featurizer=None).fit(Z, y, X_val=Z[:30], y_val=y[:30]))


@pytest.mark.usefixtures("routing")
def test_an_inner_search_gets_the_groups():
    X, y, _ = classes()
    inner = (
        LogisticRegression()
        .set_fit_request(sample_weight=True)
        .set_score_request(sample_weight=False)
    )
    search = GridSearchCV(inner, {"C": [0.1, 1.0]}, cv=GroupKFold(3))
    model = DivaReweighter(search).fit(X, y, groups=np.arange(80) // 4)
    assert model.estimator_.best_params_["C"] in (0.1, 1.0)


@pytest.mark.usefixtures("routing")
def test_an_inner_estimator_may_take_the_validation_rows_too():
    X, y, truth = classes(200)
    inner = HistGradientBoostingClassifier(early_stopping=True, max_iter=5)
    inner.set_fit_request(sample_weight=True, X_val=True, y_val=True)
    model = DivaReweighter(inner).fit(X, y, X_val=X[100:], y_val=truth[100:])
    assert len(model.estimator_.validation_score_) > 1


@pytest.mark.usefixtures("routing")
def test_a_pipeline_hands_metadata_to_fit_predict():
    X, y, _ = classes()
    groups = np.arange(80) // 4
    detector = DivaOutlierDetector().set_fit_request(groups=True)
    pipeline = make_pipeline(StandardScaler(), detector)
    verdict = pipeline.fit_predict(X, y, groups=groups)
    assert_array_equal(verdict, DivaOutlierDetector().fit_predict(X, y, groups=groups))


def test_regressor_in_a_regressor():
    X, y, _ = classes()
    model = DivaReweighter(TransformedTargetRegressor(LinearRegression())).fit(X, y + 0.25)
    assert model.predict(X).shape == (80,)
