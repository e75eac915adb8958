"""Gradients of any parameter by autograd: vectorized or row by row, and Jacobian products."""

import contextlib
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from skdiva.features.network._batch import Batch, take_rows
from skdiva.features.network._frozen import FrozenNetwork
from skdiva.features.network.gradients._forward_pass import differentiable
from skdiva.loo.ridge import full_float32

_BLOCK_BYTES = 2**28  # of the gradients held at a time; each block costs a pass of its own
Tensors = dict[str, torch.Tensor]  # by name of the parameter


class Columns(NamedTuple):
    """Some columns of one parameter, counted from the first column of the parameter."""

    name: str
    start: int
    stop: int


def row_blocks(
    parameters: Tensors,
    columns: Iterable[Columns],
    n: int,
    gradients_of: Callable[[slice, Tensors], Tensors],
    rows_at_once: int | None = None,
    block_bytes: int | None = None,
) -> Iterator[tuple[Columns, torch.Tensor]]:
    """Assemble per-sample gradients that are computed some rows at a time.

    Parameters
    ----------
    parameters : dict of tensors
    columns : list of Columns
    n : int
        Number of rows.
    gradients_of : callable
        Takes a slice of the rows and some of the parameters; returns gradients (rows, size) by
        name.
    rows_at_once : int, default=None
        Number of rows computed at a time. If None, as many as fit in a block.
    block_bytes : int, default=None
        Size of the gradients held at a time. If None, 256 MiB.

    Yields
    ------
    columns : Columns
    block : tensor of shape (n, m)
    """
    block_bytes = block_bytes or _BLOCK_BYTES
    for piece in _pieces(parameters, columns, n, block_bytes):
        wanted = {part.name: parameters[part.name] for part in piece}
        blocks = [wanted[name].new_empty(n, stop - start) for name, start, stop in piece]
        step = rows_at_once or max(block_bytes // sum(p.nbytes for p in wanted.values()), 1)
        for first in range(0, n, step):
            rows = slice(first, min(first + step, n))
            gradients = gradients_of(rows, wanted)
            for block, (name, start, stop) in zip(blocks, piece, strict=True):
                block[rows] = gradients[name][:, start:stop]
        yield from zip(piece, blocks, strict=True)


def _pieces(
    parameters: Tensors, columns: Iterable[Columns], n: int, block_bytes: int
) -> Iterator[list[Columns]]:
    """Yield the columns in lists, such that the gradients of each list fit in a block."""
    piece: list[Columns] = []
    used = 0
    for name, start, stop in columns:
        column_bytes = n * parameters[name].itemsize
        while start < stop:
            width = min(max((block_bytes - used) // column_bytes, 1), stop - start)
            piece.append(Columns(name, start, start + width))
            start += width
            used += width * column_bytes
            if used + column_bytes > block_bytes:
                yield piece
                piece, used = [], 0
    if piece:
        yield piece


@contextlib.contextmanager
def plain_attention() -> Iterator[None]:
    """Compute attention by products and softmax: fused kernels support only one backward pass."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def vectorized_gradients(
    network: FrozenNetwork, batch: Batch, parameters: Tensors, direction: torch.Tensor
) -> Tensors:
    """Return the gradients of every row's outputs times a direction, by torch.func.vmap.

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

    def output(parameters: Tensors, row: Batch) -> torch.Tensor:
        (outputs,) = network.outputs(take_rows(row, None), parameters)
        return outputs @ direction

    gradients = torch.func.vmap(torch.func.grad(output), in_dims=(None, 0))
    with plain_attention(), full_float32(), warnings.catch_warnings():
        # Operators without a rule for vmap are slow, but their results are right.
        warnings.filterwarnings("ignore", "There is a performance drop", UserWarning)
        found = gradients(parameters, batch)
    return {name: g.reshape(len(g), -1) for name, g in found.items()}


def summed_gradients(
    network: FrozenNetwork, batch: Batch, parameters: Tensors, coefficients: torch.Tensor
) -> Tensors:
    """Return the sum over rows and outputs of gradients times coefficients.

    For a batch of a single row, this is the gradient of that row.

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
    gradients: Iterable = [None] * len(parameters)
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


def forward_product(
    network: FrozenNetwork, batch: Batch, parameters: Tensors, tangents: Tensors
) -> torch.Tensor:
    """Return the derivative of the outputs along tangents, by one pass in forward mode.

    Parameters
    ----------
    network : FrozenNetwork
    batch : tensor of shape (b, ...) or dict of tensors
    parameters, tangents : dict of tensors
        With the same names and shapes.

    Returns
    -------
    tensor of shape (b, k)
    """

    def outputs(parameters: Tensors) -> torch.Tensor:
        return network.outputs(batch, parameters)

    with warnings.catch_warnings():
        # Torch warns about its own code at the first product.
        warnings.filterwarnings("ignore", "`torch.jit.script", DeprecationWarning)
        return torch.func.jvp(outputs, (parameters,), (tangents,))[1]


def backward_product(
    network: FrozenNetwork, batch: Batch, parameters: Tensors, tangents: Tensors
) -> torch.Tensor:
    """Return the derivative of the outputs along tangents, by two backward passes.

    The vector-Jacobian product J'u is linear in u. Differentiating it with respect to u gives the
    product of J with the tangents.

    Parameters
    ----------
    network : FrozenNetwork
    batch : tensor of shape (b, ...) or dict of tensors
    parameters, tangents : dict of tensors
        With the same names and shapes.

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
        used_gradients, used_tangents = zip(*used, strict=True)
        return torch.autograd.grad(used_gradients, u, used_tangents)[0]
