"""Functions for containers (NumPy, pandas, polars, SciPy sparse, torch) and conversion to tensors.

All code that depends on the kind of container, device or dtype is in this package. Arrays passed by
users are converted to tensors of one dtype on one device, and results are converted to NumPy
arrays. Importing the package loads neither torch nor pandas; the functions that create tensors are
loaded on first use.
"""

from typing import TYPE_CHECKING

from skdiva._lazy import lazy_names
from skdiva.arrays._append import append_rows
from skdiva.arrays._containers import (
    HostCopy,
    column_dtypes,
    column_names,
    in_memory,
    is_categorical,
    is_frame,
    is_missing,
    is_number,
    is_row_source,
    is_tensor,
    refuse_mixed_devices,
    refuse_unread_rows,
    row_index,
    take_rows,
    to_host,
    without_graph,
    without_mask,
)
from skdiva.arrays._frames import (
    category_texts,
    column_at,
    columns_by_kind,
    count_non_finite,
    frame_numbers,
    has_categories,
    read_numbers,
    read_positions,
    read_texts,
    refuse_non_finite,
    with_unique_names,
)
from skdiva.arrays._outputs import read_output
from skdiva.arrays._row_index import restore_index
from skdiva.arrays._row_sources import check_source, read_source
from skdiva.arrays._sparse import check_sparse
from skdiva.arrays._weights import mean_one, one_per_row, read_weight

if TYPE_CHECKING:
    from skdiva.arrays._compute import Compute, all_finite, choose_device, choose_dtype, to_tensor
    from skdiva.arrays._converted_rows import ConvertedRows, SparseRows

__all__ = [
    "Compute",
    "ConvertedRows",
    "HostCopy",
    "SparseRows",
    "all_finite",
    "append_rows",
    "category_texts",
    "check_source",
    "check_sparse",
    "choose_device",
    "choose_dtype",
    "column_at",
    "column_dtypes",
    "column_names",
    "columns_by_kind",
    "count_non_finite",
    "frame_numbers",
    "has_categories",
    "in_memory",
    "is_categorical",
    "is_frame",
    "is_missing",
    "is_number",
    "is_row_source",
    "is_tensor",
    "mean_one",
    "one_per_row",
    "read_numbers",
    "read_output",
    "read_positions",
    "read_source",
    "read_texts",
    "read_weight",
    "refuse_mixed_devices",
    "refuse_non_finite",
    "refuse_unread_rows",
    "restore_index",
    "row_index",
    "take_rows",
    "to_host",
    "to_tensor",
    "with_unique_names",
    "without_graph",
    "without_mask",
]

_TORCH = ("Compute", "all_finite", "choose_device", "choose_dtype", "to_tensor")
_LAZY = dict.fromkeys(_TORCH, "skdiva.arrays._compute")
_LAZY |= dict.fromkeys(("ConvertedRows", "SparseRows"), "skdiva.arrays._converted_rows")
__getattr__, __dir__ = lazy_names(__name__, _LAZY)
