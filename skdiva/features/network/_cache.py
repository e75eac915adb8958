"""Results kept on disk, found again by the content of network and rows."""

import pickle

import joblib
from sklearn.utils.validation import check_memory

from skdiva.arrays import to_host


def cached(memory, compute, content):
    """Return what ``compute`` returns, from the cache if it was computed before.

    Parameters
    ----------
    memory : str or joblib.Memory
    compute : callable
        Without arguments; returns an ndarray.
    content : callable
        Returns all that decides the result: arrays, tensors, and what pickle takes.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If the content cannot be pickled.
    """
    remember = check_memory(memory).cache(_compute, ignore=["compute"])
    return remember(content_hash(content()), compute)


def content_hash(content):
    """Hash that depends on the content only, not on the process.

    Raises
    ------
    ValueError
        If the content cannot be pickled.
    """
    try:
        return joblib.hash([to_host(part) for part in content])
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ValueError(
            "memory= expects a network that can be pickled, whose content is the key of the cache; "
            f"got {error}. Leave memory at None, or define the network's classes and functions in "
            "an importable file."
        ) from error


def _compute(_key, compute):  # by its key joblib finds the result
    return compute()
