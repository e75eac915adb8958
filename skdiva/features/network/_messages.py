"""Validation of user-supplied networks, and its error messages."""

import difflib
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

_CONVOLUTIONS = nn.Conv1d | nn.Conv2d | nn.Conv3d


def require_complete(module: nn.Module) -> None:
    """Raise ValueError unless a module holds all its tensors and consists of Python code."""
    name = type(module).__name__
    for key, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if is_lazy(tensor):
            raise ValueError(
                f"expected a network whose parameters have shapes; got {name}, in which {key!r} is "
                "still lazy. Call the network on a batch first."
            )
        if tensor.is_meta:
            raise ValueError(
                f"expected a network that holds its weights; got {name} with {key!r} on the meta "
                "device. Load the weights, or call module.to_empty(device='cpu') and initialize "
                "them."
            )
    if any(isinstance(part, torch.jit.ScriptModule) for part in module.modules()):
        raise ValueError(
            f"expected an nn.Module of Python code; got {name}, made by torch.jit, whose layers "
            "take no hooks. Pass the module that it was made from."
        )


def bad_rows(module: nn.Module, run: Callable[[], Any], shape: Any, error: Exception) -> str:
    """Return the message for a network that fails on rows of a shape.

    Parameters
    ----------
    module : nn.Module
    run : callable
        Runs the network again, to find out what its first layer expects.
    shape : tuple of int or dict of tuples
        Shape of a row.
    error : Exception
        The exception that the network raised.

    Returns
    -------
    str
    """
    expected = _first_expectation(module, run)
    wanted = f"rows that {type(module).__name__} can compute with"
    if expected is not None:
        wanted += f", whose first layer takes {expected}"
    return (
        f"expected {wanted}; got rows of shape {shape}, and {type(error).__name__}: {error}. "
        "Pass the shape of a row as input_shape, or X in that shape."
    )


def no_match(prefix: str, names: list[str]) -> str:
    """Return the message for a prefix that matches no parameter, with similar names."""
    near = difflib.get_close_matches(prefix, {*names, *_prefixes(names)}, n=5, cutoff=0.5)
    near = sorted(near) or [*names[:5], *(["..."] if len(names) > 5 else [])]
    return (
        "expected names of parameters, or prefixes that end before a dot; got "
        f"{prefix!r}, which matches none of {len(names)}. Similar names: {', '.join(near)}."
    )


def close(actual: torch.Tensor, expected: torch.Tensor) -> bool:
    """Return whether two outputs differ by rounding errors only; NaN equals NaN."""
    tolerance = torch.finfo(expected.dtype).eps ** 0.5
    scale = float(expected.nan_to_num().abs().max())
    return torch.allclose(actual, expected, rtol=tolerance, atol=tolerance * scale, equal_nan=True)


def _prefixes(names: Iterable[str]) -> set[str]:
    return {name[:i] for name in names for i, letter in enumerate(name) if letter == "."}


def _first_expectation(module: nn.Module, run: Callable[[], Any]) -> str | None:
    """Describe the input of the first layer that is called; None if it is of another type."""
    called: list[Any] = []
    hooks = [
        layer.register_forward_pre_hook(lambda layer, _: called.append(layer))
        for layer in module.modules()
        if isinstance(layer, nn.Linear | nn.Embedding | _CONVOLUTIONS)
    ]
    try:
        with torch.no_grad():
            run()
    except Exception:
        pass  # It fails as before; what matters are the layers called until then.
    finally:
        for hook in hooks:
            hook.remove()
    if not called:
        return None
    if isinstance(called[0], nn.Linear):
        return f"(..., {called[0].in_features})"
    if isinstance(called[0], nn.Embedding):
        return f"integers below {called[0].num_embeddings}"
    sizes = ("length",), ("height", "width"), ("depth", "height", "width")
    channels = called[0].in_channels
    return f"({channels}, {', '.join(sizes[len(called[0].kernel_size) - 1])})"
