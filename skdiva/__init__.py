"""Closed-form dataset derivatives for scikit-learn."""

from importlib import import_module

__version__ = "0.1.0.dev0"

__all__ = ["DivaExtender", "DivaOutlierDetector", "DivaReweighter", "DivaSampler", "__version__"]


def __getattr__(name):
    # Loaded on first use: `import skdiva` costs nothing, and only a fit pays for torch.
    if name in __all__:
        return getattr(import_module("skdiva.estimators"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
