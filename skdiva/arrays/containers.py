"""What callers pass in, brought to the host without importing torch or pandas."""

import sys

import numpy as np


def is_tensor(array):
    """Whether ``array`` is a torch tensor; if torch was never imported, nothing is."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(array, torch.Tensor)


def to_host(array):
    """Return a tensor as a NumPy array (detached, off the GPU); anything else as it is."""
    if not is_tensor(array):
        return array
    array = array.detach().cpu()
    # NumPy has no bfloat16.
    return (array.float() if str(array.dtype) == "torch.bfloat16" else array).numpy()


def append_rows(first, second):
    """Return the rows of two containers as one of the kind of the first.

    Parameters
    ----------
    first, second : array-like, dataframe, sparse array or list
        With the same columns, on the host.
    """
    if hasattr(first, "iloc"):
        import pandas as pd

        if not hasattr(second, "iloc"):
            second = pd.DataFrame(np.asarray(second), columns=first.columns)
        return pd.concat(_with_common_categories(first, second))
    if hasattr(first, "vstack"):  # polars
        return first.vstack(second)
    if hasattr(first, "tocsr"):
        from scipy.sparse import vstack

        return vstack([first, second], format="csr")
    if isinstance(first, list):
        return first + list(second)
    if is_tensor(first):
        return sys.modules["torch"].cat([first, second])
    return np.concatenate([np.asarray(first), np.asarray(second)])


def _with_common_categories(first, second):
    """Categorical columns of two dataframes as of one: pandas would make objects of them."""
    from pandas import CategoricalDtype
    from pandas.api.types import union_categoricals

    for name in second.columns.intersection(first.columns):
        kinds = first[name].dtype, second[name].dtype
        if kinds[0] != kinds[1] and all(isinstance(kind, CategoricalDtype) for kind in kinds):
            both = union_categoricals([first[name], second[name]], ignore_order=True).categories
            first, second = (
                frame.assign(**{name: frame[name].cat.set_categories(both)})
                for frame in (first, second)
            )
    return [first, second]


def without_graph(array):
    """Return a tensor detached, where it is; anything else as it is."""
    return array.detach() if is_tensor(array) else array


def refuse_mixed_devices(**arrays):
    """Raise if some tensors live on another device than others.

    Raises
    ------
    ValueError
        Naming the arrays and their devices.
    """
    places = {name: str(array.device) for name, array in arrays.items() if is_tensor(array)}
    if len(set(places.values())) > 1:
        found = ", ".join(f"{name} on {device}" for name, device in places.items())
        raise ValueError(
            f"Expected all tensors on one device, got {found}. "
            "Move them with .to(device), or pass NumPy arrays."
        )


def row_index(*containers):
    """Return the index of the first pandas object among ``containers``, None if there is none."""
    for container in containers:
        if hasattr(container, "iloc") and hasattr(container, "index"):
            return container.index
    return None
