"""PerSampleGradients: Jacobians of a network's outputs, batch by batch and block by block."""

import torch

from skdiva.features.network._batch import n_rows, take_rows
from skdiva.features.network.gradients._autograd import (
    Columns,
    backward_product,
    forward_product,
    plain_attention,
    row_blocks,
    summed_gradients,
    vectorised_gradients,
)
from skdiva.features.network.gradients._forward_pass import ForwardPass
from skdiva.features.network.gradients._layer_rules import LayerCall, layer_blocks, layer_rules
from skdiva.features.network.gradients._strategy import choose_kinds
from skdiva.loo.ridge import full_float32
from skdiva.loo.rows import is_out_of_memory


class PerSampleGradients:
    """Per-sample gradients of chosen parameters.

    Where a parameter belongs to a layer that is known, they come from the layer's inputs and its
    outputs' gradients, for a whole batch at once; otherwise from torch.func.vmap, or from one
    backward pass per row. Which one is decided on a probe, where all are compared with autograd.

    Parameters
    ----------
    network : FrozenNetwork
    names : sequence of str
        Names of its parameters.
    probe : tensor of shape (b, ...) or dict of tensors
        Some rows, of which the first three are used; better different ones.

    Attributes
    ----------
    names : list of str
    sizes : dict
        Name to number of entries.
    n_columns : int
        Sum of the sizes, P: the parameters in the order of ``names``, each flattened row by row.
    kinds : dict
        Name to what makes its gradients: "layer", "broadcast", "vmap" or "loop".
    network : FrozenNetwork
    parameters : dict
        Name to tensor.
    """

    def __init__(self, network, names, probe):
        every = dict(network.module.named_parameters())
        self.names = list(names)
        self.network = network
        self.parameters = {name: every[name] for name in names}
        self.sizes = {name: p.numel() for name, p in self.parameters.items()}
        self._starts, self.n_columns = {}, 0
        for name, size in self.sizes.items():
            self._starts[name] = self.n_columns
            self.n_columns += size
        self._owners = _find_owners(network.module, self.parameters)
        self._forward_mode = None  # not known yet
        # Of a single row alone, every way of telling rows apart would be right.
        self.kinds = choose_kinds(self, take_rows(probe, torch.arange(3) % n_rows(probe)))

    def blocks(self, batch, direction=None, columns=None):
        """Gradients of the outputs times a direction.

        Parameters
        ----------
        batch : tensor of shape (b, ...) or dict of tensors
        direction : tensor of shape (k,), default=None
            None: the outputs are added up.
        columns : slice, default=None
            Of the P columns; None: all.

        Yields
        ------
        start : int
            Which of the P columns is the first of the block.
        block : tensor of shape (b, m)
        """

        def directions(outputs):
            return [outputs.new_ones(outputs.shape[1]) if direction is None else direction]

        for _, start, block in self.by_direction(batch, directions, columns):
            yield start, block

    def each(self, batch, columns=None):
        """Gradients of every output, after one forward pass.

        Parameters
        ----------
        batch : tensor of shape (b, ...) or dict of tensors
        columns : slice, default=None
            Of the P columns; None: all.

        Yields
        ------
        output : int
        start : int
            Which of the P columns is the first of the block.
        block : tensor of shape (b, m)
        """

        def directions(outputs):
            return torch.eye(outputs.shape[1], dtype=outputs.dtype, device=outputs.device)

        yield from self.by_direction(batch, directions, columns)

    def combine(self, batch, coefficients):
        """Sum of all gradients, each times a coefficient: one backward pass.

        Parameters
        ----------
        batch : tensor of shape (b, ...) or dict of tensors
        coefficients : tensor of shape (b, k)

        Returns
        -------
        tensor of shape (P,)
        """
        gradients = summed_gradients(self.network, batch, self.parameters, coefficients)
        return torch.cat(list(gradients.values()), 1)[0]

    def apply(self, batch, vector):
        """Products of the Jacobians with a vector.

        Parameters
        ----------
        batch : tensor of shape (b, ...) or dict of tensors
        vector : tensor of shape (P,)

        Returns
        -------
        tensor of shape (b, k)
        """
        parts = dict(zip(self.names, vector.split(list(self.sizes.values())), strict=True))
        tangents = {name: parts[name].view_as(p) for name, p in self.parameters.items()}
        with plain_attention(), full_float32():
            if self._forward_mode is None:
                self._forward_mode = self._forward_mode_works(take_rows(batch, slice(3)), tangents)
            product = forward_product if self._forward_mode else backward_product
            return product(self.network, batch, self.parameters, tangents)

    def _forward_mode_works(self, batch, tangents):
        """Whether forward mode has all rules, and gives what backward mode gives."""
        expected = backward_product(self.network, batch, self.parameters, tangents)
        try:
            product = forward_product(self.network, batch, self.parameters, tangents)
        except (RuntimeError, TypeError, ValueError) as error:
            if is_out_of_memory(error):
                raise
            return False
        tolerance = torch.finfo(expected.dtype).eps ** 0.5
        return bool((product - expected).norm() <= tolerance * expected.norm())

    def by_direction(self, batch, directions, columns, kinds=None):
        """Gradients for several directions, as of `each`.

        Parameters
        ----------
        batch : tensor of shape (b, ...) or dict of tensors
        directions : callable
            From the outputs (b, k) to a sequence of tensors (k,).
        columns : slice or None
        kinds : dict, default=None
            What makes the gradients, by name: only these. None: as chosen.

        Yields
        ------
        tuple of int, int and tensor
            Position of the direction, and what `blocks` yields.
        """
        kinds = self.kinds if kinds is None else kinds
        chosen = {kind: [] for kind in ("layer", "broadcast", "vmap", "loop")}
        for part in self._overlap(columns):
            if part.name in kinds:
                chosen[kinds[part.name]].append(part)
        forward = self._forward(batch, chosen)
        directions = directions(forward.outputs.detach())
        for position, direction in enumerate(directions):
            retain = position + 1 < len(directions)
            for part, block in self._parts(forward, batch, chosen, direction, retain):
                yield position, self._starts[part.name] + part.start, block

    def is_possible(self, kind, name):
        """Whether it is worth trying a kind for a parameter."""
        if kind == "layer":
            return bool(self._owners[name])
        return kind != "broadcast" or self.parameters[name].shape[:1] == (1,)

    def name_of(self, column):
        """Name of the parameter that one of the P columns belongs to."""
        return next(n for n, size in self.sizes.items() if column < self._starts[n] + size)

    def _overlap(self, columns):
        start, stop, _ = (columns or slice(None)).indices(self.n_columns)
        for name, size in self.sizes.items():
            low, high = max(start - self._starts[name], 0), min(stop - self._starts[name], size)
            if low < high:
                yield Columns(name, low, high)

    def _forward(self, batch, chosen):
        owners = [owner for part in chosen["layer"] for owner, _ in self._owners[part.name]]
        return ForwardPass(
            self.network, batch, list(dict.fromkeys(owners)),
            {part.name: self.parameters[part.name] for part in chosen["broadcast"]},
        )  # fmt: skip

    def _parts(self, forward, batch, chosen, direction, retain):
        """Blocks for one direction, each with the columns that it holds."""
        n, parameters = n_rows(batch), self.parameters
        layers, broadcast = forward.signals(direction, retain)
        for name, start, stop in chosen["layer"]:
            calls = [
                LayerCall(layer, rule, *call)
                for layer, rule in self._owners[name]
                for call in layers.get(layer, ())
            ]
            for first, block in layer_blocks(parameters[name], calls, slice(start, stop), n):
                yield Columns(name, first, first + block.shape[1]), block
        for part in chosen["broadcast"]:
            gradient = broadcast.get(part.name, parameters[part.name].new_zeros(n, part.stop))
            yield part, gradient.reshape(n, -1)[:, part.start : part.stop]

        def vectorised(rows, wanted):
            return vectorised_gradients(self.network, take_rows(batch, rows), wanted, direction)

        def by_row(rows, wanted):
            row = take_rows(batch, rows)
            return summed_gradients(self.network, row, wanted, direction[None])

        yield from row_blocks(parameters, chosen["vmap"], n, vectorised)
        yield from row_blocks(parameters, chosen["loop"], n, by_row, rows_at_once=1)


def _find_owners(module, parameters):
    """Layers and rules, by name of the parameter: several layers may share one."""
    names = {id(parameter): name for name, parameter in parameters.items()}
    owners = {name: [] for name in parameters}
    for layer in module.modules():
        rules = layer_rules(layer)
        for local, parameter in layer.named_parameters(recurse=False, remove_duplicate=False):
            if local in rules and id(parameter) in names:
                owners[names[id(parameter)]].append((layer, rules[local]))
    return owners
