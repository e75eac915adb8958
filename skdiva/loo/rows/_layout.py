"""Blocks of rows: their size within a memory budget, and the order in which they are visited.

Rows that are left out together (a group) are adjacent and always in the same block. Groups of equal
size are next to each other, so that a block is a stack of groups of one size. No other module
queries the free memory of a device.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from numbers import Integral
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

_CUDA_BLOCK_SHARE = 0.02  # share of the free memory
_LEAST_ROWS, _MOST_ROWS = 2**8, 2**16  # rows of a block; the upper limit is for CPUs only
_CPU_KEPT_BYTES = 2**29
_CUDA_KEPT_SHARE = 0.25  # share of the free memory
_ALWAYS_FREE = 2**27  # bytes for which the free memory is not asked for
_UNKNOWN = 4 * 2**30  # free bytes assumed if the system does not report them
# Parts of error messages of torch on Windows and Linux, and of CUDA libraries.
_OUT_OF_MEMORY = "not enough memory", "can't allocate memory", "ALLOC_FAILED"


@dataclass(frozen=True)
class Budget:
    """Memory limits for processing rows in blocks.

    Parameters
    ----------
    block_rows : int, default=None
        Number of rows processed at a time. If None, it is chosen from the number of columns and the
        device.
    block_elements : int, default=2**20
        Number of values in a block of rows on a CPU, if ``block_rows`` is None. With the default,
        4 MiB in single precision, elementwise operations on a block stay within the CPU caches.
    kept_bytes : int, default=None
        Maximum size of a result that is kept in memory. Larger results are recomputed every time
        they are needed. If None, 512 MiB on a CPU and a quarter of the free memory on a GPU.
    """

    block_rows: int | None = None
    block_elements: int = 2**20
    kept_bytes: int | None = None

    def __post_init__(self):
        for name, least, meaning in (
            ("block_rows", 1, "rows in a block"),
            ("block_elements", 1, "values in a block"),
            ("kept_bytes", 0, "bytes of a result that is kept in memory"),
        ):
            value, optional = getattr(self, name), name != "block_elements"
            if value is None and optional:
                continue
            # A bool is an Integral, too.
            if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
                raise ValueError(
                    f"{name} must be {'None or ' * optional}an int of at least {least}, got "
                    f"{value!r}. It is the number of {meaning}."
                )

    def rows(self, n_columns: int, device: torch.device, itemsize: int = 4) -> int:
        """Return the number of rows per block.

        Parameters
        ----------
        n_columns : int
            Number of values per row.
        device : torch.device
            Device on which the rows are processed.
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
        """Yield slices of rows for processing arrays with few columns, such as targets."""
        step = self.block_rows or _MOST_ROWS
        for start in range(0, n_rows, step):
            yield slice(start, min(start + step, n_rows))

    def keeps(self, n_bytes: int, device: torch.device) -> bool:
        """Return whether a result of ``n_bytes`` bytes is kept in memory, not recomputed."""
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
    with contextlib.suppress(OSError):  # Linux: file caches count as available memory
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 2**10
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not reported, or not a POSIX system
        return _UNKNOWN


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an exception was raised because any device ran out of memory."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(part in str(error) for part in _OUT_OF_MEMORY)


def check_weight(weight: Tensor, n_rows: int, name: str = "sample_weight") -> Tensor:
    """Return weights (n,) without a graph.

    Raises
    ------
    TypeError
        If they are no dense tensor of real numbers.
    ValueError
        If there is not one for every row, or if one is negative or not finite.
    """
    if not isinstance(weight, Tensor) or weight.layout != torch.strided or weight.is_complex():
        raise TypeError(
            f"Expected {name} as a dense tensor of shape ({n_rows},), got a "
            f"{type(weight).__name__}. Convert it with torch.as_tensor."
        )
    if weight.shape != (n_rows,) or weight.is_meta:
        raise ValueError(
            f"Expected one {name} for each of the {n_rows} rows, got shape {tuple(weight.shape)} "
            f"on {weight.device}. Pass a tensor of shape ({n_rows},)."
        )
    right = (weight >= 0) & (weight < torch.inf)
    if not right.all():
        row = int((~right).double().argmax())
        raise ValueError(
            f"Expected finite weights that are not negative as {name}, got {weight[row].item()} "
            f"in row {row}. Use 0 for rows that should not count."
        )
    return weight.detach()


