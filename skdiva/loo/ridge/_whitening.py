"""Rows whitened by a factorisation: T with H = T T'.

With the weighted mean of Z subtracted, the unpenalised intercept decouples: C^-1 = Z' diag(a) Z +
alpha I = L L' on the centred rows, and the intercept adds 1 / sum(a) to every entry of H. Hence

    t_i = (L^-1 (z_i - mean), 1 / sqrt(sum a)).
"""

import torch

from skdiva.loo.ridge import _products as products
from skdiva.loo.ridge._centering import center_rows, weighted_center, weighted_gram
from skdiva.loo.ridge._precision import cholesky, require_condition


class Whitening:
    """The map z -> t of one weighted ridge factorisation.

    Parameters
    ----------
    rows : TensorRows
        Features (n, p).
    sample_weight : tensor of shape (n,)
    alpha : float
    fit_intercept : bool
    """

    def __init__(self, rows, sample_weight, alpha, fit_intercept):
        self.center = weighted_center(rows, sample_weight, fit_intercept)
        gram = weighted_gram(rows, sample_weight.to(rows.dtype), self.center)
        gram.diagonal().add_(alpha)
        factor = cholesky(gram)
        require_condition(gram, factor)
        identity = torch.eye(rows.n_columns, dtype=rows.dtype, device=rows.device)
        self._inverse = torch.linalg.solve_triangular(factor, identity, upper=False)
        self._constant = identity.new_empty(0)
        if fit_intercept:
            self._constant = (1 / sample_weight.double().sum().sqrt()).to(rows.dtype)[None]
        self.width = rows.n_columns + fit_intercept

    def write(self, features, out):
        """Write t of ``features`` (m, p) into ``out`` (m, width)."""
        n_columns = features.shape[1]
        centered = center_rows(features, self.center)
        products.multiply_upper(centered, self._inverse.T, out[:, :n_columns])
        out[:, n_columns:] = self._constant

    def __call__(self, features):
        """Whitened rows (m, width) of ``features`` (m, p)."""
        out = features.new_empty((features.shape[0], self.width))
        self.write(features, out)
        return out

    def unwhiten(self, coef):
        """Coefficients (p, k) and intercept (k,), float64, from those (width, k) for t."""
        n_columns = self._inverse.shape[0]
        plain = self._inverse.T @ coef[:n_columns]
        constant = (self._constant[:, None] * coef[n_columns:]).sum(dim=0)
        return plain, constant.double() - self.center @ plain.double()

    def as_affine(self):
        """Projection (p, width) and offset (width,) of t = (z - center) projection + offset."""
        padding = self._inverse.new_zeros((self._inverse.shape[0], self._constant.numel()))
        zeros = self._inverse.new_zeros(self._inverse.shape[0])
        return torch.cat([self._inverse.T, padding], dim=1), torch.cat([zeros, self._constant])
