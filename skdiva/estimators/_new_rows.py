"""Derivative with respect to the weight, at zero, of rows outside the training set."""

from typing import Any

import numpy as np
from sklearn.utils import _safe_indexing, indexable
from sklearn.utils.validation import _num_samples

from skdiva.arrays import HostCopy, to_host
from skdiva.estimators.feature_maps import FeatureMap, LazyFeatures
from skdiva.targets import Target

BLOCK_ELEMENTS = 2**20  # features in a block of rows


class NewRowDerivative:
    """Derivative of the loss with respect to the weight, at zero, of labeled rows.

    It holds NumPy arrays only, so that a pickle can be loaded without torch and without the device
    of the fit.

    Parameters
    ----------
    form : skdiva.loo.ridge.NewRowForm
    coef : ndarray of shape (p, k), or (p,) for features per output
        Coefficients of the ridge model. Their dtype is that of the computation.
    intercept : ndarray of shape (k,)
    center : ndarray of shape (k, p), default=None
        Mean that the ridge model subtracts from features per output.
    """

    def __init__(
        self, form: Any, coef: np.ndarray, intercept: np.ndarray, center: np.ndarray | None = None
    ):
        self.coef, self.intercept, self.center = coef, intercept, center
        self._form = HostCopy(form)

    def score(
        self, feature_map: FeatureMap, X: Any, target: Target, block_elements: int = BLOCK_ELEMENTS
    ) -> np.ndarray:
        """Return the derivative (m,) of validated rows, a block of rows at a time."""
        from skdiva.loo.ridge import full_float32

        X, n_rows, form = indexable(X)[0], _num_samples(X), self._form.restore()
        size = max(block_elements // len(self.coef), 256)
        scores = np.empty(n_rows, dtype=self.coef.dtype)
        with full_float32():
            for start in range(0, n_rows, size):
                rows = slice(start, start + size)
                part = LazyFeatures(feature_map, _safe_indexing(X, rows), target.n_outputs)
                scores[rows] = to_host(self._derivative(form, part, target.select(rows).dense))
        return scores

    def _derivative(self, form: Any, rows: LazyFeatures, targets: np.ndarray) -> Any:
        from skdiva.arrays import to_tensor
        from skdiva.loo.joint import augmented_rows
        from skdiva.loo.ridge import RidgeModel

        features = to_tensor(to_host(rows.features), "cpu", self.coef.dtype.name)
        coef, intercept = (to_tensor(a, "cpu", a.dtype.name) for a in (self.coef, self.intercept))
        per_output = features.ndim == 3
        if per_output:
            outputs = features @ coef + intercept
        else:  # centered, because a large mean would cost digits in float32
            constant = intercept + form.center @ coef.to(form.center.dtype)
            outputs = RidgeModel(form.center, coef, constant).predict(features)
        if (initial := rows.initial_outputs) is not None:
            outputs = outputs + to_tensor(to_host(initial), "cpu", "float64")
        residuals = (outputs - to_tensor(targets, "cpu", "float64")).to(features.dtype)
        if not per_output:
            return form.derivative(features, residuals)
        # The rows of the model are pairs of a sample and an output, and share the sample's weight.
        center = None if self.center is None else to_tensor(self.center, "cpu", "float64")
        derivative = form.derivative(augmented_rows(features, center), residuals.reshape(-1, 1))
        return derivative.reshape(residuals.shape).sum(dim=1)