def check_groups(groups: Tensor, n_rows: int) -> None:
    """Raise an error unless ``groups`` holds an int64 code that is not negative for every row."""
    if not isinstance(groups, Tensor) or groups.dtype != torch.int64:
        found = groups.dtype if isinstance(groups, Tensor) else type(groups).__name__
        raise TypeError(
            f"Expected groups as an int64 tensor of codes, got {found}. Number the groups, for "
            "example with torch.unique(groups, return_inverse=True)."
        )
    if groups.shape != (n_rows,) or (n_rows and int(groups.min()) < 0):
        raise ValueError(
            f"Expected one code that is not negative for each of the {n_rows} rows in groups, got "
            f"shape {tuple(groups.shape)}"
            + (f" and the code {int(groups.min())}" if groups.numel() else "")
            + ". Number the groups from zero."
        )


def require_memory(n_bytes: int, device: torch.device, what: str, remedy: str) -> None:
    """Raise an error if a computation needs more memory than is free on a device.

    Parameters
    ----------
    n_bytes : int
        Bytes that the computation holds at the same time.
    device : torch.device
    what : str
        Description of the matrices, for the message.
    remedy : str
        Sentence that says what to do.

    Raises
    ------
    MemoryError
        If the memory does not suffice. The message says how much is needed and how much is free.
    """
    # Asking the system takes longer than a small computation.
    if n_bytes < _ALWAYS_FREE or n_bytes <= (free := free_bytes(device)):
        return
    raise MemoryError(
        f"{what} need about {n_bytes / 2**30:.1f} GiB on {device}; {free / 2**30:.1f} GiB are "
        f"free. {remedy}"
    )


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
        """Reshape an array of the block's rows to (n_groups, group_size, ...)."""
        return array.reshape(-1, self.group_size, *array.shape[1:])


@dataclass(frozen=True)
class Layout:
    """Order in which rows are visited, and their blocks.

    Attributes
    ----------
    n_rows : int
    blocks : tuple of Block
        Blocks in order of increasing group size.
    order : int64 tensor of shape (n_rows,) or None
        Input positions in visiting order. None if the visiting order is the input order (no
        groups).
    """

    n_rows: int
    blocks: tuple[Block, ...]
    order: Tensor | None = None

    def arrange(self, row_array: Tensor) -> Tensor:
        """Rearrange an array from input order to visiting order."""
        return row_array if self.order is None else row_array[self.order]

    def restore(self, row_array: Tensor) -> Tensor:
        """Rearrange an array from visiting order to input order."""
        if self.order is None:
            return row_array
        out = torch.empty_like(row_array)
        out[self.order] = row_array
        return out

    def n_groups_with_weight(self, weight: Tensor) -> int:
        """Count the groups (or rows, if there are no groups) with positive weight.

        ``weight`` (n,) is in visiting order.
        """
        held = weight > 0
        if self.order is None:
            return int(held.sum())
        return sum(int(b.stack(held[b.rows]).any(dim=1).sum()) for b in self.blocks)

    def require_two_groups(self, weight: Tensor) -> None:
        """Raise a ValueError unless at least two rows (or groups) have positive weight."""
        n_groups = self.n_groups_with_weight(weight)
        if n_groups < 2:
            raise ValueError(
                "Leave-one-out needs positive weight in at least two rows (two groups, if groups "
                f"are given); got {n_groups}. Give weight to more rows, or use smaller groups."
            )

    @property
    def grouped(self) -> bool:
        """Whether some rows are left out together."""
        return self.blocks[-1].group_size > 1  # blocks are in order of increasing group size

    def group_sums(self, row_values: Tensor) -> Tensor:
        """Sum ``row_values`` (n,) over each row's own group, (n,)."""
        out = torch.empty_like(row_values)
        for block in self.blocks:
            grouped = block.stack(row_values[block.rows])
            out[block.rows] = grouped.sum(dim=1, keepdim=True).expand_as(grouped).reshape(-1)
        return out

    def unit_numbers(self, device: torch.device) -> Tensor:
        """Return the number of every row's group (or of the row, if there are no groups), (n,).

        Rows are in visiting order.
        """
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
        Group code of every row, starting at zero.

    Returns
    -------
    Layout
    """
    order, counts = None, [(1, n_rows)]
    if groups is not None:
        check_groups(groups, n_rows)
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
