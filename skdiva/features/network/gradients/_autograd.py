"""Per-sample gradients of any parameter: vectorised by torch.func, or row after row."""

import contextlib
import warnings
from typing import NamedTuple

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from skdiva.features.network._batch import take_rows
from skdiva.features.network.gradients._forward_pass import differentiable
from skdiva.loo.ridge import full_float32

_BLOCK_BYTES = 2**28  # of what is made at once: more blocks cost more passes


class Columns(NamedTuple):
    """Some columns of one parameter, counted from its first."""

    name: str
    start: int
    stop: int


def row_blocks(parameters, columns, n, gradients_of, rows_at_once=None):
    """Assemble per-sample gradients that are made some rows at a time.

    Parameters
    ----------
    parameters : dict of tensors
    columns : list of Columns
    n : int
        Number of rows.
    gradients_of : callable
        Of a slice of the rows, and some of the parameters: gradients (rows, size) by name.
    rows_at_once : int, default=None
        None: as many as the memory of a block allows.

    Yields
    ------
    columns : Columns
    block : tensor of shape (n, m)
    """
    for piece in _pieces(parameters, columns, n):
        wanted = {part.name: parameters[part.name] for part in piece}
        blocks = [wanted[name].new_empty(n, stop - start) for name, start, stop in piece]
        step = rows_at_once or max(_BLOCK_BYTES // sum(p.nbytes for p in wanted.values()), 1)
        for first in range(0, n, step):
            rows = slice(first, min(first + step, n))
            gradients = gradients_of(rows, wanted)
            for block, (name, start, stop) in zip(blocks, piece, strict=True):
                block[rows] = gradients[name][:, start:stop]
        yield from zip(piece, blocks, strict=True)


def _pieces(parameters, columns, n):
    """Columns in lists, the blocks of each of which fit into the memory of a block."""
    piece, used = [], 0
    for name, start, stop in columns:
        column_bytes = n * parameters[name].itemsize
        while start < stop:
            width = min(max((_BLOCK_BYTES - used) // column_bytes, 1), stop - start)
            piece.append(Columns(name, start, start + width))
            start += width
            used += width * column_bytes
            if used + column_bytes > _BLOCK_BYTES:
                yield piece
                piece, used = [], 0
    if piece:
        yield piece


@contextlib.contextmanager
def plain_attention():
    """Attention by products and softmax: fused kernels know one backward pass and nothing else."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def vectorised_gradients(network, batch, parameters, direction):
    """Gradients of every row's outputs times a direction, by torch.func.vmap.

    Parameters
    ----------
    network : FrozenNetwork
    batch : tensor of shape (b, ...) or dict of tensors
    parameters : dict of tensors
    direction : tensor of shape (k,)

    Returns
    -------
    dict
        Name to tensor of shape (b, size).
    """

    def output(parameters, row):
        (outputs,) = network.outputs(take_rows(row, None), parameters)
        return outputs @ direction

    gradients = torch.func.vmap(torch.func.grad(output), in_dims=(None, 0))
    with plain_attention(), full_float32(), warnings.catch_warnings():
        # Operators without a rule for vmap are slow, but give what they should.
        warnings.filterwarnings("ignore", "There is a performance drop", UserWarning)
        found = gradients(parameters, batch)
    return {name: g.reshape(len(g), -1) for name, g in found.items()}


def summed_gradients(network, batch, parameters, coefficients):
    """Sum over rows and outputs of gradients times coefficients; of one row, its own gradient.

    Parameters
    ----------
    network : FrozenNetwork
    batch : tensor of shape (b, ...) or dict of tensors
    parameters : dict of tensors
    coefficients : tensor of shape (b, k)

    Returns
    -------
    dict
        Name to tensor of shape (1, size); zeros if the outputs do not depend on the parameter.
    """
    gradients = [None] * len(parameters)
    with differentiable(parameters.values()), full_float32():
        outputs = network.outputs(batch)
        if outputs.requires_grad:
            gradients = torch.autograd.grad(
                outputs, list(parameters.values()), coefficients, allow_unused=True
            )
    found = {}
    for (name, parameter), gradient in zip(parameters.items(), gradients, strict=True):
        gradient = torch.zeros_like(parameter) if gradient is None else gradient
        found[name] = (gradient.to_dense() if gradient.is_sparse else gradient).reshape(1, -1)
    return found


def forward_product(network, batch, parameters, tangents):
    """Derivative of the outputs in a direction: one pass in forward mode.

    Parameters
    ----------
    network : FrozenNetwork
    batch : tensor of shape (b, ...) or dict of tensors
    parameters, tangents : dict of tensors
        By name, and of the same shapes.

    Returns
    -------
    tensor of shape (b, k)
    """

    def outputs(parameters):
        return network.outputs(batch, parameters)

    with warnings.catch_warnings():
        # Of torch about itself, when the first product is made.
        warnings.filterwarnings("ignore", "`torch.jit.script", DeprecationWarning)
        return torch.func.jvp(outputs, (parameters,), (tangents,))[1]


def backward_product(network, batch, parameters, tangents):
    """The same without forward mode: J' u is linear in u, and its transposed derivative is J.

    Parameters
    ----------
    network : FrozenNetwork
    batch : tensor of shape (b, ...) or dict of tensors
    parameters, tangents : dict of tensors
        By name, and of the same shapes.

    Returns
    -------
    tensor of shape (b, k)
    """
    with differentiable(parameters.values()):
        outputs = network.outputs(batch)
        u = torch.zeros_like(outputs, requires_grad=True)
        if not outputs.requires_grad:
            return torch.zeros_like(outputs)
        gradients = torch.autograd.grad(
            outputs, list(parameters.values()), u, create_graph=True, allow_unused=True
        )
        pairs = zip(gradients, tangents.values(), strict=True)
        used = [(gradient, tangent) for gradient, tangent in pairs if gradient is not None]
        gradients, tangents = zip(*used, strict=True)
        return torch.autograd.grad(gradients, u, tangents)[0]
