"""Rows of features, visited in blocks: the two verbs ``map`` and ``reduce``.

Everything a primal factorisation does to the data is either a sum over rows (``reduce``) or one
result per row (``map``). Whoever offers these two verbs can be factorised, whatever holds the rows.
Rows left out together (a group) are never split between blocks.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch

_CPU_BLOCK_ELEMENTS = 2**20  # 4 MiB in float32: elementwise work on a block stays in the caches
_CUDA_MEMORY_SHARE = 0.02
_KEEP_BYTES = 2**29  # transformed rows up to this size are kept on a CPU
_KEEP_SHARE = 0.25  # of the free memory, on a GPU


class Block(NamedTuple):
    """Rows ``start:stop``, in groups of ``group_size`` consecutive rows."""

    start: int
    stop: int
    group_size: int

    @property
    def rows(self):
        """The rows as a slice."""
        return slice(self.start, self.stop)


@dataclass(frozen=True)
class Layout:
    """The order in which rows are visited: groups contiguous, groups of one size side by side.

    ``order`` is None when rows stay where they are (no groups).
    """

    n_rows: int
    blocks: tuple
    order: torch.Tensor | None = None

    def arrange(self, row_array):
        """Bring an array from input order into visiting order."""
        return row_array if self.order is None else row_array[self.order]

    def restore(self, row_array):
        """Bring an array from visiting order back into input order."""
        if self.order is None:
            return row_array
        out = torch.empty_like(row_array)
        out[self.order] = row_array
        return out


def make_layout(n_rows, batch_size, groups=None):
    """Cut rows into blocks of about ``batch_size``; ``groups`` are int64 codes (n,) or None."""
    if groups is None:
        return Layout(n_rows, tuple(_cut(0, n_rows, 1, batch_size)))
    sizes = torch.bincount(groups)
    # Stable sorts: by group, then by the size of the group.
    by_group = torch.argsort(groups, stable=True)
    order = by_group[torch.argsort(sizes[groups[by_group]], stable=True)]
    blocks, start = [], 0
    for size, count in zip(*torch.unique(sizes[sizes > 0], return_counts=True), strict=True):
        stop = start + int(size) * int(count)
        blocks.extend(_cut(start, stop, int(size), batch_size))
        start = stop
    return Layout(n_rows, tuple(blocks), order)


def _cut(start, stop, group_size, batch_size):
    step = max(batch_size // group_size, 1) * group_size
    for first in range(start, stop, step):
        yield Block(first, min(first + step, stop), group_size)


def default_batch_size(n_columns, device, itemsize):
    """Rows per block: near the caches on a CPU, a small share of the free memory on a GPU."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return max(int(free * _CUDA_MEMORY_SHARE) // (n_columns * itemsize), 256)
    return min(max(_CPU_BLOCK_ELEMENTS // max(n_columns, 1), 256), 2**16)


class TensorRows:
    """Rows of one tensor in memory, optionally passed through a row-wise function on every visit.

    Parameters
    ----------
    features : tensor of shape (n, p), in input order
    layout : Layout
    dtype : torch.dtype
        What a visit hands over.
    function : callable or None
        Row-wise map from an (m, p) block to an (m, n_columns) block.
    n_columns : int or None
        Columns after ``function``.
    """

    def __init__(self, features, layout, dtype=None, function=None, n_columns=None):
        self.features = features
        self.layout = layout
        self.dtype = features.dtype if dtype is None else dtype
        self.device = features.device
        self.n_rows = layout.n_rows
        self.n_columns = features.shape[1] if n_columns is None else n_columns
        self._function = function
        self._replaced = None

    @property
    def kept(self):
        """Whether a visit hands over the stored rows themselves."""
        return self._function is None and self.features.dtype == self.dtype

    def __getitem__(self, block):
        rows = self._visit(block.rows)
        if self._replaced is not None:
            positions, values = self._replaced
            inside = (positions >= block.start) & (positions < block.stop)
            rows[positions[inside] - block.start] = values[inside]
        return rows

    def select(self, positions):
        """Return the rows at ``positions``, an int64 tensor (visiting order)."""
        rows = self._visit(positions)
        if self._replaced is not None:
            here, there = torch.nonzero(positions[:, None] == self._replaced[0], as_tuple=True)
            rows[here] = self._replaced[1][there]
        return rows

    def _visit(self, rows):
        order = self.layout.order
        features = self.features[rows if order is None else order[rows]].to(self.dtype)
        return features if self._function is None else self._function(features)

    def replace(self, positions, values):
        """Hand over ``values`` (m, n_columns) for the rows at ``positions`` from now on."""
        if self._function is None:
            self.features[positions] = values
        elif len(positions):
            self._replaced = positions, values

    def reduce(self, function, *row_arrays):
        """Fold ``function(total, block, rows, *arrays)`` over the blocks.

        ``total`` is None at the first block and what the function returned at later ones. The
        result must be a tuple of sums, so that parts of the rows may be folded apart and added.
        """
        total = None
        for block in self.layout.blocks:
            arrays = (array[block.rows] for array in row_arrays)
            total = function(total, block, self[block], *arrays)
        return total

    def map(self, function, *row_arrays):
        """Collect ``function(block, rows, *arrays)``, a tuple of one array per row each."""
        outputs = None
        for block in self.layout.blocks:
            part = function(block, self[block], *(array[block.rows] for array in row_arrays))
            if outputs is None:
                outputs = tuple(q.new_empty((self.n_rows, *q.shape[1:])) for q in part)
            for output, q in zip(outputs, part, strict=True):
                output[block.rows] = q
        return outputs

    def transform(self, function, n_columns):
        """Rows that ``function(rows, out)`` writes: once if they fit, else anew on every visit."""

        def visit(features):
            out = features.new_empty((features.shape[0], n_columns))
            function(features, out)
            return out

        if not self._fits(n_columns):
            return TensorRows(self.features, self.layout, self.dtype, visit, n_columns)
        kept = self.features.new_empty((self.n_rows, n_columns), dtype=self.dtype)
        for block in self.layout.blocks:
            function(self[block], kept[block.rows])
        return TensorRows(kept, Layout(self.n_rows, self.layout.blocks))

    def _fits(self, n_columns):
        size = self.n_rows * n_columns * torch.finfo(self.dtype).bits // 8
        if self.device.type == "cuda":
            return size <= _KEEP_SHARE * torch.cuda.mem_get_info(self.device)[0]
        return size <= _KEEP_BYTES
