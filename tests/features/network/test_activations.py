"""Leaky ReLUs against the formula, whatever calls them."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from skdiva.features.network import FrozenNetwork
from skdiva.features.network._activations import LeakyActivations, require_activations

SLOPE = 0.2


def leaky(x):
    return (1 - SLOPE) * x.clamp(min=0) + SLOPE * x


def leaky6(x):
    return (1 - SLOPE) * x.clamp(0, 6) + SLOPE * x


RELU = {
    "nn.ReLU": nn.ReLU(),
    "F.relu": F.relu,
    "torch.relu": torch.relu,
    "Tensor.relu": lambda x: x.relu(),
}
RELU_IN_PLACE = {
    "nn.ReLU": nn.ReLU(inplace=True),
    "F.relu": lambda x: F.relu(x, inplace=True),
    "F.relu, positional": lambda x: F.relu(x, True),
    "torch.relu_": torch.relu_,
    "Tensor.relu_": lambda x: x.relu_(),
}
RELU6 = {
    "nn.ReLU6": nn.ReLU6(),
    "F.relu6": F.relu6,
    "nn.Hardtanh": nn.Hardtanh(0, 6),
    "F.hardtanh": lambda x: F.hardtanh(x, 0.0, 6.0),
    "F.hardtanh, keywords": lambda x: F.hardtanh(max_val=6, min_val=0, input=x),
}
RELU6_IN_PLACE = {
    "nn.ReLU6": nn.ReLU6(inplace=True),
    "F.relu6": lambda x: F.relu6(x, inplace=True),
    "F.hardtanh": lambda x: F.hardtanh(x, 0.0, 6.0, True),
    "F.hardtanh_": lambda x: F.hardtanh_(x, 0.0, 6.0),
}
CASES = [
    pytest.param(activation, expected, in_place, id=f"{name}{', in place' if in_place else ''}")
    for table, expected, in_place in (
        (RELU, leaky, False),
        (RELU_IN_PLACE, leaky, True),
        (RELU6, leaky6, False),
        (RELU6_IN_PLACE, leaky6, True),
    )
    for name, activation in table.items()
]


def rows(device):
    return torch.linspace(-4, 10, 29, dtype=torch.float64, device=device) + 0.1


@pytest.mark.parametrize(("activation", "expected", "in_place"), CASES)
def test_value_and_gradient(activation, expected, in_place, device):
    x = rows(device).requires_grad_()
    with LeakyActivations(SLOPE) as mode:
        before = x * 1
        value = activation(before)
    assert mode.n_calls == 1
    torch.testing.assert_close(value, expected(x))
    assert (before is value) == in_place
    torch.testing.assert_close(before, expected(x) if in_place else x)
    (gradient,) = torch.autograd.grad(value.sum(), x)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected(x).sum(), x)[0])


# A warning of torch about itself, at the first product in forward mode.
@pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")
@pytest.mark.parametrize(("activation", "expected", "_"), CASES)
def test_under_torch_func(activation, expected, _, device):
    x = rows(device)

    def function(x):
        with LeakyActivations(SLOPE):
            return activation(x * 1)

    values, tangents = torch.func.jvp(function, (x,), (torch.ones_like(x),))
    expected_tangents = torch.func.vmap(torch.func.grad(expected))(x)
    torch.testing.assert_close(values, expected(x))
    torch.testing.assert_close(tangents, expected_tangents)
    torch.testing.assert_close(torch.func.vmap(torch.func.grad(function))(x), expected_tangents)


@pytest.mark.parametrize(
    "other", [F.hardtanh, nn.Hardtanh(-1, 6), torch.tanh, F.gelu, lambda x: x.clamp(0, 6)]
)
def test_other_functions_stay(other):
    x = rows("cpu")
    with LeakyActivations(SLOPE) as mode:
        value = other(x)
    assert mode.n_calls == 0
    assert torch.equal(value, other(x))


def test_only_while_it_is_entered():
    x = rows("cpu")
    with LeakyActivations(SLOPE):
        pass
    assert torch.equal(F.relu(x), x.clamp(min=0))


def test_slopes_zero_and_one():
    x = rows("cpu")
    with LeakyActivations(0.0):
        assert torch.equal(F.relu(x), x.clamp(min=0))
    with LeakyActivations(1.0):
        torch.testing.assert_close(F.relu6(x), x)


def test_a_transformer_that_fuses_its_activation():
    """In evaluation mode torch takes a fast path around F.relu; not while the mode is entered."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True).eval()
    x = torch.randn(3, 5, 8)
    with torch.no_grad(), LeakyActivations(1.0) as mode:
        value = layer(x)
    assert mode.n_calls == 1
    linear = nn.TransformerEncoderLayer(8, 2, 16, 0.0, lambda x: x, batch_first=True).eval()
    linear.load_state_dict(layer.state_dict())
    torch.testing.assert_close(value, linear(x))


def test_a_network_without_activations_is_refused():
    network = FrozenNetwork(nn.Sequential(nn.Linear(3, 2), nn.Tanh()), "cpu", torch.float32)
    with pytest.raises(ValueError, match="got Sequential, which calls none"):
        require_activations(network.module, torch.ones(2, 3))
    network = FrozenNetwork(nn.Sequential(nn.Linear(3, 2), nn.ReLU()), "cpu", torch.float32)
    require_activations(network.module, torch.ones(2, 3))
