"""Functions that factorize a ridge problem at given weights and return a single result."""

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
        Non-negative weights.
    alpha : float
        Ridge penalty, positive.

    Returns
    -------
    Evaluation
        Results in input order.

    Raises
    ------
    ValueError
        If ``alpha`` is too small even for float64, or if one row or group has all the weight.

    See Also
    --------
    FittedRidge : Several results from one factorization.

    Notes
    -----
    The leave-one-out residuals are e_i / (1 - a_i h_i). This is equation 13 of the paper, written
    without a division by the weight. The derivative is that of section 3.3 of the paper.

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
    """Loss and leave-one-out predictions without the derivative, at half the cost of `evaluate`.

    Parameters
    ----------
    problem : Problem or JointProblem
        Ridge problem.
    sample_weight : tensor of shape (n,)
        Non-negative weights.
    alpha : float
        Ridge penalty, positive.

    Returns
    -------
    Evaluation
        Results in input order; ``derivative`` is None.

    Raises
    ------
    ValueError
        See `evaluate`.
    """
    return FittedRidge(problem, sample_weight, alpha).evaluation(derivative=False)


def fit_ridge(problem: RidgeProblem, sample_weight: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Fit the weighted ridge model (equation 6 of the paper).

    Parameters
    ----------
    problem : Problem or JointProblem
        Ridge problem.
    sample_weight : tensor of shape (n,)
        Non-negative weights.
    alpha : float
        Ridge penalty, positive.

    Returns
    -------
    coef : tensor of shape (p, k)
        Coefficients.
    intercept : tensor of shape (k,), float64
        Intercept. Computed in float64, predictions are accurate even if the features have large
        means.

    Raises
    ------
    ValueError
        See `evaluate`.
    """
    return FittedRidge(problem, sample_weight, alpha).coefficients


def new_row_form(problem: RidgeProblem, sample_weight: Tensor, alpha: float) -> NewRowForm:
    """Prepare the derivative for rows outside the training set (paper section 3.4, Extend).

    Parameters
    ----------
    problem : Problem or JointProblem
        Ridge problem.
    sample_weight : tensor of shape (n,)
        Non-negative weights.
    alpha : float
        Ridge penalty, positive.

    Returns
    -------
    NewRowForm
        Its method ``derivative(features, residuals)`` returns the derivative of the mean loss with
        respect to the weights of new rows (m, p), at weight zero.

    Raises
    ------
    ValueError
        See `evaluate`.
    """
    return FittedRidge(problem, sample_weight, alpha).new_row_form()
