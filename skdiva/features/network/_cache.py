"""Cache of results on disk, keyed by the content of network and rows."""

import pickle
from collections.abc import Callable, Iterable
from typing import Any

import joblib
import numpy as np
import torch
from sklearn.utils.validation import check_memory

from skdiva.arrays import to_host
from skdiva.features.network._extractor import ExtractorConfig
from skdiva.features.network._module_state import store
from skdiva.features.network._row_sources import NetworkRows


def cached(
    memory: Any,
    key: tuple[str, torch.nn.Module, ExtractorConfig],
    rows: NetworkRows,
    compute: Callable[[], torch.Tensor],
    device: torch.device,
) -> torch.Tensor:
    """Return the result of ``compute``, from the cache if it was computed before.

    Parameters
    ----------
    memory : str, joblib.Memory or None
        Where results are stored. If None, they are not.
    key : tuple of (str, nn.Module, ExtractorConfig)
        The name of the result, and everything besides the rows that it depends on.
    rows : NetworkRows
        Only results for rows in memory are cached.
    compute : callable
        Takes no arguments and returns a tensor.
    device : torch.device
        Device of a result from the cache.

    Returns
    -------
    tensor

    Raises
    ------
    ValueError
        If the network cannot be pickled.
    """
    if memory is None or rows.array is None:
        return compute()
    name, module, config = key
    remember = check_memory(memory).cache(_compute, ignore=["compute"])
    content = content_hash((name, store(module), config, rows.array))
    result = remember(content, lambda: to_host(compute()))
    return torch.from_numpy(result).to(device)


def content_hash(content: Iterable) -> str:
    """Return a hash that depends on the content only, not on the process.

    Parameters
    ----------
    content : iterable
        Arrays, tensors, and objects that can be pickled.

    Raises
    ------
    ValueError
        If the content cannot be pickled.
    """
    try:
        return joblib.hash([to_host(part) for part in content])
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ValueError(
            "memory= expects a network that can be pickled, since its content is the key of the "
            f"cache; got {error}. Leave memory at None, or define the classes and functions of the "
            "network in a module that can be imported."
        ) from error


def _compute(_key: str, compute: Callable[[], np.ndarray]) -> np.ndarray:  # joblib uses the key
    return compute()
