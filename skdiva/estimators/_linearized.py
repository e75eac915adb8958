"""Jacobians of a network as features: the full linearisation, where memory decides the form."""

import numpy as np
from sklearn.utils.validation import _num_samples

from skdiva.arrays import is_tensor, to_host
from skdiva.estimators._feature_maps import TransformedFeatures
from skdiva.loo.rows import free_bytes

_TILE_SHARE = 1 / 16  # of the free memory; one tile is held at a time
_MATRICES = 3  # of the size of the Gram matrix are held while it is factorised


class LinearizedFeatures(TransformedFeatures):
    """Per-output Jacobians (n, k, p), or only their inner products where p exceeds n k."""

    def fit_transform(self, data, posed):
        """Fit a clone of the featurizer; return features, or a JointGram with validation rows."""
        X, X_val, device = data.X_checked, data.X_val, posed.device
        self._n_outputs = data.target.n_outputs
        self.featurizer.fit(X, data.y)
        n_samples = [_num_samples(part) for part in (X, X_val) if part is not None]
        self.by_gram = self.featurizer.n_columns_ > n_samples[0] * self._n_outputs
        if not self.by_gram:
            return self._checked(self.featurizer.transform(X), X)
        outputs = self.featurizer.initial_outputs(X[:1])
        if outputs.shape[1] != self._n_outputs:
            self.refuse_outputs("must have outputs", outputs.shape)
        self._itemsize = outputs.itemsize if is_tensor(outputs) else outputs.dtype.itemsize
        self._require_memory(n_samples, device)
        tiles = self._tiles((X, X_val), n_samples, device)
        return posed.inner_products(tiles, n_samples[0])

    def _require_memory(self, n_samples, device):
        n_rows = n_samples[0] * self._n_outputs
        needed = _MATRICES * n_rows * sum(n_samples) * self._n_outputs * self._itemsize
        free = free_bytes(device)
        if needed > free:
            raise ValueError(
                f"The full linearisation of {self._n_outputs} outputs needs the inner products of "
                f"{n_rows} rows, about {needed / 2**30:.1f} GiB; {free / 2**30:.1f} GiB are free. "
                "Project the Jacobians with n_components=... of the featurizer, or use "
                "outputs='random' or parameters='last'."
            )

    def _tiles(self, parts, n_samples, device):
        """Columns of the Jacobians of training and of validation rows, a tile at a time."""
        column_bytes = [n * self._n_outputs * self._itemsize for n in n_samples]
        width = max(int(_TILE_SHARE * free_bytes(device)) // sum(column_bytes), 1)
        tiles = [
            self.featurizer.jacobian_tiles(part, width * size)
            for part, size in zip(parts, column_bytes, strict=False)
        ]
        return zip(*tiles, strict=True)

    def _combine(self, rows, coefficients):
        return to_host(self.featurizer.combine_jacobian(rows.X, coefficients))

    def product(self, rows, coef):
        """Jacobians times coefficients, in one pass through the network where they are many."""
        if not self.by_gram:
            return super().product(rows, coef)
        return to_host(self.featurizer.apply_jacobian(rows.X, coef)).astype(np.float64)
