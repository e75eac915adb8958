"""Rows of features, processed in blocks within a memory budget.

A `RowSource` provides rows in input order. `RowBlocks` visits them in the order of a `Layout`, in
which rows that are left out together are adjacent, and applies functions to them block by block. A
`Budget` sets the number of rows per block, and decides which results are kept in memory rather than
recomputed. Nothing in this package depends on ridge models.
"""

from skdiva.loo.rows._layout import (
    Block,
    Budget,
    Layout,
    check_weight,
    free_bytes,
    is_out_of_memory,
    make_layout,
    require_memory,
)
from skdiva.loo.rows._source import (
    InMemoryRows,
    RowBlocks,
    RowSource,
    SourceBlocks,
    as_row_source,
    read_all,
    read_rows,
    require_finite,
)

__all__ = [
    "Block",
    "Budget",
    "InMemoryRows",
    "Layout",
    "RowBlocks",
    "RowSource",
    "SourceBlocks",
    "as_row_source",
    "check_weight",
    "free_bytes",
    "is_out_of_memory",
    "make_layout",
    "read_all",
    "read_rows",
    "require_finite",
    "require_memory",
]
