"""Row sources, and iteration over their rows in blocks.

A `RowSource` is the interface to rows of features. Every operation of a primal factorization on
these rows is either a sum over rows (`RowBlocks.reduce`) or has one result per row
(`RowBlocks.map`).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from operator import itemgetter
from typing import Any, NoReturn

import torch
from torch import Tensor

from skdiva.loo.rows._layout import Budget, Layout, require_memory

Rows = slice | Tensor


class RowSource(ABC):
    """Abstract source of rows of features, which can be read any number of times.

    Ridge problems access their features only through `read`. A subclass sets the four attributes by
    calling ``super().__init__``, and defines `read`. The rows may be in memory, in a file, or
    computed on demand.

    Parameters
    ----------
    n_rows, n_columns : int
        Shape of the features.
    dtype : torch.dtype
        Floating dtype of the rows. Problems compute in this dtype, or in float64 if it is not
        precise enough.
    device : torch.device or str, default="cpu"
        Device of the rows.
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

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and columns."""
        return self.n_rows, self.n_columns

    def __len__(self) -> int:
        return self.n_rows

    def __getitem__(self, rows: Any) -> NoReturn:
        raise self._not_an_array()

    def __array__(self, dtype: Any = None, copy: Any = None) -> NoReturn:
        raise self._not_an_array()

    def _not_an_array(self) -> TypeError:
        return TypeError(
            f"Expected rows in memory, got a {type(self).__name__}, which can be neither split nor "
            f"converted to an array. Pass source.read(slice(0, {self.n_rows}))."
        )

    @abstractmethod
    def read(self, rows: slice | Tensor) -> Tensor:
        """Return some rows.

        Parameters
        ----------
        rows : slice or int64 tensor of shape (m,), m > 0
            Positions in input order. A slice has a start and a stop, and no step.

        Returns
        -------
        tensor of shape (m, n_columns)
            Rows in the dtype and on the device of the source. Callers do not modify them.
        """


class InMemoryRows(RowSource):
    """Row source that reads from a tensor.

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


def read_rows(source: RowSource, rows: Rows) -> Tensor:
    """Read some rows of a source, and check them.

    Parameters
    ----------
    source : RowSource
    rows : slice or int64 tensor of shape (m,), m > 0

    Returns
    -------
    tensor of shape (m, n_columns)

    Raises
    ------
    ValueError
        If the result is not a tensor of this shape, in the dtype and on the device of the source.
    """
    part = source.read(rows)
    n_rows = rows.stop - rows.start if isinstance(rows, slice) else len(rows)
    wanted = (n_rows, source.n_columns), source.dtype, source.device.type
    found = None
    if isinstance(part, Tensor):
        found = tuple(part.shape), part.dtype, part.device.type
    if found != wanted:
        raise ValueError(
            f"{type(source).__name__}.read must return a tensor of shape, dtype and device "
            f"{wanted}, got {type(part).__name__ if found is None else found}. Return one row for "
            "every position, and check the attributes that the source was created with."
        )
    return part


def read_all(source: RowSource) -> Tensor:
    """Read all rows of a source in blocks, and check them.

    Parameters
    ----------
    source : RowSource

    Returns
    -------
    tensor of shape (n_rows, n_columns)
        On the CPU.

    Raises
    ------
    ValueError
        See `read_rows`.
    """
    require_memory(
        source.n_rows * source.n_columns * source.dtype.itemsize,
        torch.device("cpu"),
        f"All {source.n_rows} rows of a {type(source).__name__} with {source.n_columns} columns",
        "Pass fewer rows, or an estimator that reads the source in blocks (DivaReweighter or "
        "DivaOutlierDetector with featurizer=None and at least as many rows as columns).",
    )
    features = torch.empty(source.shape, dtype=source.dtype)
    size = Budget().rows(source.n_columns, source.device, source.dtype.itemsize)
    for start in range(0, source.n_rows, size):
        rows = slice(start, min(start + size, source.n_rows))
        features[rows] = read_rows(source, rows)
    return features


