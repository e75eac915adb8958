"""Smoothers: the common interface of factorized weighted ridge models.

``FittedRidge`` computes leave-one-out predictions and the dataset derivative from this interface
alone.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from skdiva.loo._targets import Targets
from skdiva.loo.ridge._new_rows import NewRowForm
from skdiva.loo.rows import Layout


class Smoother(ABC):
    """Abstract factorized weighted ridge model.

    The hat matrix is H = Z C Z', plus 1 / sum(a) if there is an intercept. Row arrays are in
    visiting order (see `Layout`), and k is the number of outputs.

    Attributes
    ----------
    layout : Layout
    dtype : torch.dtype
    sample_weight : tensor of shape (n,)
    leverage : tensor of shape (n,)
        Leverages h_i = H_ii.
    one_minus_leverage : tensor of shape (n,)
        1 - a_i h_i, computed without cancellation where possible.
    """

    layout: Layout
    dtype: torch.dtype
    sample_weight: Tensor
    leverage: Tensor
    one_minus_leverage: Tensor

    @abstractmethod
    def residuals(self, targets: Targets) -> Tensor:
        """Prediction minus target, (n, k)."""

    @abstractmethod
    def solve_left_out(self, values: Tensor, *, transposed: bool = False) -> Tensor:
        """Apply (I - H_II diag(a_I))^-1, or its transpose, to every group of (n, k) values."""

    @abstractmethod
    def cross_sums(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Return two sums for every row j, over the rows outside its own group J.

        With P = ``first`` and V = ``second``, both (n, k), these are

            sum_{i not in J} H_ji P_i, shape (n, k), and
            sum_{I != J} <sum_{i in I} H_ji P_i, sum_{i in I} H_ji V_i>, shape (n,).
        """

    @abstractmethod
    def predict(self, features: Tensor, targets: Targets) -> Tensor:
        """Predictions (m, k) at new rows (m, p)."""

    @abstractmethod
    def adjoint(self, features: Tensor, values: Tensor) -> Tensor:
        """sum_v H_jv values_v over new rows v, for every training row j, (n, k)."""

    @abstractmethod
    def coefficients(self, targets: Targets) -> tuple[Tensor, Tensor]:
        """Coefficients (p, k) and intercept (k,), the latter in float64."""


class AffineSmoother(Smoother):
    """Abstract smoother with known features, which can extend its sums to new rows."""

    @abstractmethod
    def new_row_form(self, first: Tensor, second: Tensor) -> NewRowForm:
        """Return both cross sums, over all rows, as a form for rows that belong to no group."""

    @abstractmethod
    def adjoint_form(self, features: Tensor, values: Tensor) -> NewRowForm:
        """Return the sum of `adjoint` as a form for rows j that belong to no group."""
