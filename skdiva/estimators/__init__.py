"""Estimators with the interface of scikit-learn, on top of the leave-one-out core.

`DivaOutlierDetector` scores labels, `DivaReweighter` learns sample weights, `DivaExtender` selects
rows of a pool, and `DivaSampler` drops rows. They validate the arguments of `fit`, compute
features, call the core and store the results as NumPy arrays. The formulas are in `skdiva.loo`.
Importing the package does not load torch.
"""

from typing import TYPE_CHECKING

from skdiva._lazy import lazy_names
from skdiva.estimators._extender import DivaExtender
from skdiva.estimators._outlier_detector import DivaOutlierDetector
from skdiva.estimators._reweighter import DivaReweighter
from skdiva.estimators._sampler import DivaSampler

if TYPE_CHECKING:
    from skdiva.estimators._pool_rows import loss_paths

__all__ = ["DivaExtender", "DivaOutlierDetector", "DivaReweighter", "DivaSampler", "loss_paths"]

__getattr__, __dir__ = lazy_names(__name__, {"loss_paths": "skdiva.estimators._pool_rows"})
