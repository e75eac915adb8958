"""Weighted ridge factorized by an orthogonal decomposition, for problems that need more digits.

A Gram matrix has the square of the condition number of its rows, and subtracting a weighted mean
spreads the digits of a large row, or of a heavy one, over all rows. This slower smoother does
neither. With an intercept, the row z_0 is subtracted from all others: these differences do not
depend on the intercept. Let a_i be their weights, B the rows

    (z_i - z_0, sqrt(alpha / a_i) e_i, sqrt(alpha / a_0)),

and B' = Q R, with the p rows Q_1 and the other rows Q_2 of Q. Then S = R' R, the coefficients are
Q_1 R^-T (y_i - y_0), and C = (I - Q_1 Q_1') / alpha. Up to signs, I - s H s is Q_2 Q_2', so that
1 - leverage is a sum of squares.
"""

import torch
from torch import Tensor

from skdiva.loo._targets import Targets
from skdiva.loo.ridge._hat_matrix import HatMatrixSmoother
from skdiva.loo.ridge._new_rows import NewRowForm
from skdiva.loo.ridge._precision import LARGEST_ERROR, InsufficientPrecisionError, require_condition
from skdiva.loo.ridge._products import weighted_target_mean
from skdiva.loo.ridge._smoother import AffineSmoother
from skdiva.loo.rows import RowBlocks

# Limit on a pessimistic estimate of the relative error of leave-one-out residuals.
_LARGEST_RESIDUAL_ERROR = 1e-4
_LOW = 0.5  # 1 - leverage of rows whose entries of H are not computed from I - s H s


