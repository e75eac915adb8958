"""Rows of a pool that judge, each predicted by a model that was not trained on it.

Rows that were added are left out in closed form, the others are not in the model yet. With
a = 1 for those added and 0 for the others, h = t't and P = g / (1 - a h),

    B = sum t P',    M = sum a <P, r> t t',    own_j = h_j <P_j, e_j> + a_j h_j^2 <P_j, r_j>
                                                     = h_j <P_j, r_j>;

B and M join the sums over the core (``weight_derivative.py``), ``own`` takes a row's vote on itself
back out: its weight cannot change the model that it is predicted with.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from skdiva.loo.ridge import _products as products
from skdiva.loo.ridge._precision import require_residual_share
from skdiva.loo.rows._collector import RowCollector


class PoolVotes(NamedTuple):
    """What the rows of a pool say, summed with equal weight.

    Attributes
    ----------
    n_rows : int
    loss : float
    first : tensor of shape (q, k)
        B.
    second : tensor of shape (q, q)
        M.
    own : tensor of shape (n_rows,)
    """

    n_rows: int
    loss: float
    first: Tensor
    second: Tensor
    own: Tensor


def poll(pool, loss, smoother, form, chosen):
    """Ask all rows of a pool.

    Parameters
    ----------
    pool : sequence of tuples (tensor of shape (m, p), targets)
    loss : object
        See ``losses.py``.
    smoother : ExtendedSmoother
    form : NewRowForm
        Of the core, which says how rows are whitened.
    chosen : int64 tensor of shape (n_chosen,)
        Rows that were added.

    Returns
    -------
    PoolVotes
    """
    first, second = torch.zeros_like(form.first), torch.zeros_like(form.second)
    n_rows, total, own = 0, 0.0, RowCollector(form.offset)
    for features, targets in pool:
        inside = chosen[(chosen >= n_rows) & (chosen < n_rows + len(features))] - n_rows
        n_rows += len(features)
        whitened = form.whiten(features)
        residuals = smoother.new_residuals(features, targets)
        leverage = whitened.square().sum(dim=1)
        left_out = torch.ones_like(leverage)
        left_out[inside] -= leverage[inside]
        require_residual_share(float(left_out.min()), left_out.dtype)
        loo_residuals = residuals / left_out[:, None]
        targets = targets.block(slice(None), residuals.dtype)
        values, slopes = (
            f(targets + loo_residuals, targets) for f in (loss.value, loss.derivative)
        )
        total += float(values.double().sum())
        votes = slopes.to(residuals.dtype) / left_out[:, None]
        first.addmm_(whitened.T, votes)
        agreement = torch.linalg.vecdot(votes, loo_residuals)
        added = whitened[inside]
        products.add_symmetric_product(second, added, agreement[inside, None] * added)
        own.append(leverage * agreement)
    return PoolVotes(n_rows, total, first, products.mirror_upper(second), own.joined())
