"""DivaExtender: the rows it selects and trains on, containers, searches and bad input."""

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skdiva import DivaExtender
from skdiva.exceptions import WeightsNotPropagatedWarning
from skdiva.loo import ClassTargets, LogLoss, Problem, extend
from tests.estimators.data import classes, numbers

N_CORE = 40
X, Y, TRUTH = classes(240, wrong=0)
CORE = X[:N_CORE], Y[:N_CORE]
X_POOL, TRUE_POOL = X[N_CORE:], TRUTH[N_CORE:]
Y_POOL = np.where(np.arange(200) % 5 == 0, (TRUE_POOL + 1) % 3, TRUE_POOL)
POOL = {"X_pool": X_POOL, "y_pool": Y_POOL}
PLAIN = {"featurizer": None, "alpha": 2.0}


def block(X, y):
    return torch.from_numpy(X), ClassTargets(torch.from_numpy(y), 3)


@pytest.mark.parametrize("evaluate_on", ["all", "core"])
@pytest.mark.parametrize("batch_size", ["auto", 7])
def test_it_is_the_extension_of_the_core(batch_size, evaluate_on, device):
    how = PLAIN | {
        "step": 3,
        "device": device,
        "batch_size": batch_size,
        "evaluate_on": evaluate_on,
    }
    model = DivaExtender(**how).fit(*CORE, **POOL)
    features, targets = block(*CORE)
    problem = Problem(features, targets, loss=LogLoss())
    pool, include_pool = block(X_POOL, Y_POOL), evaluate_on == "all"
    expected = extend(problem, 2.0, pool, step=3, include_pool=include_pool)
    n_chosen = len(expected.chosen)
    assert 0 < n_chosen < 200
    assert_array_equal(model.select(n_chosen), expected.chosen)
    assert_array_equal(np.flatnonzero(model.support_), np.sort(expected.chosen))
    assert_allclose(model.pool_derivative_, expected.start_derivative, rtol=1e-8, atol=1e-14)
    assert_allclose(model.loo_loss_path_, expected.loss_path)
    assert_array_equal(np.diff(model.n_added_), expected.n_added)
    assert model.n_added_[0] == 0
    assert model.loo_loss_ == model.loo_loss_path_[0]
    rest = model.select(200)[n_chosen:]
    assert (np.diff(expected.derivative.numpy()[rest]) >= 0).all()
    assert_array_equal(np.sort(model.ranking_), np.arange(1, 201))


@pytest.mark.parametrize("evaluate_on", ["all", "core"])
@pytest.mark.parametrize("featurizer", ["auto", StandardScaler()])
def test_wrong_labels_are_left_out(featurizer, evaluate_on):
    model = DivaExtender(featurizer=featurizer, evaluate_on=evaluate_on).fit(*CORE, **POOL)
    assert model.support_[::5].mean() < model.support_[1::5].mean() / 2
    assert (model.pool_derivative_[::5] > 0).mean() > 0.8
    assert (model.pool_derivative_[1::5] < 0).mean() > 0.6
    assert model.loo_loss_path_[-1] < model.loo_loss_path_[0]


def test_estimator_is_trained_on_core_and_chosen_rows():
    model = DivaExtender(LogisticRegression(), n_samples_to_select=30, **PLAIN).fit(*CORE, **POOL)
    chosen = model.support_
    assert chosen.sum() == 30
    alone = LogisticRegression().fit(np.r_[CORE[0], X_POOL[chosen]], np.r_[CORE[1], Y_POOL[chosen]])
    assert_array_equal(model.estimator_.coef_, alone.coef_)
    for method in ("predict", "predict_proba", "decision_function"):
        assert_array_equal(getattr(model, method)(X), getattr(alone, method)(X))
    assert model.score(X, TRUTH) == alone.score(X, TRUTH)


def test_without_a_pool_the_estimator_is_trained_on_the_core():
    model = DivaExtender(LogisticRegression(), n_samples_to_select=10).fit(*CORE)
    assert_array_equal(model.estimator_.coef_, LogisticRegression().fit(*CORE).coef_)
    assert model.ranking_.shape == model.support_.shape == model.pool_derivative_.shape == (0,)
    assert model.loo_loss_path_.shape == model.n_added_.shape == (1,)
    assert model.select(0).shape == (0,)


