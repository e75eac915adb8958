"""What a network cannot be, and the sentences that say so."""

import difflib

import torch
from torch import nn
from torch.nn.parameter import is_lazy

_CONVOLUTIONS = nn.Conv1d | nn.Conv2d | nn.Conv3d


def require_complete(module):
    """Raise ValueError unless all parameters and buffers of a module can be copied and computed."""
    name = type(module).__name__
    for key, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if is_lazy(tensor):
            raise ValueError(
                f"expected a network whose parameters have shapes; got {name} with {key!r} still "
                "lazy. Call it on a batch once before."
            )
        if tensor.is_meta:
            raise ValueError(
                f"expected a network that holds its weights; got {name} with {key!r} on the meta "
                "device. Load the weights, or use module.to_empty(device='cpu') and initialise."
            )
    if any(isinstance(part, torch.jit.ScriptModule) for part in module.modules()):
        raise ValueError(
            f"expected an nn.Module of Python code; got {name}, made by torch.jit, whose layers "
            "cannot be watched. Pass the module that it was made from."
        )


def bad_rows(module, run, shape, error):
    """Say that a network fails on rows of a shape, and what its first layer expects.

    Parameters
    ----------
    module : nn.Module
    run : callable
        Runs the network again.
    shape : tuple of int or dict of tuples
        Of the rows.
    error : Exception
        What the network raised.

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
        "Give the shape of a row as input_shape, or pass X in that shape."
    )


def no_match(prefix, names):
    """Say that a prefix matches no parameter, with the nearest names."""
    near = difflib.get_close_matches(prefix, {*names, *_prefixes(names)}, n=5, cutoff=0.5)
    near = sorted(near) or [*names[:5], *(["..."] if len(names) > 5 else [])]
    return (
        f"expected names, or prefixes up to a dot, of parameters; got {prefix!r}, which matches "
        f"none of {len(names)}. Near ones: {', '.join(near)}."
    )


def close(actual, expected):
    """Whether two outputs are the same but for rounding; NaN equals NaN."""
    tolerance = torch.finfo(expected.dtype).eps ** 0.5
    scale = float(expected.nan_to_num().abs().max())
    return torch.allclose(actual, expected, rtol=tolerance, atol=tolerance * scale, equal_nan=True)


def _prefixes(names):
    return {name[:i] for name in names for i, letter in enumerate(name) if letter == "."}


def _first_expectation(module, run):
    """What the first layer that is called takes, in words; None if it says nothing."""
    called = []
    hooks = [
        layer.register_forward_pre_hook(lambda layer, _: called.append(layer))
        for layer in module.modules()
        if isinstance(layer, nn.Linear | nn.Embedding | _CONVOLUTIONS)
    ]
    try:
        with torch.no_grad():
            run()
    except Exception:
        pass  # It fails as before: what counts is what was called until then.
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
