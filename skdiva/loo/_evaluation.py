"""Single questions to a ridge problem at given weights: loss, derivative, coefficients."""

from torch import Tensor

from skdiva.loo._fitted_ridge import Evaluation, FittedRidge
from skdiva.loo._problem import RidgeProblem
from skdiva.loo.ridge import NewRowForm


def evaluate(problem: RidgeProblem, sample_weight: Tensor, alpha: float) -> Evaluation:
    """Loss, dataset derivative and leave-one-out predictions at given weights.

    Parameters
    ----------
    problem : Problem or JointProblem
        Ridge problem.
    sample_weight : tensor of shape (n,)
        Non-negative.
    alpha : float
        Ridge penalty, positive.

    Returns
    -------
    Evaluation
        Answers in input order.

    Raises
    ------
    ValueError
        If ``alpha`` is too small even for float64, or one row or group holds all the weight.

    See Also
    --------
    FittedRidge : Answers several questions from one factorization.

    Notes
    -----
    Leave-one-out residuals are e_i / (1 - a_i h_i), equation 13 of the paper without the division
    by the weight; the derivative is that of its section 3.3.

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
    return FittedRidge(problem, sample_weight, alpha).evaluation()


def predict_leave_one_out(problem: RidgeProblem, sample_weight: Tensor, alpha: float) -> Evaluation:
    """Loss and leave-one-out predictions: `evaluate` with ``derivative=None``, at half the cost.

    Parameters
    ----------
    problem : Problem or JointProblem
        Ridge problem.
    sample_weight : tensor of shape (n,)
        Non-negative.
    alpha : float
        Ridge penalty, positive.

    Returns
    -------
    Evaluation
        Answers in input order.

    Raises
    ------
    ValueError
        As `evaluate`.
    """
    return FittedRidge(problem, sample_weight, alpha).evaluation(derivative=False)


def fit_ridge(problem: RidgeProblem, sample_weight: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Fit the weighted ridge model itself (paper equation 6).

    Parameters
    ----------
    problem : Problem or JointProblem
        Ridge problem.
    sample_weight : tensor of shape (n,)
        Non-negative.
    alpha : float
        Ridge penalty, positive.

    Returns
    -------
    coef : tensor of shape (p, k)
        Coefficients.
    intercept : tensor of shape (k,), float64
        Evaluated in float64, the model predicts exactly however large the means of the features.

    Raises
    ------
    ValueError
        As `evaluate`.
    """
    return FittedRidge(problem, sample_weight, alpha).coefficients


def new_row_form(problem: RidgeProblem, sample_weight: Tensor, alpha: float) -> NewRowForm:
    """Prepare the derivative for rows outside the training set (paper section 3.4, Extend).

    Parameters
    ----------
    problem : Problem or JointProblem
        Ridge problem.
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
    return FittedRidge(problem, sample_weight, alpha).new_row_form()
