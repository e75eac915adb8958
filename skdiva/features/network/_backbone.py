"""SharedBackbone: copies of an estimator share its network, pickles hold it without a device."""

import contextlib

import torch
from sklearn.utils import check_random_state

from skdiva.features.network._module_state import StoredModule, restore, share_arrays, store


class SharedBackbone:
    """Cloning and pickling of an estimator with a network as parameter ``backbone``.

    A fitted one keeps a copy of it as ``_module``, and what it computes with, on a device, as
    ``_work``.
    """

    def __sklearn_clone__(self):
        """Clone all parameters but the network."""
        bare = object.__new__(type(self))
        vars(bare).update(vars(self), backbone=None)
        twin = super(SharedBackbone, bare).__sklearn_clone__()
        twin.backbone = self.backbone
        return twin

    def __getstate__(self):
        """Return the state with modules taken apart."""
        state = dict(super().__getstate__())
        state.pop("_work", None)
        modules = {n: state[n] for n in ("backbone", "_module") if n in state}
        stored = {n: store(m) for n, m in modules.items() if isinstance(m, torch.nn.Module)}
        if len(stored) > 1:
            stored["_module"] = share_arrays(stored["_module"], stored["backbone"])
        return state | stored

    def __setstate__(self, state):
        """Put the modules together again, on the CPU."""
        restored = {n: restore(v) for n, v in state.items() if isinstance(v, StoredModule)}
        super().__setstate__(state | restored)


def build_module(backbone):
    """Return the module that a backbone is, or makes.

    Raises
    ------
    TypeError
        If it is neither a module nor a callable that returns one.
    """
    module = backbone if isinstance(backbone, torch.nn.Module) else backbone()
    if not isinstance(module, torch.nn.Module):
        raise TypeError(
            "backbone must be an nn.Module, or a callable without arguments that returns one; got "
            f"{type(module).__name__} from {backbone!r}. Return the module."
        )
    return module


def draw_seed(random_state):
    """Return a seed: the same every time for an int, and for None, which is 0."""
    random_state = 0 if random_state is None else random_state
    return int(check_random_state(random_state).randint(2**31 - 1))


@contextlib.contextmanager
def seeded(seed):
    """Let the global generators of torch start from a seed, and put them back afterwards."""
    # A CUDA that nobody uses yet is left asleep.
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield


def floating_dtype(module):
    """Return "float64" if a module has such parameters, else "float32"."""
    double = any(parameter.dtype == torch.float64 for parameter in module.parameters())
    return "float64" if double else "float32"
