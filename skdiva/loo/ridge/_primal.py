"""Weighted ridge factorized in feature space, p x p, streaming over blocks of rows.

Objective: minimize over W and an unpenalized intercept

    sum_i a_i |z_i' W + intercept - y_i|^2 + alpha |W|^2.

If the weighted mean of Z is subtracted, the intercept decouples: C^-1 = Z' diag(a) Z + alpha I =
L L' for the centered rows, and the intercept adds 1 / sum(a) to every entry of the hat matrix H.
All results are products of whitened rows T with H = T T',

    t_i = (L^-1 (z_i - mean), 1 / sqrt(sum a)).

The whitened rows are kept if the memory budget allows it, and recomputed on each visit otherwise.
High-leverage rows are excluded from the factorization (see ``_high_leverage_rows.py``).
"""

from functools import partial

import torch
from torch import Tensor

from skdiva.loo._targets import Targets
from skdiva.loo.ridge import _products as products
from skdiva.loo.ridge._cross_sums import cross_sums, total_sums
from skdiva.loo.ridge._group_blocks import group_blocks, left_out_solve, solve_whitened
from skdiva.loo.ridge._high_leverage_rows import HighLeverageRows
from skdiva.loo.ridge._new_rows import NewRowForm
from skdiva.loo.ridge._precision import (
    InsufficientPrecisionError,
    cholesky,
    require_centered,
    require_factor,
    require_residual_share,
    require_similar_sizes,
)
from skdiva.loo.ridge._smoother import AffineSmoother
from skdiva.loo.rows import Block, RowBlocks

# 1 - leverage below which subtraction from 1 loses too many digits.
_HIGH_LEVERAGE = {torch.float32: 0.05, torch.float64: 1e-5}


