"""KernelFeaturizer: what it chooses, what it depends on, and that it is a transformer."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_wine
from sklearn.metrics.pairwise import laplacian_kernel, rbf_kernel
from sklearn.preprocessing import StandardScaler

from skdiva.features import KernelFeaturizer, _kernel
from skdiva.features._kernel_selection import SelectionTask, candidates, loo_losses
from skdiva.loo import ClassTargets

WINE = load_wine(return_X_y=True)


def drawn(kind, n=150, seed=0):
    """X of two columns, and y that one kernel predicts better than the others."""
    X = np.random.default_rng(seed).uniform(-2, 2, size=(n, 2))
    if kind == "linear":
        return X, X @ [1.0, -2.0] + 0.01 * np.sin(50 * X[:, 0])
    if kind == "rbf":
        return X, np.sin(2 * X[:, 0] + X[:, 1])
    return X, (np.floor(3 * X[:, 0]) % 2) + 0.25  # steps along a single column


@pytest.mark.parametrize("kind", ["linear", "rbf", "laplacian"])
def test_the_kernel_that_predicts_best_is_chosen(kind):
    X, y = drawn(kind)
    featurizer = KernelFeaturizer().fit(X, y)
    assert featurizer.kernel_ == kind
    assert len(featurizer.loo_losses_) == 8
    best = min(featurizer.loo_losses_, key=featurizer.loo_losses_.get)
    assert (featurizer.kernel_, featurizer.gamma_) == best


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("judged", [False, True])
def test_the_losses_are_those_of_the_standardised_columns(judged, weighted):
    """In single precision as in double; validation rows are scaled as the training rows are."""
    X, y = WINE
    X, y, X_val, y_val = X[::2], torch.from_numpy(y[::2]), X[1::2], torch.from_numpy(y[1::2])
    weight = np.linspace(0.1, 2, 89) ** 2 if weighted else None
    scaler = StandardScaler().fit(X, sample_weight=weight)
    columns, columns_val = (torch.from_numpy(scaler.transform(part)) for part in (X, X_val))
    labels, targets_val = SelectionTask(ClassTargets(y, 3)), ClassTargets(y_val, 3)
    given = labels._replace(validation=(X_val, targets_val)) if judged else labels
    scaled = labels._replace(validation=(columns_val, targets_val)) if judged else labels
    expected = loo_losses(
        candidates("auto", "auto", 13),
        columns,
        None if weight is None else torch.from_numpy(weight),
        scaled,
        columns,
    )
    featurizer = KernelFeaturizer().fit_checked(X, weight, given, torch.device("cpu"), "float64")
    assert list(featurizer.loo_losses_) == list(expected)
    losses = featurizer.loo_losses_.values()
    assert_allclose(list(losses), list(expected.values()), rtol=1e-3)


@pytest.mark.parametrize("kernel", ["rbf", "laplacian"])
def test_features_are_those_of_the_kernel_between_standardised_rows(kernel, device):
    X, _ = WINE
    Z = KernelFeaturizer(kernel, gamma=0.1, device=device, dtype="float64").fit_transform(X)
    columns = StandardScaler().fit_transform(X)
    similarity = {"rbf": rbf_kernel, "laplacian": laplacian_kernel}[kernel]
    assert_allclose(Z @ Z.T, similarity(columns, gamma=0.1), atol=1e-6)


def test_linear_features_are_the_standardised_columns():
    X, _ = WINE
    featurizer = KernelFeaturizer("linear").fit(X)
    assert_allclose(featurizer.transform(X), StandardScaler().fit_transform(X))
    assert featurizer.landmarks_ is featurizer.projection_ is featurizer.gamma_ is None
    assert featurizer.loo_losses_ == {}


@pytest.mark.parametrize(
    "given",
    [{"kernel": "linear"}, {"kernel": "rbf", "gamma": 0.3}, {"kernel": "laplacian", "gamma": 1}],
)
def test_nothing_to_choose_needs_no_labels(given):
    X, y = WINE
    featurizer = KernelFeaturizer(**given).fit(X)
    assert not featurizer.chooses
    assert not featurizer.__sklearn_tags__().target_tags.required
    assert featurizer.loo_losses_ == {}
    assert featurizer.gamma_ == given.get("gamma")
    labelled = KernelFeaturizer(**given).fit(X, y, groups=y)
    assert_array_equal(featurizer.transform(X), labelled.transform(X))


@pytest.mark.parametrize("given", [{}, {"gamma": 0.1}, {"kernel": "rbf"}])
def test_a_choice_needs_labels(given):
    featurizer = KernelFeaturizer(**given)
    assert featurizer.__sklearn_tags__().target_tags.required
    with pytest.raises(ValueError, match="requires y to be passed, but the target y is None"):
        featurizer.fit(WINE[0])


def test_beyond_the_choice_the_features_do_not_depend_on_y():
    X, y = WINE
    permuted = np.random.default_rng(0).permutation(y)
    fixed = {"kernel": "rbf", "gamma": 0.05, "n_components": 20}
    assert_array_equal(
        KernelFeaturizer(**fixed).fit_transform(X, y),
        KernelFeaturizer(**fixed).fit_transform(X, permuted),
    )
    chosen = KernelFeaturizer(n_components=20).fit(X, y)
    given = KernelFeaturizer(chosen.kernel_, gamma=chosen.gamma_, n_components=20).fit(X)
    assert_array_equal(chosen.landmarks_, given.landmarks_)
    assert_array_equal(chosen.transform(X), given.transform(X))


def test_the_same_call_gives_the_same_features():
    X, y = WINE
    first = KernelFeaturizer(n_components=20).fit_transform(X, y)
    assert_array_equal(KernelFeaturizer(n_components=20).fit_transform(X, y), first)
    zero = KernelFeaturizer(n_components=20, random_state=0).fit_transform(X, y)
    assert_array_equal(zero, first)
    one = KernelFeaturizer(n_components=20, random_state=1).fit_transform(X, y)
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


def test_twins_among_the_landmarks_add_no_features():
    X = np.repeat(WINE[0][:30], 2, axis=0)
    featurizer = KernelFeaturizer("rbf", gamma=0.1).fit(X)
    assert len(featurizer.landmarks_) == 60
    assert featurizer.transform(X).shape == (60, 30)
    assert len(featurizer.get_feature_names_out()) == 30


def test_as_many_landmarks_as_memory_allows():
    featurizer = KernelFeaturizer()
    numbers = {}
    for featurizer._dtype in ("float64", "float32"):
        rows = (1000, 10**5, 10**6, 10**7, 10**12)
        numbers[featurizer._dtype] = [featurizer._n_landmarks(n) for n in rows]
    assert numbers == {
        "float64": [1000, 1000, 134, 13, 1],
        "float32": [1000, 1000, 268, 26, 1],
    }
    assert KernelFeaturizer(n_components=5000)._n_landmarks(10**12) == 5000


def test_large_data_are_compared_on_some_rows(monkeypatch):
    X, y = WINE
    monkeypatch.setattr(_kernel, "_CHOICE_ROWS", 60)
    monkeypatch.setattr(_kernel, "_CHOICE_LANDMARKS", 25)
    featurizer = KernelFeaturizer(dtype="float64").fit(X, y)
    order = np.random.RandomState(0).permutation(178)
    rows, landmarks = np.sort(order[:60]), np.sort(order[:25])
    columns = torch.from_numpy(StandardScaler().fit_transform(X))
    expected = loo_losses(
        candidates("auto", "auto", 13), columns[rows], None,
        SelectionTask(ClassTargets(torch.from_numpy(y[rows]), 3)), columns[landmarks],
    )  # fmt: skip
    losses = featurizer.loo_losses_
    assert_allclose(list(losses.values()), list(expected.values()), rtol=1e-3)
    assert len(featurizer.landmarks_) == 178


def test_groups_are_left_out_together():
    """Twins in one group: with them together the choice is that of the rows without twins."""
    X, y = drawn("rbf", 60)
    X, y, groups = np.repeat(X, 2, axis=0), np.repeat(y, 2), np.repeat(np.arange(60), 2)
    apart, together = KernelFeaturizer().fit(X, y), KernelFeaturizer().fit(X, y, groups=groups)
    assert all(
        together.loo_losses_[pair] > apart.loo_losses_[pair]
        for pair in together.loo_losses_
        if pair[0] != "linear"
    )
    named = KernelFeaturizer().fit(X, y, groups=groups.astype(str))
    assert_allclose(
        list(named.loo_losses_.values()), list(together.loo_losses_.values()), rtol=1e-4
    )


def test_rows_of_weight_zero_might_as_well_not_be_there():
    X, y = WINE
    weight = np.ones(178)
    weight[::3] = 0
    spoiled = np.where(weight[:, None] > 0, X, 1e3 + X)
    with_them = KernelFeaturizer(n_components=30).fit(spoiled, y, weight)
    without = KernelFeaturizer(n_components=30).fit(X[weight > 0], y[weight > 0])
    assert_allclose(
        list(with_them.loo_losses_.values()), list(without.loo_losses_.values()), rtol=1e-3
    )
    assert_allclose(with_them.transform(X), without.transform(X), atol=1e-10)


def test_weights_scale_the_columns_and_the_errors():
    X, y = WINE
    weight = np.linspace(0.1, 2, 178)
    linear = KernelFeaturizer("linear").fit(X, y, weight)
    expected = StandardScaler().fit(X, sample_weight=weight).transform(X)
    assert_allclose(linear.transform(X), expected)
    weighted, plain = KernelFeaturizer().fit(X, y, weight), KernelFeaturizer().fit(X, y)
    assert not np.allclose(list(weighted.loo_losses_.values()), list(plain.loo_losses_.values()))
    with pytest.raises(ValueError, match="Negative values in data passed to `sample_weight`"):
        KernelFeaturizer().fit(X, y, -weight)
