"""Features of JacobianFeaturizer against autograd and against the formulas."""

import copy

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn

from skdiva.features import JacobianFeaturizer
from tests.features.networks import make

EXACT = ("jacobian_tiles", "combine_jacobian", "apply_jacobian")
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}


def autograd_jacobian(network, batch, names=None):
    """Jacobian (n, k, P) by a double loop of torch.autograd.grad."""
    network = copy.deepcopy(network).eval().requires_grad_(True)
    chosen = [p for name, p in network.named_parameters() if names is None or name in names]
    rows = []
    for i in range(len(batch)):
        (outputs,) = network(batch[i : i + 1])
        gradients = [torch.autograd.grad(o, chosen, retain_graph=True) for o in outputs]
        rows.append(torch.stack([torch.cat([g.flatten() for g in gs]) for gs in gradients]))
    return torch.stack(rows).cpu().numpy()


def close(actual, expected, dtype="float64"):
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    assert np.linalg.norm(actual - expected) <= TOLERANCE[dtype] * np.linalg.norm(expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["mlp", "cnn", "residual", "transformer", "shared"])
def test_jacobians_are_those_of_autograd(name, dtype, device):
    network, X = make(name, device, getattr(torch, dtype))
    network.train()  # dropout, and statistics of the batch, unless the featurizer sees to it
    featurizer = JacobianFeaturizer(network, parameters="all", outputs="each", batch_size=2)
    Z = featurizer.fit_transform(X.cpu().numpy())
    expected = autograd_jacobian(network, X)
    assert Z.dtype == dtype
    close(Z, expected, dtype)
    assert featurizer.n_columns_ == expected.shape[2]
    assert featurizer.n_outputs_ == expected.shape[1]
    for outputs, direction in (("random", None), ("sum", np.ones(Z.shape[1]))):
        combined = JacobianFeaturizer(network, parameters="all", outputs=outputs).fit(X)
        if direction is None:
            direction = combined.direction_
            assert np.linalg.norm(direction) == pytest.approx(1)
        assert_allclose(combined.direction_, direction)
        result = combined.transform(X).cpu().numpy()
        error = np.linalg.norm(result - np.einsum("nkp,k->np", expected, direction))
        assert error <= TOLERANCE[dtype] * np.linalg.norm(expected)


def test_names_choose_columns_in_the_order_of_the_network(device):
    network, X = make("residual", device)
    featurizer = JacobianFeaturizer(network, parameters=("head", "conv1.weight"), outputs="each")
    Z = featurizer.fit_transform(X).cpu()
    names = ["conv1.weight", "head.weight", "head.bias"]
    assert featurizer.parameter_names_ == names
    close(Z, autograd_jacobian(network, X, names))


@pytest.mark.parametrize("name", ["mlp", "residual", "transformer"])
def test_last_are_the_inputs_of_the_head(name, device):
    network, X = make(name, device)
    featurizer = JacobianFeaturizer(network).fit(X)
    Z = featurizer.transform(X)
    head = network.head if hasattr(network, "head") else network[-1]
    close((Z @ head.weight.T + head.bias).detach().cpu(), network.eval()(X).detach().cpu())
    assert (featurizer.parameter_names_, featurizer.direction_) == (None, None)
    each = JacobianFeaturizer(network, outputs="each").fit(X)
    assert torch.equal(each.transform(X), Z)
    assert not hasattr(each, "initial_outputs")


@pytest.mark.parametrize("outputs", ["random", "each"])
def test_preconditioning(outputs, device):
    network, X = make("cnn", device, n=12)
    plain = JacobianFeaturizer(network, parameters="all", outputs=outputs).fit_transform(X[:8])
    featurizer = JacobianFeaturizer(
        network, parameters="all", outputs=outputs, precondition="fisher", batch_size=3
    ).fit(X[:8])
    squares = plain.cpu().numpy().reshape(-1, featurizer.n_columns_) ** 2
    fisher = squares.mean(0)
    scale = (fisher + fisher.mean()) ** -0.5
    assert_allclose(featurizer.scale_, scale, rtol=1e-10)
    close(featurizer.transform(X[:8]).cpu(), plain.cpu().numpy() * scale)
    # Other rows are scaled as those of fit were.
    other = JacobianFeaturizer(network, parameters="all", outputs=outputs).fit(X)
    close(featurizer.transform(X[8:]).cpu(), other.transform(X[8:]).cpu().numpy() * scale)


