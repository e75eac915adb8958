"""A factorised ridge to which rows are added, updated at low rank instead of factorised anew.

With T the rows whitened by the factorisation of the core (H = T T', so that C = I there), U the
whitened rows of a batch with residuals e_U before it, and K = I + U C U' = L L',

    C   -> C - V V',                V = C U' L^-T
    W   -> W - V L^-1 e_U
    e_i -> e_i - t_i' V L^-1 e_U
    h_i -> h_i - |t_i' V|^2,        1 - h_i  -> 1 - h_i + |t_i' V|^2

so that 1 - leverage, which must keep its digits, is never a difference. The intercept is a column
of T. Added rows train with weight 1 and judge nothing: none of them is ever left out.
"""

import torch

from skdiva.loo.centering import center_rows, centered_targets
from skdiva.loo.new_rows import NewRowForm
from skdiva.loo.others_sums import total_sums
from skdiva.loo.own_blocks import stack
from skdiva.loo.precision import cholesky, cholesky_stack
from skdiva.loo.targets import ridge_targets

# Updates after which C is inverted anew: rounding errors add up, and rows far out magnify them.
_FRESH = 32


class ExtendedSmoother:
    """A ridge model of the core and of all rows added so far; answers for rows of the core.

    See ``smoother.Smoother`` for what is answered.

    Parameters
    ----------
    core : PrimalSmoother
        At weights of 1.
    targets : ClassTargets or ValueTargets
        Of the core, in its visiting order.
    """

    def __init__(self, core, targets):
        self._core = core
        self.whitened, self.sample_weight = core.whitened, core.sample_weight
        self.leverage = core.leverage.clone()
        self.one_minus_leverage = core.one_minus_leverage.clone()
        self._residuals = core.residuals(targets)
        core.solve_left_out(self._residuals)  # refuses groups that decide their own predictions
        self._coef, self._mean, _ = core.whitened_fit(targets)
        self._moment = self._coef
        self.inverse = torch.eye(self.whitened.n_columns).to(self._coef)  # C
        self._precision = self.inverse.clone()  # C^-1
        self._n_updates = 0
        self._grouped = any(block.group_size > 1 for block in self.whitened.layout.blocks)
        # I - H_II of groups, where it is smaller than C or holds what only the core knows.
        self._operators = {
            block: core.own_blocks(block, *self._stacks(block))[2]
            for block in self.whitened.layout.blocks
            if block.group_size > 1
            and (block.group_size <= len(self.inverse) or core.touches_aside(block))
        }

    def _stacks(self, block):
        return stack(block, self.whitened[block]), stack(block, self.sample_weight[block.rows])

    def add(self, features, targets):
        """Train on more rows.

        Parameters
        ----------
        features : tensor of shape (b, p)
        targets : ClassTargets or ValueTargets
            Of b rows.
        """
        rows = self._core.whiten(features)
        values = centered_targets(targets, self._mean, slice(None), rows.dtype)
        pulled = self.inverse @ rows.T
        within = torch.eye(len(rows)).to(rows).addmm_(rows, pulled)
        factor = cholesky(within)
        directions, gain = (
            torch.linalg.solve_triangular(factor, right, upper=False)
            for right in (pulled.T, rows @ self._coef - values)
        )
        gain = directions.T @ gain
        self._move(directions, gain)
        self._coef = self._coef - gain
        self.inverse.addmm_(directions.T, directions, alpha=-1)
        self._precision.addmm_(rows.T, rows)
        self._moment = self._moment + rows.T @ values
        self._n_updates += 1
        if self._n_updates % _FRESH == 0:
            self.inverse = torch.cholesky_inverse(cholesky(self._precision))
            self._coef = self.inverse @ self._moment

    def _move(self, directions, gain):
        """Residuals and leverages of the core, in one visit."""
        n_added = len(directions)
        change = torch.cat([directions.T, gain], dim=1)

        def move(block, whitened):
            moved = whitened @ change
            share, residual = moved[:, :n_added], moved[:, n_added:]
            if block in self._operators:
                grouped = stack(block, share)
                self._operators[block].baddbmm_(grouped, grouped.mT)
            return share.square().sum(dim=1), residual

        lost, moved = self.whitened.map(move)
        self.leverage.sub_(lost)
        self.one_minus_leverage.add_(lost)
        self._residuals = self._residuals - moved

    def residuals(self, _targets):
        """Prediction minus target of the rows of the core, (n, k)."""
        return self._residuals

    def solve_left_out(self, values, **_transposed):
        """Apply (I - H_II)^-1, symmetric at weight 1, to every group of ``values`` (n, k)."""
        if not self._grouped:
            return values / self.one_minus_leverage[:, None]

        def solve(block, whitened, value):
            if block.group_size == 1:
                return (value / self.one_minus_leverage[block.rows, None],)
            right = stack(block, value)
            if block in self._operators:
                factor = cholesky_stack(self._operators[block])
                return (torch.cholesky_solve(right, factor).reshape(value.shape),)
            t = stack(block, whitened)  # (I - T C T')^-1 = I + T (C^-1 - T' T)^-1 T'
            factor = cholesky_stack(self._precision - t.mT @ t)
            solved = right + t @ torch.cholesky_solve(t.mT @ right, factor)
            return (solved.reshape(value.shape),)

        return self.whitened.map(solve, values)[0]

    def new_row_form(self, first, second):
        """Both sums over the core, as a form for rows of no group."""
        total_first, total_second = total_sums(self.whitened, first, second)
        total_second = self.inverse @ total_second @ self.inverse
        projection, offset = self._core.affine()
        total_first = self.inverse @ total_first
        return NewRowForm(self._core.center, projection, offset, total_first, total_second)

    def adjoint_form(self, features, values):
        """sum_v H_jv values_v over validation rows v, as a form for rows j of no group."""
        total = self.inverse @ self._core.moment(features, values)
        projection, offset = self._core.affine()
        return NewRowForm.linear(self._core.center, projection @ total, offset @ total)

    def predict(self, features, _targets=None):
        """Predictions (m, k) at other rows (m, p), initial outputs not added."""
        projection, offset = self._core.affine()
        constant = self._mean + (offset @ self._coef).double()
        centered = center_rows(features.to(self._coef.dtype), self._core.center)
        return centered @ (projection @ self._coef) + constant

    def new_residuals(self, features, targets):
        """Prediction minus target (m, k) of rows that are not trained on."""
        targets = ridge_targets(targets, slice(None), torch.float64)
        return (self.predict(features) - targets).to(self._coef.dtype)
