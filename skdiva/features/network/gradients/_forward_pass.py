"""ForwardPass: outputs of a batch, and the gradients that reach chosen layers on the way back."""

import contextlib
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import torch
from torch import nn
from torch.autograd.graph import get_gradient_edge

from skdiva.features.network._batch import Batch, n_rows
from skdiva.features.network._frozen import FrozenNetwork
from skdiva.loo.ridge import full_float32


@contextlib.contextmanager
def differentiable(parameters: Iterable[torch.Tensor]) -> Iterator[None]:
    """Let parameters require gradients while a graph is built; the graph remains valid."""
    parameters = list(parameters)
    for parameter in parameters:
        parameter.requires_grad_(True)
    try:
        with torch.enable_grad():
            yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(False)


class ForwardPass:
    """One pass through a network, with hooks on chosen layers.

    Autograd only computes the gradients with respect to the outputs of these layers. Their edges in
    the graph are kept instead of the outputs themselves, which an activation may overwrite.

    Parameters
    ----------
    network : FrozenNetwork
    batch : tensor of shape (b, ...) or dict of tensors
    layers : collection of nn.Module
        Layers that get a hook.
    broadcast : dict of tensors, default=None
        Parameters, by name, whose first dimension of 1 is expanded to the rows of the batch.

    Attributes
    ----------
    outputs : tensor of shape (b, k)
        With their graph.
    """

    def __init__(
        self,
        network: FrozenNetwork,
        batch: Batch,
        layers: Collection[nn.Module],
        broadcast: dict[str, torch.Tensor] | None = None,
    ):
        self._calls: list[tuple[nn.Module, torch.Tensor, Any]] = []
        expanded = {
            name: parameter.detach().expand(n_rows(batch), *parameter.shape[1:]).requires_grad_()
            for name, parameter in (broadcast or {}).items()
        }
        self._expanded = expanded
        own = [parameter for layer in layers for parameter in layer.parameters(recurse=False)]
        hooks = [layer.register_forward_hook(self._keep, with_kwargs=True) for layer in layers]
        try:
            with differentiable(own):
                self.outputs = network.outputs(batch, expanded or None)
        finally:
            for hook in hooks:
                hook.remove()

    def signals(
        self, direction: torch.Tensor, retain_graph: bool
    ) -> tuple[dict[nn.Module, list], dict[str, torch.Tensor]]:
        """Return the gradients of the outputs times a direction, where they arrive.

        Parameters
        ----------
        direction : tensor of shape (k,)
        retain_graph : bool
            Whether this method is called again.

        Returns
        -------
        layers : dict
            Layer to list of (inputs, gradients with respect to its outputs), one per call.
        broadcast : dict
            Name to gradient with respect to the expanded parameter, of shape (b, ...).
        """
        edges = [edge for _, _, edge in self._calls] + list(self._expanded.values())
        layers: dict[nn.Module, list] = {}
        if not edges or not self.outputs.requires_grad:
            return layers, {}
        with full_float32():
            gradients = torch.autograd.grad(
                self.outputs, edges, direction.expand_as(self.outputs),
                retain_graph=retain_graph, allow_unused=True,
            )  # fmt: skip
        n_calls = len(self._calls)
        for (layer, inputs, _), gradient in zip(self._calls, gradients[:n_calls], strict=True):
            if gradient is not None:
                layers.setdefault(layer, []).append((inputs, gradient))
        pairs = zip(self._expanded, gradients[n_calls:], strict=True)
        return layers, {name: gradient for name, gradient in pairs if gradient is not None}

    def _keep(self, layer: nn.Module, args: tuple, kwargs: dict, output: torch.Tensor) -> None:
        if output.requires_grad:  # False inside a torch.no_grad() of the network
            inputs = (*args, *kwargs.values())[0].detach()
            self._calls.append((layer, inputs, get_gradient_edge(output)))
