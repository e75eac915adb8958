"""KernelFeaturizer as scikit-learn's tools use it: containers, precision, copies, searches."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

from skdiva.features import KernelFeaturizer

WINE = load_wine(return_X_y=True)


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_follows_the_data(dtype, kernel):
    X, y = WINE
    featurizer = KernelFeaturizer(kernel).fit(X.astype(dtype), y)
    Z = featurizer.transform(X.astype(dtype))
    assert Z.dtype == dtype
    assert isinstance(Z, np.ndarray)
    assert featurizer.transform(X).dtype == dtype
    other = KernelFeaturizer(kernel, dtype="float32").fit(X, y)
    assert other.transform(X).dtype == np.float32


def test_tensors_and_lists():
    X, y = WINE
    expected = KernelFeaturizer("rbf").fit_transform(X, y)
    tensors = KernelFeaturizer("rbf").fit(torch.from_numpy(X), torch.from_numpy(y))
    assert_array_equal(tensors.transform(torch.from_numpy(X)), expected)
    lists = KernelFeaturizer("rbf").fit(X.tolist(), y.tolist())
    assert_array_equal(lists.transform(X.tolist()), expected)


@pytest.mark.parametrize("kernel", ["auto", "linear"])
def test_a_pickle_holds_numpy_only(kernel):
    X, y = WINE
    featurizer = KernelFeaturizer(kernel).fit(X, y)
    pickled = pickle.dumps(featurizer)
    assert b"torch" not in pickled
    assert_array_equal(pickle.loads(pickled).transform(X), featurizer.transform(X))


def test_clone_and_refit():
    X, y = WINE
    featurizer = KernelFeaturizer("laplacian", n_components=30).fit(X, y)
    fresh = clone(featurizer)
    assert not hasattr(fresh, "kernel_")
    assert_array_equal(fresh.fit_transform(X, y), featurizer.transform(X))
    fresh.set_params(kernel="linear").fit(X[:, :4])
    assert fresh.transform(X[:, :4]).shape == (178, 4)
    assert fresh.landmarks_ is None


def test_names_and_containers():
    pd = pytest.importorskip("pandas")
    X, y = load_wine(return_X_y=True, as_frame=True)
    featurizer = KernelFeaturizer("rbf", n_components=3).fit(X, y)
    names = [f"kernelfeaturizer{i}" for i in range(3)]
    assert_array_equal(featurizer.get_feature_names_out(), names)
    assert_array_equal(featurizer.feature_names_in_, X.columns)
    Z = featurizer.transform(X)
    frame = featurizer.set_output(transform="pandas").transform(X)
    pd.testing.assert_frame_equal(frame, pd.DataFrame(Z, columns=names, index=X.index))


def test_a_frame_with_categories():
    pd = pytest.importorskip("pandas")
    X = np.random.default_rng(0).uniform(-2, 2, size=(90, 2))
    kind = np.array(["low", "high", "none"])[np.arange(90) % 3]
    y = X @ [1.0, -2.0] + 5.0 * (kind == "low")
    frame = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "kind": kind}, index=np.arange(90) + 7)
    featurizer = KernelFeaturizer().fit(frame, y)
    assert featurizer.kernel_ == "linear"
    Z = featurizer.transform(frame)
    assert Ridge(alpha=1e-3).fit(Z, y).score(Z, y) > 0.99
    rbf = KernelFeaturizer("rbf", gamma=0.1).fit(frame)
    Z, columns = rbf.transform(frame), rbf._columns.transform(frame, "float64")
    assert_allclose(Z @ Z.T, rbf_kernel(columns, gamma=0.1), atol=1e-5)
    with pytest.raises(ValueError, match="feature names should match"):
        rbf.transform(frame.rename(columns={"a": "c"}))


def test_in_a_pipeline_and_a_search():
    X, y = WINE
    pipeline = make_pipeline(KernelFeaturizer(), LogisticRegression(C=10, max_iter=1000))
    assert cross_val_score(pipeline, X, y, cv=3).mean() > 0.95
    grid = {"kernelfeaturizer__kernel": ["linear", "rbf"], "kernelfeaturizer__n_components": [10]}
    search = GridSearchCV(pipeline, grid, cv=3, error_score="raise").fit(X, y)
    assert search.best_score_ > 0.9
    assert len(search.best_estimator_[:-1].get_feature_names_out()) <= 13


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("kernel", "cubic"),
        ("gamma", 0.0),
        ("n_components", 0),
        ("dtype", "float16"),
        ("gamma", "scale"),
    ],
)
def test_parameters_are_checked(parameter, value):
    with pytest.raises(
        ValueError, match=f"The '{parameter}' parameter of KernelFeaturizer must be"
    ):
        KernelFeaturizer(**{parameter: value}).fit(*WINE)
