"""Rows for a network: from an array in memory, a torch Dataset or a DataLoader."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_array, validate_data
from torch.utils.data import DataLoader, Dataset, IterableDataset, RandomSampler

from skdiva.arrays import (
    all_finite,
    choose_device,
    frame_numbers,
    is_frame,
    is_tensor,
    to_host,
    without_graph,
)
from skdiva.features._columns import plain_numbers
from skdiva.features.network._batch import map_tensors, n_rows, take_rows

_MOST_DIMENSIONS = 4
_PROBE_ROWS = 3
_LABELS = ("labels", "label")  # keys of a dict of tensors, as transformers names them


class NetworkRows(ABC):
    """Rows that a network reads in batches, as often as needed and always in the same order.

    Attributes
    ----------
    array : ndarray, tensor or None
        All rows, if they are in memory.
    given_shape : tuple of int or None
        Shape of a row as the user passed it, if it is known.
    """

    array: Any = None
    given_shape: tuple[int, ...] | None = None

    @property
    @abstractmethod
    def n_rows(self) -> int | None:
        """Number of rows; None if it is not known beforehand."""

    @abstractmethod
    def probe(self) -> Any:
        """Return two rows or more for trying the network, as an ndarray or a dict of ndarrays."""

    @abstractmethod
    def batches(self, size: Callable[[], int]) -> Iterator[Any]:
        """Yield batches, each an array, a tensor or a dict of tensors.

        ``size()`` is the number of rows wanted at the time; a batch may have more or fewer.
        """


class ArrayRows(NetworkRows):
    """Rows of an array in memory.

    Parameters
    ----------
    X : ndarray or tensor of shape (n, ...)
    row_shape : sequence of int, default=None
        Shape of a row for the network. If None, that of the rows of X.
    """

    def __init__(self, X: Any, row_shape: Sequence[int] | None = None):
        X = without_graph(X)
        self.given_shape = tuple(X.shape[1:])
        self.array = X if row_shape is None else X.reshape(len(X), *row_shape)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.array)

    def probe(self) -> np.ndarray:
        """Return the first rows, as an ndarray."""
        return np.array(to_host(self.array[:_PROBE_ROWS]))

    def batches(self, size: Callable[[], int]) -> Iterator[Any]:
        """Yield batches of ``size()`` rows."""
        start = 0
        while start < self.n_rows:
            stop = start + size()
            yield self.array[start:stop]
            start = stop


class StreamedRows(NetworkRows):
    """Rows of a torch Dataset or DataLoader, whose items may be tensors, tuples or dicts.

    The first element of a tuple is used, and everything but the labels of a dict.

    Parameters
    ----------
    data : Dataset or DataLoader

    Raises
    ------
    ValueError
        If a DataLoader shuffles the rows.
    """

    def __init__(self, data: Any):
        self._data = data
        if isinstance(data, DataLoader) and isinstance(data.sampler, RandomSampler):
            raise ValueError(
                "expected a DataLoader that keeps the order of the rows, since the features are in "
                "that order; got one with shuffle=True. Pass shuffle=False."
            )

    @property
    def n_rows(self) -> int | None:
        """Number of rows; None if it is not known beforehand."""
        source = self._data
        if isinstance(source, DataLoader):
            if source.batch_sampler is None or source.drop_last:
                return None
            source = source.sampler
        try:
            return len(source)
        except TypeError:  # an IterableDataset
            return None

    def probe(self) -> Any:
        """Return a few rows, as an ndarray or a dict of ndarrays."""
        batch = next(self.batches(lambda: _PROBE_ROWS), None)
        if batch is None:
            raise ValueError("expected a data set with rows; got none. Pass at least one row.")
        # At least two rows: the network must give the same for a row alone as among others.
        rows = slice(_PROBE_ROWS) if n_rows(batch) > 1 else [0, 0]
        return map_tensors(to_host, take_rows(batch, rows))

    def batches(self, size: Callable[[], int]) -> Iterator[Any]:
        """Yield batches of ``size()`` rows, or those of the DataLoader."""
        loader = self._data
        if not isinstance(loader, DataLoader):
            loader = DataLoader(loader, batch_size=size())
        for item in loader:
            yield _network_inputs(item)


def read_rows(
    X: Any, input_shape: Sequence[int] | None = None, estimator: Any = None, n_least: int = 1
) -> NetworkRows:
    """Check X and return its rows.

    Parameters
    ----------
    X : array-like, dataframe, tensor, Dataset or DataLoader
        Two to four dimensions.
    input_shape : sequence of int, default=None
        Shape of a row for the network, if X has two dimensions.
    estimator : estimator, default=None
        Estimator that is named in error messages.
    n_least : int, default=1
        Smallest number of rows.

    Returns
    -------
    NetworkRows

    Raises
    ------
    TypeError
        If X is sparse, or a tensor that is nested, quantized or on the device "meta".
    ValueError
        If X contains anything but finite numbers, or has another shape.
    """
    if isinstance(X, Dataset | IterableDataset | DataLoader):
        return StreamedRows(X)
    if is_tensor(X):
        array = _check_tensor(without_graph(X, "X"), n_least)
    else:
        numbers = frame_numbers(X) if is_frame(X) else plain_numbers(X)
        array = check_array(
            numbers, dtype="numeric", allow_nd=True, ensure_min_samples=n_least,
            input_name="X", estimator=estimator,
        )  # fmt: skip
    if array.ndim > _MOST_DIMENSIONS:
        raise ValueError(
            f"expected X with 2 to {_MOST_DIMENSIONS} dimensions; got shape {tuple(array.shape)}. "
            "Pass X with two dimensions, and the shape of a row as input_shape."
        )
    return ArrayRows(array, _wanted_shape(array, input_shape))


def record_columns(
    estimator: Any, X: Any, row_shape: tuple[int, ...] | None, *, reset: bool
) -> None:
    """Store the number and names of the columns of X, or compare them with the stored ones.

    For X with more than two dimensions, it is the shape of a row.

    Parameters
    ----------
    estimator : estimator
    X : array-like, dataframe, tensor, Dataset or DataLoader
    row_shape : tuple of int or None
        Shape of a row of X; None for a Dataset or DataLoader.
    reset : bool
        True to store, False to compare.

    Raises
    ------
    ValueError
        If X differs from the X seen in `fit`.
    """
    expected = row_shape if reset else estimator._fitted_shape
    if row_shape is not None and expected is not None:
        if len(row_shape) == 1 == len(expected):
            validate_data(estimator, X=X, reset=reset, skip_check_array=True)
        elif row_shape != expected:
            raise ValueError(
                f"expected rows of shape {expected}, as in fit; got rows of shape {row_shape}. "
                "Bring X to that shape, or fit again."
            )
    if reset:
        estimator._fitted_shape = row_shape
        if row_shape is None or len(row_shape) > 1:
            for name in ("n_features_in_", "feature_names_in_"):
                vars(estimator).pop(name, None)


def computing_device(device: str | None, X: Any) -> torch.device:
    """Return the device to compute on, with its index, for the parameter ``device`` and X."""
    chosen = choose_device(device, X)
    if chosen.type == "cuda" and chosen.index is None:
        return torch.device("cuda", torch.cuda.current_device())
    return chosen


def result_device(X: Any) -> torch.device:
    """Return the device of the results for X: that of a tensor, else the CPU."""
    return X.device if is_tensor(X) else torch.device("cpu")


def _network_inputs(item: Any) -> Any:
    """Take what a network reads out of an item of a DataLoader."""
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
        f"tensors; got {type(item).__name__}. Convert its items with a transform, or pass a "
        "DataLoader with a collate_fn."
    )


def _check_tensor(X: torch.Tensor, n_least: int) -> torch.Tensor:
    if X.ndim < 2 or len(X) < n_least or 0 in X.shape:
        raise ValueError(
            f"expected a tensor with 2 to {_MOST_DIMENSIONS} dimensions and at least {n_least} "
            f"rows; got shape {tuple(X.shape)}. Pass a single row as X[None]."
        )
    if X.is_complex():
        raise ValueError(f"expected a tensor of real numbers; got {X.dtype}. Convert it.")
    if X.is_floating_point() and not all_finite(X):
        raise ValueError(
            "Input X contains NaN or infinity; expected finite numbers. Impute or drop such rows."
        )
    return X


def _wanted_shape(array: Any, input_shape: Sequence[int] | None) -> tuple[int, ...] | None:
    """Return the shape to which rows must be brought; None if they have it."""
    if input_shape is None:
        return None
    wanted, shape = tuple(input_shape), tuple(array.shape[1:])
    if (len(shape) > 1 and shape != wanted) or prod(wanted) != prod(shape):
        raise ValueError(
            f"input_shape={wanted} expects rows of {prod(wanted)} numbers or of that shape; got "
            f"rows of shape {shape}. Change input_shape or X."
        )
    return None if len(shape) > 1 else wanted
