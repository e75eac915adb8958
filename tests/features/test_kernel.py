"""KernelFeaturizer: its choice, what the features depend on, and its use as a transformer."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics.pairwise import laplacian_kernel, rbf_kernel
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdiva.features import KernelFeaturizer, SelectionTask
from skdiva.features._columns import StandardizedColumns
from skdiva.features._kernel import automatic_n_landmarks
from skdiva.features._kernel_selection import candidates, loo_losses
from skdiva.loo import ClassTargets

WINE = load_wine(return_X_y=True)
CPU = torch.device("cpu")
DTYPES = ("float64", "float32")


def drawn(kind, n=150, seed=0):
    """X of two columns, and y that one kernel predicts better than the others."""
    X = np.random.default_rng(seed).uniform(-2, 2, size=(n, 2))
    if kind == "linear":
        return X, X @ [1.0, -2.0] + 0.01 * np.sin(50 * X[:, 0])
    if kind == "rbf":
        return X, np.sin(2 * X[:, 0] + X[:, 1])
    return X, (np.floor(3 * X[:, 0]) % 2) + 0.25  # steps along a single column


def losses_of(featurizer):
    return featurizer.loo_results_["loo_loss"]


def pairs_of(featurizer):
    return [*zip(featurizer.loo_results_["kernel"], featurizer.loo_results_["gamma"], strict=True)]


@pytest.mark.parametrize("kind", ["linear", "rbf", "laplacian"])
def test_the_kernel_that_predicts_best_is_chosen(kind):
    X, y = drawn(kind)
    featurizer = KernelFeaturizer().fit(X, y)
    pairs = pairs_of(featurizer)
    assert (featurizer.kernel_, len(pairs)) == (kind, 8)
    assert (featurizer.kernel_, featurizer.gamma_) == pairs[np.argmin(losses_of(featurizer))]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("validated", [False, True])
def test_the_losses_are_those_of_the_standardized_columns(validated, weighted):
    """In single precision as in double; validation rows are scaled as the training rows are."""
    X, y = WINE
    X, y, X_val, y_val = X[::2], torch.from_numpy(y[::2]), X[1::2], torch.from_numpy(y[1::2])
    weight = np.linspace(0.1, 2, 89) ** 2 if weighted else None
    scaler = StandardScaler().fit(X, sample_weight=weight)
    columns = {"rows": torch.from_numpy(scaler.transform(X))}
    columns["landmarks"] = columns["rows"]
    task = SelectionTask(ClassTargets(y, 3))
    if validated:
        columns["validation"] = torch.from_numpy(scaler.transform(X_val))
        task = task._replace(validation=(X_val, ClassTargets(y_val, 3)))
    tensor = None if weight is None else torch.from_numpy(weight)
    expected = loo_losses(candidates("auto", "auto", 13), columns, tensor, task)
    featurizer = KernelFeaturizer().fit_checked(X, weight, task, CPU, "float64")
    assert pairs_of(featurizer) == list(expected)
    assert_allclose(losses_of(featurizer), list(expected.values()), rtol=1e-3)


@pytest.mark.parametrize("kernel", ["rbf", "laplacian"])
def test_features_are_those_of_the_kernel_between_standardized_rows(kernel, device):
    X, _ = WINE
    Z = KernelFeaturizer(kernel, gamma=0.1, device=device, dtype="float64").fit_transform(X)
    columns = StandardScaler().fit_transform(X)
    similarity = {"rbf": rbf_kernel, "laplacian": laplacian_kernel}[kernel]
    assert_allclose(Z @ Z.T, similarity(columns, gamma=0.1), atol=1e-6)


def test_linear_features_are_the_standardized_columns():
    X, _ = WINE
    featurizer = KernelFeaturizer("linear").fit(X)
    assert_allclose(featurizer.transform(X), StandardScaler().fit_transform(X))
    assert featurizer.landmarks_ is featurizer.projection_ is featurizer.gamma_ is None
    assert featurizer.loo_results_ == {"kernel": [], "gamma": [], "loo_loss": []}


FIXED = {"kernel": "linear"}, {"kernel": "rbf", "gamma": 0.3}, {"kernel": "laplacian", "gamma": 1}


@pytest.mark.parametrize("given", FIXED)
def test_nothing_to_choose_needs_no_labels(given):
    X, y = WINE
    featurizer = KernelFeaturizer(**given).fit(X)
    assert not featurizer.chooses
    assert not featurizer.__sklearn_tags__().target_tags.required
    assert (losses_of(featurizer), featurizer.gamma_) == ([], given.get("gamma"))
    labeled = KernelFeaturizer(**given).fit(X, y, groups=y)
    assert_array_equal(featurizer.transform(X), labeled.transform(X))


@pytest.mark.parametrize("given", [{}, {"gamma": 0.1}, {"kernel": "rbf"}])
def test_a_choice_needs_labels(given):
    featurizer = KernelFeaturizer(**given)
    assert featurizer.__sklearn_tags__().target_tags.required
    with pytest.raises(ValueError, match="requires y to be passed, but the target y is None"):
        featurizer.fit(WINE[0])


def test_beyond_the_choice_the_features_do_not_depend_on_y():
    X, y = WINE
    permuted = np.random.default_rng(0).permutation(y)
    fixed = KernelFeaturizer("rbf", gamma=0.05, n_components=20)
    assert_array_equal(fixed.fit_transform(X, y), fixed.fit_transform(X, permuted))
    chosen = KernelFeaturizer(n_components=20).fit(X, y)
    given = KernelFeaturizer(chosen.kernel_, gamma=chosen.gamma_, n_components=20).fit(X)
    assert_array_equal(chosen.transform(X), given.transform(X))


def test_the_same_call_gives_the_same_features():
    X, y = WINE
    first = KernelFeaturizer(n_components=20).fit_transform(X, y)
    assert_array_equal(KernelFeaturizer(n_components=20).fit_transform(X, y), first)
    zero, one = (KernelFeaturizer(n_components=20, random_state=s).fit(X, y) for s in (0, 1))
    assert_array_equal(zero.transform(X), first)
    one = one.transform(X)
    assert not np.allclose(one @ one.T, first @ first.T)


@pytest.mark.parametrize("n_components", [1, 20, 178, 5000])
def test_n_components_is_the_number_of_landmarks(n_components):
    X, y = WINE
    featurizer = KernelFeaturizer("rbf", n_components=n_components).fit(X, y)
    landmarks = featurizer.landmarks_
    assert landmarks.shape == (min(n_components, 178), 13)
    assert len(np.unique(landmarks, axis=0)) == len(landmarks)
    columns = StandardScaler().fit_transform(X)
    assert all(np.isclose(columns, row).all(axis=1).any() for row in landmarks)
    assert featurizer.transform(X).shape[1] <= len(landmarks)


def test_as_many_landmarks_as_memory_allows():
    rows = (1000, 10**5, 10**6, 10**7, 10**12)
    found = {name: [automatic_n_landmarks(n, name) for n in rows] for name in DTYPES}
    assert found == {"float64": [1000, 1000, 134, 13, 1], "float32": [1000, 1000, 268, 26, 1]}


def test_large_data_are_compared_on_some_rows():
    X, y = WINE
    task = SelectionTask(ClassTargets(torch.from_numpy(y), 3))
    sizes = {"choice_rows": 60, "choice_landmarks": 25}
    featurizer = KernelFeaturizer().fit_checked(X, None, task, CPU, "float64", **sizes)
    order = np.random.RandomState(0).permutation(178)
    rows, landmarks = np.sort(order[:60]), np.sort(order[:25])
    columns = torch.from_numpy(StandardScaler().fit_transform(X))
    columns = {"rows": columns[rows], "landmarks": columns[landmarks]}
    sample = task.select(torch.from_numpy(rows))
    expected = loo_losses(candidates("auto", "auto", 13), columns, None, sample)
    assert_allclose(losses_of(featurizer), list(expected.values()), rtol=1e-3)
    assert len(featurizer.landmarks_) == 178


def test_a_sample_does_not_miss_the_few_validation_rows():
    X, y = WINE
    last = np.random.RandomState(0).permutation(178)[-1]
    weight = torch.from_numpy((np.arange(178) == last).astype(float))
    task = SelectionTask(ClassTargets(torch.from_numpy(y), 3), validation_weight=weight)
    featurizer = KernelFeaturizer().fit_checked(X, None, task, CPU, "float64", choice_rows=40)
    assert np.isfinite(losses_of(featurizer)).all()


def test_groups_are_left_out_together():
    """Twins in one group: with them together the choice is that of the rows without twins."""
    X, y = drawn("rbf", 60)
    X, y, groups = np.repeat(X, 2, axis=0), np.repeat(y, 2), np.repeat(np.arange(60), 2)
    apart, together = KernelFeaturizer().fit(X, y), KernelFeaturizer().fit(X, y, groups=groups)
    is_linear = np.array(together.loo_results_["kernel"]) == "linear"
    assert (is_linear | np.greater(losses_of(together), losses_of(apart))).all()
    named = KernelFeaturizer().fit(X, y, groups=groups.astype(str))
    assert_allclose(losses_of(named), losses_of(together), rtol=1e-4)


def test_rows_of_weight_zero_might_as_well_not_be_there():
    X, y = WINE
    weight = np.ones(178)
    weight[::3] = 0
    spoiled = np.where(weight[:, None] > 0, X, 1e3 + X)
    with_them = KernelFeaturizer(n_components=30).fit(spoiled, y, weight)
    without = KernelFeaturizer(n_components=30).fit(X[weight > 0], y[weight > 0])
    assert_allclose(losses_of(with_them), losses_of(without), rtol=1e-3)
    assert_allclose(with_them.transform(X), without.transform(X), atol=1e-10)


def test_weights_scale_the_columns_and_the_errors():
    X, y = WINE
    weight = np.linspace(0.1, 2, 178)
    expected = StandardScaler().fit(X, sample_weight=weight).transform(X)
    assert_allclose(KernelFeaturizer("linear").fit(X, y, weight).transform(X), expected)
    weighted, plain = KernelFeaturizer().fit(X, y, weight), KernelFeaturizer().fit(X, y)
    assert not np.allclose(losses_of(weighted), losses_of(plain))
    with pytest.raises(ValueError, match="Negative values in data passed to `sample_weight`"):
        KernelFeaturizer().fit(X, y, -weight)


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_follows_the_data(dtype, kernel):
    X, y = WINE
    featurizer = KernelFeaturizer(kernel).fit(X.astype(dtype), y)
    assert (Z := featurizer.transform(X.astype(dtype))).dtype == dtype
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
    Z, columns = rbf.transform(frame), StandardizedColumns().fit(frame).transform(frame, "float64")
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


WRONG = {"kernel": "cubic", "gamma": 0.0, "n_components": 0, "dtype": "float16"}


@pytest.mark.parametrize(("parameter", "value"), [*WRONG.items(), ("gamma", "scale")])
def test_parameters_are_checked(parameter, value):
    message = f"The '{parameter}' parameter of KernelFeaturizer must be"
    with pytest.raises(ValueError, match=message):
        KernelFeaturizer(**{parameter: value}).fit(*WINE)
