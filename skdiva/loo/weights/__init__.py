"""Algorithms that set the sample weights from leave-one-out results.

`curate` reduces the weights of rows whose labels are likely to be wrong, `descend` takes gradient
steps along the dataset derivative, and `learn_weights` does both, one after the other.
`descend_with_early_stopping` takes as many steps as improve held-out predictions, and
`descend_by_source` learns one weight per source.
"""

from skdiva.loo.weights._curation import (
    CLASS_FLOOR,
    Curation,
    SourceMeans,
    curate,
    keep_classes,
)
from skdiva.loo.weights._descent import LARGEST_RELATIVE_WEIGHT, Descent, descend
from skdiva.loo.weights._early_stopping import descend_with_early_stopping
from skdiva.loo.weights._learning import learn_weights
from skdiva.loo.weights._sources import descend_by_source

__all__ = [
    "CLASS_FLOOR",
    "LARGEST_RELATIVE_WEIGHT",
    "Curation",
    "Descent",
    "SourceMeans",
    "curate",
    "descend",
    "descend_by_source",
    "descend_with_early_stopping",
    "keep_classes",
    "learn_weights",
]
