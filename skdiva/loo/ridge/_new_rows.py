"""Predictions and derivatives for rows outside the training set, whose weight of zero may grow.

For a row (z, t) at weight zero that is not validated on (paper section 3.4, Extend),

    dL/da = - <sum_i h_i P_i, e> - sum_I <sum_{i in I} h_i P_i, sum_{i in I} h_i V_i>,

with h_i = z' C z_i, e the residual of the row, and P, V as in ``FittedRidge``. Both sums are forms
in a short vector of the row, so any number of new rows costs two products.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from skdiva.loo._targets import Targets
from skdiva.loo.ridge._products import center_rows, quadratic_form, triangular_half
from skdiva.loo.rows import Budget

# Products into rows that start at other multiples of numbers take up to half as long again.
_ALIGNMENT = 16


class RidgeModel(NamedTuple):
    """A fitted ridge model of a row z: (z - center)' coef + constant.

    Centered: coefficients in float32 times features with a large mean would lose digits.
    """

    center: Tensor  # (p,), float64
    coef: Tensor  # (p, k)
    constant: Tensor  # (k,), float64

    def predict(self, features: Tensor) -> Tensor:
        """Predictions (m, k), float64, at rows (m, p), initial outputs not added."""
        return center_rows(features.to(self.coef.dtype), self.center) @ self.coef + self.constant

    def residuals(self, features: Tensor, targets: Targets) -> Tensor:
        """Prediction minus target (m, k)."""
        values = targets.ridge_values(slice(None), torch.float64)
        return (self.predict(features) - values).to(self.coef.dtype)


class NewRowForm(NamedTuple):
    """Derivative with respect to the weight, at zero, as a form in the features of a row.

    With t = (z - center) projection + offset, derivative = - <t' first, e> - t' second t.

    Attributes
    ----------
    center : tensor of shape (p,)
    projection : tensor of shape (p, q)
    offset : tensor of shape (q,)
    first : tensor of shape (q, k)
    second : tensor of shape (q, q)
        Symmetric.
    """

    center: Tensor
    projection: Tensor
    offset: Tensor
    first: Tensor
    second: Tensor

    @classmethod
    def linear(cls, center: Tensor, coef: Tensor, constant: Tensor) -> "NewRowForm":
        """Form of derivative - <(z - center)' coef + constant, e>, coef (p, k), constant (k,)."""
        first = torch.eye(len(constant), dtype=coef.dtype, device=coef.device)
        return cls(center, coef, constant, first, torch.zeros_like(first))

    def whiten(self, features: Tensor) -> Tensor:
        """Return t (m, q) for features (m, p), in the dtype of the form."""
        centered = center_rows(features.to(self.projection.dtype), self.center)
        width = len(self.offset)
        padded = centered.new_empty((len(centered), -(-width // _ALIGNMENT) * _ALIGNMENT))
        return torch.addmm(self.offset, centered, self.projection, out=padded[:, :width])

    def derivative(self, features: Tensor, residuals: Tensor) -> Tensor:
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
        half = triangular_half(self.second)
        size = Budget().rows(max(self.projection.shape), features.device, features.itemsize)
        derivatives = []
        for part, residual in zip(features.split(size), residuals.split(size), strict=True):
            rows = self.whiten(part)
            linear = torch.linalg.vecdot(rows @ self.first, residual.to(rows.dtype))
            derivatives.append(-linear - quadratic_form(rows, half))
        return torch.cat(derivatives)