@pytest.mark.parametrize("targets", [1, 2])
def test_regression(targets):
    X, y = numbers(160, targets, wrong=0)
    pool = y[40:].copy()
    pool[::4] += 500
    model = DivaExtender(Ridge(), evaluate_on="core").fit(
        X[:40], y[:40], X_pool=X[40:], y_pool=pool
    )
    assert not hasattr(model, "classes_")
    assert model.support_[1::4].mean() > model.support_[::4].mean()
    assert model.predict(X).shape == y.shape
    scores = model.score_rows(X[40:], pool)
    assert_allclose(scores, model.pool_derivative_, rtol=1e-6, atol=1e-9 * np.abs(scores).max())


def test_groups_and_validation_rows_decide():
    groups = np.arange(N_CORE) // 4
    plain, grouped, validated = (
        DivaExtender(evaluate_on="core", **PLAIN).fit(*CORE, **POOL, **more)
        for more in ({}, {"groups": groups}, {"X_val": (X[:100],), "y_val": (TRUTH[:100],)})
    )
    assert np.abs(grouped.pool_derivative_ - plain.pool_derivative_).max() > 1e-4
    assert np.abs(validated.pool_derivative_ - plain.pool_derivative_).max() > 1e-4
    scores = validated.score_rows(X_POOL, Y_POOL)
    assert_allclose(scores, validated.pool_derivative_, atol=1e-12)


def test_initial_outputs():
    class Pretrained(FunctionTransformer):
        def initial_outputs(self, X):
            return np.asarray(X)[:, :3]

    how = {"alpha": 2.0, "step": 20, "evaluate_on": "core"}
    plain = DivaExtender(featurizer=FunctionTransformer(), **how).fit(*CORE, **POOL)
    model = DivaExtender(featurizer=Pretrained(), **how).fit(*CORE, **POOL)
    assert np.abs(model.pool_derivative_ - plain.pool_derivative_).max() > 1e-4
    assert_allclose(model.score_rows(X_POOL, Y_POOL), model.pool_derivative_, atol=1e-12)


