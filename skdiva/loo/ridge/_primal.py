"""Weighted ridge factorised in feature space, p x p, streaming over blocks of rows.

Objective: minimise over W and an unpenalised intercept

    sum_i a_i |z_i' W + intercept - y_i|^2 + alpha |W|^2.

Every answer is a product of whitened rows T, H = T T' (``whitening.py``). They are kept when they
fit into memory, else made anew on each visit. Rows that decide their own prediction stay out of
the factorisation (``set_aside.py``).
"""

import torch

from skdiva.loo.ridge._centering import (
    center_rows,
    centered_targets,
    weighted_moment,
    weighted_target_mean,
)
from skdiva.loo.ridge._cross_sums import others_sums, total_sums
from skdiva.loo.ridge._group_blocks import left_out_solve, own_blocks, solve_whitened, stack
from skdiva.loo.ridge._high_leverage_rows import SetAside
from skdiva.loo.ridge._new_rows import NewRowForm
from skdiva.loo.ridge._precision import require_residual_share
from skdiva.loo.ridge._whitening import Whitening

# 1 - leverage below which subtraction from 1 costs digits that are wanted.
_DECIDING = {torch.float32: 0.05, torch.float64: 1e-5}


class PrimalSmoother:
    """A weighted ridge model of rows ``Z`` (n, p), ready to answer leave-one-out questions.

    Parameters
    ----------
    rows : TensorRows
        Features, visited in blocks; all row arrays are in the rows' visiting order.
    sample_weight : tensor of shape (n,)
        Non-negative.
    alpha : float
        Ridge penalty, positive.
    fit_intercept : bool
    """

    def __init__(self, rows, sample_weight, alpha, fit_intercept):
        self.dtype = rows.dtype
        self.sample_weight = sample_weight.to(rows.dtype)
        self.fit_intercept = fit_intercept
        self._fitted = None, None
        self._build(rows, sample_weight, alpha, sample_weight.new_empty(0, dtype=torch.long))
        positions = self._deciding_rows()
        if len(positions):
            self._build(rows, sample_weight, alpha, positions)
        unsafe = self.one_minus_leverage.index_fill(0, self._aside.positions, 1.0)
        require_residual_share(float(unsafe.min()), self.dtype)

    def _build(self, rows, sample_weight, alpha, aside):
        """Factorise all rows but those at ``aside``; whiten all."""
        others_weight = sample_weight.index_fill(0, aside, 0.0)
        self._whitening = Whitening(rows, others_weight, alpha, self.fit_intercept)
        self._aside = SetAside(
            aside, self._whitening(rows.select(aside)), self.sample_weight[aside]
        )
        width = self._whitening.width + len(self._aside.shrink)
        self.whitened = rows.transform(self._whiten, width)
        self.whitened.replace(aside, self._aside.whitened)
        (norms,) = self.whitened.map(lambda _, t: (torch.linalg.vector_norm(t, dim=1),))
        self.leverage = norms.square_()
        self.one_minus_leverage = 1 - self.sample_weight * self.leverage
        self.one_minus_leverage[aside] = self._aside.operator.diagonal()

    def _deciding_rows(self):
        """Rows to set aside; none if they are too many to be worth it."""
        deciding = self.one_minus_leverage < _DECIDING[self.dtype]
        positions = torch.nonzero(deciding)[:, 0]
        n_others = len(deciding) - len(positions)
        limit = min(max(8, self._whitening.width // 8), n_others // 2)
        return positions if len(positions) <= limit else positions[:0]

    def _whiten(self, features, out):
        self._whitening.write(features, out[:, : self._whitening.width])
        self._aside.extend(out)

    def whitened_fit(self, targets):
        """Coefficients (q, k) for whitened rows, mean (k,) of the targets, residuals set aside."""
        if self._fitted[0] is not targets:
            self._fitted = targets, self._solve(targets)
        return self._fitted[1]

    def _solve(self, targets):
        mean = weighted_target_mean(targets, self.sample_weight, self.fit_intercept)
        aside = self._aside
        others_weight = self.sample_weight.index_fill(0, aside.positions, 0.0)
        moment = weighted_moment(self.whitened, others_weight, targets, mean)
        values = centered_targets(targets, mean, aside.positions, self.dtype)
        residuals = aside.residuals(values, moment)
        return moment + aside.whitened.T @ (aside.weight[:, None] * values), mean, residuals

    def coefficients(self, targets):
        """Return ``coef`` (p, k) and ``intercept`` (k,), float64, of the ridge model."""
        whitened_coef, mean, _ = self.whitened_fit(targets)
        coef, intercept = self._whitening.unwhiten(self._aside.contract(whitened_coef))
        return coef, mean + intercept

    def residuals(self, targets):
        """Prediction minus target of every row, (n, k)."""
        coef, mean, aside_residuals = self.whitened_fit(targets)

        def predict(block, whitened):
            values = centered_targets(targets, mean, block.rows, self.dtype)
            return (torch.addmm(values, whitened, coef, beta=-1),)

        (residuals,) = self.whitened.map(predict)
        residuals[self._aside.positions] = aside_residuals
        return residuals

    def predict(self, features, targets):
        """Predictions (m, k) at other rows (m, p) of the model fitted to ``targets``."""
        coef, intercept = self.coefficients(targets)
        center = self._whitening.center
        constant = intercept + center @ coef.double()
        return center_rows(features.to(self.dtype), center) @ coef + constant

    def adjoint(self, features, values):
        """sum_v H_jv values_v over other rows v (m, p), for every training row j: (n, k)."""
        total = self.moment(features, values)
        return self.whitened.map(lambda _, t: (t @ total,))[0]

    def adjoint_form(self, features, values):
        """The same sum for rows of no group; see ``smoother.Smoother``."""
        total = self.moment(features, values)
        projection, offset = self.affine()
        return NewRowForm.linear(self.center, projection @ total, offset @ total)

    def moment(self, features, values):
        """sum_v t_v values_v' over other rows, (q, k)."""
        step = max(block.stop - block.start for block in self.whitened.layout.blocks)
        total = 0.0
        for part, value in zip(features.split(step), values.split(step), strict=True):
            total = total + self.whiten(part).T @ value.to(self.dtype)
        return total

    def whiten(self, features):
        """Whitened rows (m, q) of other rows (m, p)."""
        features = features.to(self.dtype)
        out = features.new_empty((len(features), self.whitened.n_columns))
        self._whiten(features, out)
        return out

    def solve_left_out(self, values, *, transposed=False):
        """Apply (I - H_II diag(a_I))^-1, or its transpose, to every group of ``values`` (n, k)."""

        def solve(block, whitened, weight, value):
            if block.group_size == 1:
                return (value / self.one_minus_leverage[block.rows, None],)
            t, a, v = (stack(block, array) for array in (whitened, weight, value))
            if not self.touches_aside(block):
                return (solve_whitened(t, a, v, transposed=transposed).reshape(value.shape),)
            root, hat, operator, scale = self.own_blocks(block, t, a)
            solved = left_out_solve(hat, operator, root, v, transposed=transposed, scale=scale)
            return (solved.reshape(value.shape),)

        return self.whitened.map(solve, self.sample_weight, values)[0]

    def touches_aside(self, block):
        """Whether a row of the block is kept out of the factorisation."""
        return self._aside.touches(block)

    def own_blocks(self, block, whitened, weight):
        """S, H_II, I - S H_II S and the size of its diagonal's terms, for the block's groups."""
        root, hat, operator = own_blocks(whitened, weight)
        return root, hat, operator, self._aside.write_operator(block, operator)

    def others_sums(self, first, second):
        """Sums over the rows outside one's own group; see ``smoother.Smoother``."""
        return others_sums(self.whitened, first, second, self.leverage, self.sample_weight)

    def new_row_form(self, first, second):
        """The same sums at rows of no group; see ``smoother.Smoother``."""
        total_first, total_second = total_sums(self.whitened, first, second)
        projection, offset = self.affine()
        return NewRowForm(self.center, projection, offset, total_first, total_second)

    @property
    def center(self):
        """Weighted mean of the features, (p,), float64."""
        return self._whitening.center

    def affine(self):
        """Projection (p, q) and offset (q,): whitened rows are (z - center) projection + offset."""
        projection, offset = self._whitening.as_affine()
        affine = projection.new_empty((len(projection) + 1, self.whitened.n_columns))
        affine[:-1, : projection.shape[1]], affine[-1, : projection.shape[1]] = projection, offset
        self._aside.extend(affine)
        return affine[:-1], affine[-1]
