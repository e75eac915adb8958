"""The derivative for rows that are not in the training set yet: their weight, now zero, may grow.

For a row (z, t) at weight zero that judges nothing itself (paper section 3.4, Extend),

    dL/da = - <sum_i h_i P_i, e> - sum_I <sum_{i in I} h_i P_i, sum_{i in I} h_i V_i>,

with h_i = z' C z_i, e the residual of the row, and P, V as in ``weight_derivative.py``. Both sums
are forms in a short vector of the row, so any number of new rows costs two products.
"""

from typing import NamedTuple

import torch

from skdiva.loo._targets import ridge_targets
from skdiva.loo.ridge._centering import center_rows
from skdiva.loo.ridge._products import quadratic_form, triangular_half
from skdiva.loo.rows._source import default_batch_size

# Products into rows that start at other multiples of numbers take up to half as long again.
_ALIGNMENT = 16


class RidgeModel(NamedTuple):
    """A fitted ridge model of a row z: (z - center)' coef + constant.

    Centred: coefficients in float32 times features with a large mean would lose digits.
    """

    center: torch.Tensor  # (p,), float64
    coef: torch.Tensor  # (p, k)
    constant: torch.Tensor  # (k,), float64

    def predict(self, features):
        """Predictions (m, k), float64, at rows (m, p), initial outputs not added."""
        return center_rows(features.to(self.coef.dtype), self.center) @ self.coef + self.constant

    def residuals(self, features, targets):
        """Prediction minus target (m, k)."""
        targets = ridge_targets(targets, slice(None), torch.float64)
        return (self.predict(features) - targets).to(self.coef.dtype)


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

    def whiten(self, features):
        """Return t (m, q) for features (m, p), in the dtype of the form."""
        centered = center_rows(features.to(self.projection.dtype), self.center)
        width = len(self.offset)
        padded = centered.new_empty((len(centered), -(-width // _ALIGNMENT) * _ALIGNMENT))
        return torch.addmm(self.offset, centered, self.projection, out=padded[:, :width])

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
        half = triangular_half(self.second)
        size = default_batch_size(max(self.projection.shape), features.device, features.itemsize)
        blocks = zip(features.split(size), residuals.split(size), strict=True)
        return torch.cat([self._derivative(*block, half) for block in blocks])

    def _derivative(self, features, residuals, half):
        rows = self.whiten(features)
        linear = torch.linalg.vecdot(rows @ self.first, residuals.to(rows.dtype))
        return -linear - quadratic_form(rows, half)
