"""Where the rows of a network come from: an array in memory, a torch Dataset or a DataLoader."""

from math import prod

import numpy as np
import torch
from sklearn.utils.validation import check_array, validate_data
from torch.utils.data import DataLoader, Dataset, IterableDataset, RandomSampler

from skdiva.arrays import all_finite, is_tensor, to_host, without_graph
from skdiva.features.network._batch import n_rows, take_rows

_MOST_DIMENSIONS = 4
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


def read_rows(X, input_shape=None, estimator=None, n_least=1):
    """Check X and return its rows.

    Parameters
    ----------
    X : array-like, dataframe, tensor, Dataset or DataLoader
        Two to four dimensions.
    input_shape : sequence of int, default=None
        Shape of a row, where X has two dimensions.
    estimator : estimator, default=None
        Named in messages.
    n_least : int, default=1
        Least number of rows.

    Returns
    -------
    rows : ArrayRows or StreamedRows
    array : ndarray or tensor
        What was checked; None for a Dataset or DataLoader.

    Raises
    ------
    TypeError
        If X is sparse.
    ValueError
        If X holds anything but finite numbers, or has another shape.
    """
    if is_stream(X):
        return StreamedRows(X), None
    if is_tensor(X):
        array = _check_tensor(X, n_least)
    else:
        array = check_array(
            X, dtype="numeric", allow_nd=True, ensure_min_samples=n_least,
            input_name="X", estimator=estimator,
        )  # fmt: skip
    if array.ndim > _MOST_DIMENSIONS:
        raise ValueError(
            f"expected X with 2 to {_MOST_DIMENSIONS} dimensions; got shape {tuple(array.shape)}. "
            "Give the shape of a row as input_shape, and X with two dimensions."
        )
    return ArrayRows(array, _row_shape(array, input_shape)), array


def record_columns(estimator, X, array, *, reset):
    """Remember, or compare, number and names of the columns; for more dimensions, the shape.

    Parameters
    ----------
    estimator : estimator
    X : array-like, dataframe, tensor, Dataset or DataLoader
    array : ndarray, tensor or None
        As `read_rows` returned it.
    reset : bool
        Whether to remember.

    Raises
    ------
    ValueError
        If X differs from what was seen in `fit`.
    """
    if reset:
        estimator._fitted_shape = None if array is None else tuple(array.shape[1:])
        for name in ("n_features_in_", "feature_names_in_"):
            vars(estimator).pop(name, None)
    if array is None or estimator._fitted_shape is None:
        return
    shape = tuple(array.shape[1:])
    if len(shape) == 1 == len(estimator._fitted_shape):
        validate_data(estimator, X=X, reset=reset, skip_check_array=True)
    elif shape != estimator._fitted_shape:
        raise ValueError(
            f"expected rows of shape {estimator._fitted_shape}, as in fit; got rows of shape "
            f"{shape}. Bring X to that shape, or fit again."
        )


def _check_tensor(X, n_least):
    if X.ndim < 2 or len(X) < n_least or 0 in X.shape:
        raise ValueError(
            f"expected a tensor of 2 to {_MOST_DIMENSIONS} dimensions with {n_least} rows at "
            f"least; got shape {tuple(X.shape)}. Give a row as X[None]."
        )
    if X.is_complex() or X.layout is not torch.strided:
        raise ValueError(
            f"expected a dense tensor of real numbers; got {X.dtype}, {X.layout}. Convert it."
        )
    if X.is_floating_point() and not all_finite(X):
        raise ValueError(
            "Input X contains NaN or infinity; expected finite numbers. Fill in or leave out such "
            "rows."
        )
    return X


def _row_shape(array, input_shape):
    """Shape to give to rows; None: they have it."""
    if input_shape is None:
        return None
    wanted, shape = tuple(input_shape), tuple(array.shape[1:])
    if (len(shape) > 1 and shape != wanted) or prod(wanted) != prod(shape):
        raise ValueError(
            f"input_shape={wanted} expects rows of {prod(wanted)} numbers or of that shape; got "
            f"rows of shape {shape}. Change input_shape or X."
        )
    return None if len(shape) > 1 else wanted
