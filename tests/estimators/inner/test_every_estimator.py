"""Whether weights are taken, for every classifier and regressor of scikit-learn.

The oracle is the result: two fits with different weights give different outputs, or they do not.
"""

import warnings
from inspect import signature

import numpy as np
import pytest
import sklearn
from sklearn.base import RegressorMixin, clone, is_regressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import all_estimators

from skdiva import DivaReweighter
from skdiva.estimators.inner import InnerFit, choose_fit

# These read no X of shape (n, p), or fit no model of (X, y) alone.
OTHER_INPUT = {"IsotonicRegression", "PLSCanonical", "CCA", "MultiTaskElasticNetCV"}
SETTINGS = {
    "n_estimators": 5, "max_iter": 50, "param_grid": {}, "param_distributions": {},
    "alpha": 1e-3, "min_samples": 0.5,
    "max_depth": 2,  # a tree that fits every row ignores the weights
}  # fmt: skip


def every_estimator():
    """One instance of every classifier and regressor, with small settings."""
    return [make(kind) for name, kind in all_estimators(type_filter=["classifier", "regressor"])
            if name not in OTHER_INPUT]  # fmt: skip


def make(kind):
    learner = Ridge() if issubclass(kind, RegressorMixin) else LogisticRegression()
    arguments = signature(kind).parameters
    given = {name: value for name, value in SETTINGS.items() if name in arguments}
    given |= {name: learner for name in ("estimator", "regressor") if name in arguments}
    given |= {"estimators": [("a", learner)]} if "estimators" in arguments else {}
    with warnings.catch_warnings(action="ignore"):
        return kind(**given)


def data(estimator):
    """Rows that suit the estimator, and two sets of weights."""
    generator = np.random.default_rng(0)
    X = generator.normal(size=(60, 3)) ** 2 + 0.1
    raw = X @ [1.0, -1.0, 0.5] + generator.normal(size=60)
    several = sklearn.utils.get_tags(estimator).target_tags.single_output is False
    y = np.abs(raw) + 0.1 if is_regressor(estimator) else (raw > np.median(raw)).astype(int)
    y = np.column_stack([y, y[::-1]]) if several else y
    return X, y, np.ones(60), np.where(np.arange(60) % 2, 4.0, 0.25)


def outputs(fitted, X):
    """What the fitted estimator says, as numbers."""
    for method in ("decision_function", "predict_proba", "predict"):
        if hasattr(fitted, method):
            return np.ravel(np.asarray(getattr(fitted, method)(X), dtype=float))
    raise AssertionError(fitted)


def verdict(estimator, X, y):
    """The fit that hands on weights, or None if there is none."""
    chosen = choose_fit(InnerFit(DivaReweighter(estimator), {}, {}), X, y, required=False)
    return None if chosen.way == "none" else chosen


def weights_matter(fit, X, *weights):
    results = []
    for weight in weights:
        np.random.seed(0)  # noqa: NPY002 - for those whose random_state is None
        results.append(outputs(fit(weight), X))
    return not np.allclose(*results, rtol=1e-6, atol=1e-8)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("pipeline", [False, True], ids=["alone", "in a Pipeline"])
@pytest.mark.parametrize("estimator", every_estimator(), ids=lambda e: type(e).__name__)
def test_the_verdict_is_what_the_results_say(estimator, pipeline):
    X, y, equal, unequal = data(estimator)
    inner = make_pipeline(StandardScaler(with_mean=False), estimator) if pipeline else estimator
    chosen = verdict(inner, X, y)
    if chosen is not None:
        assert weights_matter(lambda w: chosen.train(X, y, w), X, equal, unequal)
    else:
        with pytest.raises((TypeError, ValueError)):
            clone(estimator).fit(X, y, sample_weight=unequal)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "estimator",
    # The requests of these two raise an error in scikit-learn.
    [
        e
        for e in every_estimator()
        if type(e).__name__ not in {"MultiTaskElasticNet", "MultiTaskLasso"}
    ],
    ids=lambda e: type(e).__name__,
)
def test_the_verdict_with_routing(estimator):
    X, y, equal, unequal = data(estimator)
    with sklearn.config_context(enable_metadata_routing=True):
        assert verdict(estimator, X, y) is None  # nothing is requested
        inner = clone(estimator)
        if not hasattr(inner, "set_fit_request"):
            return
        try:
            inner.set_fit_request(sample_weight=True)
        except TypeError:
            return
        chosen = verdict(inner, X, y)
        if chosen is not None:
            assert weights_matter(lambda w: chosen.train(X, y, w), X, equal, unequal)
