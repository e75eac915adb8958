"""Rules for layers against torch.func, for any rows of the parameter and blocks of any size."""

import pytest
import torch
from torch import nn

from skdiva.features.network.gradients._layer_rules import LayerCall, layer_blocks, layer_rules

# Layer and the shape of one sample.
LAYERS = {
    "linear": (nn.Linear(4, 6), (4,)),
    "linear, positions": (nn.Linear(4, 6), (2, 3, 4)),
    "conv1d": (nn.Conv1d(4, 6, 3, stride=2, padding=1, groups=2), (4, 9)),
    "conv2d, 1 x 1": (nn.Conv2d(4, 6, 1), (4, 7, 7)),
    "conv2d, 1 x 1, padded": (nn.Conv2d(4, 6, 1, padding=1), (4, 7, 7)),
    "conv2d, few positions": (nn.Conv2d(4, 6, 3, 2, 1, dilation=2), (4, 5, 5)),
    "conv2d, strided": (nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 0)), (4, 13, 12)),
    "conv2d, a row left over": (nn.Conv2d(4, 6, 3, 2), (4, 14, 14)),
    "conv2d, dilated": (nn.Conv2d(4, 6, 3, dilation=(2, 1), bias=False), (4, 11, 9)),
    "conv2d, groups": (nn.Conv2d(4, 6, 3, padding=1, groups=2), (4, 7, 7)),
    "conv2d, depthwise": (nn.Conv2d(4, 4, 3, 2, 1, groups=4), (4, 15, 13)),
    "conv2d, two per channel": (nn.Conv2d(3, 6, 3, groups=3), (3, 8, 8)),
    "conv2d, same": (nn.Conv2d(4, 6, (3, 5), padding="same"), (4, 7, 7)),
    "conv2d, valid": (nn.Conv2d(4, 6, 2, padding="valid"), (4, 7, 7)),
    "conv2d, reflect": (nn.Conv2d(4, 6, 3, padding=(2, 1), padding_mode="reflect"), (4, 7, 7)),
    "conv2d, circular": (nn.Conv2d(4, 6, 3, padding="same", padding_mode="circular"), (4, 7, 7)),
    "conv3d": (nn.Conv3d(2, 4, (1, 2, 3), padding=(0, 1, 0), groups=2), (2, 4, 4, 4)),
    "batch norm": (nn.BatchNorm1d(4), (4,)),
    "batch norm, 2d": (nn.BatchNorm2d(4), (4, 3, 3)),
    "group norm": (nn.GroupNorm(2, 4), (4, 3, 3)),
    "layer norm": (nn.LayerNorm(4), (3, 4)),
    "layer norm, 2d": (nn.LayerNorm((3, 4)), (2, 3, 4)),
    "layer norm, no bias": (nn.LayerNorm(4, bias=False), (4,)),
    "embedding": (nn.Embedding(5, 3), None),
    "embedding, padded": (nn.Embedding(5, 3, padding_idx=2), None),
}
CASES = [
    (name, local) for name, (layer, _) in LAYERS.items() for local, _ in layer.named_parameters()
]


def problem(name, device, n=4):
    """A layer in evaluation mode with rows, and gradients of its outputs."""
    layer, shape = LAYERS[name]
    layer = layer.to(device, torch.float64).eval()
    draw = torch.Generator().manual_seed(0)
    if isinstance(layer, nn.modules.batchnorm._BatchNorm):
        layer.running_mean = torch.linspace(-1, 1, 4, dtype=torch.float64, device=device)
        layer.running_var = torch.linspace(0.5, 2, 4, dtype=torch.float64, device=device)
    if shape is None:
        inputs = torch.randint(5, (n, 6), generator=draw)
    else:
        inputs = torch.randn(n, *shape, generator=draw, dtype=torch.float64)
    inputs = inputs.to(device)
    outputs = layer(inputs).detach()
    gradients = torch.randn(outputs.shape, generator=draw, dtype=torch.float64).to(device)
    return layer, inputs, gradients


def vectorized(layer, local, inputs, gradients):
    """What torch.func says: the vector-Jacobian product of every row, (n, size)."""
    parameters = dict(layer.named_parameters())

    def output(parameter, row, gradient):
        outputs = torch.func.functional_call(layer, parameters | {local: parameter}, row[None])
        return (outputs[0] * gradient).sum()

    found = torch.func.vmap(torch.func.grad(output), (None, 0, 0))(
        parameters[local].detach(), inputs, gradients
    )
    return found.flatten(1)


