"""Kernel selection: losses of the candidates against refits, and Nystroem features."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.distance import cdist
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import RidgeCV
from sklearn.metrics.pairwise import laplacian_kernel, rbf_kernel

from skdiva.features import KernelFeaturizer, SelectionTask
from skdiva.features._kernel_selection import (
    candidates,
    kernel_distances,
    loo_losses,
    nystroem_features,
    nystroem_projection,
    read_task,
)
from skdiva.loo import ClassTargets, ValueTargets, brute_force_loo
from skdiva.loo._brute_force import refit

PAIRS = [("linear", None), ("rbf", 0.1), ("rbf", 0.5), ("laplacian", 0.2)]
EXPONENTS = np.arange(-6, 5.01, 0.5)  # of penalties, in mean eigenvalues
KERNELS = {"rbf": rbf_kernel, "laplacian": laplacian_kernel}
METRICS = {"rbf": "sqeuclidean", "laplacian": "cityblock"}


class Drawn:
    """Columns, classes or values, and everything else that the choice depends on."""

    def __init__(self, classes, seed=0):
        draw = np.random.default_rng(seed)
        self.X, self.X_val = draw.normal(size=(36, 4)), draw.normal(size=(15, 4))
        self.weight = draw.uniform(0.2, 2, 36)
        self.groups = torch.from_numpy(draw.permutation(np.arange(36) // 3))
        values = [np.sin(2 * X[:, :2]) + 0.3 * X[:, 2:] for X in (self.X, self.X_val)]
        values = [v + draw.normal(0, 0.3, v.shape) for v in values]
        if classes:
            values = [np.eye(3)[np.digitize(v[:, 0], [-0.5, 0.5])] for v in values]
        self.values, self.val_values = values
        self.classes = classes

    def targets(self, values):
        if self.classes:
            return ClassTargets(torch.from_numpy(values.argmax(axis=1)), 3)
        return ValueTargets(torch.from_numpy(values))

    def task(self, **fields):
        return SelectionTask(self.targets(self.values), **fields)

    def validation(self):
        return torch.from_numpy(self.X_val), self.targets(self.val_values)


def features(pair, X, landmarks):
    """Columns, or the symmetric square root of the kernel: the same inner products as ours."""
    kernel, gamma = pair
    if kernel == "linear":
        return X
    similarity = KERNELS[kernel]
    size, vectors = np.linalg.eigh(similarity(landmarks, gamma=gamma))
    return similarity(X, landmarks, gamma=gamma) @ (vectors / np.sqrt(size)) @ vectors.T


def penalties(Z, weight, fit_intercept=True):
    mean = np.average(Z, axis=0, weights=weight) if fit_intercept else 0
    trace = (weight[:, None] * (Z - mean) ** 2).sum()
    return trace / min(Z.shape) * 10.0**EXPONENTS


def smallest_loss(data, pair, weight, *, groups=None, validated=False, fit_intercept=True):
    """Smallest loss over the penalties, by refits."""
    landmarks = data.X[::2]
    Z = features(pair, data.X, landmarks)
    tensors = [torch.from_numpy(part) for part in (Z, data.values, weight)]
    losses = []
    for alpha in penalties(Z, weight, fit_intercept):
        if validated:
            model = refit(*tensors, alpha, fit_intercept)
            predictions = model.predict(torch.from_numpy(features(pair, data.X_val, landmarks)))
            losses.append(np.square(predictions.numpy() - data.val_values).sum(axis=1).mean())
        else:
            outputs = brute_force_loo(*tensors, alpha, groups=groups, fit_intercept=fit_intercept)
            errors = np.square(outputs.numpy() - data.values).sum(axis=1)
            losses.append(np.average(errors, weights=weight))
    best = int(np.argmin(losses))
    assert 0 < best < len(losses) - 1, "choose another case: ours goes on beyond the edge"
    return losses[best]


def ours(data, task, weight=None):
    X = torch.from_numpy(data.X)
    columns = {"rows": X, "landmarks": X[::2]}
    if task.validation is not None:
        columns["validation"] = task.validation[0]
    return loo_losses(PAIRS, columns, weight, task)


@pytest.mark.parametrize("classes", [False, True])
def test_losses_are_those_of_refits(classes):
    data = Drawn(classes)
    losses = ours(data, data.task())
    assert list(losses) == PAIRS
    for pair, loss in losses.items():
        assert loss == pytest.approx(smallest_loss(data, pair, np.ones(36)), rel=1e-6)


@pytest.mark.parametrize("pair", PAIRS)
def test_losses_are_those_of_scikit_learns_ridge(pair):
    data = Drawn(classes=False)
    Z = features(pair, data.X, data.X[::2])
    ridge = RidgeCV(penalties(Z, np.ones(36)), store_cv_results=True).fit(Z, data.values)
    expected = ridge.cv_results_.sum(axis=1).mean(axis=0).min()
    assert ours(data, data.task())[pair] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("classes", [False, True])
def test_groups_and_weights_are_honoured(classes):
    data = Drawn(classes)
    plain = ours(data, data.task())
    losses = ours(data, data.task(groups=data.groups), torch.from_numpy(data.weight))
    for pair, loss in losses.items():
        expected = smallest_loss(data, pair, data.weight, groups=data.groups)
        assert loss == pytest.approx(expected, rel=1e-6) != plain[pair]


@pytest.mark.parametrize("classes", [False, True])
def test_the_loss_is_that_of_the_validation_rows_if_there_are_any(classes):
    data = Drawn(classes, seed=2)
    losses = ours(data, data.task(validation=data.validation()))
    for pair, loss in losses.items():
        expected = smallest_loss(data, pair, np.ones(36), validated=True)
        assert loss == pytest.approx(expected, rel=1e-6)


def test_without_an_intercept():
    data = Drawn(classes=True)
    losses = ours(data, data.task(fit_intercept=False))
    for pair, loss in losses.items():
        expected = smallest_loss(data, pair, np.ones(36), fit_intercept=False)
        assert loss == pytest.approx(expected, rel=1e-6)


def test_candidates():
    assert candidates("auto", "auto", 10.0) == [
        ("linear", None),
        *(("rbf", pytest.approx(gamma)) for gamma in (0.01, 0.03, 0.1, 0.3)),
        *(("laplacian", pytest.approx(gamma)) for gamma in (0.02, 0.06, 0.2)),
    ]
    assert candidates("linear", "auto", 3) == candidates("linear", 0.5, 3) == [("linear", None)]
    assert candidates("laplacian", "auto", 1) == [("laplacian", g) for g in (0.2, 0.6, 2.0)]
    # As given, to the last bit.
    assert candidates("rbf", 0.1, 3) == [("rbf", 0.1)]
    assert candidates("auto", 0.1, 3) == [("linear", None), ("rbf", 0.1), ("laplacian", 0.1)]


def test_the_task_of_some_rows():
    data = Drawn(classes=True)
    task = data.task(groups=data.groups, validation="kept", fit_intercept=False)
    rows = torch.tensor([5, 2, 2])
    some = task.select(rows)
    assert (some.targets.labels == task.targets.labels[rows]).all()
    assert (some.groups == data.groups[rows]).all()
    assert (some.validation, some.fit_intercept) == ("kept", False)
    assert data.task().select(rows).groups is None


X = np.zeros((4, 1))


@pytest.mark.parametrize(
    ("y", "codes"),
    [
        (["b", "a", "c", "a"], [1, 0, 2, 0]),
        ([3, -1, 3, 7], [1, 0, 1, 2]),
        ([1.0, 0.0, 2.0, 1.0], [1, 0, 2, 1]),
        ([True, False, True, True], [1, 0, 1, 1]),
        (np.array(["b", "a", "b", "a"], object), [1, 0, 1, 0]),
    ],
    ids=["str", "int", "float", "bool", "object"],
)
def test_classes_are_read(y, codes):
    task = read_task(X, y, None, "cpu")
    assert task.targets.labels.tolist() == codes
    assert task.targets.n_outputs == max(codes) + 1
    assert task.groups is None


@pytest.mark.parametrize("y", [[0.5, 1, 2, 3], [[0.5, 1], [2, 3], [4, 5], [6, 7]]])
def test_floats_with_a_fraction_are_values(y):
    targets = read_task(X, y, None, "cpu").targets
    assert_allclose(targets.values, np.reshape(y, (4, -1)))
    assert targets.values.dtype == torch.float64


def test_groups_of_any_type_are_coded():
    task = read_task(X, [0, 1, 0, 1], ["u", "v", "u", "w"], "cpu")
    assert_array_equal(task.groups, [0, 1, 0, 2])


def test_labels_that_are_missing_or_too_few():
    with pytest.raises(ValueError, match=r"requires y.*Pass y, or set kernel and gamma"):
        read_task(X, None, None, "cpu")
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        read_task(X, [0, 1, 0], None, "cpu")
    with pytest.raises(ValueError, match="groups must hold one label per row of X: expected 4"):
        read_task(X, [0, 1, 0, 1], [0, 1, 0], "cpu")


def rows(n=40, p=4, seed=0):
    return torch.randn(n, p, generator=torch.Generator().manual_seed(seed)).double()


def nystroem(kernel, gamma, X, landmarks, **budget):
    projection = nystroem_projection(kernel_distances(kernel, landmarks, landmarks), gamma)
    out = X.new_full((len(X), projection.shape[1]), torch.nan)
    nystroem_features(kernel, gamma, X, landmarks, projection, out=out, **budget)
    return out


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernel_distances(kernel, device):
    X, landmarks = rows(), rows(7, seed=1)
    apart = kernel_distances(kernel, X.to(device), landmarks.to(device))
    assert_allclose(apart.cpu(), cdist(X, landmarks, METRICS[kernel]), atol=1e-12)
    own = kernel_distances(kernel, 1e4 + X, 1e4 + X)
    assert own.min() >= 0


@pytest.mark.parametrize("gamma", [0.05, 1.0])
@pytest.mark.parametrize("kernel", KERNELS)
def test_with_all_rows_as_landmarks_inner_products_are_the_kernel(kernel, gamma, device):
    X = rows().to(device)
    Z = nystroem(kernel, gamma, X, X).cpu()
    assert_allclose(Z @ Z.T, KERNELS[kernel](X.cpu(), gamma=gamma), atol=1e-6)


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_kernel_of_fewer_landmarks_is_that_of_scikit_learn(kernel):
    X, new = rows(60), rows(9, seed=1)
    theirs = Nystroem(kernel, gamma=0.2, n_components=15, random_state=0).fit(X)
    landmarks = X[torch.from_numpy(theirs.component_indices_)]
    ours = nystroem(kernel, 0.2, torch.cat([X, new]), landmarks)
    expected = np.vstack([theirs.transform(X), theirs.transform(new)])
    assert ours.shape == (69, 15)
    assert_allclose(ours @ ours.T, expected @ expected.T, atol=1e-9)
    exact = KERNELS[kernel](X, gamma=0.2)
    assert not np.allclose(ours[:60] @ ours[:60].T, exact, atol=1e-2)


@pytest.mark.parametrize("kernel", KERNELS)
def test_rows_are_visited_in_blocks(kernel):
    X, landmarks = rows(50), rows(7, seed=1)
    whole = nystroem(kernel, 0.3, X, landmarks)
    for elements in (1, 20, 7 * 50, 7 * 50 - 1):
        found = nystroem(kernel, 0.3, X, landmarks, block_elements=elements)
        assert_allclose(found, whole, atol=1e-13)


@pytest.mark.parametrize("kernel", KERNELS)
def test_landmarks_that_repeat_others_add_no_features(kernel):
    X = rows(20)
    once, twice = nystroem(kernel, 0.3, X, X[:8]), nystroem(kernel, 0.3, X, X[:8].repeat(2, 1))
    assert twice.shape == once.shape == (20, 8)
    assert_allclose(twice @ twice.T, once @ once.T, atol=1e-9)


@pytest.mark.parametrize("kernel", KERNELS)
def test_features_in_single_precision(kernel):
    """Eigenvalues are computed in double precision: small ones would be rounding errors."""
    X = rows(150)
    Z = nystroem(kernel, 0.05, X.float(), X.float())
    assert Z.dtype == torch.float32
    assert_allclose(Z @ Z.T, KERNELS[kernel](X, gamma=0.05), atol=1e-5)


def test_twins_among_the_landmarks_add_no_features():
    X = np.repeat(np.random.default_rng(0).normal(size=(30, 4)), 2, axis=0)
    featurizer = KernelFeaturizer("rbf", gamma=0.1).fit(X)
    assert (len(featurizer.landmarks_), featurizer.transform(X).shape) == (60, (60, 30))
    assert len(featurizer.get_feature_names_out()) == 30
