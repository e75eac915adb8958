"""Weighted ridge whose outputs share the coefficients, factorized over (sample, output) pairs.

This is the factorization of ``DualSmoother``, but with one unpenalized intercept per output, and
computed from a Gram matrix K alone. Let s = sqrt(a) for the rows of positive weight, and let F
contain s in the column of the row's output. With K centered by the weighted mean of every output,
S = s K s + alpha I and S' = S + mu F F',

    I - s H s = alpha S'^-1 - [alpha / (alpha + mu sum a)] F F' / sum a.

For vectors orthogonal to F this operator is alpha S^-1. The inverse itself is therefore not stored:
the dual coefficients are - a e / alpha, where e are the residuals.
"""

import torch
from torch import Tensor

from skdiva.loo._targets import Targets
from skdiva.loo.joint._gram import center_gram
from skdiva.loo.ridge import (
    LARGEST_INVERSE_ERROR,
    RESOLUTION,
    HatMatrixSmoother,
    InsufficientPrecisionError,
    require_condition,
    require_residual_share,
)
from skdiva.loo.rows import Layout

_ROWS = 1024  # number of rows that are converted to the working dtype at a time


class JointDualSmoother(HatMatrixSmoother):
    """Smoother that forms the (n k, n k) hat matrix, for a single column of targets.

    Parameters
    ----------
    gram : tensor of shape (n * k, n * k)
        Gram matrix of the rows in visiting order. It is not modified.
    layout : Layout
        Layout of the n k rows.
    n_outputs : int
        Number of outputs k.
    sample_weight : tensor of shape (n * k,)
        Weights, equal for all outputs of a sample.
    alpha : float
    fit_intercept : bool
        Whether to fit one intercept per output.
    dtype : torch.dtype
    """

    def __init__(
        self,
        gram: Tensor,
        layout: Layout,
        n_outputs: int,
        sample_weight: Tensor,
        alpha: float,
        fit_intercept: bool,
        dtype: torch.dtype,
    ):
        self.gram, self.layout, self.dtype, self.n_outputs = gram, layout, dtype, n_outputs
        self.sample_weight = sample_weight.to(dtype)
        self.alpha, self.fit_intercept = alpha, fit_intercept
        per_sample = sample_weight.double()[::n_outputs]
        self._mean_weight = per_sample / per_sample.sum()  # (n,), sums to 1
        self._inverse_total = 1 / float(per_sample.sum()) if fit_intercept else 0.0
        self._training = torch.nonzero(self.sample_weight > 0)[:, 0]
        self._zero = torch.nonzero(self.sample_weight == 0)[:, 0]
        self._root = self.sample_weight[self._training].sqrt()
        operator = self._operator()
        self.one_minus_leverage = torch.ones_like(self.sample_weight)
        self.one_minus_leverage[self._training] = operator.diagonal()
        self.off_diagonal = self._hat_within(operator)
        if self._zero.numel():
            self.off_diagonal = self._with_zero_weight(self.off_diagonal)
        self.leverage = self.off_diagonal.diagonal().clone()
        self.off_diagonal.fill_diagonal_(0)

    def _centered(self, gram: Tensor) -> Tensor:
        weight = self._mean_weight.to(self.dtype)
        return center_gram(gram, weight, self.n_outputs) if self.fit_intercept else gram

    def _operator(self) -> Tensor:
        """I - s H s of the training rows, computed in the memory of a single matrix."""
        system = self._centered(self.gram.to(self.dtype, copy=True))
        if self._zero.numel():
            system = system[self._training][:, self._training]
        system.mul_(self._root).mul_(self._root[:, None])
        mean_eigenvalue = float(system.diagonal().mean())
        shift = mean_eigenvalue * self._inverse_total
        self._add_intercepts(system, shift)
        system.diagonal().add_(self.alpha)
        diagonal = system.diagonal().clone()
        info = torch.empty((), dtype=torch.int32, device=system.device)
        torch.linalg.cholesky_ex(system, out=(system, info))
        if int(info) != 0:
            raise InsufficientPrecisionError("the penalized Gram matrix is not positive definite")
        require_condition(
            diagonal, lambda v: system @ (system.T @ v), system, LARGEST_INVERSE_ERROR
        )
        torch.cholesky_inverse(system, out=system)
        inverse_diagonal = system.diagonal().clone()
        system.mul_(self.alpha)
        share = self.alpha / (self.alpha + mean_eigenvalue)
        self._add_intercepts(system, -share * self._inverse_total)
        # Rounding errors are relative to the diagonal before the intercepts were subtracted.
        shares = system.diagonal() / (self.alpha * inverse_diagonal)
        require_residual_share(float(shares.min()), self.dtype, RESOLUTION[self.dtype])
        return system

    def _add_intercepts(self, matrix: Tensor, factor: float) -> None:
        """Add ``factor`` F F' in place."""
        if factor:
            root = self._root[:: self.n_outputs]
            shape = (-1, self.n_outputs)
            same_output = matrix.unflatten(1, shape).unflatten(0, shape).diagonal(dim1=1, dim2=3)
            same_output += factor * torch.outer(root, root)[..., None]

    def _hat_within(self, operator: Tensor) -> Tensor:
        """H of the training rows; overwrites ``operator``, which is I - s H s."""
        diagonal = (1 - operator.diagonal()) / self._root.square()
        hat = operator.neg_().div_(self._root).div_(self._root[:, None])
        hat.diagonal().copy_(diagonal)
        return hat

    def _with_zero_weight(self, within: Tensor) -> Tensor:
        """H of all rows. Rows of weight zero are predicted but not trained on."""
        training, zero = self._training, self._zero
        gram = self._centered(self.gram.to(self.dtype, copy=True))
        hat = torch.empty_like(gram)
        hat[training[:, None], training] = within
        pulled = gram[training][:, zero]
        across = self._solve(within, pulled)
        explained = pulled.T @ (self._weight * across) / self.alpha
        inner = (gram[zero][:, zero] - explained) / self.alpha
        same = self._same_output(len(training), len(zero))
        hat[training[:, None], zero] = across / self.alpha + same
        hat[zero[:, None], training] = hat[training[:, None], zero].T
        hat[zero[:, None], zero] = inner + self._same_output(len(zero), len(zero))
        return hat

    @property
    def _weight(self) -> Tensor:
        return self.sample_weight[self._training, None]

    def _solve(self, hat: Tensor, values: Tensor) -> Tensor:
        """s^-1 (I - s H s) s times ``values`` (training rows, m); ``hat`` includes its diagonal."""
        return values - hat @ (self._weight * values)

    def _gram_times(self, values: Tensor) -> Tensor:
        """K times ``values``, without a copy of the whole of K in another dtype."""
        return torch.cat([rows.to(self.dtype) @ values for rows in self.gram.split(_ROWS)])

    def _same_output(self, n_rows: int, n_columns: int) -> Tensor:
        """Contribution of the intercepts to a block of H: 1 / sum a for equal outputs, else 0."""
        identity = torch.eye(self.n_outputs, dtype=self.dtype, device=self.gram.device)
        shape = (n_rows // self.n_outputs, n_columns // self.n_outputs)
        return self._inverse_total * identity.repeat(*shape)

    def centered_targets(self, targets: Targets) -> tuple[Tensor, Tensor]:
        """Targets (n k, 1) minus the weighted mean of their output, and the means (k,)."""
        values = targets.ridge_values(slice(None), torch.float64).unflatten(0, (-1, self.n_outputs))
        mean = torch.zeros(self.n_outputs, dtype=torch.float64, device=values.device)
        if self.fit_intercept:
            mean = self._mean_weight @ values[..., 0]
        return (values[..., 0] - mean).to(self.dtype).reshape(-1, 1), mean

    def coefficients(self, targets: Targets) -> tuple[Tensor, Tensor]:
        """Return dual coefficients (n k, 1) and intercepts (k,), float64.

        The prediction of a row is the product of its inner products with the training rows (as
        given, not centered) and the dual coefficients, plus the intercept of its output.
        """
        duals = -(self.sample_weight[:, None] / self.alpha) * self.residuals(targets)
        intercept = torch.zeros(self.n_outputs, dtype=torch.float64, device=duals.device)
        if self.fit_intercept:
            _, mean = self.centered_targets(targets)
            explained = self._gram_times(duals).reshape(-1, self.n_outputs)
            intercept = mean - self._mean_weight @ explained.double()
        return duals, intercept

    def predict(self, features: Tensor, targets: Targets) -> Tensor:
        """Predictions (m k, 1) at rows with the inner products ``features`` (m k, n k)."""
        duals, intercept = self.coefficients(targets)
        plain = (features.to(self.dtype) @ duals).reshape(-1, self.n_outputs)
        return (plain + intercept).reshape(-1, 1)

    def adjoint(self, features: Tensor, values: Tensor) -> Tensor:
        """sum_v H_jv values_v over new rows v, for every training row j, (n k, 1)."""
        values = values.to(self.dtype)
        moment = features.to(self.dtype).T @ values
        if self.fit_intercept:
            moment = self._center_moment(moment, values)
        training, zero = self._training, self._zero
        hat = self.off_diagonal[training][:, training] if zero.numel() else self.off_diagonal
        share = self.one_minus_leverage[training, None]
        trained = moment[training]
        solved = share * trained - hat @ (self._weight * trained)
        out = torch.empty_like(moment)
        out[training] = solved / self.alpha
        if zero.numel():
            gram = self._centered(self.gram.to(self.dtype, copy=True))[zero][:, training]
            out[zero] = (moment[zero] - gram @ (self._weight * solved) / self.alpha) / self.alpha
        total = values.reshape(-1, self.n_outputs).sum(dim=0) * self._inverse_total
        return out + total.repeat(len(out) // self.n_outputs)[:, None]

    def _center_moment(self, moment: Tensor, values: Tensor) -> Tensor:
        """Convert a moment of given inner products to that of centered rows, on both sides."""
        weight = self._mean_weight.to(self.dtype)
        # The new rows are centered by the same means: subtract the contribution of the means.
        total = values.reshape(-1, self.n_outputs).sum(dim=0)
        means = torch.outer(weight, total).reshape(-1, 1)
        moment = moment - self._gram_times(means)
        by_output = moment.reshape(-1, self.n_outputs)
        return (by_output - weight @ by_output).reshape(-1, 1)
