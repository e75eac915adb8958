"""The derivative at weight zero of any labelled rows, from NumPy arrays only: pickles travel."""

import numpy as np
from sklearn.utils import _safe_indexing, indexable
from sklearn.utils.validation import _num_samples

from skdiva.arrays import to_host
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
        from skdiva.loo.ridge import full_float32

        X, n_rows = indexable(X)[0], _num_samples(X)
        size = max(_BLOCK_ELEMENTS // len(self.coef), 256)
        how, scores = self._tensors(), np.empty(n_rows, dtype=self.coef.dtype)
        with full_float32():
            for start in range(0, n_rows, size):
                rows = slice(start, start + size)
                part = MappedRows(feature_map, _safe_indexing(X, rows), target.n_outputs)
                scores[rows] = _derivative(*how, part, target.select(rows).dense)
        return scores

    def _tensors(self):
        """The form, and the model: centred, so that large means cost no digits in float32."""
        from skdiva.loo.ridge._new_rows import NewRowForm, RidgeModel

        form = NewRowForm(*map(_tensor, self._form.values()))
        center = self._form["center"]
        constant = self.intercept + center @ self.coef.astype(center.dtype)
        return form, RidgeModel(form.center, _tensor(self.coef), _tensor(constant))


def _derivative(form, model, rows, targets):
    features = _tensor(to_host(rows.features), to_host(model.coef).dtype.name)
    outputs = model.predict(features)
    initial = rows.feature_map.initial_outputs(rows.X, rows.n_outputs)
    if initial is not None:
        outputs += _tensor(to_host(initial), "float64")
    residuals = outputs.sub_(_tensor(targets, "float64")).to(features.dtype)
    return to_host(form.derivative(features, residuals))


def _tensor(array, dtype=None):
    from skdiva.arrays import to_tensor

    return to_tensor(array, "cpu", dtype or array.dtype.name)
