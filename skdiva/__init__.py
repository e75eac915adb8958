"""Closed-form dataset derivatives for scikit-learn."""

from importlib import import_module

__version__ = "0.1.0.dev0"

__all__ = [
    "DivaExtender",
    "DivaOutlierDetector",
    "DivaReweighter",
    "DivaSampler",
    "__version__",
    "augment",
]


def __getattr__(name):
    # Loaded on first use: `import skdiva` costs nothing, and only a fit pays for torch.
    if name in __all__:
        module = "skdiva.augmentation" if name == "augment" else "skdiva.estimators"
        return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
