"""Feature maps: from X to the features (n, p) of the ridge model."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from functools import cached_property
from typing import Any, NoReturn

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import _num_samples

from skdiva.arrays import has_categories, is_frame, is_tensor, read_output, to_host
from skdiva.estimators._inputs import TrainingData
from skdiva.features import KernelFeaturizer
from skdiva.targets import set_task

_TILE_SHARE = 1 / 16  # of the free memory; one tile is held at a time
_MATRICES = 3  # of the size of the Gram matrix are held while it is factorized


def make_feature_map(estimator: Any, X: Any) -> "FeatureMap":
    """Return the feature map for the parameter ``featurizer`` of an estimator."""
    featurizer, fit_intercept = estimator.featurizer, estimator.fit_intercept
    if featurizer is None:
        return RawFeatures()
    if isinstance(featurizer, str):
        encodes = is_frame(X) and has_categories(X)
        return ChosenFeatures(not encodes, fit_intercept, estimator.random_state, estimator.verbose)
    if hasattr(featurizer, "jacobian_tiles"):
        return LinearizedFeatures(featurizer, fit_intercept)
    return TransformedFeatures(featurizer, fit_intercept)


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
        array or tensor of shape (n, p) or (n, k, p), skdiva.loo.RowSource or skdiva.loo.JointGram
            The last one holds the validation rows as well.
        """

    @abstractmethod
    def transform(self, X: Any) -> Any:
        """Return features of other rows."""

    def product(self, rows: LazyFeatures, coef: np.ndarray) -> np.ndarray:
        """Return features times coefficients, in float64."""
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
            validation = data.X_val, data.target_val.to_core(compute)
        task = SelectionTask(
            data.target.to_core(compute),
            None if data.groups is None else compute.tensor(data.groups, "int64"),
            validation,
            self.fit_intercept,
            None if weight is None else compute.tensor(weight),
        )
        device, dtype = compute.device, compute.dtype
        self.featurizer = KernelFeaturizer(
            device=str(device), dtype=dtype, random_state=self.random_state, verbose=self.verbose
        )
        self.featurizer.fit_checked(data.X_checked, data.sample_weight, task, device, dtype)
        return self.featurizer.transform_checked(data.X_checked)

    def transform(self, X: Any) -> Any:
        """Return features of other rows."""
        return self.featurizer.transform_checked(X)


