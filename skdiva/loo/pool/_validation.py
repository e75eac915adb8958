"""Loss over the rows of a pool, each predicted by a model that was not trained on it.

Rows that were added to the core are left out in closed form; the others are not in the model. With
a = 1 for added rows and a = 0 for the others, h = t't and P = g / (1 - a h), define

    B = sum t P',    M = sum a <P, r> t t',    own_j = h_j <P_j, e_j> + a_j h_j^2 <P_j, r_j>
                                                     = h_j <P_j, r_j>.

B and M are added to the sums over the core (``FittedRidge``). ``own`` is the contribution of a row
to its own derivative. It is removed, because the weight of a row has no effect on the model that
predicts it.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from skdiva.loo._losses import Loss, call_loss
from skdiva.loo.pool._blocks import PoolBlocks
from skdiva.loo.pool._updated_smoother import UpdatedSmoother
from skdiva.loo.ridge import (
    NewRowForm,
    add_symmetric_product,
    mirror_upper,
    require_residual_share,
)


class PoolObjective(NamedTuple):
    """Sums over the rows of a pool, with equal weights.

    Attributes
    ----------
    loss : float
    first : tensor of shape (q, k)
        B.
    second : tensor of shape (q, q)
        M.
    own : tensor of shape (n_pool,)
    """

    loss: float
    first: Tensor
    second: Tensor
    own: Tensor


def pool_objective(
    pool: PoolBlocks, loss: Loss, smoother: UpdatedSmoother, form: NewRowForm, added: Tensor
) -> PoolObjective:
    """Sum the loss and the terms of its derivative over all rows of a pool.

    Parameters
    ----------
    pool : PoolBlocks
    loss : Loss
    smoother : UpdatedSmoother
    form : NewRowForm
        Form of the core, which determines how rows are whitened.
    added : bool tensor of shape (n_pool,)
        Rows that were added to the core.

    Returns
    -------
    PoolObjective
    """
    first, second = torch.zeros_like(form.first), torch.zeros_like(form.second)
    total, own = 0.0, form.offset.new_empty(len(added))
    for rows, features, targets in pool:
        inside = added[rows]
        whitened = form.whiten(features)
        residuals = smoother.new_residuals(features, targets)
        leverage = whitened.square().sum(dim=1)
        left_out = torch.where(inside, 1 - leverage, 1.0)
        require_residual_share(float(left_out.min()), left_out.dtype)
        loo_residuals = residuals / left_out[:, None]
        dense = targets.block(slice(None), residuals.dtype)
        predictions = dense + loo_residuals
        total += float(call_loss(loss, "value", predictions, dense).double().sum())
        gradient = call_loss(loss, "derivative", predictions, dense).to(residuals.dtype)
        gradient = gradient / left_out[:, None]
        first.addmm_(whitened.T, gradient)
        agreement = torch.linalg.vecdot(gradient, loo_residuals)
        trained = whitened[inside]
        add_symmetric_product(second, trained, agreement[inside, None] * trained)
        own[rows] = leverage * agreement
    return PoolObjective(total, first, mirror_upper(second), own)


def pool_loss(pool: PoolBlocks, loss: Loss, smoother: UpdatedSmoother, added: Tensor) -> float:
    """Sum the loss over all rows of a pool; ``added`` rows are left out one at a time."""
    total = 0.0
    for rows, features, targets in pool:
        inside = added[rows]
        left_out = 1 - smoother.whiten(features[inside]).square().sum(dim=1)
        if len(left_out):
            require_residual_share(float(left_out.min()), left_out.dtype)
        residuals = smoother.new_residuals(features, targets)
        residuals[inside] /= left_out[:, None]
        dense = targets.block(slice(None), residuals.dtype)
        total += float(call_loss(loss, "value", dense + residuals, dense).double().sum())
    return total
