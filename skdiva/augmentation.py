"""Training rows with transformed copies, and the fit parameters that go with them."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_consistent_length

from skdiva.arrays import (
    append_rows,
    column_dtypes,
    column_names,
    count_non_finite,
    read_weight,
    without_graph,
    without_mask,
)
from skdiva.targets import read_codes, read_values

__all__ = ["augment"]

ORIGINAL = "original"


def augment(
    X: Any,
    y: ArrayLike,
    transforms: dict[str, Callable[[Any], Any]],
    *,
    groups: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> tuple[Any, np.ndarray, dict[str, np.ndarray]]:
    """Append one transformed copy of all rows per transform.

    The copies are used for training but not for validation, because their labels may no longer be
    correct. If they were evaluated, a transform that makes labels wrong would appear to improve the
    predictions. A row and its copies are left out together, so that no copy reveals the label of
    its original. With one weight per transform, the estimators learn how often each transform
    should be drawn (section 3.4 of [1]_).

    Parameters
    ----------
    X : array, dataframe or tensor with n_samples rows
        The original rows, of any shape; images, for example, have shape
        (n_samples, height, width).
    y : array-like of shape (n_samples,) or (n_samples, n_targets)
        Labels or targets of the original rows. The copies have the same labels or targets.
    transforms : dict of str to callable
        Functions by name. Each takes X and returns as many rows with the same shape, columns and
        dtypes (strings may change in length). A function that draws random numbers must set its own
        seed.
    groups : array-like of shape (n_samples,), default=None
        Groups of the original rows. Copies belong to the group of their original. If None, every
        original forms a group with its copies.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the original rows, for training and for validation. The copies have the same
        training weights.

    Returns
    -------
    X : array, dataframe or tensor with (1 + n_transforms) * n_samples rows
        The original rows, followed by the copies made by each transform, in the order of
        ``transforms``.
    y : ndarray with (1 + n_transforms) * n_samples rows
        Their labels or targets.
    fit_params : dict of str to ndarray
        Keyword arguments for the `fit` of :class:`DivaReweighter` or :class:`DivaOutlierDetector`:
        ``groups``; ``sources``, which is the name of the transform or "original";
        ``validation_weight``, which is zero for copies; and ``sample_weight``, if given.

    Raises
    ------
    TypeError
        If ``transforms`` is not a dict that maps names to callables.
    ValueError
        If there is no transform or one is called "original"; if X, y, groups and sample_weight
        differ in length; if a transform changes the container, shape, columns or dtypes of X, or
        produces NaN or infinity.

    See Also
    --------
    DivaReweighter : Learns the weight of every transform.
    skdiva.inspection.SourceDisplay : Plots these weights.

    References
    ----------
    .. [1] Dukler, Achille, Paolini, Ravichandran, Polito and Soatto, "DIVA: Dataset Derivative of
       a Learning Task", ICLR 2022, https://arxiv.org/abs/2111.09785

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skdiva import DivaReweighter, augment
    >>> digits = load_digits()
    >>> images, y = digits.images[:400], digits.target[:400]
    >>> transforms = {
    ...     "shifted": lambda images: np.roll(images, 1, axis=2),
    ...     "upside down": lambda images: images[:, ::-1],
    ... }
    >>> X, y, fit_params = augment(images, y, transforms)
    >>> X.shape
    (1200, 8, 8)
    >>> model = DivaReweighter().fit(X.reshape(1200, 64), y, **fit_params)
    >>> model.sources_
    array(['original', 'shifted', 'upside down'], dtype='<U11')
    >>> probability = dict(zip(model.sources_, model.source_probability_, strict=True))
    >>> probability["upside down"] < 0.1 < probability["shifted"]
    np.True_
    """
    _check_transforms(transforms)
    X, y = without_mask(without_graph(X, "X")), read_values(y)
    check_consistent_length(X, y)
    n, n_parts = len(y), 1 + len(transforms)
    copies = [_copies(X, name, transform) for name, transform in transforms.items()]
    groups = np.arange(n) if groups is None else _checked_groups(groups, n)
    weight = np.ones(n) if sample_weight is None else read_weight(sample_weight, n)
    fit_params = {
        "groups": np.tile(groups, n_parts),
        "sources": np.repeat([ORIGINAL, *transforms], n),
        "validation_weight": np.concatenate([weight, np.zeros(n * len(transforms))]),
    }
    if sample_weight is not None:
        fit_params["sample_weight"] = np.tile(weight, n_parts)
    return append_rows(X, *copies), np.concatenate([y] * n_parts), fit_params


def _checked_groups(groups: Any, n: int) -> np.ndarray:
    """Return the labels of the groups (n,), of which none may be missing."""
    codes, names = read_codes(groups, n, "groups")
    return names[codes]


def _check_transforms(transforms: Any) -> None:
    if not isinstance(transforms, dict):
        raise TypeError(
            f"transforms must be a dict of functions by name, got {type(transforms).__name__}. "
            "Pass, for example, {'shifted': shift}."
        )
    if not transforms:
        raise ValueError("transforms must name at least one transform, got an empty dict. Add one.")
    for name, transform in transforms.items():
        if not isinstance(name, str) or not callable(transform):
            raise TypeError(
                f"transforms must map names to functions of X, got {name!r}: {transform!r}. "
                "For a fitted transformer, pass its transform method."
            )
    if ORIGINAL in transforms:
        raise ValueError(
            f"A transform must not be called {ORIGINAL!r}: this is the source of the original "
            "rows. Use another name."
        )


def _copies(X: Any, name: str, transform: Callable[[Any], Any]) -> Any:
    """Return the copies that one transform makes of X; raise if they do not match X."""
    copies = without_graph(transform(copy.deepcopy(X)))
    if type(copies) is not type(X) or np.shape(copies) != np.shape(X):
        raise ValueError(
            f"Transform {name!r} must return the same container and shape as its input, "
            f"{_described(X)}; got {_described(copies)}. Pad, crop or convert in the transform."
        )
    for kind, read in (("columns", column_names), ("dtypes", column_dtypes)):
        if read(X) != read(copies):
            raise ValueError(
                f"Transform {name!r} must keep the {kind} of X, {read(X)}; got {read(copies)}. "
                "Restore them in the transform, or convert X first."
            )
    n_before, n_after = count_non_finite(X), count_non_finite(copies)
    if n_after > n_before:
        raise ValueError(
            f"Transform {name!r} must not introduce NaN or infinity: X has {n_before} such values, "
            f"its copies {n_after}. Fill in the values that the transform leaves undefined, such "
            "as the border of a shifted image."
        )
    return copies


def _described(X: Any) -> str:
    return f"{type(X).__name__} of shape {np.shape(X)}"
