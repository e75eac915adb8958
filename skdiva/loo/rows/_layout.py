"""Blocks of rows: their size, within a memory budget, and the order in which they are visited.

Rows that are left out together (a group) are neighbors and never split between blocks, and groups
of one size are side by side, so that a block is a stack of groups. The only file that asks a device
how much memory is free.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

_CUDA_BLOCK_SHARE = 0.02  # of the free memory
_LEAST_ROWS, _MOST_ROWS = 2**8, 2**16  # of a block on a CPU
_CPU_KEPT_BYTES = 2**29
_CUDA_KEPT_SHARE = 0.25  # of the free memory
_UNKNOWN = 4 * 2**30  # assumed where the system does not say
# Messages of torch on Windows and Linux, and of the libraries that it calls on CUDA.
_OUT_OF_MEMORY = "not enough memory", "can't allocate memory", "ALLOC_FAILED"


@dataclass(frozen=True)
class Budget:
    """Memory that the passes over the rows may use.

    Parameters
    ----------
    block_rows : int, default=None
        Number of rows worked on at a time. None: chosen from the width of the rows and the device.
    block_elements : int, default=2**20
        Number of values in a block of rows on a CPU, if ``block_rows`` is None. The default, 4 MiB
        in single precision, keeps elementwise work on a block in the caches.
    kept_bytes : int, default=None
        Largest size of a result that is kept for the next visit; larger ones are computed again.
        None: 512 MiB on a CPU, a quarter of the free memory on a GPU.
    """

    block_rows: int | None = None
    block_elements: int = 2**20
    kept_bytes: int | None = None

    def rows(self, n_columns: int, device: torch.device, itemsize: int = 4) -> int:
        """Return the number of rows per block.

        Parameters
        ----------
        n_columns : int
            Number of values per row.
        device : torch.device
            Where the rows are worked on.
        itemsize : int, default=4
            Bytes per value.

        Returns
        -------
        int
        """
        if self.block_rows is not None:
            return self.block_rows
        if device.type == "cuda":
            share = int(free_bytes(device) * _CUDA_BLOCK_SHARE)
            return max(share // (max(n_columns, 1) * itemsize), _LEAST_ROWS)
        return min(max(self.block_elements // max(n_columns, 1), _LEAST_ROWS), _MOST_ROWS)

    def slices(self, n_rows: int) -> Iterator[slice]:
        """Yield slices of rows for passes over arrays with a few columns, such as targets."""
        step = self.block_rows or _MOST_ROWS
        for start in range(0, n_rows, step):
            yield slice(start, min(start + step, n_rows))

    def keeps(self, n_bytes: int, device: torch.device) -> bool:
        """Return whether a result of a size is kept rather than computed again."""
        if self.kept_bytes is not None:
            return n_bytes <= self.kept_bytes
        if device.type == "cuda":
            return n_bytes <= _CUDA_KEPT_SHARE * free_bytes(device)
        return n_bytes <= _CPU_KEPT_BYTES


def free_bytes(device: torch.device) -> int:
    """Return the number of bytes that are free on a device.

    Parameters
    ----------
    device : torch.device

    Returns
    -------
    int
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    with contextlib.suppress(OSError):  # on Linux: memory that caches of files hold is free as well
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 2**10
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not a POSIX system, or it does not say
        return _UNKNOWN


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an exception says that there was not enough memory, on any device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(part in str(error) for part in _OUT_OF_MEMORY)


class Block(NamedTuple):
    """Rows ``start:stop`` in visiting order, in groups of ``group_size`` consecutive rows."""

    start: int
    stop: int
    group_size: int

    @property
    def rows(self) -> slice:
        """The rows as a slice."""
        return slice(self.start, self.stop)

    def stack(self, array: Tensor) -> Tensor:
        """View rows of the block as a stack over its groups, (n_groups, group_size, ...)."""
        return array.reshape(-1, self.group_size, *array.shape[1:])


@dataclass(frozen=True)
class Layout:
    """Order in which rows are visited, and their blocks.

    Attributes
    ----------
    n_rows : int
    blocks : tuple of Block
        In the order of their group sizes.
    order : int64 tensor of shape (n_rows,) or None
        Input positions in visiting order. None: rows stay where they are (no groups).
    """

    n_rows: int
    blocks: tuple[Block, ...]
    order: Tensor | None = None

    def arrange(self, row_array: Tensor) -> Tensor:
        """Bring an array from input order into visiting order."""
        return row_array if self.order is None else row_array[self.order]

    def restore(self, row_array: Tensor) -> Tensor:
        """Bring an array from visiting order back into input order."""
        if self.order is None:
            return row_array
        out = torch.empty_like(row_array)
        out[self.order] = row_array
        return out

    def n_groups_with_weight(self, weight: Tensor) -> int:
        """Count the groups (rows, without groups) that have positive weight, (n,) as visited."""
        held = weight > 0
        if self.order is None:
            return int(held.sum())
        return sum(int(b.stack(held[b.rows]).any(dim=1).sum()) for b in self.blocks)

    def require_two_groups(self, weight: Tensor) -> None:
        """Raise ValueError unless something is left when a row or group is left out."""
        n_groups = self.n_groups_with_weight(weight)
        if n_groups < 2:
            raise ValueError(
                "Leave-one-out needs positive weight in at least two rows (two groups, if groups "
                f"are given); got {n_groups}. Give weight to more rows, or use smaller groups."
            )

    @property
    def grouped(self) -> bool:
        """Whether some rows are left out together."""
        return self.blocks[-1].group_size > 1  # they are in the order of their size

    def group_sums(self, row_values: Tensor) -> Tensor:
        """Sum ``row_values`` (n,) over each row's own group, (n,)."""
        out = torch.empty_like(row_values)
        for block in self.blocks:
            grouped = block.stack(row_values[block.rows])
            out[block.rows] = grouped.sum(dim=1, keepdim=True).expand_as(grouped).reshape(-1)
        return out

    def unit_numbers(self, device: torch.device) -> Tensor:
        """Number the groups (rows, without groups): the number of every row's, (n,) as visited."""
        units, start = [], 0
        for block in self.blocks:
            n_units = (block.stop - block.start) // block.group_size
            numbers = torch.arange(start, start + n_units, device=device)
            units.append(numbers.repeat_interleave(block.group_size))
            start += n_units
        return torch.cat(units)


def make_layout(n_rows: int, block_rows: int, groups: Tensor | None = None) -> Layout:
    """Divide rows into blocks of about ``block_rows`` rows.

    Parameters
    ----------
    n_rows : int
    block_rows : int
    groups : int64 tensor of shape (n_rows,), default=None
        Group of every row, codes from zero.

    Returns
    -------
    Layout
    """
    order, counts = None, [(1, n_rows)]
    if groups is not None:
        sizes = torch.bincount(groups)
        # Stable sorts: by group, then by the size of the group.
        by_group = torch.argsort(groups, stable=True)
        order = by_group[torch.argsort(sizes[groups[by_group]], stable=True)]
        found = torch.unique(sizes[sizes > 0], return_counts=True)
        counts = list(zip(found[0].tolist(), found[1].tolist(), strict=True))
    blocks: list[Block] = []
    start = 0
    for size, count in counts:
        stop = start + size * count
        step = max(block_rows // size, 1) * size
        firsts = range(start, stop, step)
        blocks += map(Block, firsts, (*firsts[1:], stop), repeat(size))
        start = stop
    return Layout(n_rows, tuple(blocks), order)
