"""scikit-learn's own checks, on every configuration of every estimator."""

from functools import partial

import pytest
import sklearn
from packaging.version import parse
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks, get_tags
from sklearn.utils.estimator_checks import estimator_checks_generator

from skdiva import DivaExtender, DivaOutlierDetector, DivaReweighter
from skdiva.features import KernelFeaturizer

CONFIGURATIONS = [
    DivaReweighter(),
    DivaReweighter(LogisticRegression(max_iter=1000)),
    DivaReweighter(LogisticRegression(max_iter=1000), learning_rate=0.5),
    DivaReweighter(Ridge()),
    DivaReweighter(RidgeClassifier()),
    DivaReweighter(KNeighborsClassifier(), apply="drop"),
    DivaReweighter(LogisticRegression(max_iter=1000), apply="drop"),
    DivaReweighter(make_pipeline(StandardScaler(), LogisticRegression())),
    DivaReweighter(LogisticRegression(max_iter=1000), featurizer=None),
    DivaReweighter(LogisticRegression(max_iter=1000), featurizer=StandardScaler()),
    DivaReweighter(
        LogisticRegression(max_iter=1000), dtype="float32", loss="squared_error", learning_rate=0.5
    ),
    DivaOutlierDetector(),
    DivaOutlierDetector(criterion="derivative"),
    DivaOutlierDetector(contamination=0.1),
    DivaOutlierDetector(featurizer=None, fit_intercept=False, alpha=1.0),
    DivaOutlierDetector(featurizer=StandardScaler()),
    DivaExtender(),
    DivaExtender(LogisticRegression(max_iter=1000)),
    DivaExtender(Ridge()),
    DivaExtender(KNeighborsClassifier(), featurizer=None, fit_intercept=False, alpha=1.0),
    DivaExtender(make_pipeline(StandardScaler(), LogisticRegression()), dtype="float32"),
    DivaExtender(LogisticRegression(max_iter=1000), featurizer=StandardScaler()),
    KernelFeaturizer(),
    KernelFeaturizer("linear"),
    KernelFeaturizer("laplacian", gamma=0.1),
    KernelFeaturizer("rbf", n_components=5),
]

# What scikit-learn 1.9 yields; a check that silently goes missing is a failure.
FEWEST_CHECKS = {
    "DivaReweighter": 50,
    "DivaOutlierDetector": 45,
    "DivaExtender": 45,
    "KernelFeaturizer": 53,
}

NO_LABELS = "Labels are what is scored, so fit_predict needs y, and this check passes X alone."
TWINS = (
    "Leaving out a row of weight 2 leaves out all of it, leaving out one of two copies does not: "
    "weights and repetitions differ by definition."
)
LANDMARKS = (
    "Which rows are landmarks, and in which order, depends on their number, not their weights."
)


def expected_failures(estimator):
    if isinstance(estimator, DivaOutlierDetector):
        return {"check_outliers_fit_predict": NO_LABELS}
    if isinstance(estimator, KernelFeaturizer):
        linear = estimator.kernel == "linear"
        return {} if linear else {"check_sample_weight_equivalence_on_dense_data": LANDMARKS}
    if isinstance(estimator, DivaReweighter) and estimator.estimator is not None:
        kinds = ["dense", "sparse"] if get_tags(estimator).input_tags.sparse else ["dense"]
        return {f"check_sample_weight_equivalence_on_{kind}_data": TWINS for kind in kinds}
    return {}


# The checks call fit_transform, which is where the warning belongs.
pytestmark = pytest.mark.filterwarnings("ignore::skdiva.exceptions.WeightsNotPropagatedWarning")


def without_skips(check, *arguments):
    """A check that skips itself (a missing dependency, array API off) has checked nothing."""
    try:
        check(*arguments)
    except estimator_checks.SkipTest as skip:
        pytest.fail(f"skipped: {skip}")


# parametrize_with_checks, spelled out: before scikit-learn 1.8 it hands pytest a generator, which
# pytest 9 warns about.
CHECKS = [
    pair
    for estimator in CONFIGURATIONS
    for pair in estimator_checks_generator(
        estimator, expected_failed_checks=expected_failures(estimator), mark="xfail"
    )
]


def check_id(value):
    return value.func.__name__ if isinstance(value, partial) else " ".join(str(value).split())


@pytest.mark.parametrize(("estimator", "check"), CHECKS, ids=check_id)
def test_scikit_learn_check(estimator, check):
    without_skips(check, estimator)


@pytest.mark.parametrize("estimator", CONFIGURATIONS, ids=check_id)
def test_checks_were_generated(estimator):
    names = [check.func.__name__ for _, check in estimator_checks_generator(estimator)]
    assert len(names) >= FEWEST_CHECKS[type(estimator).__name__]
    if parse(sklearn.__version__) >= parse("1.9"):
        assert "check_array_api_input" in names
    assert set(expected_failures(estimator)) <= set(names)


ONLY_IN_SCIKIT_LEARNS_SUITE = [
    "check_dataframe_column_names_consistency",
    "check_get_feature_names_out_error",
    "check_global_output_transform_pandas",
    "check_global_set_output_transform_polars",
    "check_inplace_ensure_writeable",
    "check_param_validation",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_set_output_transform_polars",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
]


@pytest.mark.filterwarnings("ignore:X (does not have|has) .*feature names:UserWarning")
@pytest.mark.parametrize("estimator", CONFIGURATIONS, ids=check_id)
@pytest.mark.parametrize("name", ONLY_IN_SCIKIT_LEARNS_SUITE)
def test_check_outside_the_generator(name, estimator):
    check = getattr(estimator_checks, name)
    without_skips(check, type(estimator).__name__, clone(estimator))


def test_a_search_is_a_valid_inner_estimator():
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]})
    names = [c.func.__name__ for _, c in estimator_checks_generator(DivaReweighter(search))]
    assert "check_classifiers_train" in names
