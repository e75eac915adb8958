"""Closed-form dataset derivatives for scikit-learn."""

from typing import TYPE_CHECKING

from skdiva._lazy import lazy_names

if TYPE_CHECKING:
    from skdiva.augmentation import augment
    from skdiva.estimators import (
        DivaExtender,
        DivaOutlierDetector,
        DivaReweighter,
        DivaSampler,
    )
    from skdiva.features import JacobianFeaturizer, KernelFeaturizer, replace_head

__version__ = "0.1.0.dev0"

__all__ = [
    "DivaExtender",
    "DivaOutlierDetector",
    "DivaReweighter",
    "DivaSampler",
    "JacobianFeaturizer",
    "KernelFeaturizer",
    "__version__",
    "augment",
    "replace_head",
]

_ESTIMATORS = ("DivaExtender", "DivaOutlierDetector", "DivaReweighter", "DivaSampler")
_FEATURES = ("JacobianFeaturizer", "KernelFeaturizer", "replace_head")
# Loaded on first use: `import skdiva` costs nothing, and only a fit pays for torch.
__getattr__, __dir__ = lazy_names(
    __name__,
    dict.fromkeys(_ESTIMATORS, "skdiva.estimators")
    | dict.fromkeys(_FEATURES, "skdiva.features")
    | {"augment": "skdiva.augmentation"},
)
