"""Modules without devices: a skeleton and NumPy arrays, pickled alike wherever they came from."""

import copy
from typing import NamedTuple

import numpy as np
import torch
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

_INTEGERS = {1: torch.uint8, 2: torch.int16}  # stand in for dtypes that NumPy lacks, by size


class StoredModule(NamedTuple):
    """A module as it is pickled; `joblib.hash` depends on its content only."""

    skeleton: torch.nn.Module  # its tensors are on the "meta" device
    arrays: dict  # name to ndarray: parameters and all buffers, tied ones once


def store(module):
    """Take a module apart. No weight is copied if it is on the CPU.

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
    stand_ins, arrays = {}, {}
    for name, places, key in _tensors(module):
        tensor = places[key]
        # Lazy and meta tensors hold nothing, and are pickled as they are.
        if id(tensor) not in stand_ins and not is_lazy(tensor) and not tensor.is_meta:
            stand_ins[id(tensor)] = _without_data(tensor)
            arrays[name] = _to_array(tensor)
    # What deepcopy finds in its memo it takes for copied.
    return StoredModule(copy.deepcopy(module, stand_ins), arrays)


def restore(stored):
    """Put a module together again, on the CPU.

    Parameters
    ----------
    stored : StoredModule
        Its arrays are copied; its skeleton becomes the module.

    Returns
    -------
    nn.Module
    """
    module, arrays = stored
    restored = {}
    for name, places, key in list(_tensors(module)):
        stand_in = places[key]
        if name in arrays:
            tensor = _to_tensor(arrays[name], stand_in)
            if isinstance(stand_in, torch.nn.Parameter):
                tensor = torch.nn.Parameter(tensor, stand_in.requires_grad)
            restored[id(stand_in)] = stand_in, tensor
        if id(stand_in) in restored:
            places[key] = restored[id(stand_in)][1]
    return module


def share_arrays(stored, other):
    """Return ``stored`` with the arrays of ``other`` where they are equal: pickled only once."""
    arrays = {}
    for name, array in stored.arrays.items():
        twin = other.arrays.get(name)
        same = twin is not None and twin.dtype == array.dtype and np.array_equal(twin, array)
        arrays[name] = twin if same else array
    return stored._replace(arrays=arrays)


def _tensors(module):
    """Places of the tensors of a module: name, dictionary and key, in the order of the module."""
    for path, part in module.named_modules():
        for places in (part._parameters, part._buffers, vars(part)):
            for key, tensor in places.items():
                if isinstance(tensor, torch.Tensor):
                    yield f"{path}.{key}" if path else key, places, key


def _require_plain(module):
    for path, part in module.named_modules():
        if parametrize.is_parametrized(part):
            raise ValueError(
                "expected a network that can be pickled; got one whose "
                f"{path or type(module).__name__!r} is parametrized, which torch cannot pickle. "
                "Make its weights plain: torch.nn.utils.parametrize.remove_parametrizations."
            )


def _without_data(tensor):
    stand_in = tensor.detach().to("meta")
    if isinstance(tensor, torch.nn.Parameter):
        return torch.nn.Parameter(stand_in, tensor.requires_grad)
    return stand_in


def _to_array(tensor):
    tensor = tensor.detach().cpu()
    try:
        return tensor.numpy()
    except TypeError:  # bfloat16, float8
        return tensor.view(_INTEGERS[tensor.element_size()]).numpy()


def _to_tensor(array, stand_in):
    tensor = torch.empty_like(stand_in, device="cpu", requires_grad=False)
    view = tensor
    if str(array.dtype) != str(tensor.dtype).removeprefix("torch."):
        view = tensor.view(_INTEGERS[tensor.element_size()])
    # Through NumPy: joblib hands over read-only memory maps, of which torch would warn.
    view.numpy()[...] = array
    return tensor
