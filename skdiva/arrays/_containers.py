"""Containers of all kinds, handled without importing torch or pandas."""

import os
import sys
from decimal import Decimal
from importlib import import_module
from numbers import Real
from typing import Any

import numpy as np

from skdiva.arrays._row_index import store_index

PROCESS = os.getpid()  # of the import; a process that was forked since has another one


class HostCopy:
    """Copy of a named tuple or dataclass of tensors, with NumPy arrays in their place.

    A pickle of the copy can be loaded without torch, and without the device of the tensors.

    Parameters
    ----------
    record : named tuple or dataclass
    """

    def __init__(self, record: Any):
        self._module, self._name = type(record).__module__, type(record).__name__
        fields = record._asdict() if hasattr(record, "_asdict") else vars(record)
        self._fields = dict(zip(fields, map(to_host, fields.values()), strict=True))

    def restore(self) -> Any:
        """Return the record with tensors on the CPU."""
        import torch

        fields = {
            name: torch.tensor(value) if isinstance(value, np.ndarray) else value
            for name, value in self._fields.items()
        }
        return getattr(import_module(self._module), self._name)(**fields)


def is_tensor(array: Any) -> bool:
    """Return whether ``array`` is a torch tensor, without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(array, torch.Tensor)


def is_row_source(array: Any) -> bool:
    """Return whether ``array`` is a `skdiva.loo.RowSource`, without importing torch."""
    rows = sys.modules.get("skdiva.loo.rows")
    return rows is not None and isinstance(array, rows.RowSource)


def refuse_unread_rows(X: Any, reader: str, *, numeric: bool) -> None:
    """Raise an error with advice if X holds images or texts, or is a Dataset or a DataLoader.

    Parameters
    ----------
    X : array-like
    reader : str
        Name of the estimator that reads X.
    numeric : bool
        Whether X must hold rows of numbers. If not, a network may read images or a Dataset.

    Raises
    ------
    TypeError
        If X is a DataLoader, or if it is a Dataset and must hold numbers.
    ValueError
        If X must hold numbers and is a list of texts or has more than two dimensions.
    """
    data = sys.modules.get("torch.utils.data")
    if data is not None and isinstance(X, data.DataLoader):
        raise TypeError(
            f"{reader} expects one entry per row in X, got a DataLoader, whose entries are batches."
            " Pass its data set, X=loader.dataset, with featurizer=JacobianFeaturizer(network), and"
            " the labels in the same order as y. Or compute the features from the loader, "
            "X=JacobianFeaturizer(network).fit_transform(loader)."
        )
    if not numeric:
        return
    if data is not None and isinstance(X, data.Dataset):
        raise TypeError(
            f"{reader} expects an array or a dataframe as X, got the torch Dataset "
            f"{type(X).__name__}. Pass its rows as an array, or use a JacobianFeaturizer, which "
            "reads data sets (featurizer=JacobianFeaturizer(network))."
        )
    is_vector = isinstance(X, list | tuple) or getattr(X, "ndim", 2) == 1
    if is_vector and isinstance(next(iter(X), None), str):
        raise ValueError(
            f"{reader} expects a table of numbers as X, got texts. Pass the output of a "
            "sklearn.feature_extraction.text.TfidfVectorizer, for example in a Pipeline, or pass a "
            "transformer that reads texts as featurizer=."
        )
    if getattr(X, "ndim", 2) > 2:
        raise ValueError(
            f"Found array with dim {X.ndim} and shape {tuple(X.shape)}, while dim <= 2 is required "
            f"by {reader}. Flatten the rows, X.reshape(len(X), -1), or use a JacobianFeaturizer, "
            "which reads images (featurizer=JacobianFeaturizer(network))."
        )


def is_frame(X: Any) -> bool:
    """Return whether ``X`` is a pandas or polars dataframe; a LazyFrame is an error."""
    if type(X).__name__ == "LazyFrame":
        raise TypeError("Expected rows in memory, got a LazyFrame. Pass X.collect().")
    return hasattr(X, "columns") and hasattr(X, "dtypes")


def in_memory(X: Any) -> Any:
    """Return all rows of a row source as an array; anything else is returned unchanged."""
    return to_host(sys.modules["skdiva.loo.rows"].read_all(X)) if is_row_source(X) else X


def to_host(array: Any, name: str = "the input") -> Any:
    """Return a tensor or a masked array as a NumPy array; anything else is returned unchanged.

    Masked entries become NaN (None in an array of strings or objects).

    Raises
    ------
    TypeError
        If a tensor is sparse, nested, quantized or on the device "meta". The message names it.
    """
    if isinstance(array, np.ma.MaskedArray):
        return without_mask(array)
    if not is_tensor(array):
        return array
    array = without_graph(array, name).cpu()
    # NumPy does not have bfloat16.
    return (array.float() if str(array.dtype) == "torch.bfloat16" else array).numpy()


def is_missing(value: Any) -> bool:
    """Return whether ``value`` is None, NaN, NaT or NA."""
    # NA of pandas is neither equal nor unequal to itself, so it is recognized by its type.
    return value is None or type(value).__name__ == "NAType" or bool(value != value)


def is_number(value: Any) -> bool:
    """Return whether ``value`` is a real number or a boolean. NaN is a number, None is not."""
    # NumPy registers its timedelta64 as an integer.
    return isinstance(value, Real | Decimal | np.bool_) and not isinstance(value, np.timedelta64)


def without_mask(array: Any) -> Any:
    """Return a masked array as an array with NaN, or None, in place of the masked entries.

    Anything else is returned unchanged.
    """
    if not isinstance(array, np.ma.MaskedArray):
        return array
    values, lost = np.asarray(array.data), np.ma.getmaskarray(array)
    if not lost.any():
        return values
    filler: Any = None
    if values.dtype.kind in "biufc":
        filler, values = np.nan, values.astype(np.result_type(values, np.float16))
    elif values.dtype.kind in "mM":
        filler = "NaT"
    else:
        values = values.astype(object)
    values = values.copy()
    values[lost] = filler
    return values


def without_graph(array: Any, name: str = "the input") -> Any:
    """Return a detached tensor on the same device; anything else is returned unchanged.

    Raises
    ------
    TypeError
        If a tensor is sparse, nested, quantized or on the device "meta". The message names it.
    """
    if not is_tensor(array):
        return array
    dense = str(array.layout) == "torch.strided" and not array.is_quantized
    if not dense or array.is_meta or array.is_nested:
        raise TypeError(
            f"Expected a dense tensor that holds numbers as {name}, got a tensor of layout "
            f"{array.layout}, {array.dtype} on {array.device}. Convert it, for example with "
            ".to_dense(), .dequantize() or .to_padded_tensor(...), or pass an array."
        )
    return array.detach()


def refuse_mixed_devices(**arrays: Any) -> None:
    """Raise an error if tensors are on different devices.

    Parameters
    ----------
    **arrays : array-like
        Names for the error message, and arrays of any kind.

    Raises
    ------
    ValueError
        If tensors are on different devices.
    """
    places = {}
    for name, array in arrays.items():
        if is_tensor(array):
            places[name] = str(array.device)
    if len(set(places.values())) > 1:
        found = ", ".join(f"{name} on {device}" for name, device in places.items())
        raise ValueError(
            f"Expected all tensors on one device, got {found}. "
            "Move them with .to(device), or pass NumPy arrays."
        )


def row_index(*containers: Any) -> Any:
    """Return the index of the first pandas object for `restore_index`; None if there is none."""
    for container in containers:
        if hasattr(container, "iloc") and hasattr(container, "index"):
            return store_index(container.index)
    return None


def column_names(X: Any) -> list | None:
    """Return the names of the columns of a dataframe; None for any other container."""
    return list(X.columns) if hasattr(X, "columns") else None


def column_dtypes(X: Any) -> list:
    """Return a list with the dtypes of a dataframe's columns, or the dtype of another container.

    For strings, the dtype does not include the length.
    """
    if hasattr(X, "columns"):
        return list(X.dtypes)
    dtype = X.dtype if hasattr(X, "dtype") else np.asarray(X).dtype
    return [dtype.type if getattr(dtype, "kind", None) in ("U", "S") else dtype]


def take_rows(container: Any, positions: Any) -> Any:
    """Return some rows of an array or dataframe, given as a slice or an array of positions."""
    return container.iloc[positions] if hasattr(container, "iloc") else container[positions]


def is_categorical(y: Any) -> bool:
    """Return whether a series, or every column of a dataframe, has a categorical dtype."""
    has_columns = hasattr(y, "columns") and hasattr(y, "dtypes")
    dtypes = y.dtypes if has_columns else [getattr(y, "dtype", getattr(y, "type", None))]
    kinds = ("categor", "enum", "dictionary")  # of pandas and polars; of pyarrow
    return all(str(dtype).lower().startswith(kinds) for dtype in dtypes)
