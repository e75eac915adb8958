"""DivaReweighter: what it learns, and what it trains with it."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.preprocessing import StandardScaler

from skdiva import DivaReweighter
from skdiva.loo import ClassTargets, LogLoss, Problem, descend, learn_weights
from tests.estimators.data import classes, numbers, refitted, same_fit, standardized


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_derivative_is_that_of_refits(weighted, grouped, device):
    X, y, _ = classes(40)
    weight = np.random.default_rng(0).uniform(0.5, 2, 40) if weighted else None
    groups = np.arange(40) // 3 if grouped else None
    model = DivaReweighter(alpha=2.0, loss="squared_error", featurizer=None, device=device)
    model.fit(X, y, weight, groups=groups)
    loo, derivative = refitted(X, np.eye(3)[y], 2.0, weight, groups)
    assert_allclose(model.loo_predictions_, loo, rtol=1e-9, atol=1e-12)
    assert_allclose(model.derivative_, derivative, rtol=1e-8, atol=1e-13)
    errors = np.square(loo - np.eye(3)[y]).sum(axis=1)
    assert_allclose(model.loo_loss_, np.average(errors, weights=weight), rtol=1e-9)


def test_wrong_labels_lose_their_weight_in_plain_steps():
    X, y, _ = classes(200, wrong=20)
    model = DivaReweighter(learning_rate=0.5, featurizer=StandardScaler()).fit(X, y)
    assert np.median(model.sample_weight_[:20]) == 0
    assert np.median(model.sample_weight_[20:]) > 1
    assert_allclose(model.sample_weight_.mean(), 1)
    assert np.median(model.derivative_[:20]) > 0 > np.median(model.derivative_[20:])
    assert model.n_iter_ == model.n_steps_ == 3
    assert model.loo_loss_path_.shape == (4,)
    assert model.loo_loss_path_[0] == model.loo_loss_ > model.loo_loss_path_[-1]


def test_nothing_to_gain_takes_no_step():
    X, y = np.zeros((8, 2)), np.tile([0, 1], 4)
    groups = np.arange(8) // 2
    model = DivaReweighter(loss="squared_error", learning_rate=0.5).fit(X, y, groups=groups)
    assert_array_equal(model.sample_weight_, 1)
    assert (model.n_iter_, model.n_steps_) == (1, 0)
    trusting = DivaReweighter(loss="squared_error").fit(X, y, groups=groups)
    assert_allclose(trusting.sample_weight_, 1)


def test_estimator_is_trained_with_the_weights():
    X, y, _ = classes()
    model = DivaReweighter(LogisticRegression()).fit(X, y)
    alone = LogisticRegression().fit(X, y, sample_weight=model.sample_weight_)
    assert_array_equal(model.estimator_.coef_, alone.coef_)
    assert_array_equal(model.predict(X), alone.predict(model.transform(X)))
    for method in ("predict_proba", "predict_log_proba", "decision_function"):
        assert_array_equal(getattr(model, method)(X), getattr(alone, method)(X))
    assert model.score(X, y) == alone.score(X, y)
    assert_array_equal(model.classes_, alone.classes_)


@pytest.mark.parametrize("learning_rate", ["auto", 0.5])
@pytest.mark.parametrize("inner", [KNeighborsClassifier(3), LogisticRegression()])
def test_drop_trains_on_the_rows_that_kept_a_quarter_of_their_weight(inner, learning_rate):
    X, y, _ = classes(200, wrong=20)
    how = {"apply": "drop", "featurizer": None, "alpha": 2.0, "learning_rate": learning_rate}
    model = DivaReweighter(inner, **how).fit(X, y)
    codes = torch.from_numpy(y)
    problem = Problem(torch.from_numpy(X), ClassTargets(codes, 3), loss=LogLoss())
    start = problem, torch.ones(200, dtype=torch.float64), 2.0
    if learning_rate == "auto":
        factor = learn_weights(*start, codes).relative_weight
    else:
        factor = descend(*start, learning_rate=learning_rate, classes=codes).relative_weight
    kept = (factor >= 0.25).numpy()
    assert 0 < kept[:20].sum() + (~kept[20:]).sum() < 40  # not just the wrong ones, and few others
    alone = clone(inner).fit(X[kept], y[kept])
    assert_array_equal(model.predict_proba(X), alone.predict_proba(X))


def test_drop_slices_fit_params_and_hands_on_the_users_weights():
    X, y, _ = classes(200, wrong=20)
    weight = np.random.default_rng(0).uniform(1, 2, 200)
    weight[50:60] = 0
    given = {}

    class Spy(LogisticRegression):
        def fit(self, X, y, sample_weight=None, extra=None, flag=None):
            given.update(X=X, y=y, sample_weight=sample_weight, extra=extra, flag=flag)
            return super().fit(X, y, sample_weight)

    model = DivaReweighter(Spy(), apply="drop")
    model.fit(X, y, weight, extra=np.arange(200), flag="whole")
    kept = given["extra"]
    assert not set(kept) & {*range(20), *range(50, 60)}
    assert len(kept) > 160
    dropped = np.setdiff1d(np.arange(200), kept)
    factor = np.divide(model.sample_weight_, weight, out=np.zeros(200), where=weight > 0)
    assert factor[kept].min() > factor[dropped].max()
    assert given["flag"] == "whole"
    assert_array_equal(given["X"], X[kept])
    assert_allclose(given["sample_weight"], weight[kept] / weight.mean())


def test_drop_keeps_a_class_that_kept_no_weight():
    X, y, _ = classes(90)
    y[7:9] = 3  # the only ones of their class: nothing speaks for them
    weight = np.ones(90)
    for weight[8] in (1, 0):
        model = DivaReweighter(KNeighborsClassifier(1), apply="drop").fit(X, y, weight)
        assert_array_equal(model.classes_, model.estimator_.classes_)


def test_fit_params_reach_the_inner_estimator():
    X, y, _ = classes()
    seen = []

    class Spy(Ridge):
        def fit(self, X, y, sample_weight=None, extra=None):
            seen.append(extra)
            return super().fit(X, y, sample_weight)

    DivaReweighter(Spy()).fit(X, y, extra="here")
    assert seen == ["here"]
    with pytest.raises(TypeError, match=r"unexpected argument\(s\) \['extra'\]"):
        DivaReweighter().fit(X, y, extra="here")


def test_start_weights_have_no_scale_and_zero_stays_zero():
    X, y, _ = classes()
    weight = np.random.default_rng(0).uniform(0.5, 2, 80)
    weight[::7] = 0
    model = DivaReweighter().fit(X, y, weight)
    same_fit(model, DivaReweighter().fit(X, y, weight * 1e3))
    assert_array_equal(model.sample_weight_[::7], 0)
    assert_allclose(model.sample_weight_.mean(), 1)


def test_equal_weights_are_no_weights():
    X, y, _ = classes()
    same_fit(DivaReweighter().fit(X, y), DivaReweighter().fit(X, y, np.full(80, 3.0)))


def test_rows_in_another_order_get_the_same_weights():
    X, y, _ = classes()
    order = np.random.default_rng(0).permutation(80)
    groups = np.arange(80) // 2
    model = DivaReweighter().fit(X, y, groups=groups)
    shuffled = DivaReweighter().fit(X[order], y[order], groups=groups[order])
    assert_allclose(shuffled.sample_weight_, model.sample_weight_[order], atol=1e-9)


def test_sources_share_one_weight():
    X, y, _ = classes(200, wrong=40)
    sources = np.where(np.arange(200) < 40, "bad", np.where(np.arange(200) % 2, "good", "fair"))
    model = DivaReweighter(learning_rate=0.5).fit(X, y, sources=sources)
    assert_array_equal(model.sources_, ["bad", "fair", "good"])
    for name, weight in zip(model.sources_, model.source_weight_, strict=True):
        assert_allclose(model.sample_weight_[sources == name], weight)
    assert model.source_weight_[0] < min(model.source_weight_[1:])
    share = [model.sample_weight_[sources == name].sum() / 200 for name in model.sources_]
    assert_allclose(model.source_probability_, share)
    assert_allclose(model.source_probability_.sum(), 1)


def test_sources_scale_the_start_weights():
    X, y, _ = classes()
    weight = np.random.default_rng(0).uniform(1, 2, 80)
    sources = np.arange(80) % 4
    model = DivaReweighter(learning_rate=0.5).fit(X, y, weight, sources=sources)
    assert len(np.unique(model.source_weight_)) > 1
    start = weight / weight.mean()
    assert_allclose(model.sample_weight_, start * model.source_weight_[sources])


@pytest.mark.parametrize("wrap", [lambda array: array, lambda array: (array,)])
def test_validation_loss_replaces_the_leave_one_out_loss(wrap):
    X, y, truth = classes(200, wrong=20)
    model = DivaReweighter(
        loss="squared_error", alpha=1.0, learning_rate=0.5, featurizer=StandardScaler()
    )
    model.fit(X, y, X_val=wrap(X[100:]), y_val=wrap(truth[100:]))
    Z = standardized(X)
    fitted = Ridge(alpha=1.0).fit(Z, np.eye(3)[y])
    errors = np.square(fitted.predict(Z[100:]) - np.eye(3)[truth[100:]]).sum(axis=1)
    assert_allclose(model.loo_loss_, errors.mean())
    assert model.derivative_.shape == (200,)
    assert model.sample_weight_[:20].mean() < 0.5


@pytest.mark.parametrize(("targets", "inner"), [(1, Ridge()), (2, Ridge()), (2, None)])
def test_regression(targets, inner):
    X, y = numbers(targets=targets)
    model = DivaReweighter(inner, alpha=1.0, learning_rate=0.5, featurizer=StandardScaler())
    model.fit(X, y)
    loo, derivative = refitted(standardized(X), y.reshape(60, -1), 1.0)
    assert_allclose(model.loo_predictions_, loo)
    assert_allclose(model.derivative_, derivative, rtol=1e-6, atol=1e-9)
    assert model.sample_weight_[:3].max() < 0.1
    assert not hasattr(model, "classes_")
    if inner is not None:
        assert model.predict(X).shape == y.shape


def test_several_targets_need_an_estimator_that_takes_them():
    from sklearn.svm import SVR

    X, y = numbers(targets=2)
    with pytest.raises(ValueError, match="y should be a 1d array"):
        DivaReweighter(SVR()).fit(X, y)


def test_loss_can_be_an_object():
    class Halved:
        def value(self, predictions, targets):
            return (predictions - targets).square().sum(dim=1) / 2

        def derivative(self, predictions, targets):
            return predictions - targets

    X, y, _ = classes()
    half = DivaReweighter(loss=Halved(), learning_rate=0.5).fit(X, y)
    whole = DivaReweighter(loss="squared_error", learning_rate=0.5).fit(X, y)
    assert whole.n_steps_ == 3
    assert_allclose(half.loo_loss_, whole.loo_loss_ / 2)
    assert_allclose(half.sample_weight_, whole.sample_weight_)


def test_without_an_estimator_there_is_no_model():
    X, y, _ = classes()
    model = DivaReweighter().fit(X, y)
    assert model.estimator_ is None
    for method in ("predict", "predict_proba", "decision_function", "score"):
        assert not hasattr(model, method)
    with pytest.raises(AttributeError, match="has no attribute 'predict'"):
        model.predict(X)
    assert not hasattr(DivaReweighter(Ridge()), "predict_proba")


def test_progress_bar(capsys):
    X, y, _ = classes()
    DivaReweighter(verbose=1, max_iter=2, learning_rate=0.5).fit(X, y)
    assert "3/3" in capsys.readouterr().err
    DivaReweighter().fit(X, y)
    assert capsys.readouterr().err == ""


def test_clone_and_pickle():
    X, y, _ = classes()
    model = DivaReweighter(LogisticRegression(), alpha=2.0).fit(X, y)
    copy = pickle.loads(pickle.dumps(model))
    same_fit(copy, model)
    assert_array_equal(copy.predict(X), model.predict(X))
    fresh = clone(model)
    assert not hasattr(fresh, "derivative_")
    same_fit(fresh.fit(X, y), model)


def test_a_second_fit_leaves_nothing_of_the_first():
    pd = pytest.importorskip("pandas")
    X, y, _ = classes()
    model = DivaReweighter().fit(pd.DataFrame(X).add_prefix("x"), y, sources=y)
    assert hasattr(model, "feature_names_in_")
    assert hasattr(model, "sources_")
    model.fit(X[:, :4], y / 2)
    assert model.n_features_in_ == 4
    for name in ("feature_names_in_", "sources_", "source_weight_", "classes_"):
        assert not hasattr(model, name)


def test_regressor_that_takes_no_weights_can_drop():
    X, y = numbers()
    model = DivaReweighter(KNeighborsRegressor(), apply="drop").fit(X, y)
    assert model.score(X, y) > 0
