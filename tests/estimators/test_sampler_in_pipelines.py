"""DivaSampler as a step of imbalanced-learn's pipelines, and both libraries' own checks of it."""

from functools import partial

import numpy as np
import pytest
import sklearn
from imblearn.base import is_sampler
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import Pipeline, make_pipeline
from imblearn.utils import estimator_checks as imblearn_checks
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import TruncatedSVD
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks as sklearn_checks
from sklearn.utils import get_tags

from skdiva import DivaOutlierDetector, DivaSampler
from skdiva.datasets import flip_labels
from skdiva.features import KernelFeaturizer
from tests.estimators.data import classes

X, Y, _ = classes()
SCALED = StandardScaler().fit_transform(X)
PLAIN = DivaOutlierDetector(featurizer=None, alpha=1.0)
STAY = np.flatnonzero(PLAIN.fit_predict(SCALED, Y) == 1)
PIPELINE = Pipeline(
    [
        ("scaler", StandardScaler()),
        ("sampler", DivaSampler(PLAIN)),
        ("classifier", LogisticRegression()),
    ]
)


def fitted(*steps):
    return make_pipeline(StandardScaler(), *steps).fit(X, Y)


def test_rows_are_dropped_in_fit_and_never_after():
    pipeline = clone(PIPELINE).fit(X, Y)
    assert len(STAY) < 80
    assert_array_equal(pipeline["sampler"].sample_indices_, STAY)
    alone = LogisticRegression().fit(SCALED[STAY], Y[STAY])
    assert_allclose(pipeline["classifier"].coef_, alone.coef_)
    assert_array_equal(pipeline.predict(X), alone.predict(SCALED))
    assert pipeline.score(X, Y) == alone.score(SCALED, Y)


def test_at_the_end_of_a_pipeline():
    pipeline = make_pipeline(StandardScaler(), DivaSampler(PLAIN))
    X_clean, y_clean = pipeline.fit_resample(X, Y)
    assert_allclose(X_clean, SCALED[STAY])
    assert_array_equal(y_clean, Y[STAY])


def test_beside_another_sampler():
    pipeline = fitted(DivaSampler(PLAIN), RandomOverSampler(random_state=0), LogisticRegression())
    assert set(pipeline["randomoversampler"].sample_indices_) == set(range(len(STAY)))


def test_steps_kept_in_a_cache(tmp_path):
    pipeline = clone(PIPELINE).set_params(memory=str(tmp_path))
    for _ in range(2):
        pipeline.fit(X, Y)
        assert_array_equal(pipeline["sampler"].sample_indices_, STAY)


def test_search():
    search = GridSearchCV(
        PIPELINE,
        {"sampler__detector__contamination": [0.1, 0.2, 0.4], "sampler": [DivaSampler(PLAIN)]},
        cv=3,
    ).fit(X, Y)
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    assert len(set(scores)) > 1
    share = search.best_params_["sampler__detector__contamination"]
    assert len(search.best_estimator_["sampler"].sample_indices_) == round(80 * (1 - share))


def test_it_helps():
    X, y = load_digits(return_X_y=True)
    y_noisy, is_flipped = flip_labels(y[:600], 0.3, random_state=0)
    sampler = DivaSampler(DivaOutlierDetector(featurizer=KernelFeaturizer("linear")))
    pipeline = make_pipeline(StandardScaler(), sampler, LogisticRegression(max_iter=1000))
    plain = clone(pipeline).set_params(divasampler="passthrough").fit(X[:600], y_noisy)
    pipeline.fit(X[:600], y_noisy)
    assert is_flipped[pipeline[1].sample_indices_].mean() < 0.05
    assert pipeline.score(X[600:], y[600:]) > plain.score(X[600:], y[600:]) + 0.05


def test_metadata_without_routing_are_lost_on_the_way():
    """Documented: imbalanced-learn hands a sampler nothing. If that changes, so must the notes."""
    pipeline = clone(PIPELINE).fit(X, Y, sampler__groups="neither arrives nor is looked at")
    assert_array_equal(pipeline["sampler"].sample_indices_, STAY)


