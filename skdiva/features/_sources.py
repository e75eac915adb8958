"""Where the rows of a network come from: an array in memory, a torch Dataset or a DataLoader."""

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, RandomSampler

from skdiva.arrays import is_tensor, to_host, without_graph
from skdiva.features._network import n_rows, take_rows

_PROBE_ROWS = 3
_LABELS = ("labels", "label")  # of a dict of tensors, as transformers calls them


class ArrayRows:
    """Rows of an array in memory.

    Parameters
    ----------
    X : ndarray or tensor of shape (n, ...)
    row_shape : sequence of int, default=None
        Shape of a row for the network. None: as it is.
    """

    def __init__(self, X, row_shape=None):
        X = without_graph(X)
        self.X = X if row_shape is None else X.reshape(len(X), *row_shape)

    def __len__(self):
        return len(self.X)

    def probe(self):
        """Return a few rows, as an array."""
        return np.array(to_host(self.X[:_PROBE_ROWS]))

    def batches(self, size):
        """Yield batches of as many rows as ``size()`` says at the time."""
        start = 0
        while start < len(self):
            stop = start + size()
            yield self.X[start:stop]
            start = stop


class StreamedRows:
    """Rows of a torch Dataset or DataLoader, whose items may be tensors, tuples or dicts.

    Of a tuple the first tensor is taken, of a dict all but the labels.

    Parameters
    ----------
    data : Dataset or DataLoader

    Raises
    ------
    ValueError
        If a DataLoader changes the order of the rows.
    """

    def __init__(self, data):
        self._data = data
        if isinstance(data, DataLoader) and isinstance(data.sampler, RandomSampler):
            raise ValueError(
                "expected a DataLoader that keeps the order of the rows, which features follow; "
                "got one with shuffle=True. Pass shuffle=False."
            )

    def __len__(self):
        data = self._data
        if not isinstance(data, DataLoader):
            return len(data)
        if data.batch_sampler is None or data.drop_last:
            raise TypeError("the number of rows is not known beforehand")
        return len(data.sampler)

    def probe(self):
        """Return a few rows, as an array or a dict of arrays."""
        batch = next(self.batches(lambda: _PROBE_ROWS), None)
        if batch is None:
            raise ValueError("expected a data set with rows; got none. Pass rows to learn from.")
        # Two rows at least: they are compared with rows alone.
        rows = slice(_PROBE_ROWS) if n_rows(batch) > 1 else [0, 0]
        batch = take_rows(batch, rows)
        if isinstance(batch, dict):
            return {key: to_host(value) for key, value in batch.items()}
        return to_host(batch)

    def batches(self, size):
        """Yield batches: of ``size()`` rows, or those of the DataLoader."""
        loader = self._data
        if not isinstance(loader, DataLoader):
            loader = DataLoader(loader, batch_size=size())
        for item in loader:
            yield _inputs(item)


def is_stream(X):
    """Whether X is a torch Dataset or DataLoader."""
    return isinstance(X, Dataset | IterableDataset | DataLoader)


def place_of(X):
    """Return the device of what is computed for X: its own if it is a tensor, else the CPU."""
    return X.device if is_tensor(X) else torch.device("cpu")


def count_rows(rows):
    """Number of rows; None if it is not known beforehand."""
    try:
        return len(rows)
    except TypeError:
        return None


def _inputs(item):
    if isinstance(item, tuple | list):
        item = item[0] if item else None
    if isinstance(item, torch.Tensor):
        return item.detach()
    if hasattr(item, "items"):  # a dict, or the BatchEncoding of transformers
        tensors = {key: value for key, value in item.items() if key not in _LABELS}
        if tensors and all(isinstance(value, torch.Tensor) for value in tensors.values()):
            return {key: value.detach() for key, value in tensors.items()}
    raise ValueError(
        "expected a data set of tensors, of tuples that begin with a tensor, or of dicts of "
        f"tensors; got {type(item).__name__}. Convert its items with a transform, or give the "
        "DataLoader a collate_fn."
    )
