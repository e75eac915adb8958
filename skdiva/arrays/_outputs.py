"""Arrays that are returned by transformers and other objects of users."""

from typing import Any

import numpy as np
from sklearn.utils import check_array

from skdiva.arrays._containers import is_tensor, to_host, without_graph, without_mask
from skdiva.arrays._sparse import first_non_finite


def read_output(output: Any, name: str, *, accept_sparse: Any = False) -> Any:
    """Return what a user's function returned, as an array or tensor of finite real numbers.

    Parameters
    ----------
    output : array-like, dataframe or tensor
    name : str
        Name of the function, for error messages.
    accept_sparse : bool or str, default=False
        As for :func:`sklearn.utils.check_array`.

    Returns
    -------
    ndarray or tensor
        A tensor has no graph, and stays on its device.

    Raises
    ------
    TypeError, ValueError
        If it does not hold numbers, or if one is not finite. The message names the row.
    """
    output = without_mask(without_graph(output, f"the result of {name}"))
    if not is_tensor(output):
        try:
            output = check_array(
                output, dtype="numeric", ensure_2d=False, allow_nd=True, input_name=name,
                accept_sparse=accept_sparse, ensure_all_finite=False,
            )  # fmt: skip
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(
                f"{name} must return numbers, as an array or a tensor; got "
                f"{type(output).__name__}. {error}"
            ) from error
    if str(output.dtype).removeprefix("torch.").startswith(("complex", "datetime", "timedelta")):
        raise ValueError(
            f"{name} must return real numbers, got dtype {output.dtype}. Convert them, for example "
            "dates to numbers of days."
        )
    _refuse_non_finite(output, name)
    return output


def _refuse_non_finite(output: Any, name: str) -> None:
    if is_tensor(output):
        from skdiva.arrays._compute import all_finite

        if all_finite(output):
            return
    if hasattr(output, "tocsr"):
        found = first_non_finite(output.tocsr())
        if found is None:
            return
        row, _, value = found
    else:
        values = to_host(output)
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(np.sum(values, dtype=np.float64)) or np.isfinite(values).all():
                return
        row, *place = (int(i) for i in np.argwhere(~np.isfinite(values))[0])
        value = values[(row, *place)]
    raise ValueError(
        f"{name} must return finite numbers, got {value} in row {row}. Impute missing values, or "
        "correct the transformer or network that computes it."
    )
