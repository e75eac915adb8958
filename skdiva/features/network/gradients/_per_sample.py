"""PerSampleGradients: Jacobians of a network's outputs, batch by batch and block by block."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import nn

from skdiva.features.network._batch import Batch, n_rows, take_rows
from skdiva.features.network._frozen import FrozenNetwork
from skdiva.features.network.gradients._autograd import (
    Columns,
    Tensors,
    backward_product,
    forward_product,
    plain_attention,
    row_blocks,
    summed_gradients,
    vectorized_gradients,
)
from skdiva.features.network.gradients._forward_pass import ForwardPass
from skdiva.features.network.gradients._layer_rules import (
    LAYER_RULES,
    LayerCall,
    Rule,
    layer_blocks,
    layer_rules,
)
from skdiva.features.network.gradients._strategy import choose_methods
from skdiva.loo.ridge import full_float32
from skdiva.loo.rows import is_out_of_memory


class PerSampleGradients:
    """Per-sample gradients of chosen parameters.

    If a parameter belongs to a layer with a known rule, its gradients come from the inputs of the
    layer and the gradients of its outputs, for a whole batch at once. Otherwise they come from
    torch.func.vmap, or from one backward pass per row. The method is chosen on a probe, on which
    all methods are compared with autograd.

    Parameters
    ----------
    network : FrozenNetwork
    names : sequence of str
        Names of the chosen parameters.
    probe : tensor of shape (b, ...) or dict of tensors
        Some rows, preferably different ones; the first three are used.
    rules : sequence of (type, dict), default=LAYER_RULES
        Rules by name of the parameter, for layers of a type.
    block_bytes : int, default=None
        Size of a block. If None, it depends on method and device.

    Attributes
    ----------
    names : list of str
    sizes : dict
        Number of entries of each parameter, by name.
    n_columns : int
        Sum of the sizes, P: the parameters in the order of ``names``, each flattened row by row.
    methods : dict
        Method that computes the gradients of each parameter, by name: "layer", "broadcast", "vmap"
        or "loop".
    network : FrozenNetwork
    parameters : dict
        Tensors by name.
    """

    def __init__(
        self,
        network: FrozenNetwork,
        names: Sequence[str],
        probe: Batch,
        rules: Sequence[tuple[Any, dict[str, Rule]]] = LAYER_RULES,
        block_bytes: int | None = None,
    ):
        every = dict(network.module.named_parameters())
        self.names = list(names)
        self.network = network
        self.parameters = {name: every[name] for name in names}
        self.sizes = {name: p.numel() for name, p in self.parameters.items()}
        self._starts: dict[str, int] = {}
        self.n_columns = 0
        for name, size in self.sizes.items():
            self._starts[name] = self.n_columns
            self.n_columns += size
        self._owners = _find_owners(network.module, self.parameters, rules)
        self._block_bytes = block_bytes
        self._forward_mode: bool | None = None  # not known yet
        # With a single row, a method that mixes up rows would not be noticed.
        self.methods = choose_methods(self, take_rows(probe, torch.arange(3) % n_rows(probe)))

    def blocks(
        self, batch: Batch, direction: torch.Tensor | None = None, columns: slice | None = None
    ) -> Iterator[tuple[int, torch.Tensor]]:
        """Compute the gradients of the outputs times a direction.

        Parameters
        ----------
        batch : tensor of shape (b, ...) or dict of tensors
        direction : tensor of shape (k,), default=None
            If None, the sum of the outputs.
        columns : slice, default=None
            Some of the P columns. If None, all.

        Yields
        ------
        start : int
            Position of the first column of the block among the P columns.
        block : tensor of shape (b, m)
        """

        def directions(outputs: torch.Tensor) -> list[torch.Tensor]:
            return [outputs.new_ones(outputs.shape[1]) if direction is None else direction]

        for _, start, block in self.by_direction(batch, directions, columns):
            yield start, block

    def each(
        self, batch: Batch, columns: slice | None = None
    ) -> Iterator[tuple[int, int, torch.Tensor]]:
        """Compute the gradients of every output, after one forward pass.

        Parameters
        ----------
        batch : tensor of shape (b, ...) or dict of tensors
        columns : slice, default=None
            Some of the P columns. If None, all.

        Yields
        ------
        output : int
        start : int
            Position of the first column of the block among the P columns.
        block : tensor of shape (b, m)
        """

        def directions(outputs: torch.Tensor) -> torch.Tensor:
            return torch.eye(outputs.shape[1], dtype=outputs.dtype, device=outputs.device)

        yield from self.by_direction(batch, directions, columns)

    def combine(self, batch: Batch, coefficients: torch.Tensor) -> torch.Tensor:
        """Sum all gradients, each times a coefficient, in one backward pass.

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

    def apply(self, batch: Batch, vector: torch.Tensor) -> torch.Tensor:
        """Multiply the Jacobians by a vector.

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

    def _forward_mode_works(self, batch: Batch, tangents: Tensors) -> bool:
        """Return whether forward mode supports the network and agrees with backward mode."""
        expected = backward_product(self.network, batch, self.parameters, tangents)
        try:
            product = forward_product(self.network, batch, self.parameters, tangents)
        except (RuntimeError, TypeError, ValueError) as error:
            if is_out_of_memory(error):
                raise
            return False
        tolerance = torch.finfo(expected.dtype).eps ** 0.5
        return bool((product - expected).norm() <= tolerance * expected.norm())

    def by_direction(
        self,
        batch: Batch,
        directions: Callable[[torch.Tensor], Any],
        columns: slice | None,
        methods: dict[str, str] | None = None,
    ) -> Iterator[tuple[int, int, torch.Tensor]]:
        """Compute the gradients of the outputs times several directions.

        Parameters
        ----------
        batch : tensor of shape (b, ...) or dict of tensors
        directions : callable
            Takes the outputs (b, k) and returns a sequence of tensors (k,).
        columns : slice or None
            Some of the P columns. If None, all.
        methods : dict, default=None
            Methods by name of the parameter; only these parameters are used. If None, all
            parameters, with the chosen methods.

        Yields
        ------
        tuple of int, int and tensor
            Position of the direction, first column, and block.
        """
        methods = self.methods if methods is None else methods
        chosen: dict[str, list[Columns]] = {m: [] for m in ("layer", "broadcast", "vmap", "loop")}
        for part in self._overlap(columns):
            if part.name in methods:
                chosen[methods[part.name]].append(part)
        forward = self._forward(batch, chosen)
        wanted = directions(forward.outputs.detach())
        for position, direction in enumerate(wanted):
            retain = position + 1 < len(wanted)
            for part, block in self._parts(forward, batch, chosen, direction, retain):
                yield position, self._starts[part.name] + part.start, block

    def is_possible(self, method: str, name: str) -> bool:
        """Return whether a method may work for a parameter."""
        if method == "layer":
            return bool(self._owners[name])
        return method != "broadcast" or self.parameters[name].shape[:1] == (1,)

    def name_of(self, column: int) -> str:
        """Return the name of the parameter to which one of the P columns belongs."""
        return next(n for n, size in self.sizes.items() if column < self._starts[n] + size)

    def _overlap(self, columns: slice | None) -> Iterator[Columns]:
        start, stop, _ = (columns or slice(None)).indices(self.n_columns)
        for name, size in self.sizes.items():
            low, high = max(start - self._starts[name], 0), min(stop - self._starts[name], size)
            if low < high:
                yield Columns(name, low, high)

    def _forward(self, batch: Batch, chosen: dict[str, list[Columns]]) -> ForwardPass:
        owners = [owner for part in chosen["layer"] for owner, _ in self._owners[part.name]]
        return ForwardPass(
            self.network, batch, list(dict.fromkeys(owners)),
            {part.name: self.parameters[part.name] for part in chosen["broadcast"]},
        )  # fmt: skip

    def _parts(
        self,
        forward: ForwardPass,
        batch: Batch,
        chosen: dict[str, list[Columns]],
        direction: torch.Tensor,
        retain: bool,
    ) -> Iterator[tuple[Columns, torch.Tensor]]:
        """Yield the blocks for one direction, each with its columns."""
        n, parameters, size = n_rows(batch), self.parameters, self._block_bytes
        layers, broadcast = forward.signals(direction, retain)
        for name, start, stop in chosen["layer"]:
            calls = [
                LayerCall(layer, rule, *call)
                for layer, rule in self._owners[name]
                for call in layers.get(layer, ())
            ]
            columns = slice(start, stop)
            for first, block in layer_blocks(parameters[name], calls, columns, n, size):
                yield Columns(name, first, first + block.shape[1]), block
        for part in chosen["broadcast"]:
            gradient = broadcast.get(part.name, parameters[part.name].new_zeros(n, part.stop))
            yield part, gradient.reshape(n, -1)[:, part.start : part.stop]

        def vectorized(rows: slice, wanted: Tensors) -> Tensors:
            return vectorized_gradients(self.network, take_rows(batch, rows), wanted, direction)

        def by_row(rows: slice, wanted: Tensors) -> Tensors:
            row = take_rows(batch, rows)
            return summed_gradients(self.network, row, wanted, direction[None])

        yield from row_blocks(parameters, chosen["vmap"], n, vectorized, None, size)
        yield from row_blocks(parameters, chosen["loop"], n, by_row, 1, size)


def _find_owners(
    module: nn.Module, parameters: Tensors, rules: Sequence[tuple[Any, dict[str, Rule]]]
) -> dict[str, list[tuple[nn.Module, Rule]]]:
    """Return layers and rules by name of the parameter, which several layers may share."""
    names = {id(parameter): name for name, parameter in parameters.items()}
    owners: dict[str, list[tuple[nn.Module, Rule]]] = {name: [] for name in parameters}
    for layer in module.modules():
        known = layer_rules(layer, rules)
        for local, parameter in layer.named_parameters(recurse=False, remove_duplicate=False):
            if local in known and id(parameter) in names:
                owners[names[id(parameter)]].append((layer, known[local]))
    return owners
