"""Ridge problem factorized at given weights and penalty, and its leave-one-out results.

Leave-one-out and leave-one-group-out predictions (Prop. 3 of the paper). Let e be the residuals of
the model trained on all rows. The residuals of the models trained without each group I are

    r_I = (I - H_II diag(a_I))^-1 e_I,   for single rows  r_i = e_i / (1 - a_i h_i).

Nothing is divided by a weight, so weights may be zero.

Dataset derivative of the leave-one-out loss L(a) = sum_i c_i loss(r_i + t_i, t_i), with targets t_i
and validation weights c_i (section 3.3 of the paper). With g_i = c_i dloss/dprediction,
P_I = (I - H_II diag(a_I))^-T g_I and V_i = a_i r_i,

    dL/da_j = - <sum_{i not in J} H_ji P_i, e_j>
              - sum_{I != J} <sum_{i in I} H_ji P_i, sum_{i in I} H_ji V_i>.

This follows from inserting de/da_j = - H_.j e_j' and dH/da_j = - H_.j H_j. into r_I. The own group
of a row contributes exactly zero, because the weight of a row has no effect on the model trained
without it.

Separate validation loss (Prop. 1 and 2 of the paper): dW/da_j = - C z_j e_j', hence

    dLval/da_j = - <e_j, sum_v H_jv g_v>.

As a check, sum_j a_j dL/da_j = - alpha dL/dalpha, because the coefficients depend on a / alpha
only.
"""

import math
from collections.abc import Callable
from functools import cached_property, partial
from numbers import Real
from typing import NamedTuple, TypeVar, cast

import torch
from torch import Tensor

from skdiva.loo._losses import mean_loss
from skdiva.loo._problem import RidgeProblem
from skdiva.loo.ridge import (
    AffineSmoother,
    InsufficientPrecisionError,
    NewRowForm,
    Smoother,
    full_float32,
    in_sufficient_dtype,
)
from skdiva.loo.rows import check_weight

_Results = TypeVar("_Results", bound=tuple)


class Evaluation(NamedTuple):
    """Leave-one-out results at given weights, in input order.

    Attributes
    ----------
    loss : float
        Mean leave-one-out loss, weighted by the validation weights, or mean loss of a separate
        validation set.
    derivative : tensor of shape (n,) or None
        Derivative of ``loss`` with respect to the sample weights.
    loo_predictions : tensor of shape (n, k)
        Leave-one-out predictions, including the initial outputs.
    loo_residuals : tensor of shape (n, k)
        Prediction minus target.
    leverage : tensor of shape (n,)
        Leverage h_i. For a `JointProblem` the shape is (n, k), with one leverage per output.
    one_minus_leverage : tensor of shape (n,)
        1 - a_i h_i. For a `JointProblem` the shape is (n, k).
    coef : tensor of shape (p, k)
        Coefficients of the model trained on all rows. For a `JointProblem` the shape is (p,), or
        (n * k,) if only inner products of the features are known.
    intercept : tensor of shape (k,)
        Intercept in float64.
    """

    loss: float
    derivative: Tensor | None
    loo_predictions: Tensor
    loo_residuals: Tensor
    leverage: Tensor
    one_minus_leverage: Tensor
    coef: Tensor
    intercept: Tensor


def check_alpha(alpha: float) -> float:
    """Return a penalty as a float.

    Raises
    ------
    TypeError, ValueError
        If it is not a positive, finite number.
    """
    if isinstance(alpha, Tensor) and alpha.numel() == 1:
        alpha = alpha.item()
    if not isinstance(alpha, Real):
        raise TypeError(
            f"Expected alpha as a positive number, got {alpha!r}. Use choose_penalty to find one."
        )
    if not 0 < alpha < math.inf:
        raise ValueError(
            f"Expected alpha as a positive, finite number, got {alpha}. It is added to the "
            "diagonal of the Gram matrix; use choose_penalty to find one."
        )
    return float(alpha)


