"""Features of torch networks: penultimate activations and Jacobians.

From the rows of X to batches on a device, to activations or per-sample gradients, scaled and
projected. Everything here needs torch; nothing here is an estimator.
"""

from skdiva.features.network._backbone import (
    SharedBackbone,
    build_module,
    draw_seed,
    floating_dtype,
    seeded,
)
from skdiva.features.network._cache import cached
from skdiva.features.network._extractor import Computation, Recipe
from skdiva.features.network._frozen import FrozenNetwork
from skdiva.features.network._heads import replace_head
from skdiva.features.network._module_state import store
from skdiva.features.network._projection import FoldedProjection
from skdiva.features.network._row_sources import is_stream, place_of, read_rows, record_columns
from skdiva.features.network.gradients import PerSampleGradients

__all__ = [
    "Computation",
    "FoldedProjection",
    "FrozenNetwork",
    "PerSampleGradients",
    "Recipe",
    "SharedBackbone",
    "build_module",
    "cached",
    "draw_seed",
    "floating_dtype",
    "is_stream",
    "place_of",
    "read_rows",
    "record_columns",
    "replace_head",
    "seeded",
    "store",
]