NAMES = ["a", "b", "c", "d", "e", "f"]
CONTAINERS = {
    "tuple": lambda X: (X,),
    "list": lambda X: X.tolist(),
    "tensor": torch.from_numpy,
    "read-only": lambda X: np.frombuffer(X.tobytes()).reshape(X.shape),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_containers_of_the_pool(name):
    expected = DivaExtender(LogisticRegression(), **PLAIN).fit(*CORE, **POOL)
    pool = {"X_pool": CONTAINERS[name](X_POOL), "y_pool": Y_POOL.tolist()}
    model = DivaExtender(LogisticRegression(), **PLAIN).fit(*CORE, **pool)
    assert_array_equal(model.ranking_, expected.ranking_)
    assert_array_equal(model.estimator_.coef_, expected.estimator_.coef_)


def test_dataframes_and_labels_of_any_type():
    labels = np.array(["one", "two", "three"])
    how = {"estimator": LogisticRegression(), **PLAIN}
    model = DivaExtender(**how).fit(
        pd.DataFrame(CORE[0], columns=NAMES),
        labels[CORE[1]],
        X_pool=pd.DataFrame(X_POOL, columns=NAMES),
        y_pool=labels[Y_POOL],
    )
    expected = DivaExtender(**how).fit(*CORE, **POOL)
    assert_array_equal(model.support_, expected.support_)
    assert_array_equal(model.estimator_.feature_names_in_, NAMES)
    assert_array_equal(model.classes_, np.sort(labels))


def test_sparse_rows_for_a_transformer():
    dense = FunctionTransformer(lambda X: X.toarray(), accept_sparse=True)
    how = {"estimator": LogisticRegression(), "alpha": 2.0, "n_samples_to_select": 20}
    model = DivaExtender(featurizer=dense, **how)
    model.fit(sparse.csr_array(CORE[0]), CORE[1], X_pool=sparse.csr_array(X_POOL), y_pool=Y_POOL)
    expected = DivaExtender(featurizer=None, **how).fit(*CORE, **POOL)
    assert_array_equal(model.support_, expected.support_)
    assert_allclose(model.estimator_.coef_, expected.estimator_.coef_, atol=1e-3)


@pytest.mark.parametrize(
    ("step", "n_added"),
    [(np.int64(7), [0, 7, 10]), (0.1, [0, 4, 8, 10]), (1.0, [0, 10]), (1e-9, range(11))],
)
def test_step(step, n_added):
    model = DivaExtender(n_samples_to_select=10, step=step, **PLAIN).fit(*CORE, **POOL)
    assert_array_equal(model.n_added_, n_added)


def test_in_a_search():
    extender = DivaExtender(LogisticRegression(), **PLAIN)
    search = GridSearchCV(extender, {"n_samples_to_select": [5, 10]}, cv=3)
    # A pool of as many rows as the core: a bare array would be sliced.
    search.fit(*CORE, X_pool=(X_POOL[:N_CORE],), y_pool=(Y_POOL[:N_CORE],))
    assert search.best_estimator_.ranking_.shape == (N_CORE,)
    assert search.score(X, TRUTH) > 0.5


def test_a_step_that_loses_its_rows_warns():
    with pytest.warns(WeightsNotPropagatedWarning, match=r"chosen rows.*DivaExtender\(estimator"):
        DivaExtender(**PLAIN).fit_transform(*CORE, **POOL)
    DivaExtender(**PLAIN).fit_transform(*CORE)


def test_a_progress_bar_over_the_rows(capsys):
    DivaExtender(n_samples_to_select=10, step=5, verbose=1, **PLAIN).fit(*CORE, **POOL)
    assert "10/10" in capsys.readouterr().err


ERRORS = {
    "other columns": (
        {"X_pool": X_POOL[:, :4]},
        "X_pool must hold rows like those of X. X has 4 features, but DivaExtender is expecting 6",
    ),
    "unseen classes": (
        {"y_pool": np.where(Y_POOL == 0, 7, Y_POOL)},
        r"y_pool holds labels that the training y does not: \[7\]",
    ),
    "empty": ({"X_pool": X_POOL[:0], "y_pool": Y_POOL[:0]}, r"Found array with 0 sample\(s\)"),
    "no labels": ({"y_pool": None}, "X_pool and y_pool must be passed together; y_pool is missing"),
    "no rows": ({"X_pool": None}, "passed together; X_pool is missing"),
    "short labels": ({"y_pool": Y_POOL[1:]}, "must have the same number of rows; got 200 and 199"),
    "infinity": ({"X_pool": np.where(X_POOL > 2, np.inf, X_POOL)}, "Input X contains infinity"),
    "a tuple of two": (
        {"X_pool": (X_POOL, X_POOL)},
        "X_pool must be an array or a tuple holding one",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_bad_pool(name):
    changes, message = ERRORS[name]
    model = DivaExtender()
    state = dict(vars(model))
    with pytest.raises(ValueError, match=message):
        model.fit(*CORE, **(POOL | changes))
    assert vars(model) == state


def test_more_rows_asked_for_than_there_are():
    model = DivaExtender(n_samples_to_select=201)
    with pytest.raises(ValueError, match="n_samples_to_select=201 is larger than the pool, which"):
        model.fit(*CORE, **POOL)
    with pytest.raises(NotFittedError):
        model.select(3)
    model = DivaExtender(**PLAIN).fit(*CORE, **POOL)
    with pytest.raises(ValueError, match="between 0 and the number of rows in the pool, 200; got"):
        model.select(201)
    with pytest.raises(ValueError, match=r"n must be an int between 0 and .*; got 1.5"):
        model.select(1.5)
    with pytest.raises(ValueError, match="X has 4 features"):
        model.score_rows(X_POOL[:, :4], Y_POOL)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.score_rows(X_POOL, Y_POOL[1:])


def test_features_per_output_are_refused():
    each = FunctionTransformer(lambda X: np.stack([X, X, X], axis=1))
    with pytest.raises(ValueError, match=r"features of shape \(n, p\)"):
        DivaExtender(featurizer=each, alpha=1.0).fit(*CORE, **POOL)


def test_a_pipeline_transforms_the_pool():
    with sklearn.config_context(enable_metadata_routing=True):
        extender = DivaExtender(LogisticRegression(), **PLAIN)
        extender.set_fit_request(X_pool=True, y_pool=True)
        pipeline = make_pipeline(StandardScaler(), extender, transform_input=["X_pool"])
        pipeline.fit(*CORE, **POOL)
        predictions = pipeline.predict(X)
    scaler = StandardScaler().fit(CORE[0])
    alone = DivaExtender(LogisticRegression(), **PLAIN)
    scaled = {"X_pool": scaler.transform(X_POOL), "y_pool": Y_POOL}
    alone.fit(scaler.transform(CORE[0]), CORE[1], **scaled)
    assert_array_equal(pipeline[-1].ranking_, alone.ranking_)
    assert_array_equal(predictions, alone.predict(scaler.transform(X)))
