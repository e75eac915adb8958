"""Features of torch networks: penultimate activations and Jacobians.

The rows of X are read in batches on a device. Activations or per-sample gradients are computed for
each batch, scaled and projected. `NetworkExtractor` performs all of these steps, and `replace_head`
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
