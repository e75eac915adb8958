"""Weighted ridge factorised over samples, n x n, for more features than rows.

With s = sqrt(a) on the rows of positive weight, K the Gram matrix of the rows centred by their
weighted mean, and S = s K s + alpha I, the residual operator I - s H s is alpha S^-1: leverages
near 1 come out without subtraction. The unpenalised intercept removes the direction s. In exact
arithmetic S s = alpha s already; S' = S + mu s s' moves that direction away from the small
eigenvalues, and

    I - s H s = alpha S'^-1 - [alpha / (alpha + mu sum a)] s s' / sum a.
"""

import torch

from skdiva.loo.ridge._centering import (
    center_rows,
    centered_targets,
    weighted_center,
    weighted_target_mean,
)
from skdiva.loo.ridge._group_blocks import left_out_solve, stack
from skdiva.loo.ridge._new_rows import NewRowForm
from skdiva.loo.ridge._precision import (
    cholesky,
    require_condition,
    require_residual_share,
    resolution,
)

# Of eps times the condition number, all of which an explicit inverse may lose.
LARGEST_INVERSE_ERROR = {torch.float32: 1e-4, torch.float64: 0.1}


class DualSmoother:
    """A weighted ridge model that answers as ``smoother.Smoother`` demands; H is formed, n x n.

    Parameters
    ----------
    rows : TensorRows
        Features (n, p), p > n is what it is meant for.
    sample_weight : tensor of shape (n,)
        Non-negative. Rows of weight zero are predicted, and train nothing.
    alpha : float
        Ridge penalty, positive.
    fit_intercept : bool
    """

    def __init__(self, rows, sample_weight, alpha, fit_intercept):
        self.rows, self.layout, self.dtype = rows, rows.layout, rows.dtype
        self.sample_weight = sample_weight.to(rows.dtype)
        self.fit_intercept = fit_intercept
        self.alpha = alpha
        self._inverse_total = 1 / float(sample_weight.double().sum()) if fit_intercept else 0.0
        self.center = weighted_center(rows, sample_weight, fit_intercept)
        self._training = torch.nonzero(self.sample_weight > 0)[:, 0]
        self._idle = torch.nonzero(self.sample_weight == 0)[:, 0]
        self._root = self.sample_weight[self._training].sqrt()
        gram = self._gram_with(self.rows.select(torch.arange(rows.n_rows, device=rows.device)))
        operator = self._factorise(gram[self._training][:, self._training])
        # Rounding errors are relative to what the intercept's correction was subtracted from.
        shares = operator.diagonal() / (self.alpha * self._inverse.diagonal())
        require_residual_share(float(shares.min()), self.dtype, resolution(self.dtype))
        self.one_minus_leverage = torch.ones_like(self.sample_weight)
        self.one_minus_leverage[self._training] = operator.diagonal()
        # H without its diagonal: own terms are left out, never added and subtracted.
        self._hat = self._hat_matrix(gram, operator)
        self.leverage = self._hat.diagonal().clone()
        self._hat.fill_diagonal_(0)

    def _gram_with(self, features):
        """Centred Gram matrix (m, n) of ``features`` (m, p) with the training rows."""
        left = center_rows(features, self.center)
        blocks = self.layout.blocks
        parts = [left @ center_rows(self.rows[block], self.center).T for block in blocks]
        return torch.cat(parts, dim=1)

    def _factorise(self, gram):
        """Return I - s H s of the training rows, (n, n), and keep S'^-1."""
        root = self._root
        system = root[:, None] * gram * root
        mean_eigenvalue = float(system.diagonal().mean())
        shift = mean_eigenvalue * self._inverse_total
        system.addr_(root, root, alpha=shift)
        system.diagonal().add_(self.alpha)
        factor = cholesky(system)
        require_condition(system, factor, LARGEST_INVERSE_ERROR)
        self._inverse = torch.cholesky_inverse(factor)
        share = self.alpha / (self.alpha + mean_eigenvalue)
        correction = share * self._inverse_total
        return torch.addr(self._inverse, root, root, beta=self.alpha, alpha=-correction)

    def _hat_matrix(self, gram, operator):
        training, idle, root = self._training, self._idle, self._root
        hat = torch.empty_like(gram)
        within = -operator / root / root[:, None]
        within.diagonal().copy_((1 - operator.diagonal()) / root.square())
        hat[training[:, None], training] = within
        if idle.numel():
            solution = self._inverse @ (root[:, None] * gram[training][:, idle])
            across = solution / root[:, None] + self._inverse_total
            hat[training[:, None], idle] = across
            hat[idle[:, None], training] = across.T
            self._unexplained = self._unexplained_rows(solution)
            # z' C z = |unexplained|^2 / alpha + |solution|^2, where z' z - k' S^-1 k would cancel.
            within = self._unexplained @ self._unexplained.T / self.alpha + solution.T @ solution
            hat[idle[:, None], idle] = within + self._inverse_total
        return hat

    def _unexplained_rows(self, solution):
        """Rows of weight zero (m, p) without the part that training rows explain: alpha C z."""
        training, idle = (
            center_rows(self.rows.select(x), self.center) for x in (self._training, self._idle)
        )
        return idle - (self._root[:, None] * solution).T @ training

    def _hat_with(self, features):
        """Return H between other rows (m, p) and the training rows, (m, n)."""
        gram = self._gram_with(features.to(self.dtype))
        weighted = gram[:, self._training] * self._root
        hat = torch.empty_like(gram)
        hat[:, self._training] = weighted @ self._inverse / self._root
        if self._idle.numel():
            centered = center_rows(features.to(self.dtype), self.center)
            hat[:, self._idle] = centered @ self._unexplained.T / self.alpha
        return hat.add_(self._inverse_total)

    def _centered_targets(self, targets):
        mean = weighted_target_mean(targets, self.sample_weight, self.fit_intercept)
        return centered_targets(targets, mean, slice(None), self.dtype), mean

    def coefficients(self, targets):
        """Return ``coef`` (p, k) and ``intercept`` (k,), float64, of the ridge model."""
        values, mean = self._centered_targets(targets)
        root = self._root[:, None]
        duals = root * (self._inverse @ (root * values[self._training]))
        coef = center_rows(self.rows.select(self._training), self.center).T @ duals
        return coef, mean - self.center @ coef.double()

    def residuals(self, targets):
        """Prediction minus target of every row, (n, k)."""
        values, _ = self._centered_targets(targets)
        others = self._hat @ (self.sample_weight[:, None] * values)
        return others - self.one_minus_leverage[:, None] * values

    def predict(self, features, targets):
        """Predictions (m, k) at other rows (m, p) of the model fitted to ``targets``."""
        values, mean = self._centered_targets(targets)
        return self._hat_with(features) @ (self.sample_weight[:, None] * values) + mean

    def adjoint(self, features, values):
        """sum_v H_jv values_v over other rows v (m, p), for every training row j: (n, k)."""
        return self._hat_with(features).T @ values.to(self.dtype)

    def adjoint_form(self, features, values):
        """The same sum for rows of no group; see ``smoother.Smoother``."""
        values = values.to(self.dtype)
        moment = center_rows(features.to(self.dtype), self.center).T @ values
        training = self._root[:, None] * center_rows(self.rows.select(self._training), self.center)
        coef = (moment - training.T @ (self._inverse @ (training @ moment))) / self.alpha
        return NewRowForm.linear(self.center, coef, values.sum(dim=0) * self._inverse_total)

    def solve_left_out(self, values, *, transposed=False):
        """Apply (I - H_II diag(a_I))^-1, or its transpose, to every group of ``values`` (n, k)."""
        out = torch.empty_like(values)
        for block in self.layout.blocks:
            rows = block.rows
            if block.group_size == 1:
                out[rows] = values[rows] / self.one_minus_leverage[rows, None]
                continue
            root, value, share, leverage = (
                stack(block, array[rows])
                for array in (
                    self.sample_weight.sqrt(),
                    values,
                    self.one_minus_leverage,
                    self.leverage,
                )
            )
            hat = self._own_view(self._hat, block).clone()
            operator = -root[:, :, None] * hat * root[:, None, :]
            operator.diagonal(dim1=-2, dim2=-1).copy_(share)
            hat.diagonal(dim1=-2, dim2=-1).copy_(leverage)
            # Nothing was subtracted from 1: errors are relative to the diagonal itself.
            solved = left_out_solve(
                hat,
                operator,
                root,
                value,
                transposed=transposed,
                scale=share,
                least=resolution(self.dtype),
            )
            out[rows] = solved.reshape(-1, values.shape[1])
        return out

    @staticmethod
    def _own_view(matrix, block):
        """Return a view of the diagonal blocks (G, m, m) that belong to the groups of ``block``."""
        square = matrix[block.rows, block.rows]
        size = block.group_size
        row_step, column_step = square.stride()
        shape = (square.shape[0] // size, size, size)
        return square.as_strided(shape, (size * (row_step + column_step), row_step, column_step))

    def others_sums(self, first, second):
        """Sums over the rows outside one's own group; see ``smoother.Smoother``."""
        hats = ((block, self._others_hat(block)) for block in self.layout.blocks)
        return _sums(hats, first, second)

    def _others_hat(self, block):
        """Return the columns of H at ``block``, own groups set to zero, (n, b)."""
        hat = self._hat[:, block.rows]
        if block.group_size == 1:
            return hat
        hat = hat.clone()
        group = torch.arange(hat.shape[1], device=hat.device) // block.group_size
        hat[block.rows].masked_fill_(group[:, None] == group, 0.0)
        return hat

    def new_row_form(self, first, second):
        """The same sums at rows of no group; see ``smoother.Smoother``."""
        root, training, idle = self._root, self._training, self._idle
        train_rows = center_rows(self.rows.select(training), self.center)
        projection = self._inverse.new_empty((self.rows.n_columns, self.rows.n_rows))
        projection[:, training] = (train_rows.T * root) @ self._inverse / root
        if idle.numel():
            projection[:, idle] = self._unexplained.T / self.alpha
        offset = torch.full_like(self.sample_weight, self._inverse_total)
        quadratic = torch.zeros_like(self._hat)
        for block in self.layout.blocks:
            p, v = stack(block, first[block.rows]), stack(block, second[block.rows])
            own = self._own_view(quadratic, block)
            own.copy_((p @ v.mT + v @ p.mT) / 2)
        return NewRowForm(self.center, projection, offset, first, quadratic)


def _sums(hats, first, second):
    """Add up both sums over blocks of columns of H, given as (block, (n, b)) pairs."""
    total_first = total_second = 0.0
    for block, hat in hats:
        p, v = first[block.rows], second[block.rows]
        total_first = total_first + hat @ p
        if block.group_size == 1:
            total_second = total_second + hat.square() @ torch.linalg.vecdot(p, v)
            continue
        p, v = stack(block, p), stack(block, v)
        by_group = hat.T.reshape(-1, block.group_size, hat.shape[0]).mT  # (G, n, m)
        left, right = by_group @ p, by_group @ v
        total_second = total_second + torch.einsum("gnk,gnk->n", left, right)
    return total_first, total_second
