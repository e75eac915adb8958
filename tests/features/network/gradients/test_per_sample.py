"""Per-sample gradients against a double loop of autograd, and the methods that compute them."""

import pytest
import torch
from torch import nn

from skdiva.features.network import FrozenNetwork, PerSampleGradients
from skdiva.features.network._batch import n_rows
from skdiva.features.network.gradients._layer_rules import LAYER_RULES
from tests.features.networks import NETWORKS, OwnForward, make

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-6}  # of the norm, as promised


def per_sample(module, batch, parameters="all", **options):
    tensor = next(module.parameters())
    network = FrozenNetwork(module, tensor.device, tensor.dtype)
    return PerSampleGradients(network, network.parameter_names(parameters), batch, **options)


def double_loop(module, batch, names):
    """The Jacobian (n, k, P), one autograd.grad per row and output."""
    module.eval()
    outputs = module(**batch) if isinstance(batch, dict) else module(batch)
    outputs = getattr(outputs, "logits", outputs)
    named = dict(module.named_parameters())
    parameters = [named[name] for name in names]
    rows = []
    for output in outputs.flatten():
        found = torch.autograd.grad(output, parameters, retain_graph=True, allow_unused=True)
        pairs = zip(found, parameters, strict=True)
        rows.append(
            torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for g, p in pairs])
        )
    return torch.stack(rows).unflatten(0, outputs.shape)


def jacobian(gradients, batch, columns=slice(None)):
    """The Jacobian (n, k, m), put together from the blocks; every column must come once."""
    start, stop, _ = columns.indices(gradients.n_columns)
    tensor = next(iter(gradients.parameters.values()))
    blocks = list(gradients.each(batch, columns))
    k = 1 + max(output for output, _, _ in blocks)
    out = tensor.new_full((n_rows(batch), k, stop - start), torch.nan)
    for output, first, block in blocks:
        part = out[:, output, first - start : first - start + block.shape[1]]
        assert part.shape == block.shape
        assert part.isnan().all()
        part.copy_(block)
    return out


def assert_near(actual, expected, dtype):
    assert actual.shape == expected.shape
    assert float((actual - expected).norm()) <= TOLERANCE[dtype] * float(expected.norm())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", NETWORKS)
def test_all_there_is(name, dtype, device):
    module, batch = make(name, device, dtype)
    gradients = per_sample(module, batch)
    methods = NETWORKS[name][2]
    assert {*gradients.methods.values()} == methods
    expected = double_loop(module, batch, gradients.names)
    assert expected.shape[2] == gradients.n_columns == sum(gradients.sizes.values())
    assert_near(jacobian(gradients, batch), expected, dtype)

    draw = torch.Generator().manual_seed(0)
    coefficients = torch.randn(expected.shape[:2], generator=draw).to(expected)
    vector = torch.randn(expected.shape[2], generator=draw).to(expected)
    summed = torch.einsum("ic,icp->p", coefficients, expected)
    assert_near(gradients.combine(batch, coefficients), summed, dtype)
    assert_near(gradients.apply(batch, vector), expected @ vector, dtype)
    assert not any(parameter.requires_grad for parameter in gradients.parameters.values())


@pytest.mark.parametrize("name", ["mlp", "transformer", "convolutions", "words"])
@pytest.mark.parametrize("cut", [slice(0, 7), slice(5, 60), slice(50, None)])
def test_some_columns(name, cut):
    module, batch = make(name)
    gradients = per_sample(module, batch)
    expected = double_loop(module, batch, gradients.names)[:, :, cut]
    assert_near(jacobian(gradients, batch, cut), expected, torch.float64)


@pytest.mark.parametrize("name", ["residual", "transformer", "convolutions", "tied embedding"])
def test_small_blocks(name):
    """For blocks of any size, every column comes once."""
    module, batch = make(name)
    few = len(list(per_sample(module, batch).blocks(batch)))
    gradients = per_sample(module, batch, block_bytes=1000)
    many = list(gradients.blocks(batch))
    assert len(many) > few
    expected = double_loop(module, batch, gradients.names)
    assert_near(jacobian(gradients, batch), expected, torch.float64)


