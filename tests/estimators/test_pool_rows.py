"""Loss paths of a fitted extender for orders of the pool, and features computed when read."""

import copy
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import (
    FunctionTransformer,
    QuantileTransformer,
    StandardScaler,
    TargetEncoder,
)

from skdiva import DivaExtender
from skdiva.arrays import Compute
from skdiva.estimators import loss_paths
from skdiva.estimators._pool import Pool
from skdiva.estimators._pool_rows import PoolRows
from skdiva.estimators.feature_maps import TransformedFeatures
from skdiva.features import JacobianFeaturizer
from skdiva.loo import Budget, ClassTargets, LogLoss, Problem, brute_force_loo
from skdiva.targets import ClassLabels
from tests.estimators.data import classes, numbers

N_CORE, N_POOL = 40, 100
X, Y, TRUTH = classes(200, wrong=0)
Y[N_CORE : N_CORE + N_POOL : 5] = (TRUTH[N_CORE : N_CORE + N_POOL : 5] + 1) % 3
VAL = {"X_val": X[140:], "y_val": TRUTH[140:]}
GROUPS = {"groups": np.arange(N_CORE) // 3}
PLAIN = {"featurizer": None, "alpha": 2.0, "step": 7}
NONE = dict.fromkeys(("groups", "X_val", "y_val"))
PERMUTED = N_CORE + np.random.default_rng(0).permutation(N_POOL)


def rows_of(X, y, **others):
    core, pool = slice(N_CORE), slice(N_CORE, N_CORE + N_POOL)
    return {"X": X[core], "y": y[core], "X_pool": X[pool], "y_pool": y[pool]} | NONE | others


def fitted(rows, **how):
    extender = DivaExtender(**{"step": 7} | how).fit(**rows)
    assert len(extender.n_added_) > 3
    return extender


def own_order(extender):
    return extender.select(len(extender.ranking_))


def network():
    torch.manual_seed(0)
    layers = [torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)]
    return JacobianFeaturizer(torch.nn.Sequential(*layers), random_state=0)


FEATURES = {
    "chosen": "auto",
    "raw": None,
    "scaled": StandardScaler(),
    "quantiles": QuantileTransformer(n_quantiles=20),
    "network with initial outputs": network(),
}
ROWS = {
    "rows": {},
    "groups": GROUPS,
    "validation rows": VAL,
    "groups and validation rows": GROUPS | VAL,
}


@pytest.mark.parametrize("evaluate_on", ["all", "core"])
@pytest.mark.parametrize("features", FEATURES)
@pytest.mark.parametrize("others", ROWS)
def test_the_own_order_gives_the_path(others, features, evaluate_on):
    rows = rows_of(X, Y, **ROWS[others])
    extender = fitted(rows, evaluate_on=evaluate_on, featurizer=FEATURES[features], dtype="float64")
    before = copy.deepcopy(vars(extender))
    (found,) = loss_paths(extender, rows, [own_order(extender)])
    assert_allclose(found, extender.loo_loss_path_, rtol=1e-9)
    assert vars(extender).keys() == before.keys()
    assert extender.alpha == before["alpha"] == "auto"


@pytest.mark.parametrize("evaluate_on", ["all", "core"])
@pytest.mark.parametrize("features", FEATURES)
def test_float32(features, evaluate_on, device):
    rows = rows_of(X.astype(np.float32), Y, **GROUPS)
    extender = fitted(rows, evaluate_on=evaluate_on, featurizer=FEATURES[features], device=device)
    (found,) = loss_paths(extender, rows, [own_order(extender)])
    assert_allclose(found, extender.loo_loss_path_, rtol=1e-4)


@pytest.mark.parametrize("targets", [1, 2])
@pytest.mark.parametrize("evaluate_on", ["all", "core"])
def test_regression(evaluate_on, targets):
    rows = rows_of(*numbers(140, targets, wrong=0))
    extender = fitted(rows, evaluate_on=evaluate_on)
    (found,) = loss_paths(extender, rows, [own_order(extender)])
    assert_allclose(found, extender.loo_loss_path_, rtol=1e-9)


