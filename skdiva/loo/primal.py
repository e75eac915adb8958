"""Weighted ridge factorised in feature space, p x p, streaming over blocks of rows.

Objective: minimise over W and an unpenalised intercept

    sum_i a_i |z_i' W + intercept - y_i|^2 + alpha |W|^2.

With the weighted mean of Z subtracted, the intercept decouples: C^-1 = Z' diag(a) Z + alpha I on
the centred rows, and the intercept adds 1 / sum(a) to every entry of H. *Whitened* rows
t_i = (L^-1 z_i, 1 / sqrt(sum a)), with L L' = C^-1, therefore give H = T T', and every quantity of
``smoother.py`` is a product of whitened rows. They are kept when they fit, else made on each visit.
"""

import torch

from skdiva.loo import products
from skdiva.loo.centering import (
    center_rows,
    centered_targets,
    weighted_center,
    weighted_gram,
    weighted_target_mean,
)
from skdiva.loo.new_rows import NewRowForm
from skdiva.loo.others_sums import others_sums, total_sums
from skdiva.loo.own_blocks import group_sums, solve_whitened, stack
from skdiva.loo.precision import cholesky, require_condition, require_residual_share

_KEEP_BYTES = 2**29  # whitened rows up to this size are kept on a CPU
_KEEP_SHARE = 0.25  # of the free memory, on a GPU


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
        self.total_weight = float(sample_weight.double().sum())
        self.center = weighted_center(rows, sample_weight, fit_intercept)
        gram = weighted_gram(rows, self.sample_weight, self.center)
        gram.diagonal().add_(alpha)
        factor = cholesky(gram)
        require_condition(gram, factor)
        identity = torch.eye(rows.n_columns, dtype=rows.dtype, device=rows.device)
        self._inverse_factor = torch.linalg.solve_triangular(factor, identity, upper=False)
        width = rows.n_columns + fit_intercept
        self.whitened = rows.transform(self._whiten, width, keep=_fits(rows, width))
        (norms,) = self.whitened.map(lambda _, t: (torch.linalg.vector_norm(t, dim=1),))
        self.leverage = norms.square_()
        self.one_minus_leverage = 1 - self.sample_weight * self.leverage
        require_residual_share(float(self.one_minus_leverage.min()), self.dtype)

    def _whiten(self, features, out):
        """Write the whitened rows (m, p + fit_intercept) of ``features`` (m, p) into ``out``."""
        n_columns = features.shape[1]
        centered = center_rows(features, self.center)
        products.multiply_upper(centered, self._inverse_factor.T, out[:, :n_columns])
        if self.fit_intercept:
            out[:, -1] = self.total_weight**-0.5
        return out

    def _fit(self, targets):
        mean = weighted_target_mean(targets, self.sample_weight, self.fit_intercept)

        def add(total, block, whitened, weight):
            values = centered_targets(targets, mean, block.rows).mul_(weight[:, None])
            moment = whitened.T @ values
            return (moment if total is None else total[0].add_(moment),)

        coef = self.whitened.reduce(add, self.sample_weight)[0]
        if self.fit_intercept:
            coef[-1] = 0.0  # the weighted mean of centred targets, but for rounding
        return coef, mean

    def coefficients(self, targets):
        """Return ``coef`` (p, k) and ``intercept`` (k,) of the ridge model."""
        whitened_coef, mean = self._fit(targets)
        coef = self._inverse_factor.T @ whitened_coef[: self._inverse_factor.shape[0]]
        return coef, mean - self.center.to(self.dtype) @ coef

    def residuals(self, targets):
        """Prediction minus target of every row, (n, k)."""
        coef, mean = self._fit(targets)

        def predict(block, whitened):
            values = centered_targets(targets, mean, block.rows)
            return (torch.addmm(values, whitened, coef, beta=-1),)

        return self.whitened.map(predict)[0]

    def predict(self, features, targets):
        """Predictions (m, k) at other rows (m, p) of the model fitted to ``targets``."""
        coef, mean = self._fit(targets)
        return torch.cat([part @ coef + mean for part in self._whitened_parts(features)])

    def adjoint(self, features, values):
        """sum_v H_jv values_v over other rows v (m, p), for every training row j: (n, k)."""
        parts = self._whitened_parts(features)
        step = self._largest_block
        total = sum(
            part.T @ value for part, value in zip(parts, values.to(self.dtype).split(step), strict=True)
        )
        return self.whitened.map(lambda _, t: (t @ total,))[0]

    @property
    def _largest_block(self):
        return max(block.stop - block.start for block in self.whitened.layout.blocks)

    def _whitened_parts(self, features):
        for part in features.to(self.dtype).split(self._largest_block):
            yield self._whiten(part, part.new_empty((part.shape[0], self.whitened.n_columns)))

    def solve_left_out(self, values, *, transposed=False):
        """Apply (I - H_II diag(a_I))^-1, or its transpose, to every group of ``values`` (n, k)."""

        def solve(block, whitened, weight, value):
            if block.group_size == 1:
                return (value / self.one_minus_leverage[block.rows, None],)
            t, a, v = (stack(block, array) for array in (whitened, weight, value))
            solved = solve_whitened(t, a, v, transposed=transposed)
            return (solved.reshape(value.shape),)

        return self.whitened.map(solve, self.sample_weight, values)[0]

    def others_sums(self, first, second):
        """Sums over the rows outside one's own group; see ``smoother.Smoother``."""
        group_leverage = group_sums(self.whitened.layout, self.sample_weight * self.leverage)
        return others_sums(self.whitened, first, second, self.leverage, group_leverage)

    def new_row_form(self, first, second):
        """The same sums at rows of no group; see ``smoother.Smoother``."""
        total_first, total_second = total_sums(self.whitened, first, second)
        inverse = self._inverse_factor
        projection = inverse.new_zeros((inverse.shape[0], total_first.shape[0]))
        projection[:, : inverse.shape[0]] = inverse.T
        offset = inverse.new_zeros(total_first.shape[0])
        if self.fit_intercept:
            offset[-1] = self.total_weight**-0.5
        return NewRowForm(self.center, projection, offset, total_first, total_second)


def _fits(rows, width):
    size = rows.n_rows * width * torch.finfo(rows.dtype).bits // 8
    if rows.device.type == "cuda":
        return size <= _KEEP_SHARE * torch.cuda.mem_get_info(rows.device)[0]
    return size <= _KEEP_BYTES
