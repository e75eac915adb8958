"""Weighted ridge factorized over samples, n x n, for more features than rows.

Let s = sqrt(a) for the rows of positive weight, K the Gram matrix of the rows centered by their
weighted mean, and S = s K s + alpha I. The residual operator I - s H s is alpha S^-1, so that
1 - leverage is computed without subtraction, even for leverages near 1. The unpenalized intercept
removes the direction s. In exact arithmetic S s = alpha s already holds. S' = S + mu s s' moves
this direction away from the small eigenvalues, and

    I - s H s = alpha S'^-1 - [alpha / (alpha + mu sum a)] s s' / sum a.
"""

import torch
from torch import Tensor

from skdiva.loo._targets import Targets
from skdiva.loo.ridge._hat_matrix import HatMatrixSmoother
from skdiva.loo.ridge._new_rows import NewRowForm
from skdiva.loo.ridge._precision import (
    LARGEST_INVERSE_ERROR,
    RESOLUTION,
    cholesky,
    require_centered,
    require_residual_share,
    require_similar_sizes,
)
from skdiva.loo.ridge._products import center_rows, weighted_center, weighted_target_mean
from skdiva.loo.ridge._smoother import AffineSmoother
from skdiva.loo.rows import RowBlocks


class DualSmoother(HatMatrixSmoother, AffineSmoother):
    """Smoother of a weighted ridge model that forms the n x n hat matrix.

    Parameters
    ----------
    rows : RowBlocks
        Features (n, p), typically with p > n.
    sample_weight : tensor of shape (n,)
        Non-negative weights. Rows of weight zero are predicted, but not trained on.
    alpha : float
        Ridge penalty, positive.
    fit_intercept : bool
    """

    def __init__(self, rows: RowBlocks, sample_weight: Tensor, alpha: float, fit_intercept: bool):
        self.rows, self.layout, self.dtype = rows, rows.layout, rows.dtype
        self.sample_weight = sample_weight.to(rows.dtype)
        self.fit_intercept = fit_intercept
        self.alpha = alpha
        self._inverse_total = 1 / float(sample_weight.double().sum()) if fit_intercept else 0.0
        self.center = weighted_center(rows, sample_weight, fit_intercept)
        # The mean is subtracted from rows and targets, and would be that of a single heavy row.
        heaviest = float(self.sample_weight.max()) * self._inverse_total
        require_residual_share(1 - heaviest, self.dtype, RESOLUTION[self.dtype])
        require_centered(self.center, self.alpha**-0.5, sample_weight, self.dtype)
        self._training = torch.nonzero(self.sample_weight > 0)[:, 0]
        self._zero = torch.nonzero(self.sample_weight == 0)[:, 0]
        require_similar_sizes(self.sample_weight[self._training])
        self._root = self.sample_weight[self._training].sqrt()
        gram = self._gram_with(self.rows.read(slice(0, rows.n_rows)))
        if self.dtype == torch.float32:
            require_similar_sizes(gram.diagonal())
        operator = self._factorize(gram[self._training][:, self._training])
        # Rounding errors are relative to the diagonal before the intercept was subtracted.
        shares = operator.diagonal() / (self.alpha * self._inverse.diagonal())
        require_residual_share(float(shares.min()), self.dtype, RESOLUTION[self.dtype])
        self.one_minus_leverage = torch.ones_like(self.sample_weight)
        self.one_minus_leverage[self._training] = operator.diagonal()
        self.off_diagonal = self._hat_matrix(gram, operator)
        self.leverage = self.off_diagonal.diagonal().clone()
        self.off_diagonal.fill_diagonal_(0)

    def _gram_with(self, features: Tensor) -> Tensor:
        """Centered Gram matrix (m, n) of ``features`` (m, p) with the training rows."""
        left = center_rows(features, self.center)
        blocks = self.layout.blocks
        parts = [left @ center_rows(self.rows.read(b.rows), self.center).T for b in blocks]
        return torch.cat(parts, dim=1)

    def _factorize(self, gram: Tensor) -> Tensor:
        """Return I - s H s of the training rows, (n, n), and store S'^-1."""
        root = self._root
        system = root[:, None] * gram * root
        mean_eigenvalue = float(system.diagonal().mean())
        shift = mean_eigenvalue * self._inverse_total
        system.addr_(root, root, alpha=shift)
        system.diagonal().add_(self.alpha)
        self._inverse = torch.cholesky_inverse(cholesky(system, LARGEST_INVERSE_ERROR))
        share = self.alpha / (self.alpha + mean_eigenvalue)
        correction = share * self._inverse_total
        return torch.addr(self._inverse, root, root, beta=self.alpha, alpha=-correction)

    def _hat_matrix(self, gram: Tensor, operator: Tensor) -> Tensor:
        training, zero, root = self._training, self._zero, self._root
        hat = torch.empty_like(gram)
        within = -operator / root / root[:, None]
        within.diagonal().copy_((1 - operator.diagonal()) / root.square())
        hat[training[:, None], training] = within
        if zero.numel():
            solution = self._inverse @ (root[:, None] * gram[training][:, zero])
            across = solution / root[:, None] + self._inverse_total
            hat[training[:, None], zero] = across
            hat[zero[:, None], training] = across.T
            training_rows = self._training_rows()
            rest = center_rows(self.rows.read(zero), self.center).T - training_rows.T @ solution
            # z' C z = |rest|^2 / alpha + |solution|^2; digits cancel in z' z - k' S^-1 k.
            within = rest.T @ rest / self.alpha + solution.T @ solution
            hat[zero[:, None], zero] = within + self._inverse_total
            self._zero_coef = self._with_rest(training_rows, solution, rest)
        return hat

    def _training_rows(self) -> Tensor:
        """Centered training rows X times s, (n, p)."""
        return self._root[:, None] * center_rows(self.rows.read(self._training), self.center)

    def _with_rest(self, training_rows: Tensor, solution: Tensor, rest: Tensor) -> Tensor:
        """Return C m (p, k), from S^-1 X m (n, k) and the rest alpha C m = m - X' S^-1 X m (p, k).

        The rest has the rounding errors of m, also along training rows, which may be large. In
        C m = (alpha C) (alpha C) m / alpha + X' S^-2 X m the second factor removes them.
        """
        rest = rest - training_rows.T @ (self._inverse @ (training_rows @ rest))
        return rest / self.alpha + training_rows.T @ (self._inverse @ solution)

    def _hat_with(self, features: Tensor) -> Tensor:
        """Return H between new rows (m, p) and the training rows, (m, n)."""
        gram = self._gram_with(features.to(self.dtype))
        weighted = gram[:, self._training] * self._root
        hat = torch.empty_like(gram)
        hat[:, self._training] = weighted @ self._inverse / self._root
        if self._zero.numel():
            centered = center_rows(features.to(self.dtype), self.center)
            hat[:, self._zero] = centered @ self._zero_coef
        return hat.add_(self._inverse_total)

    def centered_targets(self, targets: Targets) -> tuple[Tensor, Tensor]:
        """Targets (n, k) minus their weighted mean, and the mean (k,) in float64."""
        weight, budget = self.sample_weight, self.rows.budget
        mean = weighted_target_mean(targets, weight, self.fit_intercept, budget)
        return targets.ridge_values(slice(None), self.dtype, mean), mean

    def coefficients(self, targets: Targets) -> tuple[Tensor, Tensor]:
        """Return ``coef`` (p, k) and ``intercept`` (k,), float64, of the ridge model."""
        values, mean = self.centered_targets(targets)
        root = self._root[:, None]
        duals = root * (self._inverse @ (root * values[self._training]))
        coef = center_rows(self.rows.read(self._training), self.center).T @ duals
        return coef, mean - self.center @ coef.double()

    def predict(self, features: Tensor, targets: Targets) -> Tensor:
        """Predictions (m, k) at new rows (m, p) of the model fitted to ``targets``."""
        values, mean = self.centered_targets(targets)
        return self._hat_with(features) @ (self.sample_weight[:, None] * values) + mean

    def adjoint(self, features: Tensor, values: Tensor) -> Tensor:
        """sum_v H_jv values_v over new rows v (m, p), for every training row j, (n, k)."""
        return self._hat_with(features).T @ values.to(self.dtype)

    def adjoint_form(self, features: Tensor, values: Tensor) -> NewRowForm:
        """Return the sum of `adjoint` as a form for rows j that belong to no group."""
        values = values.to(self.dtype)
        moment = center_rows(features.to(self.dtype), self.center).T @ values
        training_rows = self._training_rows()
        solution = self._inverse @ (training_rows @ moment)
        coef = self._with_rest(training_rows, solution, moment - training_rows.T @ solution)
        return NewRowForm.linear(self.center, coef, values.sum(dim=0) * self._inverse_total)

    def new_row_form(self, first: Tensor, second: Tensor) -> NewRowForm:
        """Return both cross sums, over all rows, as a form for rows that belong to no group."""
        root, training, zero = self._root, self._training, self._zero
        projection = self._inverse.new_empty((self.rows.n_columns, self.rows.n_rows))
        projection[:, training] = self._training_rows().T @ self._inverse / root
        if zero.numel():
            projection[:, zero] = self._zero_coef
        offset = torch.full_like(self.sample_weight, self._inverse_total)
        quadratic = self.pair_products(first, second)
        return NewRowForm(self.center, projection, offset, first, quadratic)
