"""Leave-one-out and leave-one-group-out predictions in closed form (paper Prop. 3).

With e the residuals of the model trained on everything, the residuals of the models trained
without each group I are

    r_I = (I - H_II diag(a_I))^-1 e_I,   for single rows  r_i = e_i / (1 - a_i h_i).

No division by a weight, so weights of zero are allowed.
"""

from typing import NamedTuple

from torch import Tensor


class LeaveOneOut(NamedTuple):
    """Leave-one-out answers, one row per sample.

    Attributes
    ----------
    residuals : tensor of shape (n, k)
        Prediction minus target of the model trained on all rows.
    loo_residuals : tensor of shape (n, k)
    loo_predictions : tensor of shape (n, k)
        Initial outputs included.
    leverage : tensor of shape (n,)
        h_i.
    one_minus_leverage : tensor of shape (n,)
        1 - a_i h_i.
    """

    residuals: Tensor
    loo_residuals: Tensor
    loo_predictions: Tensor
    leverage: Tensor
    one_minus_leverage: Tensor


def leave_one_out(smoother, targets):
    """Leave-one-out predictions of a factorised ridge model.

    Parameters
    ----------
    smoother : Smoother
    targets : ClassTargets or ValueTargets
        In the smoother's visiting order.

    Returns
    -------
    LeaveOneOut
        In visiting order.
    """
    residuals = smoother.residuals(targets)
    loo_residuals = smoother.solve_left_out(residuals)
    dense = targets.block(slice(None), residuals.dtype)
    return LeaveOneOut(
        residuals,
        loo_residuals,
        dense.add_(loo_residuals),
        smoother.leverage,
        smoother.one_minus_leverage,
    )