@pytest.mark.parametrize("evaluate_on", ["all", "core"])
def test_features_of_the_pool_that_are_computed_again_in_blocks(evaluate_on):
    rows = rows_of(X, Y, **GROUPS)
    extender = fitted(rows, evaluate_on=evaluate_on, batch_size=9)
    (found,) = loss_paths(extender, rows, [own_order(extender)], kept_bytes=0)
    assert_allclose(found, extender.loo_loss_path_, rtol=1e-9)


class Counting(StandardScaler):
    """Tells how many rows it transforms at a time."""

    sizes: ClassVar[list] = []

    def transform(self, X):
        self.sizes.append(len(X))
        return super().transform(X)


def test_features_are_made_once_more_for_rows_that_are_added_alone(monkeypatch):
    rows = rows_of(X, Y)
    how = {
        "evaluate_on": "core",
        "featurizer": Counting(),
        "batch_size": 25,
        "n_samples_to_select": 1,
    }
    extender = DivaExtender(**how).fit(**rows)
    monkeypatch.setattr(Counting, "sizes", [])
    loss_paths(extender, rows, [own_order(extender)] * 2, kept_bytes=0)
    # Core; pool, to be compared with that of the fit; the row added, for every order.
    assert Counting.sizes == [N_CORE, 25, 25, 25, 25, 1, 1]


@pytest.mark.parametrize("container", [pd.DataFrame, torch.from_numpy, list])
def test_containers(container):
    rows = rows_of(X, Y)
    rows |= {name: container(rows[name]) for name in ("X", "X_pool")}
    rows["y_pool"] = (np.array(["a", "b", "c"])[rows["y_pool"]],)
    rows["y"], rows["X_pool"] = np.array(["a", "b", "c"])[rows["y"]], (rows["X_pool"],)
    extender = fitted(rows, estimator=LogisticRegression())
    (found,) = loss_paths(extender, rows, [own_order(extender)])
    assert_allclose(found, extender.loo_loss_path_, rtol=1e-9)


def log_losses(outputs, labels):
    scores = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return -np.log(scores[np.arange(len(labels)), labels] / scores.sum(axis=1))


def refitted_loss(added, evaluate_on):
    """Mean loss of the core, and of the pool, by a refit without every row that is evaluated."""
    rows = np.r_[np.arange(N_CORE), N_CORE + added]
    one_hot = torch.eye(3, dtype=torch.float64)
    if evaluate_on == "all":
        rows = np.r_[rows, np.setdiff1d(np.arange(N_CORE + N_POOL), rows)]
    weight = torch.zeros(len(rows), dtype=torch.float64)
    weight[: N_CORE + len(added)] = 1
    outputs = brute_force_loo(torch.from_numpy(X[rows]), one_hot[Y[rows]], weight, 2.0)
    losses = log_losses(outputs.numpy(), Y[rows])
    return losses.mean() if evaluate_on == "all" else losses[:N_CORE].mean()


@pytest.mark.parametrize("evaluate_on", ["all", "core"])
def test_other_orders_are_refits(evaluate_on):
    rows = rows_of(X, Y)
    extender = fitted(rows, evaluate_on=evaluate_on, **PLAIN)
    orders = [np.random.default_rng(seed).permutation(N_POOL) for seed in range(3)]
    found = loss_paths(extender, rows, orders)
    assert found.shape == (3, len(extender.n_added_))
    for order, losses in zip(orders, found, strict=True):
        expected = [refitted_loss(order[:size], evaluate_on) for size in extender.n_added_]
        assert_allclose(losses, expected, rtol=1e-9)
    # Rows chosen for it lower the loss more than any.
    assert (found[:, 1:] > extender.loo_loss_path_[1:]).all()


def test_an_extender_that_added_nothing():
    rows = rows_of(X, Y)
    harms = DivaExtender(evaluate_on="core", **PLAIN).fit(**rows).pool_derivative_ > 0
    rows |= {name: rows[name][harms] for name in ("X_pool", "y_pool")}
    extender = DivaExtender(evaluate_on="core", **PLAIN).fit(**rows)
    assert_array_equal(extender.n_added_, [0])
    found = loss_paths(extender, rows, [np.arange(harms.sum())] * 2)
    assert_allclose(found, [[extender.loo_loss_]] * 2)


