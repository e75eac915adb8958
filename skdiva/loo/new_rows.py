"""The derivative for rows that are not in the training set yet: their weight, now zero, may grow.

For a row (z, t) at weight zero that judges nothing itself (paper section 3.4, Extend),

    dL/da = - <sum_i h_i P_i, e> - sum_I <sum_{i in I} h_i P_i, sum_{i in I} h_i V_i>,

with h_i = z' C z_i, e the residual of the row, and P, V as in ``weight_derivative.py``. Both sums
are forms in a short vector of the row, so any number of new rows costs two products.
"""

from typing import NamedTuple

import torch

from skdiva.loo.centering import center_rows
from skdiva.loo.products import quadratic_form, triangular_half


class NewRowForm(NamedTuple):
    """How to score new rows.

    With t = (z - center) projection + offset, derivative = - <t' first, e> - t' second t.
    """

    center: torch.Tensor  # (p,)
    projection: torch.Tensor  # (p, q)
    offset: torch.Tensor  # (q,)
    first: torch.Tensor  # (q, k)
    second: torch.Tensor  # (q, q), symmetric

    @classmethod
    def linear(cls, center, coef, constant):
        """Form of derivative - <(z - center)' coef + constant, e>, coef (p, k), constant (k,)."""
        first = torch.eye(len(constant), dtype=coef.dtype, device=coef.device)
        return cls(center, coef, constant, first, torch.zeros_like(first))

    def derivative(self, features, residuals):
        """Derivative with respect to the weight of new rows.

        Parameters
        ----------
        features : tensor of shape (m, p)
        residuals : tensor of shape (m, k)
            Prediction minus target.

        Returns
        -------
        tensor of shape (m,)
        """
        centered = center_rows(features, self.center)
        rows = torch.addmm(self.offset, centered, self.projection)
        linear = torch.linalg.vecdot(rows @ self.first, residuals)
        return -linear - quadratic_form(rows, triangular_half(self.second))
