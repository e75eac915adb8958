"""Features of torch networks: penultimate activations and Jacobians.

The modules lead from the rows of X to batches on a device, and from there to activations or
per-sample gradients, scaled and projected. `NetworkExtractor` runs the whole way; `replace_head`
prepares a network for it. Everything here needs torch, and nothing here is an estimator.
"""

from skdiva.features.network._backbone import build_module, draw_seed, floating_dtype
from skdiva.features.network._cache import cached
from skdiva.features.network._extractor import ExtractorConfig, NetworkExtractor
from skdiva.features.network._frozen import FrozenNetwork
from skdiva.features.network._heads import replace_head
from skdiva.features.network._module_state import restore_modules, store_modules
from skdiva.features.network._projection import FoldedProjection
from skdiva.features.network._row_sources import (
    NetworkRows,
    computing_device,
    read_rows,
    record_columns,
    result_device,
)
from skdiva.features.network.gradients import PerSampleGradients

__all__ = [
    "ExtractorConfig",
    "FoldedProjection",
    "FrozenNetwork",
    "NetworkExtractor",
    "NetworkRows",
    "PerSampleGradients",
    "build_module",
    "cached",
    "computing_device",
    "draw_seed",
    "floating_dtype",
    "read_rows",
    "record_columns",
    "replace_head",
    "restore_modules",
    "result_device",
    "store_modules",
]
