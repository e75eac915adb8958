"""The derivative at weight zero of any labelled rows, from NumPy arrays only: pickles travel."""

import numpy as np
from sklearn.utils import _safe_indexing, indexable
from sklearn.utils.validation import _num_samples

from skdiva.arrays.containers import to_host
from skdiva.estimators._feature_maps import MappedRows

_BLOCK_ELEMENTS = 2**20  # features worked on at a time


class NewRowScores:
    """How to score rows that are in no training set.

    Parameters
    ----------
    extension : loo.Extension
        Its model and form of the core alone.
    """

    def __init__(self, extension):
        self.coef, self.intercept = to_host(extension.coef), to_host(extension.intercept)
        self._form = {name: to_host(x) for name, x in extension.start_form._asdict().items()}

    def derivative(self, feature_map, X, target):
        """Derivative with respect to the weight, (m,), of checked rows with coded labels."""
        X, n_rows = indexable(X)[0], _num_samples(X)
        size = max(_BLOCK_ELEMENTS // len(self.coef), 256)
        parts = []
        for start in range(0, n_rows, size):
            rows = slice(start, start + size)
            part = MappedRows(feature_map, _safe_indexing(X, rows), target.n_outputs)
            parts.append(self._block(part, target.select(rows)))
        return np.concatenate(parts)

    def _block(self, rows, target):
        from skdiva.arrays.convert import to_tensor
        from skdiva.loo.new_rows import NewRowForm
        from skdiva.loo.precision import full_float32

        features = to_host(rows.features)
        residuals = rows.linear_outputs(self.coef, self.intercept) - target.dense
        kind = self.coef.dtype.name
        form = NewRowForm(*(to_tensor(x, "cpu", x.dtype.name) for x in self._form.values()))
        with full_float32():
            features, residuals = (to_tensor(x, "cpu", kind) for x in (features, residuals))
            return to_host(form.derivative(features, residuals))
