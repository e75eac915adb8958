"""From X to the features (n, p) whose leave-one-out errors are differentiated."""

from sklearn.base import clone
from sklearn.utils.validation import _num_samples, check_array

from skdiva.arrays.containers import is_tensor
from skdiva.features import KernelFeaturizer
from skdiva.features._columns import has_categories


def make_feature_map(featurizer, X):
    """Return the feature map that the parameter ``featurizer`` asks for."""
    if featurizer is None:
        return RawFeatures()
    if isinstance(featurizer, str):
        return ChosenFeatures(not has_categories(X))
    return TransformedFeatures(featurizer)


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


class TransformedFeatures:
    """What a transformer makes of X, which may hold anything the transformer takes."""

    reads_numbers = False

    def __init__(self, featurizer):
        self.featurizer = clone(featurizer)

    def fit_transform(self, data, _posed):
        """Fit the clone as a Pipeline would."""
        X, y = data.X_checked, data.y
        if hasattr(self.featurizer, "fit_transform"):
            features = self.featurizer.fit_transform(X, y)
        else:
            features = self.featurizer.fit(X, y).transform(X)
        return self._checked(features, X)

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