@pytest.mark.parametrize("n_orders", [0, 1])
@pytest.mark.parametrize("evaluate_on", ["all", "core"])
@pytest.mark.parametrize(
    ("fit", "given"),
    [
        (GROUPS, NONE),
        (VAL, NONE),
        ({}, GROUPS),
        ({}, VAL),
        ({}, {"y": np.roll(Y[:N_CORE], 1)}),
        ({}, {"X": X[1 : N_CORE + 1]}),
        ({}, {"X_pool": X[N_POOL:]}),
        ({}, {"y_pool": np.roll(Y[N_CORE : N_CORE + N_POOL], 1)}),
        ({}, {"X_pool": X[PERMUTED], "y_pool": Y[PERMUTED]}),
    ],
    ids=[
        "no groups", "no X_val", "new groups", "new X_val", "other y", "other X", "other X_pool",
        "other y_pool", "another order",
    ],
)  # fmt: skip
def test_rows_of_another_fit(fit, given, evaluate_on, n_orders):
    extender = fitted(rows_of(X, Y, **fit), evaluate_on=evaluate_on)
    with pytest.raises(ValueError, match=r"in their order; got rows with .* Pass X, y, X_pool"):
        loss_paths(extender, rows_of(X, Y, **fit) | given, [own_order(extender)] * n_orders)


def test_the_last_rows_of_a_pool_in_another_order():
    """They are not added, so no loss of the core depends on them."""
    rows = rows_of(X, Y)
    extender = fitted(rows, evaluate_on="core", n_samples_to_select=30)
    order = np.arange(N_POOL)
    order[~extender.support_] = order[~extender.support_][::-1]
    other = rows | {name: rows[name][order] for name in ("X_pool", "y_pool")}
    with pytest.raises(ValueError, match="in their order"):
        loss_paths(extender, other, [])


def test_a_featurizer_that_treats_training_rows_differently():
    rows = rows_of(X.round(), Y)
    extender = fitted(rows, featurizer=TargetEncoder())
    with pytest.raises(ValueError, match="no rows, if the featurizer's transform does not"):
        loss_paths(extender, rows, [own_order(extender)])


def pool_rows(featurizer, kept_bytes):
    """The pool, to be read in blocks of 30 rows."""
    feature_map = TransformedFeatures(featurizer, fit_intercept=True)
    feature_map.featurizer.fit(X)
    budget = Budget(block_rows=30)
    targets = ClassTargets(torch.arange(3), 3)
    problem = Problem(torch.zeros(3, 6).double(), targets, loss=LogLoss(), budget=budget)
    pool = Pool(X, X, ClassLabels(np.arange(3), Y), len(X))
    compute = Compute(torch.device("cpu"), "float64")
    return PoolRows(feature_map, compute, pool, problem, kept_bytes=kept_bytes)


@pytest.mark.parametrize("kept_bytes", [None, 0])
def test_features_are_kept_if_they_fit(kept_bytes, monkeypatch):
    rows = pool_rows(Counting(), kept_bytes)
    monkeypatch.setattr(Counting, "sizes", [])
    blocks = [slice(start, min(start + 30, 200)) for start in range(0, 200, 30)]
    expected = StandardScaler().fit_transform(X)
    for _ in range(2):
        assert_allclose(np.concatenate([rows.read(block) for block in blocks]), expected)
    chosen = torch.tensor([150, 3])
    assert_allclose(rows.read(chosen), expected[chosen])
    once = [30] * 6 + [20]
    assert Counting.sizes == (once if kept_bytes is None else [*once, *once, 2])


def test_positions_can_be_read_before_the_blocks():
    rows = pool_rows(StandardScaler(), None)
    expected = StandardScaler().fit_transform(X)
    for block in (torch.tensor([150, 3]), slice(30, 60), slice(0, 30), slice(20, 50)):
        assert_allclose(rows.read(block), expected[block])


def test_features_that_are_x_itself_are_not_copied():
    rows = pool_rows(FunctionTransformer(), None)
    for _ in range(2):
        assert np.shares_memory(rows.read(slice(0, 30)).numpy(), X)


def test_targets_hold_the_initial_outputs():
    class Pretrained(FunctionTransformer):
        def initial_outputs(self, X):
            return X[:, :3]

    targets = pool_rows(Pretrained(), None).targets()
    assert_array_equal(targets.labels, Y)
    assert_array_equal(targets.initial_outputs, X[:, :3])
    assert pool_rows(FunctionTransformer(), None).targets().initial_outputs is None
