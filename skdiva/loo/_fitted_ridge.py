"""Ridge problem factorized at given weights and penalty, and its leave-one-out answers.

Leave-one-out and leave-one-group-out predictions (paper Prop. 3). With e the residuals of the model
trained on everything, the residuals of the models trained without each group I are

    r_I = (I - H_II diag(a_I))^-1 e_I,   for single rows  r_i = e_i / (1 - a_i h_i).

No division by a weight, so weights of zero are allowed.

Dataset derivative of the leave-one-out loss (paper section 3.3), L(a) = sum_i c_i loss(r_i + t_i,
t_i). With g_i = c_i dloss/dprediction, P_I = (I - H_II diag(a_I))^-T g_I and V_i = a_i r_i,

    dL/da_j = - <sum_{i not in J} H_ji P_i, e_j>
              - sum_{I != J} <sum_{i in I} H_ji P_i, sum_{i in I} H_ji V_i>.

It follows from de/da_j = - H_.j e_j' and dH/da_j = - H_.j H_j. put into r_I. The own group
contributes exactly zero: a row's weight cannot change the model trained without it.

Separate validation loss (paper Prop. 1 and 2): dW/da_j = - C z_j e_j', hence

    dLval/da_j = - <e_j, sum_v H_jv g_v>.

Check: sum_j a_j dL/da_j = - alpha dL/dalpha, since the coefficients depend on a / alpha only.
"""

from collections.abc import Callable
from functools import cached_property, partial
from typing import NamedTuple

import torch
from torch import Tensor