def test_preconditioned_activations(device):
    network, X = make("mlp", device)
    plain = JacobianFeaturizer(network).fit_transform(X).cpu().numpy()
    fisher = (plain**2).mean(0)
    Z = JacobianFeaturizer(network, precondition="fisher").fit_transform(X)
    close(Z.cpu(), plain * (fisher + fisher.mean()) ** -0.5)


def test_a_slope_is_that_of_a_leaky_network(device):
    network, X = make("cnn", device)
    leaky = copy.deepcopy(network)
    Z = JacobianFeaturizer(network, parameters="all", outputs="each", activation_slope=1.0)
    leaky[2], leaky[6] = nn.Identity(), nn.Identity()
    close(Z.fit_transform(X).cpu(), autograd_jacobian(leaky, X))

    class Leaky6(nn.Module):
        def forward(self, x):
            return 0.7 * x.clamp(0, 6) + 0.3 * x

    leaky[2], leaky[6] = nn.LeakyReLU(0.3), Leaky6()
    Z = JacobianFeaturizer(network, parameters="all", outputs="each", activation_slope=0.3)
    close(Z.fit_transform(X).cpu(), autograd_jacobian(leaky, X))


@pytest.mark.parametrize("parameters", ["last", "all"])
def test_a_projection_keeps_inner_products_on_average(parameters, device):
    network, X = make("mlp", device)
    Z = JacobianFeaturizer(network, parameters=parameters, outputs="sum").fit_transform(X).cpu()
    products = []
    for seed in range(300):
        featurizer = JacobianFeaturizer(
            network, parameters=parameters, outputs="sum", n_components=6, random_state=seed
        )
        P = featurizer.fit_transform(X).cpu()
        assert P.shape == (5, 6)
        products.append(P @ P.T)
    products = torch.stack(products)
    error = products.mean(0) - Z @ Z.T
    assert (error.abs() <= 4 * products.std(0) / 300**0.5 + 1e-9).all()
    if parameters == "all":
        assert products.std(0).max() > 0


def test_projection_of_every_output_is_the_same_one(device):
    network, X = make("mlp", device)
    options = {"parameters": "all", "n_components": 9, "random_state": 3}
    each = JacobianFeaturizer(network, outputs="each", **options).fit_transform(X)
    total = JacobianFeaturizer(network, outputs="sum", **options).fit_transform(X)
    assert each.shape == (5, 3, 9)
    close(each.sum(1).cpu(), total.cpu())


@pytest.mark.parametrize("precondition", [None, "fisher"])
@pytest.mark.parametrize("name", ["residual", "transformer"])
def test_the_exact_linearization(name, precondition, device):
    network, X = make(name, device, n=7)
    featurizer = JacobianFeaturizer(
        network, parameters="all", outputs="each", precondition=precondition, batch_size=3
    ).fit(X)
    J = featurizer.transform(X).cpu().numpy()
    n, k, p = J.shape
    for X_given in (X, X.cpu().numpy()):
        tiles = list(featurizer.jacobian_tiles(X_given, max_bytes=n * k * 8 * 100))
        assert {tile.shape[2] for tile in tiles[:-1]} == {100}
        assert all(tile.device.type == device and tile.nbytes <= n * k * 800 for tile in tiles)
        close(torch.cat(tiles, 2).cpu(), J)
    (tile,) = featurizer.jacobian_tiles(X[:1], max_bytes=2**30)
    close(tile.cpu(), J[:1])
    rng = np.random.default_rng(0)
    coefficients, vector = rng.normal(size=(n, k)), rng.normal(size=p)
    combined = featurizer.combine_jacobian(X, coefficients)
    close(combined.cpu(), np.einsum("nkp,nk->p", J, coefficients))
    assert combined.device.type == device
    close(featurizer.apply_jacobian(X, torch.from_numpy(vector)).cpu(), J @ vector)
    outputs = featurizer.initial_outputs(X.cpu().numpy())
    assert isinstance(outputs, np.ndarray)
    close(outputs, network.eval()(X).detach().cpu())


