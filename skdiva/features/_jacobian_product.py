"""Jacobian times a vector of the parameters, in forward mode and by two backward passes."""

import warnings

import torch

from skdiva.features._forward_pass import differentiable


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
