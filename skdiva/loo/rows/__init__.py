"""Rows of features, visited in blocks, and the memory that the visits may use.

A `RowSource` hands over rows in input order; `RowBlocks` visits them in the order of a `Layout`, in
which rows that are left out together are neighbors, and reduces or maps what it reads. A `Budget`
says how many rows make a block and which results are kept rather than computed again. Nothing here
knows of ridge models.
"""

from skdiva.loo.rows._layout import (
    Block,
    Budget,
    Layout,
    free_bytes,
    is_out_of_memory,
    make_layout,
)
from skdiva.loo.rows._source import (
    InMemoryRows,
    RowBlocks,
    RowSource,
    SourceBlocks,
    as_row_source,
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
    "free_bytes",
    "is_out_of_memory",
    "make_layout",
]