def test_blocks_of_a_direction():
    module, batch = make("cnn")
    gradients = per_sample(module, batch)
    expected = double_loop(module, batch, gradients.names)
    direction = torch.randn(4, dtype=torch.float64)
    for given, weights in ((direction, direction), (None, torch.ones_like(direction))):
        blocks = sorted(gradients.blocks(batch, given), key=lambda pair: pair[0])
        found = torch.cat([block for _, block in blocks], 1)
        assert_near(found, torch.einsum("c,icp->ip", weights, expected), torch.float64)


def test_some_parameters():
    """Only the chosen ones, in the order of the module."""
    module, batch = make("residual")
    gradients = per_sample(module, batch, ["conv2.weight", "head"])
    assert gradients.names == ["conv2.weight", "head.weight", "head.bias"]
    expected = double_loop(module, batch, gradients.names)
    assert_near(jacobian(gradients, batch), expected, torch.float64)


def test_any_number_of_rows():
    module, batch = make("frames", n=7)
    gradients = per_sample(module, batch[:2])
    for n in (1, 2, 3, 4, 7):
        expected = double_loop(module, batch[:n], gradients.names)
        assert_near(jacobian(gradients, batch[:n]), expected, torch.float64)


def test_a_probe_of_one_row():
    """One row could not tell samples first from positions first."""
    module, batch = make("sequence first")
    gradients = per_sample(module, batch[:1])
    assert {*gradients.methods.values()} == NETWORKS["sequence first"][2]
    expected = double_loop(module, batch, gradients.names)
    assert_near(jacobian(gradients, batch), expected, torch.float64)


def test_parameters_that_are_not_used_get_zeros():
    module, batch = make("odd")
    gradients = per_sample(module, batch, ["unused"])
    assert (jacobian(gradients, batch) == 0).all()
    assert (gradients.combine(batch, torch.ones(5, 3, dtype=torch.float64)) == 0).all()
    assert (gradients.apply(batch, torch.ones(6, dtype=torch.float64)) == 0).all()


@pytest.mark.parametrize("caller", [torch.no_grad, torch.enable_grad])
def test_the_callers_gradient_mode_does_not_matter(caller):
    module, batch = make("mlp")
    gradients = per_sample(module, batch)
    expected = double_loop(module, batch, gradients.names)
    with caller():
        assert_near(jacobian(gradients, batch), expected, torch.float64)
        vector = torch.ones(gradients.n_columns, dtype=torch.float64)
        assert_near(gradients.apply(batch, vector), expected @ vector, torch.float64)


def test_a_rule_that_is_wrong_is_not_used():
    """A layer that claims to be a Linear: the probe finds out, whatever the types say."""
    module = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), OwnForward(5, 3)).double()
    batch = torch.randn(5, 6, dtype=torch.float64)
    rules = [(OwnForward, LAYER_RULES[0][1]), *LAYER_RULES]
    gradients = per_sample(module, batch, rules=rules)
    assert gradients.methods == {
        "0.weight": "layer", "0.bias": "layer", "2.weight": "vmap", "2.bias": "layer",
    }  # fmt: skip
    assert_near(
        jacobian(gradients, batch), double_loop(module, batch, gradients.names), torch.float64
    )


def test_gradients_that_vanish_but_for_rounding():
    """A bias before a normalization: the rounding errors differ between the methods."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.GroupNorm(4, 4), nn.Tanh(), nn.Flatten(), nn.Linear(784, 3)
        )
        batch = torch.randn(4, 3, 16, 16)
    gradients = per_sample(module, batch)
    assert {*gradients.methods.values()} == {"layer"}
    expected = double_loop(module, batch, gradients.names)
    bias = expected[:, :, 108:112]
    assert 0 < float(bias.norm()) < 1e-6 * float(expected.norm())
    assert_near(jacobian(gradients, batch), expected, torch.float32)
