"""What a fitted extender's judges would have said of its pool in other orders.

Imports torch: to be imported when something is computed.
"""

import copy

import numpy as np
import torch

from skdiva.estimators._pool_blocks import PoolBlocks
from skdiva.loo.loss_path import loss_path

_CLOSE = 1e-3  # relative, for float32 and for what networks compute on other rows at a time


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
        Positions in the pool.

    Returns
    -------
    ndarray of shape (n_orders, n_losses)
        After as many rows as in ``n_added_``.

    Raises
    ------
    ValueError
        If the rows are not those that the extender was fitted with.
    """
    data, pool, _ = extender._read_all(**rows)
    posed = _as_fitted(extender, data)
    blocks = PoolBlocks(posed, pool)
    sizes = np.diff(extender.n_added_).tolist()
    judged = {"pool_judges": extender.judges == "all"}
    losses = []
    for order in orders:
        batches = torch.tensor(order[: sum(sizes)], device=posed.device).split(sizes)
        losses.append(loss_path(posed.problem, posed.alpha, blocks, batches, **judged))
        _check_start(losses[-1][0], extender.loo_loss_)
    return np.array(losses)


def _as_fitted(extender, data):
    """Pose the problem of the core with the features and the penalty of a fitted extender."""
    same = copy.copy(extender)
    same.alpha = extender.alpha_
    feature_map = copy.copy(extender._feature_map_)
    feature_map.fit_transform = lambda data, _posed: feature_map.transform(data.X_checked)
    return same._pose(data, feature_map)


def _check_start(loss, expected):
    if not np.isclose(loss, expected, rtol=_CLOSE, atol=0):
        raise ValueError(
            f"Expected rows with which the extender's loss starts at {expected:.6g}, as in its "
            f"fit; got rows with which it starts at {loss:.6g}. Pass X, y, X_pool, y_pool, groups, "
            "X_val and y_val as given to fit; or no random orders (n_repeats=0), if the "
            "featurizer's transform does not repeat what its fit_transform gave."
        )
