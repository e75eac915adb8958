"""Training rows with transformed copies, and what a fit must know about them."""

import copy

import numpy as np
from sklearn.utils import check_consistent_length

from skdiva.arrays import append_rows, is_missing, to_host, without_graph

__all__ = ["augment"]

ORIGINAL = "original"


def augment(X, y, transforms, *, groups=None, sample_weight=None):
    """Append a transformed copy of all rows for every transform.

    Copies train but do not judge: their labels are what is in question, and a transform that breaks
    them would vote for itself. A row and its copies are left out together, so that no copy tells
    what the original is. With one weight per transform, the estimators learn how often each should
    be drawn (section 3.4 of [1]_).

    Parameters
    ----------
    X : array, dataframe or tensor of n_samples rows
        The originals; of any shape, as images (n_samples, height, width).
    y : array-like of shape (n_samples,) or (n_samples, n_targets)
        Their labels or targets, which copies share.
    transforms : dict of str to callable
        By name, functions that take X and return as many rows of the same shape, columns and
        dtypes (strings may change in length). What they draw at random is theirs to seed.
    groups : array-like of shape (n_samples,), default=None
        Groups of the originals, which their copies join. None: every original and its copies are
        one.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the originals, in training and judging. Copies train with the same.

    Returns
    -------
    X : array, dataframe or tensor of (1 + n_transforms) * n_samples rows
        The originals, then the copies by each transform, in order.
    y : ndarray of as many rows
        Their labels.
    fit_params : dict
        For the `fit` of :class:`DivaReweighter` or :class:`DivaOutlierDetector`: ``groups``;
        ``sources``, the name of the transform, or "original"; ``validation_weight``, zero for
        copies; and ``sample_weight``, if there is one.

    Raises
    ------
    TypeError
        If ``transforms`` is not a dict of callables with names.
    ValueError
        If there is no transform, or one is called "original"; if X, y, groups and weights differ in
        length; if a transform changes the container, shape, columns or dtypes of X, or makes NaN or
        infinity.

    See Also
    --------
    DivaReweighter : Learns the weight of every transform.
    skdiva.inspection.SourceDisplay : Draws them.

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
    >>> images, y = digits.images[:300], digits.target[:300]
    >>> transforms = {
    ...     "shifted": lambda images: np.roll(images, 1, axis=2),
    ...     "upside down": lambda images: images[:, ::-1],
    ... }
    >>> X, y, fit_params = augment(images, y, transforms)
    >>> X.shape
    (900, 8, 8)
    >>> model = DivaReweighter().fit(X.reshape(900, 64), y, **fit_params)
    >>> model.sources_
    array(['original', 'shifted', 'upside down'], dtype='<U11')
    >>> probability = dict(zip(model.sources_, model.source_probability_, strict=True))
    >>> probability["upside down"] < 0.1 < probability["shifted"]
    np.True_
    """
    _check_transforms(transforms)
    check_consistent_length(X, y, groups, sample_weight)
    n, n_parts = len(y), 1 + len(transforms)
    X = without_graph(X)
    copies = [_copies(X, name, transform) for name, transform in transforms.items()]
    groups = np.arange(n) if groups is None else np.asarray(to_host(groups))
    weight = np.ones(n) if sample_weight is None else to_host(sample_weight)
    judging = np.asarray(weight, dtype=np.float64)
    fit_params = {
        "groups": np.tile(groups, n_parts),
        "sources": np.repeat([ORIGINAL, *transforms], n),
        "validation_weight": np.concatenate([judging, np.zeros(n * len(transforms))]),
    }
    if sample_weight is not None:
        fit_params["sample_weight"] = np.tile(judging, n_parts)
    y_all = np.concatenate([np.asarray(to_host(y))] * n_parts)
    return append_rows(X, *copies), y_all, fit_params


def _check_transforms(transforms):
    if not isinstance(transforms, dict):
        raise TypeError(
            f"transforms must be a dict of functions by name, got {type(transforms).__name__}. "
            "Write {'shifted': shift}."
        )
    if not transforms:
        raise ValueError(
            "transforms is empty: there is nothing to augment with. Name at least one."
        )
    for name, transform in transforms.items():
        if not isinstance(name, str) or not callable(transform):
            raise TypeError(
                f"transforms must map names to functions of X, got {name!r}: {transform!r}. "
                "Of a fitted transformer pass its method transform."
            )
    if ORIGINAL in transforms:
        raise ValueError(
            f"A transform is called {ORIGINAL!r}, which is the source of the rows that were given. "
            "Give it another name."
        )


def _copies(X, name, transform):
    """Return the copies by one transform; raise unless they can stand beside X."""
    copies = without_graph(transform(copy.deepcopy(X)))
    if type(copies) is not type(X) or np.shape(copies) != np.shape(X):
        raise ValueError(
            f"Transform {name!r} must return what it gets, {_described(X)}; got "
            f"{_described(copies)}. Pad, crop or convert inside it."
        )
    for kind, read in (("columns", _columns), ("dtypes", _dtypes)):
        if read(X) != read(copies):
            raise ValueError(
                f"Transform {name!r} must keep the {kind} of X, {read(X)}; got {read(copies)}. "
                "Restore them in it, or convert X before."
            )
    n_before, n_after = _n_not_finite(X), _n_not_finite(copies)
    if n_after > n_before:
        raise ValueError(
            f"Transform {name!r} must not make NaN or infinity: X holds {n_before}, its copies "
            f"{n_after}. Fill what it leaves empty, as the border of a shifted image."
        )
    return copies


def _described(X):
    return f"{type(X).__name__} of shape {np.shape(X)}"


def _columns(X):
    return list(getattr(X, "columns", []))


def _dtypes(X):
    if hasattr(X, "columns"):
        return list(X.dtypes)
    dtype = X.dtype if hasattr(X, "dtype") else np.asarray(X).dtype
    return [dtype.type if getattr(dtype, "kind", None) in ("U", "S") else dtype]


def _n_not_finite(X):
    if hasattr(X, "isna"):
        return int((X.isna() | X.isin([np.inf, -np.inf])).to_numpy().sum())
    array = X.tocsr().data if hasattr(X, "tocsr") else np.asarray(to_host(X))
    if array.dtype.kind == "O":
        return sum(is_missing(value) or value in (np.inf, -np.inf) for value in array.flat)
    return int((~np.isfinite(array)).sum()) if array.dtype.kind in "fc" else 0
