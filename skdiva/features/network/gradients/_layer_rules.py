"""Closed forms of the per-sample gradients of a layer's parameters.

A rule is a function of (layer, inputs, gradients, rows). The loss is a sum over r rows of inputs;
``gradients`` is its gradient with respect to the outputs of the layer. The rule returns a tensor
of shape (r, m): for each row of inputs, the gradient with respect to ``rows``, a slice of the
parameter's first dimension, flattened.

To support another kind of layer, write a rule for each of its parameters and add them to
``LAYER_RULES``. `PerSampleGradients` compares every rule with autograd before it is used.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn import grad as weight_gradients

from skdiva.features.network._heads import ZeroStartLinear
from skdiva.loo.ridge import full_float32

# A block stays in the caches of a CPU; a GPU needs enough work for a kernel.
_BLOCK_BYTES = {"cpu": 2**22, "cuda": 2**26}
_FEW_POSITIONS = 32  # up to this number, products of windows are faster than a convolution
Rule = Callable[[Any, torch.Tensor, torch.Tensor, slice], torch.Tensor]


def _linear_weight(
    _layer: Any, inputs: torch.Tensor, gradients: torch.Tensor, rows: slice
) -> torch.Tensor:
    """Return the sum of g_t a_t' over positions t: a product's gradient is an outer product."""
    r = len(inputs)
    inputs = inputs.reshape(r, -1, inputs.shape[-1])
    gradients = gradients.reshape(r, -1, gradients.shape[-1])[..., rows]
    if inputs.shape[1] == 1:
        return (gradients.transpose(1, 2) * inputs).flatten(1)
    return torch.bmm(gradients.transpose(1, 2), inputs).flatten(1)


def _linear_bias(_layer: Any, _inputs: Any, gradients: torch.Tensor, rows: slice) -> torch.Tensor:
    return gradients.reshape(len(gradients), -1, gradients.shape[-1])[..., rows].sum(1)


def _channel_bias(_layer: Any, _inputs: Any, gradients: torch.Tensor, rows: slice) -> torch.Tensor:
    return gradients[:, rows].reshape(len(gradients), rows.stop - rows.start, -1).sum(2)


def _conv_weight(
    layer: Any, inputs: torch.Tensor, gradients: torch.Tensor, rows: slice
) -> torch.Tensor:
    """Compute the gradients of all rows by one convolution, with the rows as groups.

    Torch has a function for the gradient of grouped weights.
    """
    r, n_rows = len(inputs), rows.stop - rows.start
    gradients = gradients[:, rows]
    padding = layer.padding
    if layer.padding_mode != "zeros" or isinstance(padding, str):
        mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
        inputs = F.pad(inputs, layer._reversed_padding_repeated_twice, mode)
        padding = 0
    if layer.groups == 1 and inputs.ndim == 4 and gradients[0, 0].numel() <= _FEW_POSITIONS:
        windows = F.unfold(inputs, layer.kernel_size, layer.dilation, padding, layer.stride)
        return torch.bmm(gradients.flatten(2), windows.transpose(1, 2)).flatten(1)
    if (
        layer.groups == 1
        and {*layer.kernel_size, *layer.stride} == {1}
        and gradients.shape[2:] == inputs.shape[2:]
    ):
        return torch.bmm(gradients.flatten(2), inputs.flatten(2).transpose(1, 2)).flatten(1)
    groups = 1
    if layer.groups > 1:
        groups = n_rows * layer.groups // layer.out_channels
        first = rows.start * layer.groups // layer.out_channels
        width = layer.in_channels // layer.groups
        inputs = inputs[:, first * width : (first + groups) * width]
    gradient = getattr(weight_gradients, f"conv{inputs.ndim - 2}d_weight")(
        inputs.reshape(1, -1, *inputs.shape[2:]),
        (r * n_rows, *layer.weight.shape[1:]),
        gradients.reshape(1, -1, *gradients.shape[2:]),
        layer.stride, padding, layer.dilation, r * groups,
    )  # fmt: skip
    return gradient.reshape(r, -1)


def _batch_norm_weight(
    layer: Any, inputs: torch.Tensor, gradients: torch.Tensor, rows: slice
) -> torch.Tensor:
    normalized = F.batch_norm(
        inputs, layer.running_mean, layer.running_var, None, None, False, 0, layer.eps
    )
    return _channel_bias(layer, None, gradients * normalized, rows)


def _group_norm_weight(
    layer: Any, inputs: torch.Tensor, gradients: torch.Tensor, rows: slice
) -> torch.Tensor:
    normalized = F.group_norm(inputs, layer.num_groups, None, None, layer.eps)
    return _channel_bias(layer, None, gradients * normalized, rows)


def _layer_norm_weight(
    layer: Any, inputs: torch.Tensor, gradients: torch.Tensor, rows: slice
) -> torch.Tensor:
    normalized = F.layer_norm(inputs, layer.normalized_shape, None, None, layer.eps)
    return _layer_norm_bias(layer, None, gradients * normalized, rows)


def _layer_norm_bias(
    layer: Any, _inputs: Any, gradients: torch.Tensor, rows: slice
) -> torch.Tensor:
    summed = gradients.reshape(len(gradients), -1, *layer.normalized_shape).sum(1)
    return summed[:, rows].flatten(1)


def _embedding_weight(
    layer: Any, ids: torch.Tensor, gradients: torch.Tensor, rows: slice
) -> torch.Tensor:
    """Return the sum of the gradients at the positions of each id.

    Positions that share an id are summed by a product, and only the first of them is written. No
    two writes go to the same place, so the result does not depend on the order of threads.
    """
    r, n_rows = len(ids), rows.stop - rows.start
    ids = ids.reshape(r, -1)
    gradients = gradients.reshape(r, ids.shape[1], -1)
    same = ids[:, :, None] == ids[:, None, :]
    written = (ids >= rows.start) & (ids < rows.stop) & ~same.tril(-1).any(2)
    if layer.padding_idx is not None:
        written &= ids != layer.padding_idx
    summed = torch.bmm(same.to(gradients.dtype), gradients)
    out = gradients.new_zeros(r, n_rows, gradients.shape[2])
    sample, position = written.nonzero(as_tuple=True)
    out[sample, ids[sample, position] - rows.start] = summed[sample, position]
    return out.flatten(1)


_CONV: dict[str, Rule] = {"weight": _conv_weight, "bias": _channel_bias}
_LINEAR: dict[str, Rule] = {"weight": _linear_weight, "bias": _linear_bias}
LAYER_RULES: list[tuple[Any, dict[str, Rule]]] = [
    (nn.Linear, _LINEAR),
    (ZeroStartLinear, _LINEAR),
    (nn.Conv1d, _CONV),
    (nn.Conv2d, _CONV),
    (nn.Conv3d, _CONV),
    (nn.modules.batchnorm._BatchNorm, {"weight": _batch_norm_weight, "bias": _channel_bias}),
    (nn.GroupNorm, {"weight": _group_norm_weight, "bias": _channel_bias}),
    (nn.LayerNorm, {"weight": _layer_norm_weight, "bias": _layer_norm_bias}),
    (nn.Embedding, {"weight": _embedding_weight}),
]


def layer_rules(
    layer: nn.Module, rules: Sequence[tuple[Any, dict[str, Rule]]] = LAYER_RULES
) -> dict[str, Rule]:
    """Return the rules for the parameters of a layer.

    Parameters
    ----------
    layer : nn.Module
    rules : sequence of (type, dict), default=LAYER_RULES
        Rules by name of the parameter, for layers of a type; the first type that fits counts.

    Returns
    -------
    dict
        Local parameter name to rule; empty if there is none, or if the layer is of a subclass with
        another `forward`.
    """
    for kind, by_parameter in rules:
        if isinstance(layer, kind) and type(layer).forward is kind.forward:
            return by_parameter
    return {}


class LayerCall(NamedTuple):
    """One call of a layer that owns a parameter, and the rule for that parameter."""

    layer: nn.Module
    rule: Rule
    inputs: torch.Tensor
    gradients: torch.Tensor


def layer_blocks(
    parameter: torch.Tensor,
    calls: Sequence[LayerCall],
    columns: slice,
    n_samples: int,
    block_bytes: int | None = None,
) -> Iterator[tuple[int, torch.Tensor]]:
    """Compute the per-sample gradients of a parameter, summed over the calls of its layers.

    Parameters
    ----------
    parameter : tensor
    calls : list of LayerCall
    columns : slice
        Columns of the flattened parameter.
    n_samples : int
    block_bytes : int, default=None
        Size of a block, unless a single row of the parameter is larger. If None, 4 MiB on a CPU and
        64 MiB on a GPU.

    Yields
    ------
    start : int
        Position of the first column of the block among those of the parameter.
    block : tensor of shape (n_samples, m)

    Raises
    ------
    ValueError
        If the first dimension of a layer's inputs is not the samples.
    """
    block_bytes = block_bytes or _BLOCK_BYTES[parameter.device.type]
    n_rows, width = len(parameter), parameter[0].numel()
    together = math.lcm(*(_rows_of_a_group(call.layer) for call in calls))
    windows = max((len(call.gradients) for call in calls), default=n_samples)
    row_bytes = windows * width * parameter.itemsize
    step = max(block_bytes // (row_bytes * together), 1) * together
    first = columns.start // width // together * together
    for row in range(first, -(-columns.stop // width), step):
        rows = slice(row, min(row + step, n_rows))
        block: Any = sum(_per_sample(call, rows, n_samples) for call in calls)
        if not calls:
            block = parameter.new_zeros(1).expand(n_samples, step * width)
        low = max(columns.start - row * width, 0)
        high = min(columns.stop, rows.stop * width) - row * width
        yield row * width + low, block[:, low:high]


def _rows_of_a_group(layer: Any) -> int:
    if getattr(layer, "groups", 1) > 1:
        return layer.out_channels // layer.groups
    return 1


@full_float32()
def _per_sample(call: LayerCall, rows: slice, n_samples: int) -> torch.Tensor:
    """Apply the rule, and add up the windows that a sample was cut into."""
    n_inputs, n_gradients = len(call.inputs), len(call.gradients)
    if n_gradients % n_samples or n_inputs != n_gradients:
        raise ValueError(
            f"expected {n_samples} samples along the first dimension of the inputs of "
            f"{type(call.layer).__name__}; got shape {tuple(call.inputs.shape)}. Keep samples "
            "first throughout the network, for any size of the batch."
        )
    block = call.rule(call.layer, call.inputs, call.gradients, rows)
    return block if n_gradients == n_samples else block.view(n_samples, -1, block.shape[1]).sum(1)
