"""Per-sample gradients of a layer's parameters, from its inputs and its outputs' gradients.

A rule maps (layer, inputs, gradients, rows) to a tensor (r, m): for each of the r rows of inputs,
the gradient with respect to ``rows``, a slice of the parameter's first dimension, flattened. The
loss is a sum over rows; ``gradients`` holds its gradient with respect to the layer's outputs.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn import grad as weight_gradients

from skdiva.features.network._heads import ZeroStartLinear
from skdiva.loo.ridge import full_float32

# Of a block: a processor keeps it in its caches, a GPU wants enough work for a kernel.
_BLOCK_BYTES = {"cpu": 2**22, "cuda": 2**26}
_FEW_POSITIONS = 32  # up to which products of windows are faster than a convolution


def _linear_weight(_layer, inputs, gradients, rows):
    """Sum over positions t of g_t a_t': the gradient of a product is an outer product."""
    r = len(inputs)
    inputs = inputs.reshape(r, -1, inputs.shape[-1])
    gradients = gradients.reshape(r, -1, gradients.shape[-1])[..., rows]
    if inputs.shape[1] == 1:
        return (gradients.transpose(1, 2) * inputs).flatten(1)
    return torch.bmm(gradients.transpose(1, 2), inputs).flatten(1)


def _linear_bias(_layer, _inputs, gradients, rows):
    return gradients.reshape(len(gradients), -1, gradients.shape[-1])[..., rows].sum(1)


def _channel_bias(_layer, _inputs, gradients, rows):
    return gradients[:, rows].reshape(len(gradients), rows.stop - rows.start, -1).sum(2)


def _conv_weight(layer, inputs, gradients, rows):
    """One convolution with the rows as groups: torch's own gradient of grouped weights."""
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


def _batch_norm_weight(layer, inputs, gradients, rows):
    normalised = F.batch_norm(
        inputs, layer.running_mean, layer.running_var, None, None, False, 0, layer.eps
    )
    return _channel_bias(layer, None, gradients * normalised, rows)


def _group_norm_weight(layer, inputs, gradients, rows):
    normalised = F.group_norm(inputs, layer.num_groups, None, None, layer.eps)
    return _channel_bias(layer, None, gradients * normalised, rows)


def _layer_norm_weight(layer, inputs, gradients, rows):
    normalised = F.layer_norm(inputs, layer.normalized_shape, None, None, layer.eps)
    return _layer_norm_bias(layer, None, gradients * normalised, rows)


def _layer_norm_bias(layer, _inputs, gradients, rows):
    summed = gradients.reshape(len(gradients), -1, *layer.normalized_shape).sum(1)
    return summed[:, rows].flatten(1)


def _embedding_weight(layer, ids, gradients, rows):
    """Sum of the gradients at each id's positions.

    Positions that share an id are summed by a product, and only the first of them is written: no
    two writes meet, so that the result does not depend on the order of threads.
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


_CONV = {"weight": _conv_weight, "bias": _channel_bias}
_LINEAR = {"weight": _linear_weight, "bias": _linear_bias}
_RULES = [
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


def layer_rules(layer):
    """Rules for the parameters of a layer.

    Parameters
    ----------
    layer : nn.Module

    Returns
    -------
    dict
        Local parameter name to rule; empty if the layer is not known to compute what its type
        says, as a subclass with another `forward`.
    """
    for kind, rules in _RULES:
        if isinstance(layer, kind) and type(layer).forward is kind.forward:
            return rules
    return {}


class LayerCall(NamedTuple):
    """One call of a layer that owns a parameter, and the rule for that parameter."""

    layer: nn.Module
    rule: Callable
    inputs: torch.Tensor
    gradients: torch.Tensor


def layer_blocks(parameter, calls, columns, n_samples):
    """Per-sample gradients of a parameter, summed over the calls of its layers.

    Parameters
    ----------
    parameter : tensor
    calls : list of LayerCall
    columns : slice
        Of the flattened parameter.
    n_samples : int

    Yields
    ------
    start : int
        Which column of the parameter is the first of the block.
    block : tensor of shape (n_samples, m)
        Not larger than what suits a processor's caches, where rows can be cut.

    Raises
    ------
    ValueError
        If a layer was not called with samples first.
    """
    n_rows, width = len(parameter), parameter[0].numel()
    together = math.lcm(*(_rows_of_a_group(call.layer) for call in calls))
    windows = max((len(call.gradients) for call in calls), default=n_samples)
    row_bytes = windows * width * parameter.itemsize
    step = max(_BLOCK_BYTES[parameter.device.type] // (row_bytes * together), 1) * together
    first = columns.start // width // together * together
    for row in range(first, -(-columns.stop // width), step):
        rows = slice(row, min(row + step, n_rows))
        blocks = [_per_sample(call, rows, n_samples) for call in calls]
        block = sum(blocks) if blocks else parameter.new_zeros(1).expand(n_samples, step * width)
        low = max(columns.start - row * width, 0)
        high = min(columns.stop, rows.stop * width) - row * width
        yield row * width + low, block[:, low:high]


def _rows_of_a_group(layer):
    if getattr(layer, "groups", 1) > 1:
        return layer.out_channels // layer.groups
    return 1


@full_float32()
def _per_sample(call, rows, n_samples):
    """Apply the rule, and add up the windows that a sample was cut into."""
    n_inputs, n_gradients = len(call.inputs), len(call.gradients)
    if n_gradients % n_samples or n_inputs != n_gradients:
        raise ValueError(
            f"expected {n_samples} samples along the first dimension of what "
            f"{type(call.layer).__name__} gets; got shape {tuple(call.inputs.shape)}. Keep samples "
            "first throughout the network, whatever the size of the batch."
        )
    block = call.rule(call.layer, call.inputs, call.gradients, rows)
    return block if n_gradients == n_samples else block.view(n_samples, -1, block.shape[1]).sum(1)
