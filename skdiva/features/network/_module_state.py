"""Modules stored as skeletons and NumPy arrays, for pickles and hashes without a device."""

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

# By size in bytes: they replace dtypes that NumPy lacks.
_INTEGERS = {1: torch.uint8, 2: torch.int16}


class StoredModule(NamedTuple):
    """A module as it is pickled; `joblib.hash` depends on its content only."""

    skeleton: nn.Module  # its tensors are on the "meta" device
    arrays: dict[str, np.ndarray]  # all tensors by name; tied ones only once


def store(module: nn.Module) -> StoredModule:
    """Split a module into skeleton and arrays. Weights on the CPU are not copied.

    Parameters
    ----------
    module : nn.Module

    Returns
    -------
    StoredModule

    Raises
    ------
    ValueError
        If the module cannot be pickled.
    """
    _require_plain(module)
    stand_ins: dict[int, torch.Tensor] = {}
    arrays: dict[str, np.ndarray] = {}
    for name, places, key in _tensors(module):
        tensor = places[key]
        # Lazy and meta tensors hold no data and are pickled as they are.
        if id(tensor) not in stand_ins and not is_lazy(tensor) and not tensor.is_meta:
            stand_ins[id(tensor)] = _without_data(tensor)
            arrays[name] = _to_array(tensor)
    # To deepcopy, everything in its memo has been copied already.
    return StoredModule(copy.deepcopy(module, stand_ins), arrays)


def restore(stored: StoredModule) -> nn.Module:
    """Rebuild a module on the CPU.

    Parameters
    ----------
    stored : StoredModule
        Its arrays are copied; its skeleton becomes the module.

    Returns
    -------
    nn.Module
    """
    module, arrays = stored
    restored: dict[int, tuple] = {}
    for name, places, key in list(_tensors(module)):
        stand_in = places[key]
        if name in arrays:
            tensor = _to_tensor(arrays[name], stand_in)
            if isinstance(stand_in, nn.Parameter):
                tensor = nn.Parameter(tensor, stand_in.requires_grad)
            restored[id(stand_in)] = stand_in, tensor
        if id(stand_in) in restored:
            places[key] = restored[id(stand_in)][1]
    return module


def share_arrays(stored: StoredModule, other: StoredModule) -> StoredModule:
    """Return ``stored`` with the arrays of ``other`` where they are equal, to pickle them once."""
    arrays = dict(stored.arrays)
    for name, array in stored.arrays.items():
        twin = other.arrays.get(name)
        if twin is not None and twin.dtype == array.dtype and np.array_equal(twin, array):
            arrays[name] = twin
    return stored._replace(arrays=arrays)


def store_modules(state: dict[str, Any], names: tuple[str, str]) -> dict[str, Any]:
    """Return the state of an object with the modules of some names stored.

    Parameters
    ----------
    state : dict
    names : tuple of two str
        The arrays of the second are shared with the first where they are equal.

    Returns
    -------
    dict
    """
    modules = {name: state[name] for name in names if isinstance(state.get(name), nn.Module)}
    stored = {name: store(module) for name, module in modules.items()}
    if len(stored) > 1:
        stored[names[1]] = share_arrays(stored[names[1]], stored[names[0]])
    return state | stored


def restore_modules(state: dict[str, Any]) -> dict[str, Any]:
    """Return the state of an object with the stored modules rebuilt on the CPU."""
    return state | {n: restore(v) for n, v in state.items() if isinstance(v, StoredModule)}


def _tensors(module: nn.Module) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield the name, dictionary and key of every tensor of a module, in the module's order."""
    for path, part in module.named_modules():
        for places in (part._parameters, part._buffers, vars(part)):
            for key, tensor in places.items():
                if isinstance(tensor, torch.Tensor):
                    yield f"{path}.{key}" if path else key, places, key


def _require_plain(module: nn.Module) -> None:
    for path, part in module.named_modules():
        if parametrize.is_parametrized(part):
            raise ValueError(
                "expected a network that can be pickled; got one whose "
                f"{path or type(module).__name__!r} is parametrized, which torch cannot pickle. "
                "Remove it with torch.nn.utils.parametrize.remove_parametrizations."
            )


def _without_data(tensor: torch.Tensor) -> torch.Tensor:
    stand_in = tensor.detach().to("meta")
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(stand_in, tensor.requires_grad)
    return stand_in


def _to_array(tensor: torch.Tensor) -> np.ndarray:
    tensor = tensor.detach().cpu()
    try:
        return tensor.numpy()
    except TypeError:  # bfloat16, float8
        return tensor.view(_INTEGERS[tensor.element_size()]).numpy()


def _to_tensor(array: np.ndarray, stand_in: torch.Tensor) -> torch.Tensor:
    tensor = torch.empty_like(stand_in, device="cpu", requires_grad=False)
    view = tensor
    if str(array.dtype) != str(tensor.dtype).removeprefix("torch."):
        view = tensor.view(_INTEGERS[tensor.element_size()])
    # Through NumPy: joblib passes read-only memory maps, about which torch would warn.
    view.numpy()[...] = array
    return tensor
