"""Feature maps of transformers and of linearized networks."""

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any, NoReturn

import numpy as np
from sklearn.base import clone
from sklearn.decomposition import TruncatedSVD
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer
from sklearn.utils.validation import _num_samples

from skdiva.arrays import is_tensor, read_output, to_host
from skdiva.estimators._inputs import TrainingData
from skdiva.estimators.feature_maps._maps import FeatureMap, LazyFeatures
from skdiva.targets import set_task

_TILE_SHARE = 1 / 16  # of the free memory; one tile is held at a time
_MATRICES = 3  # of the size of the Gram matrix are held while it is factorized
N_COMPONENTS = 300  # singular vectors of sparse X


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
        features = read_output(features, f"{self._name}.transform", accept_sparse="csr")
        n_rows = _num_samples(X)
        if features.ndim not in (2, 3) or features.shape[0] != n_rows:
            raise ValueError(
                f"featurizer={self._name} must turn X into one row of features per row, shape "
                f"({n_rows}, p), or into features per output, shape ({n_rows}, k, p); got shape "
                f"{tuple(features.shape)}. Use a transformer that returns one row for every row of "
                "X."
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
    """Output of a transformer, for which X may be anything that the transformer accepts.

    Parameters
    ----------
    featurizer : transformer
        A clone of it is fitted. Its output may be sparse.
    fit_intercept : bool
        Whether the ridge model has an intercept.
    reads_numbers : bool, default=False
        Whether X must be an array of finite numbers.
    """

    def __init__(self, featurizer: Any, fit_intercept: bool, reads_numbers: bool = False):
        super().__init__(featurizer, fit_intercept)
        self.reads_numbers = reads_numbers

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


def reduced_features(fit_intercept: bool, random_state: Any) -> TransformedFeatures:
    """Return the default features of sparse X with many columns: singular vectors.

    The rows are scaled to length one before, because the lengths of texts would otherwise hide
    their words. The singular vectors are used as they are: kernels on them do not predict better.

    Parameters
    ----------
    fit_intercept : bool
        Whether the ridge model has an intercept.
    random_state : int, RandomState instance or None
        Determines the random projection. None is the same as 0.
    """
    seed = 0 if random_state is None else random_state
    svd = TruncatedSVD(N_COMPONENTS, random_state=seed)
    return TransformedFeatures(make_pipeline(Normalizer(), svd), fit_intercept, reads_numbers=True)


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
