"""The core with rows of the pool as one training set, for what is chosen before rows are added."""

from dataclasses import replace

import numpy as np
from sklearn.utils import _safe_indexing, check_random_state, indexable

from skdiva.arrays import append_rows

_MOST_ROWS = 10_000  # of the pool


def with_pool(data, pool, random_state):
    """Append the pool to the core, or a sample of it if it is large.

    Features that know the core alone lose what is new in the pool, and a penalty that suits few
    rows is too small once many are added.

    Parameters
    ----------
    data : TrainingData
        The core.
    pool : Pool or None
    random_state : int, RandomState instance or None
        Draws the sample. None is 0.

    Returns
    -------
    TrainingData
        The rows of the core first. Every row of the pool is a group of its own.
    """
    if pool is None:
        return data
    X, target = pool.X_checked, pool.target
    if pool.n_rows > _MOST_ROWS:
        rng = check_random_state(0 if random_state is None else random_state)
        rows = np.sort(rng.choice(pool.n_rows, _MOST_ROWS, replace=False))
        X, target = _safe_indexing(indexable(X)[0], rows), target.select(rows)
    groups = data.groups
    if groups is not None:
        n_rows = len(target.given)
        groups = np.concatenate([groups, groups.max() + 1 + np.arange(n_rows)])
    return replace(
        data,
        X_checked=append_rows(data.X_checked, X),
        y=np.concatenate([data.y, target.given]),
        target=data.target.append(target),
        groups=groups,
    )