class OrthogonalSmoother(HatMatrixSmoother, AffineSmoother):
    """Smoother of a weighted ridge model that decomposes the rows of (n, p + n) numbers.

    Parameters
    ----------
    rows : RowBlocks
        Features (n, p), in float64.
    sample_weight : tensor of shape (n,)
        Non-negative weights. Rows of weight zero are predicted, but not trained on.
    alpha : float
        Ridge penalty, positive.
    fit_intercept : bool
    """

    def __init__(self, rows: RowBlocks, sample_weight: Tensor, alpha: float, fit_intercept: bool):
        self.rows, self.layout, self.dtype = rows, rows.layout, rows.dtype
        self.sample_weight = sample_weight.to(rows.dtype)
        self.alpha, self.fit_intercept = alpha, fit_intercept
        features = rows.read(slice(0, rows.n_rows))
        training = torch.nonzero(self.sample_weight > 0)[:, 0]
        self._base = training[:0]
        self.center = features.new_zeros(rows.n_columns)
        if fit_intercept:
            self._base = training[self._central_row(features[training], training)][None]
            self.center = features[self._base[0]]
            training = training[training != self._base]
        self._training = training
        centered = features - self.center
        noise_root = self._decompose(centered[training])
        self._set_hat(centered, noise_root)

    def _central_row(self, features: Tensor, training: Tensor) -> Tensor:
        """Position of a row of large weight near the median of all rows."""
        distance = (features - features.median(dim=0).values).square().sum(dim=1)
        return (distance + self.alpha / self.sample_weight[training]).argmin()

    def _decompose(self, centered: Tensor) -> Tensor:
        """Decompose B; return sqrt(I - s H s) (n, d) of the training rows."""
        weight = self.sample_weight
        scale = (self.alpha / weight[self._training]).sqrt()
        base_scale = (self.alpha / weight[self._base]).sqrt()
        parts = [centered, torch.diag(scale), base_scale.expand(len(scale), -1)]
        stacked = torch.cat(parts, dim=1).T
        orthogonal, factor = torch.linalg.qr(stacked)
        norms = torch.linalg.vector_norm(factor, dim=0)
        self._condition = require_condition(
            norms.square(), lambda v: factor.T @ (factor @ v), factor.T, LARGEST_ERROR, root=True
        )
        identity = torch.eye(len(factor), dtype=self.dtype, device=factor.device)
        inverse = torch.linalg.solve_triangular(factor, identity, upper=True)
        n_columns = self.rows.n_columns
        self._explained = orthogonal[:n_columns]  # Q_1
        root = scale[:, None] * inverse
        base_root = -base_scale[:, None] * inverse.sum(dim=0)
        self._noise = torch.cat([root, base_root])  # Q_2
        self._to_duals = self._explained @ inverse.T  # V, coefficients per difference
        out = torch.zeros((self.rows.n_rows, len(factor)), dtype=self.dtype, device=factor.device)
        out[self._training], out[self._base] = root, base_root
        return out

    def _set_hat(self, centered: Tensor, root: Tensor) -> None:
        training, base, weight = self._training, self._base, self.sample_weight
        operator = root @ root.T
        self.one_minus_leverage = operator.diagonal().clone()
        self.one_minus_leverage[weight == 0] = 1.0
        n_rows, n_columns = centered.shape
        self._projection = centered.new_zeros((n_columns, n_rows))
        self._offset = torch.zeros_like(weight)
        self._projection[:, training] = self._to_duals / weight[training]
        self._projection[:, base] = -self._to_duals.sum(dim=1, keepdim=True) / weight[base]
        held = torch.cat([training, base])
        if self.fit_intercept:
            root_weight = weight.sqrt()
            across = operator[base][:, held] / root_weight[base]
            self._offset[held] = -across[0] / root_weight[held]
            self._offset[base] = (1 - self.one_minus_leverage[base]) / weight[base]
        self._constant = self._projection[:, base].sum(dim=1)  # 0 without an intercept
        self._level = self._offset[base].sum()
        # The orthogonal columns of rows of low leverage are small, but not their rounding errors.
        low = self.one_minus_leverage >= _LOW
        low[base] = False
        moment = centered[low].T
        self._projection[:, low] = self._inverse_times(moment) + self._constant[:, None]
        self._offset[low] = centered[low] @ self._constant + self._level
        hat = self._hat_matrix(centered, operator)
        self.leverage = hat.diagonal().clone()
        self.off_diagonal = hat.fill_diagonal_(0)

    def _hat_matrix(self, centered: Tensor, operator: Tensor) -> Tensor:
        """H (n, n), whose entries are computed in the most precise of three ways.

        H_ij is z_i' C z_j, computed from C z_j or from C z_i, or it is found in the operator
        I - s H s. Rounding errors are proportional to the sizes of the two factors.
        """
        hat = centered @ self._projection + self._offset
        reach, size = (torch.linalg.vector_norm(x, dim=1) for x in (centered, self._projection.T))
        error = torch.outer(reach, size) + self._offset.abs()
        hat = torch.where(error <= error.T, hat, hat.T)
        error = torch.minimum(error, error.T)
        root_weight = self.sample_weight.sqrt()
        by_operator = -operator / root_weight / root_weight[:, None]
        share = self.one_minus_leverage.sqrt() / root_weight  # infinite for rows of weight zero
        by_share = torch.outer(share, share).fill_diagonal_(torch.inf)
        hat = torch.where(by_share < error, by_operator, hat)
        self._error = torch.minimum(error, by_share).fill_diagonal_(0)
        self._error.mul_(self._condition * torch.finfo(self.dtype).eps)
        high = torch.nonzero(self.one_minus_leverage < _LOW)[:, 0]
        hat[high, high] = (1 - self.one_minus_leverage[high]) / self.sample_weight[high]
        return hat

    def _inverse_times(self, moment: Tensor) -> Tensor:
        """Return C m for a moment m of centered rows, (p, k)."""
        known, noise = self._explained, self._noise
        inside = known.T @ moment
        rest = moment - known @ inside
        rest = rest - known @ (known.T @ rest)
        return (rest + known @ (noise.T @ (noise @ inside))) / self.alpha

    def centered_targets(self, targets: Targets) -> tuple[Tensor, Tensor]:
        """Targets (n, k) minus their weighted mean, and the mean (k,) in float64."""
        weight, budget = self.sample_weight, self.rows.budget
        mean = weighted_target_mean(targets, weight, self.fit_intercept, budget)
        return targets.ridge_values(slice(None), self.dtype, mean), mean

    def residuals(self, targets: Targets) -> Tensor:
        """Prediction minus target of every row, (n, k).

        Raises
        ------
        InsufficientPrecisionError
            If the rounding errors of H are not small compared with a leave-one-out residual.
        """
        residuals = super().residuals(targets)
        values = self.centered_targets(targets)[0].abs()
        error = (self._error @ (self.sample_weight[:, None] * values)).sum(dim=1)
        size = (residuals.abs() + self.one_minus_leverage[:, None] * values).sum(dim=1)
        if bool((error > _LARGEST_RESIDUAL_ERROR * size).any()):
            raise InsufficientPrecisionError(
                "rounding errors are as large as some of the residuals"
            )
        return residuals

    def coefficients(self, targets: Targets) -> tuple[Tensor, Tensor]:
        """Return ``coef`` (p, k) and ``intercept`` (k,), float64, of the ridge model."""
        coef, constant = self._model(targets)
        return coef, constant - self.center @ coef

    def _model(self, targets: Targets) -> tuple[Tensor, Tensor]:
        """Coefficients (p, k), and the prediction (k,) at the center."""
        values, mean = self.centered_targets(targets)
        base = values[self._base].sum(dim=0)
        coef = self._to_duals @ (values[self._training] - base)
        if not self.fit_intercept:
            return coef, mean
        return coef, mean + base + self.residuals(targets)[self._base[0]]

    def predict(self, features: Tensor, targets: Targets) -> Tensor:
        """Predictions (m, k) at new rows (m, p) of the model fitted to ``targets``."""
        coef, constant = self._model(targets)
        return (features.to(self.dtype) - self.center) @ coef + constant

    def adjoint(self, features: Tensor, values: Tensor) -> Tensor:
        """sum_v H_jv values_v over new rows v (m, p), for every training row j, (n, k)."""
        centered = features.to(self.dtype) - self.center
        hat = centered @ self._projection + self._offset
        return hat.T @ values.to(self.dtype)

    def adjoint_form(self, features: Tensor, values: Tensor) -> NewRowForm:
        """Return the sum of `adjoint` as a form for rows j that belong to no group."""
        values = values.to(self.dtype)
        moment, total = (features.to(self.dtype) - self.center).T @ values, values.sum(dim=0)
        coef = self._inverse_times(moment) + torch.outer(self._constant, total)
        return NewRowForm.linear(self.center, coef, self._constant @ moment + self._level * total)

    def new_row_form(self, first: Tensor, second: Tensor) -> NewRowForm:
        """Return both cross sums, over all rows, as a form for rows that belong to no group."""
        quadratic = self.pair_products(first, second)
        return NewRowForm(self.center, self._projection, self._offset, first, quadratic)
