"""Leaky ReLU and ReLU6: a torch mode that gives them a slope where they are flat."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

from skdiva.features.network._batch import Batch, call_arguments

_RELU = {F.relu, torch.relu, torch.Tensor.relu}
_RELU_IN_PLACE = {torch.relu_, F.relu_, torch.Tensor.relu_}
_HARDTANH = {F.hardtanh, F.hardtanh_}


class LeakyActivations(TorchFunctionMode):
    """Context in which ReLU and ReLU6 have a slope where they are flat.

    Both become (1 - slope) * activation(x) + slope * x, whether a module or a function calls them.

    Parameters
    ----------
    slope : float

    Attributes
    ----------
    n_calls : int
        Number of activations called so far.
    """

    def __init__(self, slope: float):
        super().__init__()
        self._slope = slope
        self.n_calls = 0

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        activation, in_place = _activation(func, args, kwargs)
        if activation is None:
            return func(*args, **kwargs)
        self.n_calls += 1
        x = (*args, *kwargs.values())[0]
        if not in_place:
            return self._leaky(activation, x)
        # On a clone: autograd may keep the input, and x is overwritten.
        return x.copy_(self._leaky(activation, x.clone()))

    def _leaky(self, activation: Any, x: torch.Tensor) -> torch.Tensor:
        if activation is F.relu:  # in one step, and exactly x where x is positive
            return F.leaky_relu(x, self._slope)
        return (1 - self._slope) * activation(x) + self._slope * x


def _activation(func: Any, args: tuple, kwargs: dict) -> tuple[Any, bool]:
    """Return the activation that a function computes, if any, and whether it works in place."""
    if func in _RELU:
        return F.relu, _argument("inplace", 1, False, args, kwargs)
    if func in _RELU_IN_PLACE:
        return F.relu, True
    if func is F.relu6:
        return F.relu6, _argument("inplace", 1, False, args, kwargs)
    if func in _HARDTANH:
        low = _argument("min_val", 1, -1.0, args, kwargs)
        high = _argument("max_val", 2, 1.0, args, kwargs)
        if (low, high) == (0, 6):
            return F.relu6, func is F.hardtanh_ or _argument("inplace", 3, False, args, kwargs)
    return None, False


def _argument(name: str, position: int, default: Any, args: tuple, kwargs: dict) -> Any:
    return args[position] if len(args) > position else kwargs.get(name, default)


def require_activations(module: nn.Module, batch: Batch) -> None:
    """Raise unless a network calls an activation that can be made leaky.

    Parameters
    ----------
    module : nn.Module
    batch : tensor of shape (b, ...) or dict of tensors

    Raises
    ------
    ValueError
        If it calls neither ReLU nor ReLU6.
    """
    args, kwargs = call_arguments(batch)
    with torch.no_grad(), LeakyActivations(0.0) as mode:
        module(*args, **kwargs)
    if not mode.n_calls:
        raise ValueError(
            "activation_slope expects a network with ReLU or ReLU6 activations; got "
            f"{type(module).__name__}, which calls none. Leave activation_slope at None."
        )
