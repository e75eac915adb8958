"""What a fitted extender's judges would have said of its pool in other orders.

Imports torch: to be imported when something is computed.
"""

import copy

import numpy as np
import torch

from skdiva.arrays import to_host
from skdiva.estimators._pool_blocks import PoolBlocks
from skdiva.loo.pool._greedy import extend
from skdiva.loo.pool._loss_path import loss_path

_CLOSE = 1e-3  # of the largest, for float32 and for what networks compute on other rows at a time


def added_losses(extender, rows, orders):
    """Mean loss of the judges with the first rows of given orders added.

    With the features and the penalty that the extender was fitted with.

    Parameters
    ----------
    extender : DivaExtender
        Fitted with a pool.
    rows : dict of {str: array-like or None}
        X, y, X_pool, y_pool, groups, X_val and y_val, as given to its `fit`.
    orders : list of ndarray of int of shape (n_pool,)
        Positions in the pool. With none, the rows are only compared with those of the fit.

    Returns
    -------
    ndarray of shape (n_orders, n_losses)
        After as many rows as in ``n_added_``.

    Raises
    ------
    ValueError
        If the rows, or their order, are not those that the extender was fitted with.
    """
    data, pool, _ = extender._read_all(**rows)
    posed = _as_fitted(extender, data)
    blocks = PoolBlocks(posed, pool)
    core, judged = (posed.problem, posed.alpha), {"pool_judges": extender.evaluate_on == "all"}
    start = extend(*core, blocks, n_samples=0, **judged)
    _check_same(to_host(start.start_derivative), extender.pool_derivative_)
    starts = [*range(0, pool.n_rows, blocks.size), pool.n_rows]
    sizes = np.diff(extender.n_added_).tolist()
    losses = []
    for order in orders:
        batches = torch.tensor(order[: sum(sizes)], device=posed.device).split(sizes)
        losses.append(loss_path(*core, blocks, starts, batches, **judged))
    return np.array(losses)


def _as_fitted(extender, data):
    """Pose the problem of the core with the features and the penalty of a fitted extender."""
    same = copy.copy(extender)
    same.alpha = extender.alpha_
    feature_map = copy.copy(extender._feature_map)
    feature_map.fit_transform = lambda data, _posed: feature_map.transform(data.X_checked)
    return same._pose(data, feature_map)


def _check_same(derivative, expected):
    """Raise unless the derivatives (n_pool,) are those of the fit: every row has a part in them."""
    differ, largest = np.abs(derivative - expected).max(), np.abs(expected).max()
    if differ > _CLOSE * largest:
        raise ValueError(
            f"Expected the rows that the extender was fitted with, in their order; got rows with "
            f"which pool_derivative_ differs by up to {differ:.3g}, its largest being "
            f"{largest:.3g}. Pass X, y, X_pool, y_pool, groups, X_val and y_val as given to fit; "
            "or no rows, if the featurizer's transform does not repeat what its fit_transform gave."
        )