class FittedRidge:
    """A ridge problem factorized at given weights and penalty.

    Each result is computed when it is first accessed, and then cached. Results are in input order.
    The object keeps the factorization in memory; to keep only the results, store an `evaluation`.

    Parameters
    ----------
    problem : Problem or JointProblem
        Ridge problem.
    sample_weight : tensor of shape (n,)
        Non-negative weights.
    alpha : float
        Ridge penalty, positive.

    Raises
    ------
    ValueError
        If ``alpha`` is too small even for float64, or if one row or group has all the weight. The
        first of these errors may also be raised when a result is computed.

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
        # A copy, because results may be computed after the caller has changed the weights.
        weight = problem.layout.arrange(check_weight(sample_weight, problem.n_rows)).clone()
        alpha = check_alpha(alpha)
        problem.layout.require_two_groups(weight)
        self.problem, self.alpha = problem, alpha
        self._factorize: Callable | None = partial(problem.smoother, weight, alpha)
        self._precise: Callable = partial(problem.precise_smoother, weight, alpha)
        with full_float32():
            self.smoother = in_sufficient_dtype(problem.dtype, alpha, self._factorize)

    @classmethod
    def from_smoother(
        cls, problem: RidgeProblem, smoother: Smoother, alpha: float
    ) -> "FittedRidge":
        """Create a fit from an existing factorization, in the dtype of the latter.

        Parameters
        ----------
        problem : RidgeProblem
            Ridge problem.
        smoother : Smoother
            Factorization of the problem.
        alpha : float
            Ridge penalty, used in error messages.

        Returns
        -------
        FittedRidge
            Its results raise `InsufficientPrecisionError` if the dtype is not precise enough.
        """
        fit = object.__new__(cls)
        fit.problem, fit.smoother, fit.alpha = problem, smoother, alpha
        fit._factorize = None
        return fit

    def with_objective(self, problem: RidgeProblem) -> "FittedRidge":
        """Return the same fit for a problem with another loss or other validation data.

        Parameters
        ----------
        problem : RidgeProblem
            Created with the method `replace` of the fitted problem.

        Returns
        -------
        FittedRidge
            Shares the factorization and the leave-one-out residuals with this fit.

        Raises
        ------
        ValueError
            If the problem was created in another way, for example from other rows.
        """
        # Every problem makes its own layout, and only `replace` passes it on.
        if problem.layout is not self.problem.layout:
            raise ValueError(
                "Expected a problem created with the method `replace` of the fitted problem, got "
                "one created in another way, which may have other rows, targets or groups, or "
                "another intercept. Fit that problem instead."
            )
        left_out = self._left_out  # first, because it may factorize again, in float64
        fit = FittedRidge.from_smoother(problem, self.smoother, self.alpha)
        fit._left_out = left_out
        return fit

    @cached_property
    @full_float32()
    def _left_out(self) -> tuple[Tensor, Tensor]:
        """Residuals and leave-one-out residuals of the rows of the model, in visiting order."""

        def solve():
            residuals = self.smoother.residuals(self.problem.row_targets)
            return residuals, self.smoother.solve_left_out(residuals)

        return self._precisely(solve)

    def _precisely(self, compute: Callable[[], _Results]) -> _Results:
        """Return the finite results of ``compute()``, after another factorization if necessary."""
        factorize = self._factorize
        if factorize is None:
            return _finite(compute())

        def attempt(dtype):
            if dtype != self.smoother.dtype:
                self._replace_smoother(factorize(dtype))
            try:
                return _finite(compute())
            except InsufficientPrecisionError as error:
                failure = error.with_traceback(None)
            precise = self._precise() if dtype == torch.float64 else None
            if precise is None:
                raise failure
            self._replace_smoother(precise)
            return _finite(compute())

        return in_sufficient_dtype(self.smoother.dtype, self.alpha, attempt)

    def _replace_smoother(self, smoother: Smoother) -> None:
        """Replace the factorization, and forget what was computed from the previous one."""
        self.smoother = smoother
        for name in ("_left_out", "_objective", "coefficients"):
            vars(self).pop(name, None)

    @cached_property
    @full_float32()
    def _objective(self) -> tuple[float, Tensor]:
        """Mean loss and its derivative with respect to the held-out predictions."""
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
        """Mean leave-one-out loss, weighted by validation weights, or mean validation loss."""
        return self._objective[0]

    @cached_property
    @full_float32()
    def derivative(self) -> Tensor:
        """Derivative of ``loss`` with respect to the sample weights, (n,)."""

        def differentiate():
            (residuals, loo_residuals), gradient = self._left_out, self._objective[1]
            smoother = self.smoother
            if self.problem.validation is not None:
                pulled = smoother.adjoint(self.problem.validation_rows, gradient)
                return (-torch.linalg.vecdot(pulled, residuals),)
            first = smoother.solve_left_out(gradient, transposed=True)
            second = smoother.sample_weight[:, None] * loo_residuals
            others_first, others_second = smoother.cross_sums(first, second)
            return (others_second.neg_().sub_(torch.linalg.vecdot(others_first, residuals)),)

        (by_row,) = self._precisely(differentiate)
        # In a joint problem every output of a sample is a row, and these rows share its weight.
        return self._restored(by_row.reshape(self.problem.n_rows, -1).sum(dim=1))

    @property
    def loo_predictions(self) -> Tensor:
        """Leave-one-out predictions (n, k), initial outputs included."""
        problem, loo_residuals = self.problem, self._left_out[1]
        predictions = problem.targets.block(slice(None), loo_residuals.dtype)
        predictions += loo_residuals.reshape(predictions.shape)
        # Regression targets keep their own precision, and so do their predictions.
        wide = problem.targets.block(slice(0, 0), problem.dtype).dtype
        return problem.layout.restore(predictions).to(wide)

    @cached_property
    @full_float32()
    def coefficients(self) -> tuple[Tensor, Tensor]:
        """Coefficients (p, k) and intercept (k,), float64, of the model trained on all rows.

        Computed in float64, predictions are accurate even if the features have large means.
        """
        return self.problem.coefficients(self.smoother)

    @full_float32()
    def new_row_form(self) -> NewRowForm:
        """Return the form of the derivative for rows outside the training set (paper sec. 3.4).

        Returns
        -------
        NewRowForm
            Its method ``derivative(features, residuals)`` returns the derivative of the mean loss
            with respect to the weights of new rows (m, p), at weight zero.

        Raises
        ------
        ValueError
            If only inner products of the features are known.
        """
        if not isinstance(self.smoother, AffineSmoother):
            raise ValueError(
                "Scoring new rows by the derivative requires the features of every training row. "
                "Expected at most as many features (parameters of the linearized network) as "
                "training samples times outputs, got only inner products of the features. Project "
                "the features with n_components, or use another criterion."
            )

        def form():
            gradient = self._objective[1]  # first, because it may factorize again, in float64
            smoother = cast(AffineSmoother, self.smoother)
            if self.problem.validation is not None:
                return smoother.adjoint_form(self.problem.validation_rows, gradient)
            first = smoother.solve_left_out(gradient, transposed=True)
            second = smoother.sample_weight[:, None] * self._left_out[1]
            return smoother.new_row_form(first, second)

        return self._precisely(form)

    def evaluation(self, *, derivative: bool = True) -> Evaluation:
        """Return the results as numbers and tensors, without the factorization.

        Parameters
        ----------
        derivative : bool, default=True
            Whether to compute the derivative, which doubles the cost.

        Returns
        -------
        Evaluation
        """
        loss = self.loss  # first, because it may factorize again, in float64
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
        """Convert results of rows to input order and to the dtype of the problem."""
        n_rows = self.problem.n_rows
        if len(row_array) > n_rows:  # in a joint problem every output is a row
            row_array = row_array.reshape(n_rows, -1)
        restored = self.problem.layout.restore(row_array).to(self.problem.dtype)
        if not restored.isfinite().all():  # they were before the conversion
            raise ValueError(
                f"Results are larger than the largest number in {self.problem.dtype}. Use "
                "dtype=float64, or scale features, weights and targets."
            )
        return restored


def _finite(results: _Results) -> _Results:
    """Return results that are finite numbers."""
    if not all(bool(result.isfinite().all()) for result in results):
        raise InsufficientPrecisionError(
            "the features, weights or targets are so large that numbers overflow"
        )
    return results
