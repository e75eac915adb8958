"""From X to the features (n, p) whose leave-one-out errors are differentiated."""

import numpy as np
from sklearn.base import clone
from sklearn.preprocessing import StandardScaler
from sklearn.utils import gen_batches
from sklearn.utils.validation import _num_samples, check_array

from skdiva.arrays.containers import is_tensor

# Rows standardised at a time: the block stays in cache, and nothing of X's size is copied.
_BLOCK_ROWS = 2**14


def make_feature_map(featurizer):
    """Return the feature map that the parameter ``featurizer`` asks for."""
    if featurizer is None:
        return RawFeatures()
    if isinstance(featurizer, str):
        return StandardizedFeatures()
    return TransformedFeatures(featurizer)


class RawFeatures:
    """X as it is."""

    reads_numbers = True
    featurizer = None

    def fit_transform(self, X, _y, _sample_weight, _dtype):
        """Nothing to learn."""
        return X

    def transform(self, X, _dtype):
        """Return X."""
        return X

    def initial_outputs(self, _X, _n_outputs):
        """None: there is no network to start from."""
        return None


class StandardizedFeatures(RawFeatures):
    """Columns of X with mean 0 and variance 1 over the weighted training rows.

    A StandardScaler fed by blocks: fitting or transforming float32 in one go would make a float64
    copy, or two float32 ones.
    """

    def fit_transform(self, X, _y, sample_weight, dtype):
        """Fit the scaler and return the scaled copy, the only one made."""
        self.featurizer = StandardScaler().set_output(transform="default")
        for rows in gen_batches(len(X), _BLOCK_ROWS):
            block, weight = X[rows], None
            if sample_weight is not None:
                # A first block without weight would leave the scaler's running mean undefined.
                positive = sample_weight[rows] > 0
                block, weight = block[positive], sample_weight[rows][positive]
            if len(block):
                # Weighted, the variance of a constant column may round to just below 0; the
                # scaler knows the column for constant all the same.
                with np.errstate(invalid="ignore"):
                    self.featurizer.partial_fit(block, sample_weight=weight)
        return self.transform(X, dtype)

    def transform(self, X, dtype):
        """Scale block by block, in the wider of both dtypes."""
        wide = np.result_type(X.dtype, dtype)
        features = np.empty(X.shape, dtype)
        for rows in gen_batches(len(X), _BLOCK_ROWS):
            features[rows] = self.featurizer.transform(X[rows].astype(wide, copy=False))
        return features


class TransformedFeatures:
    """What a transformer makes of X, which may hold anything the transformer takes."""

    reads_numbers = False

    def __init__(self, featurizer):
        self.featurizer = clone(featurizer)

    def fit_transform(self, X, y, _sample_weight, _dtype):
        """Fit the clone as a Pipeline would."""
        if hasattr(self.featurizer, "fit_transform"):
            features = self.featurizer.fit_transform(X, y)
        else:
            features = self.featurizer.fit(X, y).transform(X)
        return self._checked(features, X)

    def transform(self, X, _dtype):
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
        if features.ndim != 2 or len(features) != _num_samples(X):
            raise ValueError(
                f"featurizer={self._name} must turn X into one row of features per row, shape "
                f"({_num_samples(X)}, p); got shape {tuple(features.shape)}."
            )
        return features