class _TransformerMap(FeatureMap):
    """Features of a transformer, which are either (n, p) or per output, (n, k, p).

    Parameters
    ----------
    featurizer : transformer
        A clone of it is fitted.
    fit_intercept : bool
        Whether the ridge model has an intercept.
    """

    _n_outputs: int

    def __init__(self, featurizer: Any, fit_intercept: bool):
        self.featurizer, self.fit_intercept = clone(featurizer), fit_intercept

    def transform(self, X: Any) -> Any:
        """Return features of other rows."""
        return self._checked(self.featurizer.transform(X), X)

    def initial_outputs(self, X: Any, n_outputs: int) -> Any:
        """Return the outputs of the network before training, if the transformer has any."""
        if not hasattr(self.featurizer, "initial_outputs"):
            return None
        name, shape = f"{self._name}.initial_outputs", (_num_samples(X), n_outputs)
        outputs = read_output(self.featurizer.initial_outputs(X), name)
        if tuple(outputs.shape) != shape:
            raise ValueError(
                f"{name}(X) must return one row per row of X and one column per class or target, "
                f"shape {shape}; got shape {tuple(outputs.shape)}. Give the backbone that many "
                "outputs."
            )
        return outputs

    def coef_from_duals(self, X: Any, duals: Any, intercept: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return coefficients (p,) and intercepts (k,) for those (n k,) of the inner products."""
        rows = LazyFeatures(self, X, self._n_outputs)
        coef = self._combine(rows, to_host(duals).reshape(-1, self._n_outputs)).astype(np.float64)
        intercept = to_host(intercept)
        if self.fit_intercept:  # the inner products are those of centered rows
            intercept = intercept - self.product(rows, coef).mean(axis=0)
        return coef, intercept

    @abstractmethod
    def _combine(self, rows: LazyFeatures, duals: np.ndarray) -> np.ndarray:
        """Return the sum (p,) of features (n, k, p), weighted by ``duals`` (n, k)."""

    @property
    def _name(self) -> str:
        return type(self.featurizer).__name__

    def _checked(self, features: Any, X: Any) -> Any:
        features = read_output(features, f"{self._name}.transform")
        n_rows = _num_samples(X)
        if features.ndim not in (2, 3) or len(features) != n_rows:
            raise ValueError(
                f"featurizer={self._name} must turn X into one row of features per row, shape "
                f"({n_rows}, p); got shape {tuple(features.shape)}. Per-output features "
                f"({n_rows}, k, p) are taken too."
            )
        if features.ndim == 3 and features.shape[1] != self._n_outputs:
            self._refuse_outputs("must give features per output", features.shape)
        return features

    def _refuse_outputs(self, problem: str, shape: Any) -> NoReturn:
        """Raise an error: the network does not have one output per class or target."""
        raise ValueError(
            f"{self._name} {problem}, one for each of the {self._n_outputs} classes or targets of "
            f"y; got shape {tuple(shape)}. Give the backbone that many outputs "
            "(skdiva.features.replace_head)."
        )


class TransformedFeatures(_TransformerMap):
    """Output of a transformer, for which X may be anything that the transformer accepts."""

    def fit_transform(self, data: TrainingData, compute: Any) -> Any:
        """Fit a clone of the transformer, in the same way as a Pipeline."""
        X, y = data.X_checked, data.y
        self._n_outputs = data.target.n_outputs
        set_task(self.featurizer, data.target.task)
        if hasattr(self.featurizer, "fit_transform"):
            features = self.featurizer.fit_transform(X, y)
        else:
            features = self.featurizer.fit(X, y).transform(X)
        features = self._checked(features, X)
        shape = features.shape
        self.gram_only = len(shape) == 3 and shape[2] > shape[0] * shape[1]
        if not self.gram_only:
            return features
        parts = [features] if data.X_val is None else [features, self.transform(data.X_val)]
        return _inner_products([parts], len(features), compute, self.fit_intercept)

    def _combine(self, rows: LazyFeatures, duals: np.ndarray) -> np.ndarray:
        return np.einsum("nk,nkp->p", duals, to_host(rows.features))


class LinearizedFeatures(_TransformerMap):
    """Jacobians (n, k, p) of a network, or only their inner products if p is larger than n k."""

    def fit_transform(self, data: TrainingData, compute: Any) -> Any:
        """Fit a clone of the featurizer and return features or inner products."""
        X, X_val = data.X_checked, data.X_val
        self._n_outputs = data.target.n_outputs
        self.featurizer.fit(X, data.y)
        n_samples = [_num_samples(part) for part in (X, X_val) if part is not None]
        self.gram_only = self.featurizer.n_columns_ > n_samples[0] * self._n_outputs
        if not self.gram_only:
            return self._checked(self.featurizer.transform(X), X)
        outputs = self.featurizer.initial_outputs(X[:1])
        if outputs.shape[1] != self._n_outputs:
            self._refuse_outputs("must have outputs", outputs.shape)
        itemsize = outputs.itemsize if is_tensor(outputs) else outputs.dtype.itemsize
        tiles = self._tiles((X, X_val), n_samples, itemsize, compute.device)
        return _inner_products(tiles, n_samples[0], compute, self.fit_intercept)

    def _tiles(self, parts: tuple, n_samples: list[int], itemsize: int, device: Any) -> Iterable:
        """Yield columns of the Jacobians of training and validation rows, tile by tile."""
        from skdiva.loo.rows import free_bytes, require_memory

        n_rows = n_samples[0] * self._n_outputs
        needed = _MATRICES * n_rows * sum(n_samples) * self._n_outputs * itemsize
        require_memory(
            needed,
            device,
            f"The inner products of {n_rows} rows, for the full linearization of "
            f"{self._n_outputs} outputs,",
            "Project the Jacobians with n_components=... of the featurizer, or use "
            "outputs='random' or parameters='last'.",
        )
        column_bytes = [n * self._n_outputs * itemsize for n in n_samples]
        width = max(int(_TILE_SHARE * free_bytes(device)) // sum(column_bytes), 1)
        tiles = [
            self.featurizer.jacobian_tiles(part, width * size)
            for part, size in zip(parts, column_bytes, strict=False)
        ]
        return zip(*tiles, strict=True)

    def product(self, rows: LazyFeatures, coef: np.ndarray) -> np.ndarray:
        """Return features times coefficients, in one pass through the network if p is large."""
        if not self.gram_only:
            return super().product(rows, coef)
        return to_host(self.featurizer.apply_jacobian(rows.X, coef)).astype(np.float64)

    def _combine(self, rows: LazyFeatures, duals: np.ndarray) -> np.ndarray:
        return to_host(self.featurizer.combine_jacobian(rows.X, duals))


def _inner_products(tiles: Iterable, n_train: int, compute: Any, fit_intercept: bool) -> Any:
    """Return the inner products of per-output features, given in tiles of columns.

    A tile is a list: columns of the training rows and, if there are any, of the validation rows.
    """
    import torch

    from skdiva.loo import JointGram

    def joined(tile: Iterable) -> torch.Tensor:
        parts = [compute.following(part).tensor(part) for part in tile]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    return JointGram.from_tiles(map(joined, tiles), n_train, center=fit_intercept)
