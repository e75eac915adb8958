"""DivaReweighter: features of X, and labels or targets from y."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import FunctionTransformer

from skdiva import DivaReweighter
from skdiva.features import KernelFeaturizer
from tests.estimators.data import classes, numbers, refitted, same_fit, standardized


@pytest.mark.parametrize("inner", [None, Ridge()])
@pytest.mark.parametrize("validated", [False, True])
def test_auto_features_are_those_of_a_kernel_featurizer(validated, inner):
    """With the groups, weights and validation rows of the problem."""
    X, y, truth = classes()
    X = X * 1000 + 5
    X[:, 2] = 7.0  # constant: no information, and no division by zero
    weight, groups = np.linspace(0, 1, 80), np.arange(80) // 2
    validation = {"X_val": X[:30], "y_val": truth[:30]} if validated else {}
    model = DivaReweighter(inner, alpha=1.0).fit(X, y, weight, groups=groups, **validation)
    featurizer = model.featurizer_
    assert isinstance(featurizer, KernelFeaturizer)
    if not validated and inner is None:
        alone = KernelFeaturizer().fit(X, y, weight / weight.mean(), groups=groups)
        assert alone.loo_results_ == featurizer.loo_results_
    if validated:
        alone = DivaReweighter(inner).fit(X, y, weight, groups=groups).featurizer_
        assert alone.loo_results_ != featurizer.loo_results_
        validation["X_val"] = featurizer.transform(X[:30])
    given = DivaReweighter(inner, alpha=1.0, featurizer=None)
    given.fit(featurizer.transform(X), y, weight, groups=groups, **validation)
    same_fit(model, given)


def test_linear_features_are_the_standardized_columns():
    X, y = numbers()
    model = DivaReweighter(alpha=1.0).fit(X * 1000 + 5, y)
    assert model.featurizer_.kernel_ == "linear"
    same_fit(model, DivaReweighter(alpha=1.0, featurizer=None).fit(standardized(X), y))


def test_auto_features_use_the_users_weights():
    X, y, _ = classes()
    weight = np.where(np.arange(80) < 40, 0.0, 1.0)
    model, half = DivaReweighter().fit(X, y, weight), DivaReweighter().fit(X[40:], y[40:])
    losses = [fit.featurizer_.loo_results_["loo_loss"] for fit in (model, half)]
    assert_allclose(*losses, rtol=1e-4)
    assert_allclose(model.featurizer_.landmarks_, half.featurizer_.landmarks_)
    assert_allclose(model.sample_weight_[40:] / 2, half.sample_weight_)


def test_random_state_decides_the_landmarks():
    X, y, _ = classes(1100)
    fits = [DivaReweighter(random_state=seed).fit(X, y).featurizer_ for seed in (None, 0, 1)]
    assert all(len(featurizer.landmarks_) == 1000 for featurizer in fits)
    assert_array_equal(fits[0].landmarks_, fits[1].landmarks_)
    assert not np.array_equal(fits[1].landmarks_, fits[2].landmarks_)


def test_the_inner_tag_decides_between_classes_and_numbers():
    X, y, _ = classes()
    assert hasattr(DivaReweighter().fit(X, y), "classes_")
    assert not hasattr(DivaReweighter(Ridge()).fit(X, y), "classes_")
    assert hasattr(DivaReweighter().fit(X, y.astype(float)), "classes_")
    assert not hasattr(DivaReweighter().fit(X, y + 0.5), "classes_")
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        DivaReweighter(LogisticRegression()).fit(X, y + 0.5)


@pytest.mark.parametrize(
    "labels",
    [["a", "b", "c"], np.array(["x", "yy", "zzz"], object), [-1, 0, 7], [0.0, 1.0, 5.0]],
    ids=["str", "object", "int", "float"],
)
def test_labels_of_any_type(labels):
    X, y, _ = classes()
    named = np.asarray(labels)[y]
    model = DivaReweighter(LogisticRegression()).fit(X, named)
    same_fit(model, DivaReweighter().fit(X, y))
    assert_array_equal(model.classes_, labels)
    assert set(model.predict(X)) <= set(named)


def test_boolean_labels_are_two_columns():
    X, y, _ = classes(k=2)
    model = DivaReweighter(LogisticRegression()).fit(X, y.astype(bool))
    assert model.loo_predictions_.shape == (80, 2)
    assert model.classes_.dtype == bool


def test_featurizer_reads_what_only_it_can_read():
    pd = pytest.importorskip("pandas")
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    X, y, _ = classes()
    frame = pd.DataFrame(X, columns=list("abcdef"))
    frame.loc[::9, "a"] = np.nan
    frame["kind"] = np.array(["low", "high"])[(X[:, 1] > 0).astype(int)]
    reader = make_column_transformer(
        (SimpleImputer(), list("abcdef")), (OneHotEncoder(), ["kind"]), sparse_threshold=0
    )
    model = DivaReweighter(make_pipeline(reader, LogisticRegression()), featurizer=reader)
    model.fit(frame, y)
    assert_array_equal(model.feature_names_in_, [*"abcdef", "kind"])
    assert model.featurizer_ is not reader
    assert not hasattr(reader, "transformers_")
    assert model.predict(frame).shape == (80,)
    assert model.transform(frame) is frame
    alone = DivaReweighter(featurizer=None).fit(reader.fit_transform(frame), y)
    same_fit(model, alone)


def test_initial_outputs_are_what_the_model_is_added_to():
    class Pretrained(FunctionTransformer):
        def initial_outputs(self, X):
            return X[:, :3] * 0.1

    X, y, _ = classes(40)
    model = DivaReweighter(featurizer=Pretrained(), alpha=1.0, loss="squared_error").fit(X, y)
    loo, derivative = refitted(X, np.eye(3)[y] - 0.1 * X[:, :3], 1.0)
    assert_allclose(model.loo_predictions_, loo + 0.1 * X[:, :3])
    assert_allclose(model.derivative_, derivative, rtol=1e-6, atol=1e-9)


def test_constant_columns_stay_finite_under_weights():
    X, y, _ = classes()
    X = np.column_stack([X, np.full(80, 0.1), np.full(80, 1e6)]).astype(np.float32)
    weight = np.random.default_rng(0).uniform(0, 1, 80)
    model = DivaReweighter(alpha=1.0).fit(X, y, weight)
    without = DivaReweighter(alpha=1.0).fit(X[:, :-2], y, weight)
    same_fit(model, without, atol=1e-5)