def test_metadata_with_routing():
    groups = np.arange(80) // 8
    expected = clone(PLAIN).fit(SCALED, Y, groups=groups).outlier_scores_
    assert np.abs(expected - clone(PLAIN).fit(SCALED, Y).outlier_scores_).max() > 1e-4
    with sklearn.config_context(enable_metadata_routing=True):
        detector = clone(PLAIN).set_fit_request(groups=True)
        pipeline = clone(PIPELINE).set_params(sampler__detector=detector)
        pipeline.fit(X, Y, groups=groups)
        assert_allclose(pipeline["sampler"].detector_.outlier_scores_, expected)
        # A search cuts them to the training rows.
        scores = cross_val_score(pipeline, X, Y, cv=GroupKFold(2), params={"groups": groups})
    assert np.isfinite(scores).all()


def test_validation_rows_arrive_as_they_were_given():
    """Documented: steps before a sampler do not transform them, whatever is asked for."""
    with sklearn.config_context(enable_metadata_routing=True):
        detector = clone(PLAIN).set_fit_request(X_val=True, y_val=True)
        detector.set_params(criterion="derivative")
        pipeline = clone(PIPELINE).set_params(sampler__detector=detector, transform_input=["X_val"])
        pipeline.fit(X, Y, X_val=(X,), y_val=(Y,))
    expected = detector.fit(SCALED, Y, X_val=X, y_val=Y).derivative_
    assert_allclose(pipeline["sampler"].detector_.derivative_, expected)


def test_it_is_a_sampler():
    assert is_sampler(DivaSampler())
    tags = get_tags(DivaSampler())
    assert (tags.estimator_type, tags.target_tags.required) == ("sampler", True)
    assert tags.sampler_tags.sample_indices


CONFIGURATIONS = [
    DivaSampler(),
    DivaSampler(DivaOutlierDetector(contamination=0.1, featurizer=None)),
    DivaSampler(DivaOutlierDetector(featurizer=TruncatedSVD(1), criterion="derivative")),
]
# A check that silently goes missing is a failure. scikit-learn checks little where X goes to a
# transformer unseen.
FEWEST_CHECKS = [
    *((imblearn_checks, sampler, 14) for sampler in CONFIGURATIONS),
    *((sklearn_checks, sampler, 41) for sampler in CONFIGURATIONS[:2]),
]
TARGETS = "Targets may be numbers: rows far from their leave-one-out prediction are dropped."


def expected_failures(source):
    if source is sklearn_checks:
        return {}
    return {"check_target_type": TARGETS}


CHECKS = [
    pair
    for source, sampler, _ in FEWEST_CHECKS
    for pair in source.estimator_checks_generator(
        sampler, expected_failed_checks=expected_failures(source), mark="xfail"
    )
]


def check_id(value):
    name = value.func.__name__ if isinstance(value, partial) else str(value)
    return " ".join(name.split())


def without_skips(check, *arguments):
    try:
        check(*arguments)
    except sklearn_checks.SkipTest as skip:
        pytest.fail(f"skipped: {skip}")


@pytest.mark.parametrize(("sampler", "check"), CHECKS, ids=check_id)
def test_check(sampler, check):
    without_skips(check, sampler)


@pytest.mark.parametrize(
    ("source", "sampler", "fewest"), FEWEST_CHECKS, ids=lambda value: check_id(value)[:50]
)
def test_checks_were_generated(source, sampler, fewest):
    names = [check.func.__name__ for _, check in source.estimator_checks_generator(sampler)]
    assert len(names) >= fewest
    assert set(expected_failures(source)) <= set(names)


@pytest.mark.parametrize("sampler", CONFIGURATIONS, ids=check_id)
@pytest.mark.parametrize(
    "check",
    [
        imblearn_checks.check_param_validation,
        imblearn_checks.check_dataframe_column_names_consistency,
    ],
    ids=lambda check: check.__name__,
)
def test_check_outside_the_generators(sampler, check):
    without_skips(check, "DivaSampler", clone(sampler))
