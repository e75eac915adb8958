"""Rows on the device and in the dtype of a computation, converted block by block.

Importing this module loads torch.
"""

from typing import Any

import torch
from torch import Tensor

from skdiva.arrays._compute import Compute
from skdiva.loo import RowSource
from skdiva.loo.rows import free_bytes, read_rows

# Dense matrices that are held at a time: p x p if there are at least as many rows as columns,
# otherwise n x p.
_MATRICES = 4


class ConvertedRows(RowSource):
    """Rows of a source on the device and in the dtype of a computation, checked when they are read.

    Parameters
    ----------
    source : RowSource
    compute : Compute
    """

    def __init__(self, source: RowSource, compute: Compute):
        dtype = getattr(torch, compute.dtype)
        super().__init__(source.n_rows, source.n_columns, dtype, compute.device)
        self.source, self.compute = source, compute

    def read(self, rows: slice | Tensor) -> Tensor:
        """Return the features (m, p) of some rows, which must be finite."""
        rows = rows if isinstance(rows, slice) else rows.to(self.source.device)
        return self.compute.finite_tensor(read_rows(self.source, rows))


class SparseRows(RowSource):
    """Rows of a sparse array, which become dense on the device when they are read.

    Parameters
    ----------
    X : CSR array or matrix of shape (n, p)
        Real numbers.
    compute : Compute

    Attributes
    ----------
    kept_bytes : int
        Largest size of transformed rows that are kept in memory, where they are dense.
    """

    kept_bytes = 2**26

    def __init__(self, X: Any, compute: Compute):
        n_rows, n_columns = X.shape
        super().__init__(n_rows, n_columns, getattr(torch, compute.dtype), compute.device)
        self.X, self.compute = X, compute

    def read(self, rows: slice | Tensor) -> Tensor:
        """Return the features (m, p) of some rows, which must be finite."""
        part = self.X[rows if isinstance(rows, slice) else rows.cpu().numpy()]
        return self.compute.finite_tensor(part)

    def split(self, positions: list[int]) -> list["SparseRows"]:
        """Return the rows before, between and after some positions."""
        bounds = zip([None, *positions], [*positions, None], strict=True)
        return [SparseRows(self.X[start:stop], self.compute) for start, stop in bounds]

    def require_memory(self, X_val: Any = None) -> None:
        """Raise an error if a ridge model of these rows needs more than the free memory.

        Parameters
        ----------
        X_val : array-like, default=None
            Validation rows, which are dense while they are used.

        Raises
        ------
        MemoryError
            If the memory does not suffice.
        """
        n, p = self.shape
        n_dense = _MATRICES * min(n, p) + (0 if X_val is None else X_val.shape[0])
        needed, free = n_dense * p * self.dtype.itemsize, free_bytes(self.device)
        if needed > free:
            raise MemoryError(
                f"A ridge model of {n} sparse rows with {p} columns needs dense matrices of about "
                f"{needed / 2**30:.1f} GiB; {free / 2**30:.1f} GiB are free. Use "
                "featurizer='auto', or let the featurizer end with "
                "sklearn.decomposition.TruncatedSVD."
            )
