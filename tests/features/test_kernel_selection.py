"""The choice of a kernel: every candidate's error, by refits at the best penalty."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import RidgeCV
from sklearn.metrics.pairwise import laplacian_kernel, rbf_kernel

from skdiva.features._kernel_selection import SelectionTask, candidates, loo_losses, read_labels
from skdiva.loo import ClassTargets, ValueTargets, brute_force_loo
from skdiva.loo._brute_force import refit

PAIRS = [("linear", None), ("rbf", 0.1), ("rbf", 0.5), ("laplacian", 0.2)]
EXPONENTS = np.arange(-6, 5.01, 0.5)  # of penalties, in mean eigenvalues


class Drawn:
    """Columns, classes or values, and what else decides."""

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

    def labels(self, **fields):
        return SelectionTask(self.targets(self.values), **fields)

    def validation(self):
        return torch.from_numpy(self.X_val), self.targets(self.val_values)


def features(pair, X, landmarks):
    """Columns, or the symmetric square root of the kernel: the same inner products as ours."""
    kernel, gamma = pair
    if kernel == "linear":
        return X
    similarity = {"rbf": rbf_kernel, "laplacian": laplacian_kernel}[kernel]
    size, vectors = np.linalg.eigh(similarity(landmarks, gamma=gamma))
    return similarity(X, landmarks, gamma=gamma) @ (vectors / np.sqrt(size)) @ vectors.T


def penalties(Z, weight, fit_intercept=True):
    mean = np.average(Z, axis=0, weights=weight) if fit_intercept else 0
    trace = (weight[:, None] * (Z - mean) ** 2).sum()
    return trace / min(Z.shape) * 10.0**EXPONENTS


def smallest_loss(data, pair, weight, *, groups=None, judged=False, fit_intercept=True):
    """By refits at every penalty."""
    landmarks = data.X[::2]
    Z = features(pair, data.X, landmarks)
    tensors = [torch.from_numpy(part) for part in (Z, data.values, weight)]
    losses = []
    for alpha in penalties(Z, weight, fit_intercept):
        if judged:
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


def ours(data, labels, weight=None):
    X = torch.from_numpy(data.X)
    return loo_losses(PAIRS, X, weight, labels, X[::2])


@pytest.mark.parametrize("classes", [False, True])
def test_losses_are_those_of_refits(classes):
    data = Drawn(classes)
    losses = ours(data, data.labels())
    assert list(losses) == PAIRS
    for pair, loss in losses.items():
        assert loss == pytest.approx(smallest_loss(data, pair, np.ones(36)), rel=1e-6)


@pytest.mark.parametrize("pair", PAIRS)
def test_losses_are_those_of_scikit_learns_ridge(pair):
    data = Drawn(classes=False)
    Z = features(pair, data.X, data.X[::2])
    ridge = RidgeCV(penalties(Z, np.ones(36)), store_cv_results=True).fit(Z, data.values)
    expected = ridge.cv_results_.sum(axis=1).mean(axis=0).min()
    assert ours(data, data.labels())[pair] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("classes", [False, True])
def test_groups_and_weights_are_honoured(classes):
    data = Drawn(classes)
    plain = ours(data, data.labels())
    losses = ours(data, data.labels(groups=data.groups), torch.from_numpy(data.weight))
    for pair, loss in losses.items():
        expected = smallest_loss(data, pair, data.weight, groups=data.groups)
        assert loss == pytest.approx(expected, rel=1e-6) != plain[pair]


@pytest.mark.parametrize("classes", [False, True])
def test_validation_rows_judge_where_there_are_any(classes):
    data = Drawn(classes, seed=2)
    losses = ours(data, data.labels(validation=data.validation()))
    for pair, loss in losses.items():
        expected = smallest_loss(data, pair, np.ones(36), judged=True)
        assert loss == pytest.approx(expected, rel=1e-6)


def test_without_an_intercept():
    data = Drawn(classes=True)
    losses = ours(data, data.labels(fit_intercept=False))
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


def test_labels_of_some_rows():
    data = Drawn(classes=True)
    labels = data.labels(groups=data.groups, validation="kept", fit_intercept=False)
    rows = torch.tensor([5, 2, 2])
    some = labels.select(rows)
    assert (some.targets.labels == labels.targets.labels[rows]).all()
    assert (some.groups == data.groups[rows]).all()
    assert (some.validation, some.fit_intercept) == ("kept", False)
    assert data.labels().select(rows).groups is None


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
    labels = read_labels(X, y, None, "cpu")
    assert labels.targets.labels.tolist() == codes
    assert labels.targets.n_outputs == max(codes) + 1
    assert labels.groups is None


@pytest.mark.parametrize("y", [[0.5, 1, 2, 3], [[0.5, 1], [2, 3], [4, 5], [6, 7]]])
def test_floats_with_a_fraction_are_values(y):
    targets = read_labels(X, y, None, "cpu").targets
    assert_allclose(targets.values, np.reshape(y, (4, -1)))
    assert targets.values.dtype == torch.float64


def test_groups_of_any_type_are_coded():
    labels = read_labels(X, [0, 1, 0, 1], ["u", "v", "u", "w"], "cpu")
    assert_array_equal(labels.groups, [0, 1, 0, 2])


def test_labels_that_are_missing_or_too_few():
    with pytest.raises(ValueError, match=r"requires y.*Pass y, or give kernel and gamma"):
        read_labels(X, None, None, "cpu")
    for y, groups in (([0, 1, 0], None), ([0, 1, 0, 1], [0, 1, 0])):
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            read_labels(X, y, groups, "cpu")
