"""Row sources, and visits of their rows block by block.

A `RowSource` is the protocol for rows of features. Everything that a primal factorization does to
them is either a sum over rows (`RowBlocks.reduce`) or one result per row (`RowBlocks.map`).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from operator import itemgetter

import torch
from torch import Tensor

from skdiva.loo.rows._layout import Budget, Layout

Rows = slice | Tensor


class RowSource(ABC):
    """Rows of features that can be read, any number of times.

    Everything that a ridge problem does to its features is built on `read`. A subclass sets the
    four attributes (by calling ``super().__init__``) and defines `read`; whether the rows are in
    memory, in a file or computed is its own business.

    Parameters
    ----------
    n_rows, n_columns : int
        Shape of the features.
    dtype : torch.dtype
        Floating dtype of the rows. Problems compute in it, unless it falls short.
    device : torch.device or str, default="cpu"
        Where the rows are.
    """

    def __init__(
        self,
        n_rows: int,
        n_columns: int,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ):
        self.n_rows, self.n_columns = n_rows, n_columns
        self.dtype, self.device = dtype, torch.device(device)

    @abstractmethod
    def read(self, rows: slice | Tensor) -> Tensor:
        """Return some rows.

        Parameters
        ----------
        rows : slice or int64 tensor of shape (m,)
            Positions in input order. A slice has a start and a stop, and no step.

        Returns
        -------
        tensor of shape (m, n_columns)
            Of the source's dtype and device. It is not written to.
        """


class InMemoryRows(RowSource):
    """Rows of a tensor.

    Parameters
    ----------
    features : tensor of shape (n_rows, n_columns)
    """

    def __init__(self, features: Tensor):
        n_rows, n_columns = features.shape
        super().__init__(n_rows, n_columns, features.dtype, features.device)
        self.features = features

    def read(self, rows: slice | Tensor) -> Tensor:
        """Return the rows at a slice or at positions, (m, n_columns)."""
        return self.features[rows]


def as_row_source(features: Tensor | RowSource) -> RowSource:
    """Return a row source as it is, and a tensor (n, p) as a row source.

    Raises
    ------
    TypeError
        If ``features`` is neither a floating tensor of two dimensions nor a row source.
    """
    if isinstance(features, RowSource):
        if features.dtype.is_floating_point:
            return features
        found = f"a {type(features).__name__} of dtype {features.dtype}"
    elif not isinstance(features, Tensor):
        found = type(features).__name__
    elif features.ndim == 2 and features.is_floating_point():
        return InMemoryRows(features)
    else:
        found = f"a tensor of shape {tuple(features.shape)} and dtype {features.dtype}"
    raise TypeError(
        "Expected features as a floating tensor of shape (n, p) or as a RowSource of floating "
        f"rows; got {found}. Convert them, or write a subclass of skdiva.loo.RowSource."
    )


class RowBlocks(ABC):
    """Rows in visiting order.

    Attributes
    ----------
    layout : Layout
    budget : Budget
    n_rows, n_columns : int
    dtype : torch.dtype
        Of the rows that a visit hands over.
    device : torch.device
    kept : bool
        Whether a visit hands over memory of its own, which may be written to and is handed over
        again at the next visit.
    """

    kept = False

    def __init__(
        self,
        layout: Layout,
        budget: Budget,
        n_columns: int,
        dtype: torch.dtype,
        device: torch.device,
    ):
        self.layout, self.budget = layout, budget
        self.n_rows, self.n_columns = layout.n_rows, n_columns
        self.dtype, self.device = dtype, device

    @abstractmethod
    def read(self, rows: Rows) -> Tensor:
        """Return the rows (m, n_columns) at a slice, or at positions, of the visiting order."""

    def reduce(self, function: Callable, *row_arrays: Tensor) -> tuple[Tensor, ...]:
        """Fold ``function(total, block, rows, *arrays)`` over the blocks.

        ``total`` is None at the first block and what the function returned at later ones. The
        result must be a tuple of sums, so that parts of the rows may be folded apart and added.
        """
        total = None
        for block in self.layout.blocks:
            arrays = map(itemgetter(block.rows), row_arrays)
            total = function(total, block, self.read(block.rows), *arrays)
        assert total is not None, "there are no rows"
        return total

    def map(self, function: Callable, *row_arrays: Tensor) -> list[Tensor]:
        """Collect ``function(block, rows, *arrays)``, a tuple of one array per row each."""
        outputs: list[Tensor] = []
        for block in self.layout.blocks:
            arrays = map(itemgetter(block.rows), row_arrays)
            part = function(block, self.read(block.rows), *arrays)
            for number, q in enumerate(part):
                if number == len(outputs):
                    outputs.append(q.new_empty((self.n_rows, *q.shape[1:])))
                outputs[number][block.rows] = q
        return outputs

    def transform(self, function: Callable, n_columns: int) -> "TransformedBlocks":
        """Return the rows that ``function(rows, out)`` writes, row by row.

        They are computed once and kept if the budget allows it, otherwise anew on every visit.
        """
        size = self.n_rows * n_columns * self.dtype.itemsize
        if not self.budget.keeps(size, self.device):
            return _ComputedBlocks(self, function, n_columns)
        kept = torch.empty((self.n_rows, n_columns), dtype=self.dtype, device=self.device)
        for block in self.layout.blocks:
            function(self.read(block.rows), kept[block.rows])
        return _KeptBlocks(kept, self.layout, self.budget)


class SourceBlocks(RowBlocks):
    """Rows of a source, brought into visiting order and into a dtype.

    Parameters
    ----------
    source : RowSource
    layout : Layout
    dtype : torch.dtype, default=None
        None: that of the source.
    budget : Budget, default=Budget()
    """

    def __init__(
        self,
        source: RowSource,
        layout: Layout,
        dtype: torch.dtype | None = None,
        budget: Budget = Budget(),  # noqa: B008 - it is frozen
    ):
        super().__init__(layout, budget, source.n_columns, dtype or source.dtype, source.device)
        self.source = source

    def read(self, rows: Rows) -> Tensor:
        """Return the rows (m, n_columns) at a slice, or at positions, of the visiting order.

        Raises
        ------
        ValueError
            If the source returns something else than the rows that it was asked for.
        """
        order = self.layout.order
        part = self.source.read(rows if order is None else order[rows])
        n_rows = rows.stop - rows.start if isinstance(rows, slice) else len(rows)
        if part.shape != (n_rows, self.n_columns):
            raise ValueError(
                f"{type(self.source).__name__}.read must return rows of shape "
                f"{(n_rows, self.n_columns)}, got shape {tuple(part.shape)}. Check its n_rows and "
                "n_columns, and return one row for every position."
            )
        return part.to(self.dtype)


class TransformedBlocks(RowBlocks):
    """Rows that a function has computed of other rows; some may be replaced afterwards."""

    @abstractmethod
    def replace(self, positions: Tensor, values: Tensor) -> None:
        """Hand over ``values`` (m, n_columns) for the rows at ``positions`` from now on."""


class _KeptBlocks(TransformedBlocks):
    """Rows of a matrix in visiting order that was made here."""

    kept = True

    def __init__(self, matrix: Tensor, layout: Layout, budget: Budget):
        super().__init__(layout, budget, matrix.shape[1], matrix.dtype, matrix.device)
        self._matrix = matrix

    def read(self, rows: Rows) -> Tensor:
        return self._matrix[rows]

    def replace(self, positions: Tensor, values: Tensor) -> None:
        self._matrix[positions] = values


class _ComputedBlocks(TransformedBlocks):
    """Rows that a function computes of other rows on every visit."""

    def __init__(self, rows: RowBlocks, function: Callable, n_columns: int):
        super().__init__(rows.layout, rows.budget, n_columns, rows.dtype, rows.device)
        self._rows, self._function = rows, function
        self._replaced: tuple[Tensor, Tensor] | None = None

    def read(self, rows: Rows) -> Tensor:
        features = self._rows.read(rows)
        out = features.new_empty((len(features), self.n_columns))
        self._function(features, out)
        if self._replaced is not None:
            positions, values = self._replaced
            if isinstance(rows, slice):
                rows = torch.arange(rows.start, rows.stop, device=self.device)
            here, there = torch.nonzero(rows[:, None] == positions, as_tuple=True)
            out[here] = values[there]
        return out

    def replace(self, positions: Tensor, values: Tensor) -> None:
        self._replaced = positions, values
