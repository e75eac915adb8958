"""Backbones given as modules or as callables that make them, their dtype, and random seeds."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from sklearn.utils import check_random_state
from torch import nn


def build_module(backbone: nn.Module | Callable[[], nn.Module], seed: int) -> nn.Module:
    """Return the module that a backbone is, or makes.

    Parameters
    ----------
    backbone : nn.Module or callable
    seed : int
        Seed of torch's random numbers while a callable makes the module.

    Returns
    -------
    nn.Module

    Raises
    ------
    TypeError
        If the backbone is neither a module nor a callable that returns one.
    """
    if isinstance(backbone, nn.Module):
        return backbone
    with seeded(seed):
        module = backbone()
    if not isinstance(module, nn.Module):
        raise TypeError(
            "backbone must be an nn.Module, or a callable without arguments that returns one; got "
            f"{type(module).__name__} from {backbone!r}. Return the module."
        )
    return module


def floating_dtype(module: nn.Module) -> str:
    """Return "float64" if a module has parameters of that dtype, else "float32"."""
    double = any(parameter.dtype == torch.float64 for parameter in module.parameters())
    return "float64" if double else "float32"


def draw_seed(random_state: Any) -> int:
    """Return a seed; for an int or None, which is the same as 0, it is the same every time."""
    random_state = 0 if random_state is None else random_state
    return int(check_random_state(random_state).randint(2**31 - 1))


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's global random number generators, and restore their state afterwards."""
    # CUDA is not initialized for this.
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield
