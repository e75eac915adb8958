"""Pool of rows that may be added to a core, and the training set of both."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.utils import _safe_indexing, check_random_state, indexable
from sklearn.utils.validation import _num_samples

from skdiva.arrays import append_rows, read_source, refuse_mixed_devices, to_host
from skdiva.estimators._inputs import (
    TrainingData,
    check_labeled_rows,
    copy_without_identity,
    unwrap,
)
from skdiva.targets import Target

MAX_SAMPLED_ROWS = 10_000  # of the pool, for features and penalty


@dataclass
class Pool:
    """Rows that may be added to the training rows."""

    X: Any  # for the inner estimator, as TrainingData.X
    X_checked: Any  # for the feature map, as TrainingData.X_checked
    target: Target
    n_rows: int


def read_pool(
    estimator: Any, data: TrainingData, X_pool: Any, y_pool: Any, *, numeric: bool
) -> Pool | None:
    """Validate and encode the pool, without changing the estimator.

    Parameters
    ----------
    estimator : estimator
        Estimator that is named in error messages.
    data : TrainingData
        The core.
    X_pool, y_pool : array-like or tuple of one, or None
        As passed to `fit`.
    numeric : bool
        Whether X must hold finite numbers.

    Returns
    -------
    Pool or None
        None if there is no pool.
    """
    X_pool, y_pool = unwrap(X_pool, "X_pool"), unwrap(y_pool, "y_pool")
    X_pool = read_source(estimator, X_pool)
    refuse_mixed_devices(X=data.given[0], X_pool=X_pool, y_pool=y_pool)
    scratch = copy_without_identity(estimator)
    vars(scratch).update(data.identity)
    X, target = check_labeled_rows(scratch, X_pool, y_pool, data.target, numeric, "pool")
    return None if X is None else Pool(to_host(X_pool), X, target, _num_samples(X))


def with_pool(
    data: TrainingData, pool: Pool | None, random_state: Any, max_rows: int = MAX_SAMPLED_ROWS
) -> TrainingData:
    """Append the pool to the core, or a sample of the pool if it is large.

    Features and penalty are chosen on both: features of the core alone would miss what is new in
    the pool, and a penalty for a small core would be too small once many rows are added.

    Parameters
    ----------
    data : TrainingData
        The core.
    pool : Pool or None
    random_state : int, RandomState instance or None
        Determines the sample. None is the same as 0.
    max_rows : int, default=10_000
        Largest number of rows of the pool that are appended.

    Returns
    -------
    TrainingData
        The core first. Every row of the pool is a group of its own.
    """
    if pool is None:
        return data
    X, target = pool.X_checked, pool.target
    if pool.n_rows > max_rows:
        rng = check_random_state(0 if random_state is None else random_state)
        rows = np.sort(rng.choice(pool.n_rows, max_rows, replace=False))
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
