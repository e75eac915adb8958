"""The dataset derivative: how a loss changes when one training row weighs a little more.

Leave-one-out loss (paper section 3.3), L(a) = sum_i c_i loss(r_i + t_i, t_i). With
g_i = c_i dloss/dprediction, P_I = (I - H_II diag(a_I))^-T g_I and V_i = a_i r_i,

    dL/da_j = - <sum_{i not in J} H_ji P_i, e_j>
              - sum_{I != J} <sum_{i in I} H_ji P_i, sum_{i in I} H_ji V_i>.

It follows from de/da_j = - H_.j e_j' and dH/da_j = - H_.j H_j. put into r_I. The own group
contributes exactly zero: a row's weight cannot change the model trained without it.

Separate validation loss (paper Prop. 1 and 2): dW/da_j = - C z_j e_j', hence

    dLval/da_j = - <e_j, sum_v H_jv g_v>.

Check: sum_j a_j dL/da_j = - alpha dL/dalpha, since the coefficients depend on a / alpha only.
"""

import torch


def loo_weight_derivative(smoother, loo, loss_gradient):
    """Derivative of the leave-one-out loss with respect to every sample weight.

    Parameters
    ----------
    smoother : Smoother
    loo : LeaveOneOut
    loss_gradient : tensor of shape (n, k)
        g: validation weight times the loss's derivative at the leave-one-out predictions.

    Returns
    -------
    tensor of shape (n,)
    """
    first = smoother.solve_left_out(loss_gradient, transposed=True)
    second = smoother.sample_weight[:, None] * loo.loo_residuals
    others_first, others_second = smoother.others_sums(first, second)
    return others_second.neg_().sub_(torch.linalg.vecdot(others_first, loo.residuals))


def validation_weight_derivative(smoother, residuals, features_val, loss_gradient):
    """Derivative of a separate validation loss with respect to every sample weight.

    Parameters
    ----------
    smoother : Smoother
    residuals : tensor of shape (n, k)
        e, prediction minus target of the training rows.
    features_val : tensor of shape (m, p)
    loss_gradient : tensor of shape (m, k)
        Derivative of the validation loss with respect to the predictions.

    Returns
    -------
    tensor of shape (n,)
    """
    return -torch.linalg.vecdot(smoother.adjoint(features_val, loss_gradient), residuals)
