"""Predictions, and derivatives at weight zero, for rows outside the training set.

For a row (z, t) of weight zero that is not in the loss (paper section 3.4, Extend),

    dL/da = - <sum_i h_i P_i, e> - sum_I <sum_{i in I} h_i P_i, sum_{i in I} h_i V_i>,

with h_i = z' C z_i, e the residual of the row, and P, V as in ``FittedRidge``. The first term is
linear and the second quadratic in the whitened row, so new rows cost only two matrix products.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from skdiva.loo._targets import Targets
from skdiva.loo.ridge._products import center_rows, quadratic_form, triangular_half
from skdiva.loo.rows import Budget

# Row starts are aligned to this many numbers; otherwise matrix products take up to 50 % longer.
_ALIGNMENT = 16


class RidgeModel(NamedTuple):
    """A fitted ridge model, which predicts (z - center)' coef + constant for a row z.

    Rows are centered, because coefficients in float32 times features with a large mean would lose
    digits.
    """

    center: Tensor  # (p,), float64
    coef: Tensor  # (p, k)
    constant: Tensor  # (k,), float64

    def predict(self, features: Tensor) -> Tensor:
        """Predictions (m, k) in float64 at rows (m, p), without the initial outputs."""
        return center_rows(features.to(self.coef.dtype), self.center) @ self.coef + self.constant

    def residuals(self, features: Tensor, targets: Targets) -> Tensor:
        """Prediction minus target (m, k)."""
        values = targets.ridge_values(slice(None), torch.float64)
        return (self.predict(features) - values).to(self.coef.dtype)


class NewRowForm(NamedTuple):
    """Derivative with respect to the weight of a new row, at zero, as a form in its features.

    For a row with features z and residual e, and t = (z - center) projection + offset, the
    derivative is - <t' first, e> - t' second t.

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
        """Form of - <(z - center)' coef + constant, e>, with coef (p, k) and constant (k,)."""
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

        Raises
        ------
        ValueError
            If a derivative is not finite, even in float64.
        """
        derivative = self._derivative(features, residuals)
        if derivative.isfinite().all():
            return derivative
        wide = NewRowForm(*(part.double() for part in self))._derivative(features, residuals)
        narrow = wide.to(derivative.dtype)
        if not narrow.isfinite().all():
            row = int((~narrow.isfinite()).nonzero()[0])
            raise ValueError(
                f"The derivative of new row {row} is not a finite number in {narrow.dtype}. Scale "
                "large features and targets down, or use dtype=float64 if that is not the dtype."
            )
        return narrow

    def _derivative(self, features: Tensor, residuals: Tensor) -> Tensor:
        half = triangular_half(self.second)
        size = Budget().rows(max(self.projection.shape), features.device, features.itemsize)
        derivatives = []
        for part, residual in zip(features.split(size), residuals.split(size), strict=True):
            rows = self.whiten(part)
            linear = torch.linalg.vecdot(rows @ self.first, residual.to(rows.dtype))
            derivatives.append(-linear - quadratic_form(rows, half))
        return torch.cat(derivatives)
