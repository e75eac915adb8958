"""Row sources: the protocol for rows of features, and rows of one tensor in memory."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor


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