from skdiva.loo._losses import mean_loss
from skdiva.loo._problem import RidgeProblem
from skdiva.loo.ridge import (
    AffineSmoother,
    NewRowForm,
    Smoother,
    full_float32,
    in_sufficient_dtype,
)


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
        h_i; of a `JointProblem` (n, k), one for every output.
    one_minus_leverage : tensor of shape (n,)
        1 - a_i h_i; of a `JointProblem` (n, k).
    coef : tensor of shape (p, k)
        Coefficients of the model trained on all rows; of a `JointProblem` (p,), or (n * k,) if only
        inner products are known.
    intercept : tensor of shape (k,)
        In float64.
    """

    loss: float
    derivative: Tensor | None
    loo_predictions: Tensor
    loo_residuals: Tensor
    leverage: Tensor
    one_minus_leverage: Tensor
    coef: Tensor
    intercept: Tensor


class FittedRidge:
    """A ridge problem factorized at given weights and penalty.

    Every answer is computed when it is first asked for, and only once; results are in input order.
    It holds the factorization: keep an `evaluation` of it where only numbers are wanted.

    Parameters
    ----------
    problem : Problem or JointProblem
        Ridge problem.
    sample_weight : tensor of shape (n,)
        Non-negative.
    alpha : float
        Ridge penalty, positive.

    Raises
    ------
    ValueError
        If ``alpha`` is too small even for float64, or one row or group holds all the weight. The
        former may also be raised when an answer is asked for.

    Examples
    --------
    >>> import torch
    >>> from skdiva.loo import ClassTargets, FittedRidge, LogLoss, Problem
    >>> features = torch.tensor([[0.0], [0.1], [0.2], [1.0], [1.1], [1.2]])
    >>> labels = torch.tensor([0, 0, 1, 1, 1, 1])  # the third is doubtful
    >>> problem = Problem(features, ClassTargets(labels, 2), loss=LogLoss())
    >>> fit = FittedRidge(problem, torch.ones(6), alpha=0.1)
    >>> int(fit.derivative.argmax())
    2
    """

    def __init__(self, problem: RidgeProblem, sample_weight: Tensor, alpha: float):
        weight = problem.layout.arrange(sample_weight)
        problem.layout.require_two_groups(weight)
        self.problem, self.alpha = problem, alpha
        self._factorize: Callable | None = partial(problem.smoother, weight, alpha)
        with full_float32():
            self.smoother = in_sufficient_dtype(problem.dtype, alpha, self._factorize)

    @classmethod
    def from_smoother(
        cls, problem: RidgeProblem, smoother: Smoother, alpha: float
    ) -> "FittedRidge":
        """Return a fit that asks a given factorization, in its own dtype.

        Parameters
        ----------
        problem : RidgeProblem
            Ridge problem.
        smoother : Smoother
            Of the problem.
        alpha : float
            Ridge penalty, named in errors.

        Returns
        -------
        FittedRidge
            Its answers raise `InsufficientPrecisionError` where the dtype does not suffice.
        """
        fit = object.__new__(cls)
        fit.problem, fit.smoother, fit.alpha = problem, smoother, alpha
        fit._factorize = None
        return fit

    def with_objective(self, problem: RidgeProblem) -> "FittedRidge":
        """Return the same fit for a problem that differs in its loss and validation only.

        Parameters
        ----------
        problem : RidgeProblem
            Made by `replace` of the problem that was fitted.

        Returns
        -------
        FittedRidge
            It shares the factorization and the leave-one-out residuals.
        """
        left_out = self._left_out  # first: it may need another factorization, in float64
        fit = FittedRidge.from_smoother(problem, self.smoother, self.alpha)
        fit._left_out = left_out
        return fit

    @cached_property
    @full_float32()
    def _left_out(self) -> tuple[Tensor, Tensor]:
        """Residuals, and leave-one-out residuals, of the rows of the model, as visited."""
        factorize = self._factorize

        def solve(dtype):
            if factorize is not None and dtype != self.smoother.dtype:
                self.smoother = factorize(dtype)
            residuals = self.smoother.residuals(self.problem.row_targets)
            return residuals, self.smoother.solve_left_out(residuals)

        if factorize is None:
            return solve(self.smoother.dtype)
        return in_sufficient_dtype(self.smoother.dtype, self.alpha, solve)

    @cached_property
    @full_float32()
    def _objective(self) -> tuple[float, Tensor]:
        """Mean loss, and its derivative with respect to the held-out predictions of the rows."""
        problem, residuals = self.problem, self._left_out[0]
        if problem.validation is None:
            targets, weight = problem.targets, problem.validation_weight
            predictions = targets.block(slice(None), residuals.dtype)
            predictions += self._left_out[1].reshape(predictions.shape)
        else:
            targets = problem.validation[1]
            predictions = problem.predict_validation(self.smoother)
            if targets.initial_outputs is not None:
                predictions = predictions + targets.initial_outputs
            weight = predictions.new_ones(targets.n_rows)
        loss, gradient = mean_loss(problem.loss, predictions, targets, weight, problem.budget)
        return loss, gradient.to(residuals.dtype).reshape(-1, residuals.shape[1])

    @property
    def loss(self) -> float:
        """Mean leave-one-out loss over the validation weights, or mean validation loss."""
        return self._objective[0]

    @cached_property
    @full_float32()
    def derivative(self) -> Tensor:
        """Derivative of ``loss`` with respect to the sample weights, (n,)."""
        (residuals, loo_residuals), gradient = self._left_out, self._objective[1]
        smoother = self.smoother
        if self.problem.validation is None:
            first = smoother.solve_left_out(gradient, transposed=True)
            second = smoother.sample_weight[:, None] * loo_residuals
            others_first, others_second = smoother.cross_sums(first, second)
            by_row = others_second.neg_().sub_(torch.linalg.vecdot(others_first, residuals))
        else:
            pulled = smoother.adjoint(self.problem.validation_rows, gradient)
            by_row = -torch.linalg.vecdot(pulled, residuals)
        # Rows of one sample (its outputs, in a joint problem) share its weight.
        return self._restored(by_row.reshape(self.problem.n_rows, -1).sum(dim=1))

    @property
    def loo_predictions(self) -> Tensor:
        """Leave-one-out predictions (n, k), initial outputs included."""
        problem, loo_residuals = self.problem, self._left_out[1]
        predictions = problem.targets.block(slice(None), loo_residuals.dtype)
        predictions += loo_residuals.reshape(predictions.shape)
        # Regression targets keep their own precision, and so do predictions of them.
        wide = problem.targets.block(slice(0, 0), problem.dtype).dtype
        return problem.layout.restore(predictions).to(wide)

    @cached_property
    @full_float32()
    def coefficients(self) -> tuple[Tensor, Tensor]:
        """Coefficients (p, k) and intercept (k,), float64, of the model trained on all rows.

        Evaluated in float64, the model predicts exactly however large the means of the features.
        """
        return self.problem.coefficients(self.smoother)

    @full_float32()
    def new_row_form(self) -> NewRowForm:
        """Return the form of the derivative for rows outside the training set (paper sec. 3.4).

        Returns
        -------
        NewRowForm
            Its ``derivative(features, residuals)`` is that of the mean loss with respect to the
            weight, now zero, of new rows (m, p).

        Raises
        ------
        ValueError
            If inner products of the features are all that is known.
        """
        smoother, gradient = self.smoother, self._objective[1]
        if not isinstance(smoother, AffineSmoother):
            raise ValueError(
                "Scores of new rows by the derivative need all parameters of the linearized "
                "network for every training row. Expected fewer features than outputs of all "
                "samples; project them with n_components, or use another criterion."
            )
        if self.problem.validation is not None:
            return smoother.adjoint_form(self.problem.validation_rows, gradient)
        first = smoother.solve_left_out(gradient, transposed=True)
        return smoother.new_row_form(first, smoother.sample_weight[:, None] * self._left_out[1])

    def evaluation(self, *, derivative: bool = True) -> Evaluation:
        """Return the answers as plain numbers and tensors, without the factorization.

        Parameters
        ----------
        derivative : bool, default=True
            Whether the derivative is among them; it doubles the cost.

        Returns
        -------
        Evaluation
        """
        loss = self.loss  # first: it may need another factorization, in float64
        return Evaluation(
            loss,
            self.derivative if derivative else None,
            self.loo_predictions,
            self._restored(self._left_out[1]),
            self._restored(self.smoother.leverage),
            self._restored(self.smoother.one_minus_leverage),
            *self.coefficients,
        )

    def _restored(self, row_array: Tensor) -> Tensor:
        """Bring answers for rows as visited into input order and the problem's dtype."""
        n_rows = self.problem.n_rows
        if len(row_array) > n_rows:  # every output of a joint problem is a row
            row_array = row_array.reshape(n_rows, -1)
        return self.problem.layout.restore(row_array).to(self.problem.dtype)
