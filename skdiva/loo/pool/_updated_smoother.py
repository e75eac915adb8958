"""A factorised ridge to which rows are added, updated at low rank instead of factorised anew.

With T the whitened rows of the core (H = T T'), U those of a batch, its residuals e_U before it is
added, the thin SVD U = L S Y' and D = (1 + S^2)^-1/2, rows are whitened anew by

    t -> t X,                  X = (I + U'U)^-1/2 = I - Y (1 - D) Y'
    e_i -> e_i - t_i' Y S D^2 L' e_U
    h_i -> h_i - |t_i' Y S D|^2,       1 - h_i -> 1 - h_i + |t_i' Y S D|^2

and coefficients, the moments of whitened rows, are X (T'y + U'y_U). So C stays the identity: no
inverse is ever downdated, which would lose the digits of rows far out, and 1 - leverage is never a
difference. The intercept is a column of T. Added rows train with weight 1; what
they say as judges is for ``pool_judges.py``.
"""

import torch

from skdiva.loo.ridge._centering import centered_targets
from skdiva.loo.ridge._cross_sums import total_sums
from skdiva.loo.ridge._group_blocks import stack
from skdiva.loo.ridge._new_rows import NewRowForm, RidgeModel
from skdiva.loo.ridge._precision import cholesky_stack
from skdiva.loo.rows._source import TensorRows

_MOST_ROWS = 128  # added in one update: wider singular value decompositions cost more than updates


class _TurnedRows(TensorRows):
    """Rows that are made anew on every visit, times ``turn`` (q, q)."""

    kept = False

    def __init__(self, rows, turn):
        super().__init__(rows.features, rows.layout, rows.dtype, n_columns=rows.n_columns)
        self._rows, self._turn = rows, turn

    def __getitem__(self, block):
        return self._rows[block] @ self._turn


class ExtendedSmoother:
    """A ridge model of the core and of all rows added so far; answers for rows of the core.

    See ``smoother.Smoother`` for what is answered.

    Parameters
    ----------
    core : PrimalSmoother
        At weights of 1. Its whitened rows are taken over.
    targets : ClassTargets or ValueTargets
        Of the core, in its visiting order.
    """

    def __init__(self, core, targets):
        self._core = core
        self.sample_weight = core.sample_weight
        self.leverage = core.leverage.clone()
        self.one_minus_leverage = core.one_minus_leverage.clone()
        self._residuals = core.residuals(targets)
        core.solve_left_out(self._residuals)  # refuses groups that decide their own predictions
        self._coef, self._mean, _ = core.whitened_fit(targets)
        self._model = None
        self._turn = torch.eye(core.whitened.n_columns).to(self._coef)  # product of all X
        rows = core.whitened
        self.whitened = rows if rows.kept else _TurnedRows(rows, self._turn)
        self._grouped = any(block.group_size > 1 for block in rows.layout.blocks)
        # I - H_II of groups: where I - T_I'T_I is larger, or only the core knows the entries.
        self._operators = {
            block: core.own_blocks(block, *self._stacks(block))[2]
            for block in rows.layout.blocks
            if block.group_size > 1
            and (block.group_size <= rows.n_columns or core.touches_aside(block))
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
        values = centered_targets(targets, self._mean, slice(None), self._coef.dtype)
        for part, value in zip(features.split(_MOST_ROWS), values.split(_MOST_ROWS), strict=True):
            self._add(self.whiten(part), value)

    def _add(self, rows, values):
        left, singular, directions = torch.linalg.svd(rows, full_matrices=False)
        shrink = (1 + singular.square()).rsqrt()
        share = singular * shrink
        gain = (share * shrink)[:, None] * (left.T @ (rows @ self._coef - values))
        self._move(directions, shrink, share, gain)
        self._coef = _shrink_along(directions, shrink, (self._coef + rows.T @ values).T).T
        self._turn.copy_(_shrink_along(directions, shrink, self._turn))
        self._model = None

    def _move(self, directions, shrink, share, gain):
        """Whitened rows, residuals and leverages of the core, in one visit."""

        def move(block, whitened):
            along = whitened @ directions.T
            if self.whitened.kept:
                whitened.addmm_(along * (shrink - 1), directions)
            lost = along * share
            if block in self._operators:
                grouped = stack(block, lost)
                self._operators[block].baddbmm_(grouped, grouped.mT)
            return lost.square().sum(dim=1), along @ gain

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
            t = stack(block, whitened)  # (I - T T')^-1 = I + T (I - T' T)^-1 T'
            factor = cholesky_stack(torch.eye(t.shape[-1]).to(t) - t.mT @ t)
            solved = right + t @ torch.cholesky_solve(t.mT @ right, factor)
            return (solved.reshape(value.shape),)

        return self.whitened.map(solve, values)[0]

    def new_row_form(self, first, second):
        """Both sums over the core, as a form for rows of no group."""
        sums = total_sums(self.whitened, first, second)
        return NewRowForm(self._core.center, *self._affine(), *sums)

    def adjoint_form(self, features, values):
        """sum_v H_jv values_v over validation rows v, as a form for rows j of no group."""
        total = self._turn.T @ self._core.moment(features, values)
        projection, offset = self._affine()
        return NewRowForm.linear(self._core.center, projection @ total, offset @ total)

    def _affine(self):
        projection, offset = self._core.affine()
        return projection @ self._turn, offset @ self._turn

    @property
    def model(self):
        """The ridge model, for features."""
        if self._model is None:
            coef = self._turn @ self._coef
            projection, offset = self._core.affine()
            constant = self._mean + (offset @ coef).double()
            self._model = RidgeModel(self._core.center, projection @ coef, constant)
        return self._model

    def whiten(self, features):
        """Whitened rows (m, q) of rows (m, p) that are not in the core."""
        return self._core.whiten(features) @ self._turn

    def predict(self, features, _targets=None):
        """Predictions (m, k) at other rows (m, p), initial outputs not added."""
        return self.model.predict(features)

    def new_residuals(self, features, targets):
        """Prediction minus target (m, k) of rows that are not trained on."""
        return self.model.residuals(features, targets)


def _shrink_along(directions, shrink, rows):
    """Rows (m, q) times X."""
    return rows + ((rows @ directions.T) * (shrink - 1)) @ directions
