"""What a factorised weighted ridge must answer, and the rule that picks the factorisation.

Leave-one-out predictions and the dataset derivative (``leave_one_out.py``,
``weight_derivative.py``) are written once against this protocol.
"""

from typing import Protocol

from torch import Tensor

from skdiva.loo.ridge._dual import DualSmoother
from skdiva.loo.ridge._new_rows import NewRowForm
from skdiva.loo.ridge._primal import PrimalSmoother


class Smoother(Protocol):
    """A fitted weighted ridge. H = Z C Z', plus 1 / sum(a) where there is an intercept.

    Row arrays are in visiting order (``row_blocks.Layout``); k is the number of outputs.
    """

    sample_weight: Tensor  # (n,)
    leverage: Tensor  # (n,), h_i = H_ii
    one_minus_leverage: Tensor  # (n,), 1 - a_i h_i, free of cancellation where possible

    def residuals(self, targets) -> Tensor:
        """Prediction minus target, (n, k)."""

    def solve_left_out(self, values: Tensor, *, transposed: bool = False) -> Tensor:
        """(I - H_II diag(a_I))^-1, or its transpose, applied to every group of (n, k) values."""

    def others_sums(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Sums over the rows outside one's own group, for P = ``first`` and V = ``second`` (n, k).

        sum_{i not in J} H_ji P_i, shape (n, k), and
        sum_{I != J} <sum_{i in I} H_ji P_i, sum_{i in I} H_ji V_i>, shape (n,).
        """

    def new_row_form(self, first: Tensor, second: Tensor) -> NewRowForm:
        """Return the same two sums, over all rows, as a form for rows that belong to no group."""

    def predict(self, features: Tensor, targets) -> Tensor:
        """Predictions (m, k) at other rows (m, p)."""

    def adjoint(self, features: Tensor, values: Tensor) -> Tensor:
        """sum_v H_jv values_v over other rows v, for every training row j: (n, k)."""

    def adjoint_form(self, features: Tensor, values: Tensor) -> NewRowForm:
        """Return the same sum as a form for rows j that belong to no group."""

    def coefficients(self, targets) -> tuple[Tensor, Tensor]:
        """Coefficients (p, k) and intercept (k,), the latter in float64."""


def make_smoother(rows, sample_weight, alpha, fit_intercept) -> Smoother:
    """Factorise where the matrix is smaller: p x p (primal) or n x n (dual)."""
    kind = PrimalSmoother if rows.n_columns <= rows.n_rows else DualSmoother
    return kind(rows, sample_weight, alpha, fit_intercept)
