"""Factorized ridge model to which rows are added by low-rank updates.

Let T be the whitened rows of the core (H = T T'), U those of a batch, and e_U the residuals of the
batch before it is added. With the thin SVD U = L S Y' and D = (1 + S^2)^-1/2, adding the batch
changes the whitened rows, residuals and leverages of the core to

    t -> t X,                  X = (I + U'U)^-1/2 = I - Y (1 - D) Y'
    e_i -> e_i - t_i' Y S D^2 L' e_U
    h_i -> h_i - |t_i' Y S D|^2,       1 - h_i -> 1 - h_i + |t_i' Y S D|^2

and the coefficients, which are moments of whitened rows, to X (T'y + U'y_U). Since rows are
whitened again, C remains the identity. No inverse is downdated, which would lose digits for
high-leverage rows, and 1 - leverage is never computed as a difference. The intercept is a column of
T. Added rows have training weight 1. Their contribution to the loss is computed in
``_validation.py``.
"""

import torch
from torch import Tensor

from skdiva.loo._targets import Targets
from skdiva.loo.ridge import (
    AffineSmoother,
    NewRowForm,
    PrimalSmoother,
    RidgeModel,
    cholesky_stack,
    cross_sums,
    total_sums,
)
from skdiva.loo.rows import Block, RowBlocks

_MOST_ROWS = 128  # per update; an SVD of more rows costs more than several updates


class _TurnedBlocks(RowBlocks):
    """Rows that are recomputed on every visit, multiplied by ``turn`` (q, q)."""

    def __init__(self, rows: RowBlocks, turn: Tensor):
        super().__init__(rows.layout, rows.budget, rows.n_columns, rows.dtype, rows.device)
        self._rows, self._turn = rows, turn

    def read(self, rows: slice | Tensor) -> Tensor:
        return self._rows.read(rows) @ self._turn