class PrimalSmoother(AffineSmoother):
    """Smoother of a weighted ridge model that factorizes a p x p matrix.

    Parameters
    ----------
    rows : RowBlocks
        Features Z (n, p). All row arrays are in their visiting order.
    sample_weight : tensor of shape (n,)
        Non-negative weights.
    alpha : float or tensor of shape (p,)
        Ridge penalty, positive; or one per column, zero for columns without a penalty.
    fit_intercept : bool
    """

    def __init__(
        self, rows: RowBlocks, sample_weight: Tensor, alpha: float | Tensor, fit_intercept: bool
    ):
        self.layout, self.dtype, self.budget = rows.layout, rows.dtype, rows.budget
        self.sample_weight = sample_weight.to(rows.dtype)
        self.fit_intercept = fit_intercept
        self._fitted: tuple | None = None
        self._factorize(rows, sample_weight, alpha, None)
        checked = self.one_minus_leverage
        positions = torch.nonzero(checked < _HIGH_LEVERAGE[self.dtype])[:, 0]
        most = min(max(8, self._width // 8), (len(checked) - len(positions)) // 2)
        # With more high-leverage rows than that, a second factorization is not worthwhile.
        if 0 < len(positions) <= most:
            self._factorize(rows, sample_weight, alpha, positions)
            checked = self.one_minus_leverage.index_fill(0, positions, 1.0)
        smallest = float(checked.min())
        require_residual_share(smallest, self.dtype)
        scale = torch.linalg.vector_norm(self._inverse, dim=0)
        require_centered(self.center, scale, sample_weight, self.dtype, smallest)
        if self.dtype == torch.float32:
            require_similar_sizes(self.leverage)

    def _factorize(
        self,
        rows: RowBlocks,
        sample_weight: Tensor,
        alpha: float | Tensor,
        excluded: Tensor | None,
    ) -> None:
        """Factorize all rows except those at ``excluded``, and whiten all rows."""
        if excluded is not None:
            sample_weight = sample_weight.index_fill(0, excluded, 0.0)
        self.center = products.weighted_center(rows, sample_weight, self.fit_intercept)
        own_dtype = sample_weight.to(rows.dtype)
        gram = products.weighted_gram(rows, own_dtype, self.center)
        gram.diagonal().add_(alpha)
        try:
            factor = cholesky(gram)
        except InsufficientPrecisionError:
            if self.dtype != torch.float64:
                raise
            factor = products.orthogonal_factor(rows, own_dtype, self.center, alpha)
            require_factor(factor)
        identity = torch.eye(rows.n_columns, dtype=rows.dtype, device=rows.device)
        self._inverse = torch.linalg.solve_triangular(factor, identity, upper=False)
        self._constant = identity.new_empty(0)
        if self.fit_intercept:
            self._constant = (1 / sample_weight.double().sum().sqrt()).to(rows.dtype)[None]
        self._width = rows.n_columns + self.fit_intercept
        self._high: HighLeverageRows | None = None
        constants = self.center, self._inverse, self._constant
        self._whiten = partial(write_whitened, *constants, None)
        if excluded is not None:
            features = rows.read(excluded)
            whitened = features.new_empty((len(features), self._width))
            self._whiten(features, whitened)
            self._high = HighLeverageRows(excluded, whitened, self.sample_weight[excluded])
            self._whiten = partial(write_whitened, *constants, self._high)
        n_extra = 0 if self._high is None else len(self._high.shrink)
        self.whitened = rows.transform(self._whiten, self._width + n_extra)
        if self._high is not None:
            self.whitened.replace(self._high.positions, self._high.whitened)
        (norms,) = self.whitened.map(lambda _, t: (torch.linalg.vector_norm(t, dim=1),))
        self.leverage = norms.square_()
        self.one_minus_leverage = 1 - self.sample_weight * self.leverage
        if self._high is not None:
            self.one_minus_leverage[self._high.positions] = self._high.operator.diagonal()

    def whitened_fit(self, targets: Targets) -> tuple[Tensor, Tensor, Tensor | None]:
        """Fit the model to the whitened rows.

        Returns
        -------
        coef : tensor of shape (q, k)
            Coefficients for whitened rows.
        mean : tensor of shape (k,), float64
            Mean of the targets, which is subtracted from them.
        residuals : tensor of shape (d, k) or None
            Residuals of the d high-leverage rows; None if there are none.
        """
        if self._fitted is None or self._fitted[0] is not targets:
            weight, high = self.sample_weight, self._high
            mean = products.weighted_target_mean(targets, weight, self.fit_intercept, self.budget)
            if high is not None:
                weight = weight.index_fill(0, high.positions, 0.0)
            coef = products.weighted_moment(self.whitened, weight, targets, mean)
            residuals = None
            if high is not None:
                values = targets.ridge_values(high.positions, self.dtype, mean)
                residuals = high.residuals(values, coef)
                coef = coef + high.whitened.T @ (high.weight[:, None] * values)
            self._fitted = targets, (coef, mean, residuals)
        return self._fitted[1]

    def coefficients(self, targets: Targets) -> tuple[Tensor, Tensor]:
        """Return ``coef`` (p, k) and ``intercept`` (k,), float64, of the ridge model."""
        coef, mean, _ = self.whitened_fit(targets)
        if self._high is not None:
            coef = self._high.contract(coef)
        n_columns = self._inverse.shape[0]
        plain = self._inverse.T @ coef[:n_columns]
        constant = (self._constant[:, None] * coef[n_columns:]).sum(dim=0)
        # Summed in this order, because the means of the features may be large and cancel.
        return plain, mean + (constant.double() - self.center @ plain.double())

    def residuals(self, targets: Targets) -> Tensor:
        """Prediction minus target of every row, (n, k)."""
        coef, mean, high_residuals = self.whitened_fit(targets)

        def predict(block, whitened):
            values = targets.ridge_values(block.rows, self.dtype, mean)
            return (torch.addmm(values, whitened, coef, beta=-1),)

        (residuals,) = self.whitened.map(predict)
        if self._high is not None and high_residuals is not None:
            residuals[self._high.positions] = high_residuals
        return residuals

    def predict(self, features: Tensor, targets: Targets) -> Tensor:
        """Predictions (m, k) at new rows (m, p) of the model fitted to ``targets``."""
        coef, intercept = self.coefficients(targets)
        constant = intercept + self.center @ coef.double()
        return products.center_rows(features.to(self.dtype), self.center) @ coef + constant

    def adjoint(self, features: Tensor, values: Tensor) -> Tensor:
        """sum_v H_jv values_v over new rows v (m, p), for every training row j, (n, k)."""
        total = self.moment(features, values)
        return self.whitened.map(lambda _, t: (t @ total,))[0]

    def adjoint_form(self, features: Tensor, values: Tensor) -> NewRowForm:
        """Return the sum of `adjoint` as a form for rows j that belong to no group."""
        total = self.moment(features, values)
        projection, offset = self.affine()
        return NewRowForm.linear(self.center, projection @ total, offset @ total)

    def moment(self, features: Tensor, values: Tensor) -> Tensor:
        """sum_v t_v values_v' over new rows v, (q, k)."""
        step = max(block.stop - block.start for block in self.layout.blocks)
        total = values.new_zeros((), dtype=self.dtype)
        for part, value in zip(features.split(step), values.split(step), strict=True):
            total = total + self.whiten(part).T @ value.to(self.dtype)
        return total

    def whiten(self, features: Tensor) -> Tensor:
        """Whitened rows (m, q) of new rows (m, p)."""
        features = features.to(self.dtype)
        out = features.new_empty((len(features), self.whitened.n_columns))
        self._whiten(features, out)
        return out

    def solve_left_out(self, values: Tensor, *, transposed: bool = False) -> Tensor:
        """Apply (I - H_II diag(a_I))^-1, or its transpose, to every group of ``values`` (n, k)."""
        if not self.layout.grouped:
            return values / self.one_minus_leverage[:, None]

        def solve(block, whitened, weight, value):
            if block.group_size == 1:
                return (value / self.one_minus_leverage[block.rows, None],)
            t, a, v = block.stack(whitened), block.stack(weight), block.stack(value)
            if not self.has_high_leverage(block):
                return (solve_whitened(t, a, v, transposed=transposed).reshape(value.shape),)
            root, hat, operator, scale = self.group_blocks(block, t, a)
            solved = left_out_solve(hat, operator, root, v, transposed=transposed, scale=scale)
            return (solved.reshape(value.shape),)

        return self.whitened.map(solve, self.sample_weight, values)[0]

    def has_high_leverage(self, block: Block) -> bool:
        """Whether a row of the block was excluded from the factorization."""
        return self._high is not None and bool(self._high.inside(block).any())

    def group_blocks(self, block: Block, whitened: Tensor, weight: Tensor) -> tuple[Tensor, ...]:
        """S, H_II, I - S H_II S and the magnitude of its diagonal terms, for a block's groups."""
        root, hat, operator = group_blocks(whitened, weight)
        if self._high is None:
            return root, hat, operator, torch.ones_like(root)
        return root, hat, operator, self._high.write_operator(block, operator)

    def cross_sums(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Return both cross sums; see `Smoother`."""
        return cross_sums(self.whitened, first, second, self.leverage, self.sample_weight)

    def new_row_form(self, first: Tensor, second: Tensor) -> NewRowForm:
        """Return both cross sums, over all rows, as a form for rows that belong to no group."""
        total_first, total_second = total_sums(self.whitened, first, second)
        projection, offset = self.affine()
        return NewRowForm(self.center, projection, offset, total_first, total_second)

    def affine(self) -> tuple[Tensor, Tensor]:
        """Projection (p, q) and offset (q,): whitened rows are (z - center) projection + offset."""
        n_columns = self._inverse.shape[0]
        affine = self._inverse.new_zeros((n_columns + 1, self.whitened.n_columns))
        affine[:-1, :n_columns] = self._inverse.T
        affine[-1, n_columns : self._width] = self._constant
        if self._high is not None:
            self._high.extend(affine)
        return affine[:-1], affine[-1]


def write_whitened(
    center: Tensor,
    inverse: Tensor,
    constant: Tensor,
    high: HighLeverageRows | None,
    features: Tensor,
    out: Tensor,
) -> None:
    """Write the whitened rows of ``features`` (m, p) into ``out`` (m, q).

    It is not a method, because a smoother that its rows refer to would not be freed at once.
    """
    n_columns = features.shape[1]
    centered = products.center_rows(features, center)
    products.multiply_upper(centered, inverse.T, out[:, :n_columns])
    out[:, n_columns : n_columns + len(constant)] = constant
    if high is not None:
        high.extend(out)
