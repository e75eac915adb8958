"""A ridge problem asked for its leave-one-out loss and its dataset derivative.

The front door of ``skdiva.loo``: the choice of a precision that suffices stays behind it.
"""

from typing import NamedTuple

from torch import Tensor

from skdiva.loo._leave_one_out import leave_one_out
from skdiva.loo._objective import judge
from skdiva.loo._weight_derivative import loo_weight_derivative, validation_weight_derivative
from skdiva.loo.ridge._group_blocks import require_two_groups
from skdiva.loo.ridge._precision import full_float32, in_sufficient_dtype


class Evaluation(NamedTuple):
    """Leave-one-out answers at given weights, in input order.

    Attributes
    ----------
    loss : float
        Mean leave-one-out loss over the validation weights, or mean validation loss.
    derivative : tensor of shape (n,) or None
        Derivative of ``loss`` with respect to the sample weights.
    loo_predictions : tensor of shape (n, k)
        Initial outputs included.
    loo_residuals : tensor of shape (n, k)
        Prediction minus target.
    leverage : tensor of shape (n,)
        h_i.
    one_minus_leverage : tensor of shape (n,)
        1 - a_i h_i.
    coef : tensor of shape (p, k)
        Coefficients of the model trained on all rows.
    intercept : tensor of shape (k,)
    """

    loss: float
    derivative: Tensor | None
    loo_predictions: Tensor
    loo_residuals: Tensor
    leverage: Tensor
    one_minus_leverage: Tensor
    coef: Tensor
    intercept: Tensor


def evaluate(problem, sample_weight, alpha):
    """Loss, dataset derivative and leave-one-out predictions at given weights.

    Parameters
    ----------
    problem : Problem
    sample_weight : tensor of shape (n,)
        Non-negative.
    alpha : float
        Ridge penalty, positive.

    Returns
    -------
    Evaluation

    Raises
    ------
    ValueError
        If ``alpha`` is too small even for float64, or one row or group holds all the weight.

    Notes
    -----
    Leave-one-out residuals are e_i / (1 - a_i h_i), equation 13 of the paper without the division
    by the weight; the derivative is that of section 3.3, see ``weight_derivative.py``.

    Examples
    --------
    >>> import torch
    >>> from skdiva.loo import ClassTargets, LogLoss, Problem, evaluate
    >>> features = torch.tensor([[0.0], [0.1], [0.2], [1.0], [1.1], [1.2]])
    >>> labels = torch.tensor([0, 0, 1, 1, 1, 1])  # the third is doubtful
    >>> problem = Problem(features, ClassTargets(labels, 2), loss=LogLoss())
    >>> answer = evaluate(problem, torch.ones(6), alpha=0.1)
    >>> int(answer.derivative.argmax())
    2
    """
    return _with_sufficient_precision(problem, sample_weight, alpha, _evaluate)


def predict_leave_one_out(problem, sample_weight, alpha):
    """Loss and leave-one-out predictions: `evaluate` with ``derivative=None``, at half the cost.

    Parameters
    ----------
    problem : Problem
    sample_weight : tensor of shape (n,)
        Non-negative.
    alpha : float
        Ridge penalty, positive.

    Returns
    -------
    Evaluation

    Raises
    ------
    ValueError
        As `evaluate`.
    """
    return _with_sufficient_precision(problem, sample_weight, alpha, _predict_leave_one_out)


def fit_ridge(problem, sample_weight, alpha):
    """Fit the weighted ridge model itself (paper equation 6).

    Parameters
    ----------
    problem : Problem
    sample_weight : tensor of shape (n,)
        Non-negative.
    alpha : float
        Ridge penalty, positive.

    Returns
    -------
    coef : tensor of shape (p, k)
    intercept : tensor of shape (k,), float64
        Evaluated in float64, the model predicts exactly however large the means of the features.

    Raises
    ------
    ValueError
        As `evaluate`.
    """

    def fit(problem, smoother):
        return problem.coefficients(smoother)

    return _with_sufficient_precision(problem, sample_weight, alpha, fit)


def new_row_form(problem, sample_weight, alpha):
    """Prepare the derivative for rows outside the training set (paper section 3.4, Extend).

    Parameters
    ----------
    problem : Problem
    sample_weight : tensor of shape (n,)
        Non-negative.
    alpha : float
        Ridge penalty, positive.

    Returns
    -------
    NewRowForm
        Its ``derivative(features, residuals)`` is that of the mean loss with respect to the
        weight, now zero, of new rows (m, p).

    Raises
    ------
    ValueError
        As `evaluate`.
    """

    def make(problem, smoother):
        return judged_new_row_form(problem, smoother)[1]

    return _with_sufficient_precision(problem, sample_weight, alpha, make)


def judged_new_row_form(problem, smoother):
    """Mean loss, and the form of its derivative for new rows, from a factorisation."""
    loo = leave_one_out(smoother, problem.row_targets)
    loss, gradient = judge(problem, smoother, loo)
    if problem.validation is not None:
        return loss, smoother.adjoint_form(problem.validation_rows, gradient)
    first = smoother.solve_left_out(gradient, transposed=True)
    second = smoother.sample_weight[:, None] * loo.loo_residuals
    return loss, smoother.new_row_form(first, second)


@full_float32()
def _with_sufficient_precision(problem, sample_weight, alpha, function):
    """Call ``function(problem, smoother)``, in float64 where the features' dtype falls short."""
    weight = problem.layout.arrange(sample_weight)
    require_two_groups(problem.layout, weight)

    def attempt(dtype):
        return function(problem, problem.smoother(weight, alpha, dtype))

    return in_sufficient_dtype(problem.dtype, alpha, attempt)


def _predict_leave_one_out(problem, smoother):
    loo = leave_one_out(smoother, problem.row_targets)
    loss, _ = judge(problem, smoother, loo)
    return _evaluation(problem, smoother, loo, loss, None)


def _evaluate(problem, smoother):
    loo = leave_one_out(smoother, problem.row_targets)
    loss, gradient = judge(problem, smoother, loo)
    if problem.validation is None:
        derivative = loo_weight_derivative(smoother, loo, gradient)
    else:
        rows = problem.validation_rows
        derivative = validation_weight_derivative(smoother, loo.residuals, rows, gradient)
    return _evaluation(problem, smoother, loo, loss, problem.sum_over_outputs(derivative))


def _evaluation(problem, smoother, loo, loss, derivative):
    def restore(array, dtype=problem.dtype):
        return problem.layout.restore(array).to(dtype)

    # Regression targets keep their own precision, and so do predictions of them.
    wide = problem.targets.block(slice(0, 0), problem.dtype).dtype

    return Evaluation(
        loss,
        None if derivative is None else restore(derivative),
        restore(problem.predictions(loo.loo_predictions), wide),
        restore(problem.by_sample(loo.loo_residuals)),
        restore(problem.by_sample(loo.leverage)),
        restore(problem.by_sample(loo.one_minus_leverage)),
        *problem.coefficients(smoother),
    )