def as_row_source(features: Tensor | RowSource) -> RowSource:
    """Convert a tensor (n, p) to a row source; a row source is returned unchanged.

    Raises
    ------
    TypeError
        If ``features`` is neither a dense two-dimensional floating tensor nor a row source.
    ValueError
        If an entry of a tensor is not finite.
    """
    if isinstance(features, RowSource):
        if features.dtype.is_floating_point:
            return features
        found = f"a {type(features).__name__} of dtype {features.dtype}"
    elif not isinstance(features, Tensor):
        found = type(features).__name__
    elif (
        features.ndim == 2
        and features.is_floating_point()
        and features.layout == torch.strided
        and not features.is_meta
    ):
        require_finite(features, "features")
        return InMemoryRows(features.detach() if features.requires_grad else features)
    else:
        found = (
            f"a tensor of shape {tuple(features.shape)} and dtype {features.dtype}, "
            f"{features.layout} on {features.device}"
        )
    raise TypeError(
        "Expected features as a floating tensor of shape (n, p) or as a RowSource of floating "
        f"rows; got {found}. Convert them, or write a subclass of skdiva.loo.RowSource."
    )


def require_finite(array: Tensor, name: str) -> None:
    """Raise a ValueError that names the first row with an entry that is not finite."""
    # The sum needs no memory; it may overflow although all entries are finite.
    if not array.numel() or torch.isfinite(array.sum()) or torch.isfinite(array).all():
        return
    row = int((~torch.isfinite(array.reshape(len(array), -1)).all(dim=1)).double().argmax())
    raise ValueError(
        f"Expected finite numbers as {name}, got NaN or infinity in row {row}. Impute missing "
        "values, or leave out such rows."
    )


class RowBlocks(ABC):
    """Rows that are read in visiting order, in blocks.

    Attributes
    ----------
    layout : Layout
    budget : Budget
    n_rows, n_columns : int
    dtype : torch.dtype
        Dtype of the rows.
    device : torch.device
    kept : bool
        Whether the rows are stored in memory of this object. If so, functions may modify the blocks
        that they get, and the modified rows are read on the next visit.
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
        """Return the rows (m, n_columns) at a slice, or at positions, in visiting order."""

    def reduce(self, function: Callable, *row_arrays: Tensor) -> tuple[Tensor, ...]:
        """Accumulate ``function(total, block, rows, *arrays)`` over the blocks.

        ``total`` is None for the first block, and the previous result of the function for later
        blocks. The result must be a tuple of sums over rows, so that results for parts of the rows
        can be added.
        """
        total = None
        for block in self.layout.blocks:
            arrays = map(itemgetter(block.rows), row_arrays)
            total = function(total, block, self.read(block.rows), *arrays)
        assert total is not None, "there are no rows"
        return total

    def map(self, function: Callable, *row_arrays: Tensor) -> list[Tensor]:
        """Concatenate the results of ``function(block, rows, *arrays)`` over the blocks.

        The function returns a tuple of arrays with one entry per row of the block.
        """
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
        """Return rows transformed by ``function(rows, out)``, which writes its result to ``out``.

        The function transforms each row separately. Results are computed once and kept if the
        budget allows it; otherwise they are recomputed on every visit.
        """
        size = self.n_rows * n_columns * self.dtype.itemsize
        if not self.budget.keeps(size, self.device):
            return _ComputedBlocks(self, function, n_columns)
        kept = torch.empty((self.n_rows, n_columns), dtype=self.dtype, device=self.device)
        for block in self.layout.blocks:
            function(self.read(block.rows), kept[block.rows])
        return _KeptBlocks(kept, self.layout, self.budget)


class SourceBlocks(RowBlocks):
    """Rows of a source in visiting order, converted to a dtype.

    Parameters
    ----------
    source : RowSource
    layout : Layout
    dtype : torch.dtype, default=None
        If None, the dtype of the source.
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
        """Return the rows (m, n_columns) at a slice, or at positions, in visiting order.

        Raises
        ------
        ValueError
            If the source returns anything other than these rows, see `read_rows`.
        """
        order = self.layout.order
        return read_rows(self.source, rows if order is None else order[rows]).to(self.dtype)


class TransformedBlocks(RowBlocks):
    """Rows computed from other rows by a function; single rows may be replaced."""

    @abstractmethod
    def replace(self, positions: Tensor, values: Tensor) -> None:
        """Replace the rows at ``positions`` by ``values`` (m, n_columns)."""


class _KeptBlocks(TransformedBlocks):
    """Transformed rows that are stored in memory, in visiting order."""

    kept = True

    def __init__(self, matrix: Tensor, layout: Layout, budget: Budget):
        super().__init__(layout, budget, matrix.shape[1], matrix.dtype, matrix.device)
        self._matrix = matrix

    def read(self, rows: Rows) -> Tensor:
        return self._matrix[rows]

    def replace(self, positions: Tensor, values: Tensor) -> None:
        self._matrix[positions] = values


class _ComputedBlocks(TransformedBlocks):
    """Transformed rows that are recomputed on every visit."""

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
