"""Feature maps: from X to the features (n, p) of the ridge model."""

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse import issparse

from skdiva.arrays import to_host
from skdiva.estimators._inputs import TrainingData
from skdiva.features import KernelFeaturizer


class LazyFeatures:
    """Rows of X whose features are computed on first use.

    Parameters
    ----------
    feature_map : FeatureMap
        Fitted.
    X : array-like of m rows
    n_outputs : int
        Number of classes or targets.
    """

    def __init__(self, feature_map: "FeatureMap", X: Any, n_outputs: int):
        self.feature_map, self.X, self.n_outputs = feature_map, X, n_outputs

    @cached_property
    def features(self) -> Any:
        """Features (m, p), or (m, k, p) if they are computed per output."""
        return self.feature_map.transform(self.X)

    @property
    def initial_outputs(self) -> Any:
        """Outputs (m, k) of the network before training, or None."""
        return self.feature_map.initial_outputs(self.X, self.n_outputs)

    def linear_outputs(self, coef: np.ndarray, intercept: np.ndarray) -> np.ndarray:
        """Return the outputs (m, k) of a linear model, in float64 as means may be large."""
        outputs = self.feature_map.product(self, coef) + intercept
        initial = self.initial_outputs
        return outputs if initial is None else outputs + to_host(initial)


class FeatureMap(ABC):
    """Map from X to features.

    Attributes
    ----------
    reads_numbers : bool
        Whether X must be an array of numbers.
    featurizer : transformer or None
    gram_only : bool
        Whether only the inner products of the training features are computed.
    """

    reads_numbers = False
    featurizer: Any = None
    gram_only = False

    @abstractmethod
    def fit_transform(self, data: TrainingData, compute: Any) -> Any:
        """Fit the map and return the features of the training rows.

        Parameters
        ----------
        data : TrainingData
        compute : Compute
            Device and dtype of the computation.

        Returns
        -------
        array, sparse array or tensor of shape (n, p) or (n, k, p), RowSource or JointGram
            The last one holds the validation rows as well.
        """

    @abstractmethod
    def transform(self, X: Any) -> Any:
        """Return features of other rows."""

    def product(self, rows: LazyFeatures, coef: np.ndarray) -> np.ndarray:
        """Return features, which may be sparse, times coefficients, in float64."""
        return to_host(rows.features).astype(np.float64) @ coef.astype(np.float64)

    def initial_outputs(self, _X: Any, _n_outputs: int) -> Any:
        """Return the outputs (m, k) of the network before training, or None."""
        return None

    def coef_from_duals(self, X: Any, duals: Any, intercept: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return coefficients (p,) and intercepts (k,) for those (n k,) of the inner products.

        It is only defined if ``gram_only`` is True. X holds the training rows.
        """
        raise NotImplementedError


class RawFeatures(FeatureMap):
    """X itself."""

    reads_numbers = True

    def fit_transform(self, data: TrainingData, _compute: Any) -> Any:
        """Return X."""
        return data.X_checked

    def transform(self, X: Any) -> Any:
        """Return X."""
        return X


class ChosenFeatures(FeatureMap):
    """Linear or kernel features, chosen by a `KernelFeaturizer` for the problem at hand.

    Sparse rows are made dense, so they should have few columns.

    Parameters
    ----------
    reads_numbers : bool
        False if X is a dataframe with categories.
    fit_intercept : bool
        Whether the ridge model has an intercept.
    random_state : int, RandomState instance or None
    verbose : int
    """

    def __init__(self, reads_numbers: bool, fit_intercept: bool, random_state: Any, verbose: int):
        self.reads_numbers, self.fit_intercept = reads_numbers, fit_intercept
        self.random_state, self.verbose = random_state, verbose

    def fit_transform(self, data: TrainingData, compute: Any) -> Any:
        """Choose with the groups, weights and validation rows of the problem."""
        from skdiva.features import SelectionTask

        weight, validation = data.validation_weight, None
        if data.target_val is not None:
            validation = _dense(data.X_val), data.target_val.to_core(compute)
        task = SelectionTask(
            data.target.to_core(compute),
            None if data.groups is None else compute.tensor(data.groups, "int64"),
            validation,
            self.fit_intercept,
            None if weight is None else compute.tensor(weight),
        )
        X, device, dtype = data.X_checked, compute.device, compute.dtype
        if issparse(X):
            X = _dense(X)
        self.featurizer = KernelFeaturizer(
            device=str(device), dtype=dtype, random_state=self.random_state, verbose=self.verbose
        )
        self.featurizer.fit_checked(X, data.sample_weight, task, device, dtype)
        return self.featurizer.transform_checked(X)

    def transform(self, X: Any) -> Any:
        """Return features of other rows."""
        return self.featurizer.transform_checked(_dense(X))


def _dense(X: Any) -> Any:
    return X.toarray() if issparse(X) else X
