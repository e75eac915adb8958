"""Device and dtype of a computation, and the conversion of arrays to tensors."""

import os
import warnings
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from scipy.sparse import issparse
from torch import Tensor

from skdiva.arrays._containers import PROCESS, is_tensor

_DTYPES = {"float32": torch.float32, "float64": torch.float64, "int64": torch.int64}
_SINGLE = {"float16", "bfloat16", "float32"}


@dataclass(frozen=True)
class Compute:
    """Device and floating dtype of a computation.

    Parameters
    ----------
    device : torch.device
    dtype : {"float32", "float64"}
    follows_features : bool, default=False
        Whether `following` may change the dtype.
    """

    device: torch.device
    dtype: str
    follows_features: bool = False

    @classmethod
    def choose(cls, device: str | None, dtype: str | None, *arrays: Any) -> Self:
        """Choose device and dtype from the parameters of an estimator and the input arrays.

        Parameters
        ----------
        device, dtype : str or None
            Parameters of the estimator, see `choose_device` and `choose_dtype`.
        *arrays : array-like
            The features first.
        """
        # For input on a GPU the dtype is float32, whatever the dtype of the features.
        follows_features = dtype is None and choose_dtype(None, None, *arrays) == "float64"
        return cls(choose_device(device, *arrays), choose_dtype(dtype, *arrays), follows_features)

    def following(self, features: Any) -> Self:
        """Return a copy with the dtype of the features, unless the user gave a dtype."""
        if not self.follows_features:
            return self
        return replace(self, dtype=choose_dtype(None, features))

    def tensor(self, array: Any, dtype: str | None = None) -> Tensor:
        """Return an array as a tensor, of the floating dtype unless another one is given."""
        return to_tensor(array, self.device, dtype or self.dtype)

    def finite_tensor(self, features: Any) -> Tensor:
        """Return features as a tensor of the floating dtype.

        Raises
        ------
        ValueError
            If an entry is not finite in the dtype.
        """
        tensor = to_tensor(features, self.device, self.dtype)
        if not all_finite(tensor):
            if torch.isnan(tensor.max()):  # NaN if any entry is
                raise ValueError(
                    "The features contain NaN. Remove rows with missing values, or impute them."
                )
            remedy = "Scale them"
            remedy += ", or use dtype='float64'." if self.dtype == "float32" else "."
            raise ValueError(
                f"The features contain infinity or a value too large for {self.dtype}. {remedy}"
            )
        return tensor


def choose_device(device: str | None, *arrays: Any) -> torch.device:
    """Return the device to compute on.

    Parameters
    ----------
    device : str or None
        Device requested by the user: 'cpu', 'cuda' or 'cuda:<index>'. If None, the device of
        the first CUDA tensor among ``arrays``; if there is none, CUDA if available, otherwise the
        CPU.
    *arrays : array-like
        Arrays that the user passes.

    Returns
    -------
    torch.device

    Raises
    ------
    ValueError
        If the device is unknown or not available.
    """
    use_one_thread_if_forked()
    if device is None:
        for array in arrays:
            if is_tensor(array) and array.is_cuda:
                return array.device
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError:
        chosen = None
    if chosen is None or chosen.type not in ("cpu", "cuda"):
        raise ValueError(
            f"device must be None, 'cpu', 'cuda' or 'cuda:<index>'; got {device!r}. "
            "None stands for CUDA if it is available, otherwise the CPU."
        )
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if chosen.type == "cuda" and (chosen.index or 0) >= count:
        raise ValueError(
            f"device={device!r} was asked for, but torch {torch.__version__} sees {count} CUDA "
            "device(s). Use device='cpu', or None for any device that is available."
        )
    return chosen


def use_one_thread_if_forked() -> None:
    """Limit torch to one thread in a forked process, such as a worker of multiprocessing.

    A fork does not copy the threads of OpenMP, for which torch would wait forever.
    """
    if os.getpid() != PROCESS and torch.get_num_threads() > 1:
        torch.set_num_threads(1)


def choose_dtype(dtype: str | None, *arrays: Any) -> str:
    """Return the name of the floating dtype to compute in.

    Parameters
    ----------
    dtype : {'float32', 'float64'} or None
        Dtype requested by the user. If None, float32 if any of the arrays is a CUDA tensor or
        if the first one is of dtype float32, float16 or bfloat16, otherwise float64.
    *arrays : ndarray or tensor
        The features first.

    Returns
    -------
    {'float32', 'float64'}
    """
    if dtype is not None:
        return dtype
    for array in arrays:
        if is_tensor(array) and array.is_cuda:
            return "float32"
    # A dataframe with columns of several dtypes has no dtype.
    is_single = str(getattr(arrays[0], "dtype", None)).removeprefix("torch.") in _SINGLE
    return "float32" if is_single else "float64"


def to_tensor(array: Any, device: torch.device | str, dtype: str) -> Tensor:
    """Return an array as a detached tensor, without copying if possible.

    Parameters
    ----------
    array : array-like, sparse array or tensor
    device : torch.device or str
    dtype : {'float32', 'float64', 'int64'}

    Returns
    -------
    tensor
        Must not be written to, because it may share memory with the user's array.
    """
    use_one_thread_if_forked()
    if not is_tensor(array):
        array = array.toarray() if issparse(array) else array
        array = np.asarray(array, dtype=dtype)
        if min(array.strides, default=0) < 0:
            array = array.copy()
        with warnings.catch_warnings():
            # Arrays that are read-only (memory maps of joblib) are safe: nothing writes to them.
            warnings.filterwarnings("ignore", "The given NumPy array is not writ", UserWarning)
            array = torch.from_numpy(array)
    return array.detach().to(device, _DTYPES[dtype])


def all_finite(tensor: Tensor) -> bool:
    """Return whether all entries are finite, without allocating a mask of the tensor's size."""
    use_one_thread_if_forked()
    if torch.isfinite(tensor.sum(dtype=torch.float64)):
        return True
    return all(bool(torch.isfinite(rows).all()) for rows in tensor.split(2**14))
