"""Blocks of the rows of a pool and their targets."""

from collections.abc import Iterator

from torch import Tensor

from skdiva.loo._targets import Targets
from skdiva.loo.rows import Budget, RowSource, as_row_source, read_rows


class PoolBlocks:
    """Features and targets of a pool, read in blocks.

    Parameters
    ----------
    features : tensor of shape (n_pool, p) or RowSource
        Features, read once in every pass over the pool. A row source may compute them on demand.
    targets : Targets
    budget : Budget
        Memory limits, which determine the number of rows per block.

    Raises
    ------
    ValueError
        If the numbers of targets and rows differ.
    """

    def __init__(self, features: Tensor | RowSource, targets: Targets, budget: Budget):
        self.rows, self.targets = as_row_source(features), targets
        self.n_rows = self.rows.n_rows
        if targets.n_rows != self.n_rows:
            raise ValueError(
                f"Expected one target for each of the {self.n_rows} rows of the pool, got "
                f"{targets.n_rows}. Pass features and targets of the same rows."
            )
        targets.check()
        dtype = self.rows.dtype
        self._step = budget.rows(self.rows.n_columns, self.rows.device, dtype.itemsize)

    def __iter__(self) -> Iterator[tuple[slice, Tensor, Targets]]:
        """Yield slices of rows, with their features and targets."""
        for start in range(0, self.n_rows, self._step):
            rows = slice(start, min(start + self._step, self.n_rows))
            yield rows, read_rows(self.rows, rows), self.targets.select(rows)

    def select(self, rows: Tensor) -> tuple[Tensor, Targets]:
        """Return features and targets of the rows at int64 positions."""
        return read_rows(self.rows, rows), self.targets.select(rows)
