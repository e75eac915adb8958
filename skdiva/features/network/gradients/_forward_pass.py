"""ForwardPass: outputs of a batch, and what reaches chosen layers when a gradient flows back."""

import contextlib

import torch
from torch.autograd.graph import get_gradient_edge

from skdiva.features.network._batch import n_rows
from skdiva.loo.ridge import full_float32


@contextlib.contextmanager
def differentiable(parameters):
    """Let parameters require gradients, and no longer afterwards: the graph stays."""
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
    """One pass through a network, watched.

    Autograd computes the gradients of the layers' outputs only. Their place in the graph is kept
    rather than the outputs, which an activation may overwrite.

    Parameters
    ----------
    network : FrozenNetwork
    batch : tensor of shape (b, ...) or dict of tensors
    layers : collection of nn.Module
        Layers to watch.
    broadcast : dict of tensors, default=None
        Parameters, by name, whose first dimension of 1 is expanded to the rows of the batch.

    Attributes
    ----------
    outputs : tensor of shape (b, k)
        With their graph.
    """

    def __init__(self, network, batch, layers, broadcast=None):
        self._calls = []
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

    def signals(self, direction, retain_graph):
        """Gradients of the outputs times a direction, where they arrive.

        Parameters
        ----------
        direction : tensor of shape (k,)
        retain_graph : bool
            Whether there will be another call.

        Returns
        -------
        layers : dict
            Layer to list of (inputs, gradients of its outputs), one per call.
        broadcast : dict
            Name to gradient of the expanded parameter, (b, ...).
        """
        edges = [edge for _, _, edge in self._calls] + list(self._expanded.values())
        layers = {}
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

    def _keep(self, layer, args, kwargs, output):
        if output.requires_grad:  # not inside the network's own torch.no_grad()
            inputs = (*args, *kwargs.values())[0].detach()
            self._calls.append((layer, inputs, get_gradient_edge(output)))