class UpdatedSmoother(AffineSmoother):
    """Smoother of a ridge model that is trained on the core and on all rows added so far.

    Row arrays contain the rows of the core only. See `Smoother` for the methods.

    Parameters
    ----------
    core : PrimalSmoother
        Smoother of the core at weights of 1. Its whitened rows are reused and may be modified.
    targets : Targets
        Targets of the core, in its visiting order.
    """

    def __init__(self, core: PrimalSmoother, targets: Targets):
        self._core, self.layout, self.dtype = core, core.layout, core.dtype
        self.sample_weight = core.sample_weight
        self.leverage = core.leverage.clone()
        self.one_minus_leverage = core.one_minus_leverage.clone()
        self._residuals = core.residuals(targets)
        core.solve_left_out(self._residuals)  # raises if a group determines its predictions
        self._coef, self._mean, _ = core.whitened_fit(targets)
        self._model: RidgeModel | None = None
        self._turn = torch.eye(core.whitened.n_columns).to(self._coef)  # product of all X
        rows = core.whitened
        self.whitened = rows if rows.kept else _TurnedBlocks(rows, self._turn)
        # I - H_II of groups, if I - T_I'T_I is larger or if only the core knows the entries.
        self._operators = {
            block: core.group_blocks(block, *self._stacks(block))[2]
            for block in rows.layout.blocks
            if block.group_size > 1
            and (block.group_size <= rows.n_columns or core.has_high_leverage(block))
        }

    def _stacks(self, block: Block) -> tuple[Tensor, Tensor]:
        rows = block.rows
        return block.stack(self.whitened.read(rows)), block.stack(self.sample_weight[rows])

    def add(self, features: Tensor, targets: Targets) -> None:
        """Add rows to the training rows.

        Parameters
        ----------
        features : tensor of shape (b, p)
        targets : Targets
            Targets of the b rows.
        """
        values = targets.ridge_values(slice(None), self._coef.dtype, self._mean)
        for part, value in zip(features.split(_MOST_ROWS), values.split(_MOST_ROWS), strict=True):
            self._add(self.whiten(part), value)

    def _add(self, rows: Tensor, values: Tensor) -> None:
        left, singular, directions = torch.linalg.svd(rows, full_matrices=False)
        shrink = (1 + singular.square()).rsqrt()
        share = singular * shrink
        gain = (share * shrink)[:, None] * (left.T @ (rows @ self._coef - values))
        self._move(directions, shrink, share, gain)
        self._coef = _shrink_along(directions, shrink, (self._coef + rows.T @ values).T).T
        self._turn.copy_(_shrink_along(directions, shrink, self._turn))
        self._model = None

    def _move(self, directions: Tensor, shrink: Tensor, share: Tensor, gain: Tensor) -> None:
        """Update whitened rows, residuals and leverages of the core in one pass."""

        def move(block, whitened):
            along = whitened @ directions.T
            if self.whitened.kept:
                whitened.addmm_(along * (shrink - 1), directions)
            lost = along * share
            if block in self._operators:
                grouped = block.stack(lost)
                self._operators[block].baddbmm_(grouped, grouped.mT)
            return lost.square().sum(dim=1), along @ gain

        lost, moved = self.whitened.map(move)
        self.leverage.sub_(lost)
        self.one_minus_leverage.add_(lost)
        self._residuals = self._residuals - moved

    def residuals(self, targets: Targets) -> Tensor:  # noqa: ARG002 - those of the core
        """Prediction minus target of the rows of the core, (n, k)."""
        return self._residuals

    def solve_left_out(self, values: Tensor, *, transposed: bool = False) -> Tensor:  # noqa: ARG002
        """Apply (I - H_II)^-1, symmetric at weight 1, to every group of ``values`` (n, k)."""
        if not self.layout.grouped:
            return values / self.one_minus_leverage[:, None]

        def solve(block, whitened, value):
            if block.group_size == 1:
                return (value / self.one_minus_leverage[block.rows, None],)
            right = block.stack(value)
            if block in self._operators:
                factor = cholesky_stack(self._operators[block])
                return (torch.cholesky_solve(right, factor).reshape(value.shape),)
            t = block.stack(whitened)  # (I - T T')^-1 = I + T (I - T' T)^-1 T'
            factor = cholesky_stack(torch.eye(t.shape[-1]).to(t) - t.mT @ t)
            solved = right + t @ torch.cholesky_solve(t.mT @ right, factor)
            return (solved.reshape(value.shape),)

        return self.whitened.map(solve, values)[0]

    def cross_sums(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Return both cross sums over the rows of the core; see `Smoother`."""
        return cross_sums(self.whitened, first, second, self.leverage, self.sample_weight)

    def new_row_form(self, first: Tensor, second: Tensor) -> NewRowForm:
        """Return both cross sums over the core as a form for rows that belong to no group."""
        sums = total_sums(self.whitened, first, second)
        return NewRowForm(self._core.center, *self._affine(), *sums)

    def adjoint(self, features: Tensor, values: Tensor) -> Tensor:
        """sum_v H_jv values_v over validation rows v, for every row j of the core: (n, k)."""
        total = self._turn.T @ self._core.moment(features, values)
        return self.whitened.map(lambda _, t: (t @ total,))[0]

    def adjoint_form(self, features: Tensor, values: Tensor) -> NewRowForm:
        """Return the sum of `adjoint` as a form for rows j that belong to no group."""
        total = self._turn.T @ self._core.moment(features, values)
        projection, offset = self._affine()
        return NewRowForm.linear(self._core.center, projection @ total, offset @ total)

    def _affine(self) -> tuple[Tensor, Tensor]:
        projection, offset = self._core.affine()
        return projection @ self._turn, offset @ self._turn

    @property
    def model(self) -> RidgeModel:
        """Ridge model in terms of the features."""
        if self._model is None:
            coef = self._turn @ self._coef
            projection, offset = self._core.affine()
            constant = self._mean + (offset @ coef).double()
            self._model = RidgeModel(self._core.center, projection @ coef, constant)
        return self._model

    def coefficients(self, targets: Targets) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """Return ``coef`` (p, k) and ``intercept`` (k,), float64, of the ridge model."""
        model = self.model
        return model.coef, model.constant - model.center @ model.coef.double()

    def whiten(self, features: Tensor) -> Tensor:
        """Whitened rows (m, q) of rows (m, p) that are not in the core."""
        return self._core.whiten(features) @ self._turn

    def predict(self, features: Tensor, targets: Targets | None = None) -> Tensor:  # noqa: ARG002
        """Predictions (m, k) at new rows (m, p), without the initial outputs."""
        return self.model.predict(features)

    def new_residuals(self, features: Tensor, targets: Targets) -> Tensor:
        """Prediction minus target (m, k) of rows that are not in the core."""
        return self.model.residuals(features, targets)


def _shrink_along(directions: Tensor, shrink: Tensor, rows: Tensor) -> Tensor:
    """Multiply rows (m, q) by X."""
    return rows + ((rows @ directions.T) * (shrink - 1)) @ directions