def test_a_tile_holds_a_column_at_least():
    network, X = make("mlp")
    featurizer = JacobianFeaturizer(network, parameters=["0.bias"], outputs="each").fit(X)
    assert [tile.shape for tile in featurizer.jacobian_tiles(X, 1)] == [(5, 3, 1)] * 8


@pytest.mark.parametrize(
    ("parameters", "outputs", "n_components", "has"),
    [
        ("all", "each", None, (True, True)),
        (["0"], "each", None, (True, True)),
        ("all", "each", 5, (True, False)),
        ("last", "each", None, (False, False)),
        ("all", "random", None, (False, False)),
    ],
)
def test_methods_are_there_where_they_make_sense(parameters, outputs, n_components, has):
    featurizer = JacobianFeaturizer(
        nn.Linear(2, 2), parameters=parameters, outputs=outputs, n_components=n_components
    )
    exact = [hasattr(featurizer, name) for name in EXACT]
    assert (hasattr(featurizer, "initial_outputs"), *set(exact)) == has


@pytest.mark.parametrize("parameters", ["last", "all"])
def test_batches_make_no_difference(parameters):
    network, X = make("transformer", n=11)
    expected = JacobianFeaturizer(network, parameters=parameters).fit_transform(X)
    for size in (1, 4, 100):
        featurizer = JacobianFeaturizer(network, parameters=parameters, batch_size=size).fit(X)
        close(featurizer.transform(X), expected)


def test_the_network_is_left_alone(device):
    network, X = make("cnn", device)
    network.train()
    network[0].eval()
    network[1].weight.requires_grad_(False)
    network[0].weight.grad = torch.ones_like(network[0].weight)
    before, X_before = copy.deepcopy(network), X.clone()
    rng = torch.get_rng_state()
    for options in ({}, {"parameters": "all", "activation_slope": 0.1, "precondition": "fisher"}):
        JacobianFeaturizer(network, **options).fit(X).transform(X)
    assert torch.equal(torch.get_rng_state(), rng)
    assert torch.equal(X, X_before)
    assert [m.training for m in network.modules()] == [m.training for m in before.modules()]
    for (name, tensor), expected in zip(
        [*network.named_parameters(), *network.named_buffers()],
        [*before.parameters(), *before.buffers()],
        strict=True,
    ):
        assert torch.equal(tensor, expected), name
        assert (tensor.requires_grad, tensor.device) == (expected.requires_grad, expected.device)
        assert (tensor.grad is None) == (name != "0.weight")
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())


def test_later_training_changes_nothing(device):
    network, X = make("mlp", device)
    featurizer = JacobianFeaturizer(network, parameters="all").fit(X)
    before = featurizer.transform(X)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    assert torch.equal(featurizer.transform(X), before)


def test_a_fit_that_fails_leaves_nothing_behind():
    network = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    nn.init.zeros_(network[1].weight)
    featurizer = JacobianFeaturizer(network, parameters=["0"], precondition="fisher")
    before = dict(vars(featurizer))
    with pytest.raises(ValueError, match="all zero"):
        featurizer.fit(np.ones((4, 3), np.float32))
    assert vars(featurizer) == before
    fitted = featurizer.set_params(precondition=None).fit(np.ones((4, 3), np.float32))
    expected = fitted.transform(np.ones((2, 3)))
    with pytest.raises(ValueError, match="all zero"):
        fitted.set_params(precondition="fisher").fit(np.ones((4, 3)))
    assert_array_equal(fitted.transform(np.ones((2, 3))), expected)
    assert fitted.scale_ is None


def test_a_callable_backbone_is_seeded():
    X = np.ones((4, 3), np.float32)
    state = torch.get_rng_state()

    def features(random_state=None):
        backbone = lambda: nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 2))  # noqa: E731
        return JacobianFeaturizer(backbone, random_state=random_state).fit_transform(X)

    assert_array_equal(features(), features(0))
    assert not np.allclose(features(), features(1))
    shared = np.random.RandomState(5)
    assert not np.allclose(features(shared), features(shared))
    assert torch.equal(torch.get_rng_state(), state)
