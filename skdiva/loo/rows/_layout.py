"""Layout of the rows: blocks, and the order in which they are visited.

Rows that are left out together (a group) are neighbors and never split between blocks, and groups
of one size are side by side, so that a block is a stack of groups.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


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
    if groups is None:
        return Layout(n_rows, tuple(_divide(0, n_rows, 1, block_rows)))
    sizes = torch.bincount(groups)
    # Stable sorts: by group, then by the size of the group.
    by_group = torch.argsort(groups, stable=True)
    order = by_group[torch.argsort(sizes[groups[by_group]], stable=True)]
    blocks: list[Block] = []
    start = 0
    for size, count in zip(*torch.unique(sizes[sizes > 0], return_counts=True), strict=True):
        stop = start + int(size) * int(count)
        blocks.extend(_divide(start, stop, int(size), block_rows))
        start = stop
    return Layout(n_rows, tuple(blocks), order)


def _divide(start: int, stop: int, group_size: int, block_rows: int) -> Iterator[Block]:
    step = max(block_rows // group_size, 1) * group_size
    for first in range(start, stop, step):
        yield Block(first, min(first + step, stop), group_size)
