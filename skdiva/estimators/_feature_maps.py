"""From X to the features (n, p) whose leave-one-out errors are differentiated."""

from functools import cached_property

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import _num_samples, check_array

from skdiva.arrays import has_categories, is_tensor, to_host
from skdiva.features import KernelFeaturizer


def make_feature_map(featurizer, X):
    """Return the feature map that the parameter ``featurizer`` asks for."""
    if featurizer is None:
        return RawFeatures()
    if isinstance(featurizer, str):
        return ChosenFeatures(not has_categories(X))
    if hasattr(featurizer, "jacobian_tiles"):
        from skdiva.estimators._linearized import LinearizedFeatures

        return LinearizedFeatures(featurizer)
    return TransformedFeatures(featurizer)


class MappedRows:
    """Rows of X, mapped to features when these are asked for."""

    def __init__(self, feature_map, X, n_outputs):
        self.feature_map, self.X, self.n_outputs = feature_map, X, n_outputs

    @cached_property
    def features(self):
        """Features (m, p), or (m, k, p) per output."""
        return self.feature_map.transform(self.X)

    def linear_outputs(self, coef, intercept):
        """Outputs (m, k) of a linear model, in float64: means of features may be large."""
        outputs = self.feature_map.product(self, coef) + intercept
        initial = self.feature_map.initial_outputs(self.X, self.n_outputs)
        return outputs if initial is None else outputs + to_host(initial)


class RawFeatures:
    """X as it is."""

    reads_numbers = True
    featurizer = None

    def fit_transform(self, data, _posed):
        """Nothing to learn."""
        return data.X_checked

    def transform(self, X):
        """Return X."""
        return X

    def product(self, rows, coef):
        """Features of `MappedRows` times coefficients, in float64."""
        return to_host(rows.features).astype(np.float64) @ coef.astype(np.float64)

    def initial_outputs(self, _X, _n_outputs):
        """None: there is no network to start from."""
        return None


class ChosenFeatures(RawFeatures):
    """Linear or kernel features, as `KernelFeaturizer` chooses them for the problem at hand."""

    def __init__(self, reads_numbers):
        self.reads_numbers = reads_numbers

    def fit_transform(self, data, posed):
        """Choose with the groups, weights and validation rows of the problem."""
        self.featurizer = KernelFeaturizer(
            device=str(posed.device),
            dtype=posed.dtype,
            random_state=posed.estimator.random_state,
        )
        self.featurizer.fit_checked(
            data.X_checked, data.sample_weight, posed.labels(), posed.device, posed.dtype
        )
        return self.featurizer.transform_checked(data.X_checked)

    def transform(self, X):
        """Features of more rows."""
        return self.featurizer.transform_checked(X)


class TransformedFeatures(RawFeatures):
    """What a transformer makes of X, which may hold anything the transformer takes."""

    reads_numbers = False

    def __init__(self, featurizer):
        self.featurizer = clone(featurizer)

    def fit_transform(self, data, posed):
        """Fit the clone as a Pipeline would."""
        X, y = data.X_checked, data.y
        self._n_outputs = data.target.n_outputs
        if hasattr(self.featurizer, "fit_transform"):
            features = self.featurizer.fit_transform(X, y)
        else:
            features = self.featurizer.fit(X, y).transform(X)
        features = self._checked(features, X)
        self.by_gram = features.ndim == 3 and features.shape[2] > len(features) * features.shape[1]
        if not self.by_gram:
            return features
        parts = [features] if data.X_val is None else [features, self.transform(data.X_val)]
        return posed.inner_products([parts], len(features))

    def transform(self, X):
        """Features of more rows."""
        return self._checked(self.featurizer.transform(X), X)

    def initial_outputs(self, X, n_outputs):
        """Outputs of the unadapted network, where the transformer offers them."""
        if not hasattr(self.featurizer, "initial_outputs"):
            return None
        outputs = self.featurizer.initial_outputs(X)
        if len(outputs.shape) != 2 or outputs.shape[1] != n_outputs:
            raise ValueError(
                f"{self._name}.initial_outputs(X) must return one column per class or target, "
                f"shape (n, {n_outputs}); got shape {tuple(outputs.shape)}. Give the backbone "
                "that many outputs."
            )
        return outputs

    def from_duals(self, X, duals, intercept, fit_intercept):
        """Coefficients (p,) and intercepts from those of inner products (n k,)."""
        rows = MappedRows(self, X, self._n_outputs)
        coef = self._combine(rows, to_host(duals).reshape(-1, self._n_outputs)).astype(np.float64)
        intercept = to_host(intercept)
        if fit_intercept:  # inner products are those of centred rows
            intercept = intercept - self.product(rows, coef).mean(axis=0)
        return coef, intercept

    def _combine(self, rows, coefficients):
        return np.einsum("nk,nkp->p", coefficients, to_host(rows.features))

    @property
    def _name(self):
        return type(self.featurizer).__name__

    def _checked(self, features, X):
        if not is_tensor(features):
            features = check_array(
                features,
                dtype="numeric",
                ensure_2d=False,
                allow_nd=True,
                input_name="features",
                estimator=self._name,
            )
        n_rows = _num_samples(X)
        if features.ndim not in (2, 3) or len(features) != n_rows:
            raise ValueError(
                f"featurizer={self._name} must turn X into one row of features per row, shape "
                f"({n_rows}, p); got shape {tuple(features.shape)}. Per-output features "
                f"({n_rows}, k, p) are taken too."
            )
        if features.ndim == 3 and features.shape[1] != self._n_outputs:
            self.refuse_outputs("must give features per output", features.shape)
        return features

    def refuse_outputs(self, what, shape):
        """Raise: the network has other outputs than y has classes or targets."""
        raise ValueError(
            f"{self._name} {what}, one for each of the {self._n_outputs} classes or targets of y; "
            f"got shape {tuple(shape)}. Give the backbone that many outputs "
            "(skdiva.features.replace_head)."
        )
