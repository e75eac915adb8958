"""NumPy arrays to tensors on a device and back, and the rules that choose device and dtype."""

import warnings

import numpy as np
import torch

from skdiva.arrays._containers import is_tensor

_TORCH = {"float32": torch.float32, "float64": torch.float64, "int64": torch.int64}
_SINGLE = {"float16", "bfloat16", "float32"}


def choose_device(device, *arrays):
    """Return the device to compute on.

    Parameters
    ----------
    device : str or None
        What the user asked for: 'cpu', 'cuda' or 'cuda:<index>'. None: where the first CUDA
        tensor of ``arrays`` is, else CUDA if there is one, else the CPU.
    *arrays : array-like
        What the user passed in.

    Returns
    -------
    torch.device

    Raises
    ------
    ValueError
        If the device is unknown or absent.
    """
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
            "None takes CUDA if there is one, else the CPU."
        )
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if chosen.type == "cuda" and (chosen.index or 0) >= count:
        raise ValueError(
            f"device={device!r} was asked for, but torch {torch.__version__} sees {count} CUDA "
            "device(s). Use device='cpu', or None to take what there is."
        )
    return chosen


def choose_dtype(dtype, *arrays):
    """Return the name of the floating dtype to compute in.

    Parameters
    ----------
    dtype : {'float32', 'float64'} or None
        What the user asked for. None: float32 if an array is a CUDA tensor or the first one
        holds float32, float16 or bfloat16, else float64.
    *arrays : ndarray or tensor
        The features first.

    Returns
    -------
    {'float32', 'float64'}
    """
    if dtype is not None:
        return dtype
    on_gpu = any(is_tensor(array) and array.is_cuda for array in arrays)
    # Dataframes of several dtypes have none.
    single = str(getattr(arrays[0], "dtype", None)).removeprefix("torch.") in _SINGLE
    return "float32" if on_gpu or single else "float64"


def to_tensor(array, device, dtype):
    """Return an array as a detached tensor of a dtype on a device, sharing memory if it can.

    Parameters
    ----------
    array : array-like or tensor
    device : torch.device
    dtype : {'float32', 'float64', 'int64'}

    Returns
    -------
    tensor
        Not to be written to: it may be the user's own memory.
    """
    if not is_tensor(array):
        array = np.asarray(array, dtype=dtype)
        if any(stride < 0 for stride in array.strides):
            array = array.copy()
        with warnings.catch_warnings():
            # Read-only arrays (joblib's memory maps) are fine: nothing here writes to them.
            warnings.filterwarnings("ignore", "The given NumPy array is not writ", UserWarning)
            array = torch.from_numpy(array)
    return array.detach().to(device, _TORCH[dtype])


def all_finite(tensor):
    """Whether all entries are finite; no mask of the tensor's size is made."""
    if torch.isfinite(tensor.sum(dtype=torch.float64)):
        return True
    return all(bool(torch.isfinite(rows).all()) for rows in tensor.split(2**14))
