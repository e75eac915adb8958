"""In Pipelines and searches."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdiva import DivaOutlierDetector, DivaReweighter
from skdiva.exceptions import WeightsNotPropagatedWarning
from tests.estimators.data import classes, numbers, same_fit


def test_last_step_of_a_pipeline_does_not_warn():
    X, y, _ = classes()
    pipeline = make_pipeline(StandardScaler(), PCA(4), DivaReweighter(LogisticRegression()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pipeline.fit(X, y)
    assert pipeline.score(X, y) > 0.5
    assert pipeline[-1].n_features_in_ == 4


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (DivaReweighter(), "The learned weights do not reach the next step"),
        (DivaOutlierDetector(), "No row was dropped"),
    ],
)
def test_a_step_before_the_last_warns(step, message):
    X, y, _ = classes()
    with pytest.warns(WeightsNotPropagatedWarning, match=message):
        pipeline = make_pipeline(step, LogisticRegression()).fit(X, y)
    assert_array_equal(pipeline[-1].coef_, LogisticRegression().fit(X, y).coef_)


def test_a_step_with_its_own_estimator_does_not_warn():
    X, y, _ = classes()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same = DivaReweighter(LogisticRegression()).fit_transform(X, y)
    assert_array_equal(same, X)


def test_identity_keeps_names_and_containers():
    pd = pytest.importorskip("pandas")
    X, y, _ = classes()
    frame = pd.DataFrame(X).add_prefix("x")
    model = DivaReweighter().fit(frame, y)
    assert_array_equal(model.get_feature_names_out(), frame.columns)
    pd.testing.assert_frame_equal(model.set_output(transform="pandas").transform(frame), frame)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_grid_search(n_jobs):
    X, y, _ = classes()
    pipeline = make_pipeline(StandardScaler(), DivaReweighter(LogisticRegression()))
    grid = {
        "divareweighter__learning_rate": [0.1, 0.5],
        "divareweighter__estimator": [LogisticRegression(), LogisticRegression(C=0.1)],
    }
    search = GridSearchCV(pipeline, grid, cv=3, n_jobs=n_jobs, error_score="raise").fit(X, y)
    assert search.best_score_ > 0.6
    assert search.best_estimator_[-1].sample_weight_.shape == (80,)


def test_weights_are_learned_on_the_training_fold():
    X, y, _ = classes()
    result = cross_validate(
        DivaReweighter(LogisticRegression()), X, y, cv=4, return_estimator=True, return_indices=True
    )
    for model, train in zip(result["estimator"], result["indices"]["train"], strict=True):
        same_fit(model, DivaReweighter().fit(X[train], y[train]))


def test_a_detector_can_be_tuned():
    X, y, _ = classes()
    search = GridSearchCV(DivaOutlierDetector(), {"alpha": [0.01, 1.0, 100.0]}, cv=3).fit(X, y)
    assert search.best_score_ > 0.6
    verdict = make_pipeline(StandardScaler(), search.best_estimator_).fit_predict(X, y)
    assert set(verdict) == {-1, 1}


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_search_slices_a_bare_validation_set_of_the_length_of_X(wrapped):
    """The trap, and that a 1-tuple is the way around it."""
    X, y, truth = classes(60)
    seen = []

    class Spy(DivaReweighter):
        def fit(self, X, y, X_val=None, y_val=None):
            seen.append(len(X_val[0] if isinstance(X_val, tuple) else X_val))
            return super().fit(X, y, X_val=X_val, y_val=y_val)

    X_val, y_val = ((X,), (truth,)) if wrapped else (X, truth)
    search = GridSearchCV(Spy(LogisticRegression()), {"alpha": [1.0]}, cv=3, refit=False)
    search.fit(X, y, X_val=X_val, y_val=y_val)
    assert seen == [60 if wrapped else 40] * 3


@pytest.mark.parametrize(
    "make",
    [
        lambda model: CalibratedClassifierCV(model, cv=2),
        lambda model: VotingClassifier([("a", model), ("b", LogisticRegression())]),
        lambda model: StackingClassifier([("a", model)], cv=2),
    ],
)
def test_inside_other_estimators(make):
    X, y, _ = classes()
    assert make(DivaReweighter(LogisticRegression())).fit(X, y).score(X, y) > 0.6


def test_html_display():
    X, y, _ = classes()
    for estimator in (DivaReweighter(LogisticRegression()), DivaOutlierDetector()):
        assert type(estimator).__name__ in estimator.fit(X, y)._repr_html_()


def test_cross_val_predict():
    X, y = numbers()
    model = TransformedTargetRegressor(DivaReweighter(Ridge()))
    assert cross_val_predict(model, X, y, cv=3).shape == (60,)
    assert np.isfinite(cross_val_predict(DivaReweighter(Ridge()), X, y, cv=3)).all()