def assembled(layer, local, inputs, gradients, columns=None, n=None, block_bytes=None):
    """The blocks side by side, and how many there are; they come in order."""
    parameter = getattr(layer, local).detach()
    columns = columns or slice(0, parameter.numel())
    call = LayerCall(layer, layer_rules(layer)[local], inputs, gradients)
    blocks, position = [], columns.start
    for start, block in layer_blocks(parameter, [call], columns, n or len(inputs), block_bytes):
        assert start == position
        position += block.shape[1]
        blocks.append(block)
    assert position == columns.stop
    return torch.cat(blocks, 1), len(blocks)


@pytest.mark.parametrize(("name", "local"), CASES)
def test_rule(name, local, device):
    layer, inputs, gradients = problem(name, device)
    expected = vectorized(layer, local, inputs, gradients)
    assert expected.abs().max() > 0
    found, n_blocks = assembled(layer, local, inputs, gradients)
    assert n_blocks == 1
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize(("name", "local"), CASES)
def test_some_columns_in_small_blocks(name, local, device):
    layer, inputs, gradients = problem(name, device)
    expected = vectorized(layer, local, inputs, gradients)
    n_columns = expected.shape[1]
    for start, stop in ((0, n_columns), (1, n_columns), (n_columns // 2, n_columns - 1)):
        if start >= stop:  # the parameter has few entries
            continue
        cut = slice(start, stop)
        found, _ = assembled(layer, local, inputs, gradients, cut, block_bytes=1)
        torch.testing.assert_close(found, expected[:, start:stop], atol=1e-12, rtol=0)


def test_blocks_are_bounded():
    layer, inputs, gradients = problem("linear", "cpu")
    two_rows = 2 * 4 * 4 * 8  # of six
    assert assembled(layer, "weight", inputs, gradients, block_bytes=two_rows)[1] == 3


@pytest.mark.parametrize("name", ["linear", "conv2d, depthwise", "embedding", "layer norm"])
def test_windows_of_a_sample_are_added_up(name):
    layer, inputs, gradients = problem(name, "cpu", n=6)
    found, _ = assembled(layer, "weight", inputs, gradients, n=2)
    expected = vectorized(layer, "weight", inputs, gradients).view(2, 3, -1).sum(1)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


def test_rows_that_are_not_samples():
    layer, inputs, gradients = problem("linear", "cpu")
    with pytest.raises(ValueError, match=r"3 samples .* inputs of Linear; got shape \(4, 4\)"):
        assembled(layer, "weight", inputs, gradients, n=3)


def test_calls_are_added_up_and_none_is_zero():
    layer, inputs, gradients = problem("linear", "cpu")
    call = LayerCall(layer, layer_rules(layer)["weight"], inputs, gradients)
    columns = slice(3, 20)
    ((_, once),) = layer_blocks(layer.weight.detach(), [call], columns, 4)
    ((_, twice),) = layer_blocks(layer.weight.detach(), [call, call], columns, 4)
    torch.testing.assert_close(twice, 2 * once)
    ((start, nothing),) = layer_blocks(layer.weight.detach(), [], columns, 4)
    assert (start, nothing.shape) == (3, once.shape)
    assert (nothing == 0).all()


def test_words_that_come_twice_count_twice():
    layer = nn.Embedding(4, 1).double()
    ids, gradients = torch.tensor([[1, 1, 3]]), torch.tensor([[[2.0], [5.0], [7.0]]]).double()
    found, _ = assembled(layer, "weight", ids, gradients)
    assert found.tolist() == [[0, 7, 0, 7]]


class Cosine(nn.Linear):
    """A Linear by name only."""

    def forward(self, x):
        return nn.functional.linear(x, nn.functional.normalize(self.weight))


def test_layers_that_only_look_known_have_no_rule():
    assert layer_rules(nn.Linear(2, 2))
    assert not layer_rules(Cosine(2, 2))
    assert not layer_rules(nn.ConvTranspose2d(2, 2, 2))
    assert not layer_rules(nn.Sequential(nn.Linear(2, 2)))
