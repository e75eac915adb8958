"""Features for the estimators: from X to the rows of the ridge model."""

from importlib import import_module

from skdiva.features._kernel import KernelFeaturizer

__all__ = ["JacobianFeaturizer", "KernelFeaturizer", "replace_head"]

# Loaded on first use: they need torch.
_MODULES = {"JacobianFeaturizer": "_jacobian", "replace_head": "_replace_head"}


def __getattr__(name):
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
