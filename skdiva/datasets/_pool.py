"""Split of a data set into a trusted core, a pool with label noise and test rows."""

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.model_selection import train_test_split
from sklearn.utils import Bunch, _safe_indexing, check_consistent_length, check_random_state

from skdiva.datasets._label_noise import flip_labels, read_classes


def split_core_pool(
    X: Any,
    y: ArrayLike,
    *,
    n_core: int = 50,
    test_size: float = 0.3,
    noise_rate: float = 0.2,
    kind: str = "uniform",
    random_state: int | np.random.RandomState | None = None,
) -> Bunch:
    """Split rows into a trusted core, a pool with wrong labels, and a clean test set.

    This is the setting of :class:`~skdiva.DivaExtender`: few labels are trusted, and many more are
    available.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Features: array, dataframe or sparse matrix. The parts are returned in the same container.
    y : array-like of shape (n_samples,)
        Labels of any type, with at least two classes.
    n_core : int, default=50
        Number of rows in the core.
    test_size : float or int, default=0.3
        Share or number of test rows. All remaining rows form the pool. The split is stratified:
        classes have the same shares in core, pool and test rows.
    noise_rate : float, default=0.2
        Share of wrong labels in the pool; see :func:`flip_labels`.
    kind : {"uniform", "pair", "doubt"}, default="uniform"
        How wrong labels are drawn; see :func:`flip_labels`.
    random_state : int, RandomState instance or None, default=None
        Determines the split and the wrong labels. Pass an int for reproducible output.

    Returns
    -------
    :class:`~sklearn.utils.Bunch`
        With the attributes

        X, y : array-like of n_core rows
            The core.
        X_pool, y_pool : array-like of n_pool rows
            The pool, including rows with wrong labels.
        X_test, y_test : array-like of n_test rows
            The test rows.
        is_wrong : ndarray of bool of shape (n_pool,)
            Whether each label of the pool is wrong.

    Raises
    ------
    ValueError
        If there are too few rows for the split, or if an argument is not as described.

    See Also
    --------
    flip_labels : Adds wrong labels.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdiva.datasets import split_core_pool
    >>> split = split_core_pool(*load_digits(return_X_y=True), random_state=0)
    >>> split.X.shape, split.X_pool.shape, split.X_test.shape
    ((50, 64), (1207, 64), (540, 64))
    >>> int(split.is_wrong.sum())
    241
    """
    if not isinstance(n_core, Integral) or n_core < 1:
        raise ValueError(f"n_core must be an int of at least 1, got {n_core!r}. Pass more.")
    y, classes, codes = read_classes(y)
    check_consistent_length(X, y)
    rng = check_random_state(random_state)
    rest, test = train_test_split(
        np.arange(len(y)), test_size=test_size, stratify=codes, random_state=rng
    )
    most = len(rest) - len(classes)
    if not len(classes) <= n_core <= most:
        raise ValueError(
            f"n_core must be from {len(classes)} to {most}, so that core and pool can hold every "
            f"class, got {n_core} for {len(rest)} rows that are not used for testing. Pass another "
            "n_core, a smaller test_size, or more rows."
        )
    core, pool = train_test_split(
        rest, train_size=int(n_core), stratify=codes[rest], random_state=rng
    )
    parts = {"": core, "_pool": pool, "_test": test}
    split = Bunch(**{f"X{part}": _safe_indexing(X, rows) for part, rows in parts.items()})
    split.update({f"y{part}": y[rows] for part, rows in parts.items()})
    split.y_pool, split.is_wrong = flip_labels(
        split.y_pool, noise_rate, kind=kind, X=split.X_pool, random_state=rng
    )
    return split
