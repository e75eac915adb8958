"""Data sets with known wrong labels, for evaluating methods that look for such labels.

Functions that add label noise, split data into a core and a pool or into sites, and load a second
modality of the handwritten digits. Importing this package loads neither torch nor matplotlib.
"""

from skdiva.datasets._annotators import annotate
from skdiva.datasets._label_noise import flip_labels
from skdiva.datasets._pool import split_core_pool
from skdiva.datasets._sites import shift_sites, split_into_sites
from skdiva.datasets._typed_digits import load_typed_digits

__all__ = [
    "annotate",
    "flip_labels",
    "load_typed_digits",
    "shift_sites",
    "split_core_pool",
    "split_into_sites",
]
