"""Features of a pool, computed when they are read, and losses for other orders of a pool.

Importing this module loads torch.
"""

from typing import Any

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.utils import _safe_indexing, indexable
from torch import Tensor

from skdiva.arrays import Compute, to_host
from skdiva.estimators._pool import Pool
from skdiva.estimators.feature_maps import FeatureMap
from skdiva.loo import Budget, Problem, RowSource, extend
from skdiva.loo.pool import loss_path
from skdiva.loo.rows import free_bytes

_KEPT_SHARE = 0.25  # of the free memory
_CLOSE = 1e-3  # relative to the largest; for float32, and for networks with other batches


class PoolRows(RowSource):
    """Features of a pool, which are kept after the first visit if they fit into memory.

    Parameters
    ----------
    feature_map : FeatureMap
        Fitted.
    compute : Compute
    pool : Pool
    problem : Problem
        Problem of the core. The rows have the same columns and are read in blocks of the same size.
    features : tensor of shape (n_pool, p), default=None
        Features of the pool, if they are known.
    kept_bytes : int, default=None
        Largest size of features that are kept. If None, a quarter of the free memory.
    """

    def __init__(
        self,
        feature_map: FeatureMap,
        compute: Compute,
        pool: Pool,
        problem: Problem,
        features: Tensor | None = None,
        kept_bytes: int | None = None,
    ):
        super().__init__(pool.n_rows, problem.rows.n_columns, problem.dtype, problem.device)
        self.feature_map, self.compute, self.pool = feature_map, compute, pool
        self.budget: Budget = problem.budget
        self._X = indexable(pool.X_checked)[0]
        if kept_bytes is None:
            kept_bytes = int(_KEPT_SHARE * free_bytes(problem.device))
        self._keeps = self.n_rows * self.n_columns * self.dtype.itemsize <= kept_bytes
        self._features = features
        self._n_known = 0 if features is None else self.n_rows  # the first rows

    def read(self, rows: slice | Tensor) -> Tensor:
        """Return the features (m, p) of some rows."""
        last = rows.stop if isinstance(rows, slice) else int(rows.max()) + 1
        if self._features is not None and last <= self._n_known:
            return self._features[rows]
        X = _safe_indexing(self._X, rows if isinstance(rows, slice) else to_host(rows))
        computed = self.feature_map.transform(X)
        features = self.compute.finite_tensor(computed)
        # Views of X are not kept: the pool may be in a file because it is too large for memory.
        # Neither are sparse features: dense, they would take more memory.
        is_kept = self._keeps and not (issparse(computed) or _is_view(features, X))
        if is_kept and isinstance(rows, slice):
            self._keep(rows, features)
        return features

    def _keep(self, rows: slice, features: Tensor) -> None:
        if rows.start != self._n_known:
            return
        if self._features is None:
            self._features = features.new_empty((self.n_rows, self.n_columns))
        self._features[rows] = features
        self._n_known = rows.stop

    def targets(self) -> Any:
        """Return the targets of the pool, for the core."""
        target, outputs = self.pool.target, []
        size = self.budget.rows(self.n_columns, self.device, self.dtype.itemsize)
        for start in range(0, self.n_rows, size):
            rows = slice(start, min(start + size, self.n_rows))
            X = _safe_indexing(self._X, rows)
            outputs.append(self.feature_map.initial_outputs(X, target.n_outputs))
            if outputs[0] is None:
                return target.to_core(self.compute)
        return target.to_core(self.compute, torch.cat([*map(self.compute.tensor, outputs)]))


def loss_paths(
    extender: Any,
    rows: dict[str, Any],
    orders: list[np.ndarray],
    *,
    kept_bytes: int | None = None,
) -> np.ndarray:
    """Return ``loo_loss_path_`` of a fitted extender for other orders of the pool.

    Features and penalty are those that the extender was fitted with.

    Parameters
    ----------
    extender : DivaExtender
        Fitted with a pool.
    rows : dict of {str: array-like or None}
        X, y, X_pool, y_pool, groups, X_val and y_val, as passed to its `fit`.
    orders : list of ndarray of int of shape (n_pool,)
        Positions in the pool. If the list is empty, the rows are only compared with those of the
        fit.
    kept_bytes : int, default=None
        Largest size of the features of the pool that are kept in memory instead of being computed
        again. If None, a quarter of the free memory.

    Returns
    -------
    ndarray of shape (n_orders, n_losses)
        Loss after adding as many rows as in ``n_added_``.

    Raises
    ------
    ValueError
        If the rows, or their order, are not those that the extender was fitted with.
    """
    data, pool, _ = extender._validate_with_pool(**rows)
    adapter = extender._build_adapter(data, extender._feature_map, refit=False)
    problem, pool_rows = adapter.pool_problem(data, pool, kept_bytes)
    include_pool = extender.evaluate_on == "all"
    start = extend(problem, adapter.alpha, pool_rows, n_samples=0, include_pool=include_pool)
    _require_same_rows(to_host(start.start_derivative), extender.pool_derivative_)
    sizes = np.diff(extender.n_added_).tolist()
    losses = []
    for order in orders:
        batches = torch.tensor(order[: sum(sizes)], device=problem.device).split(sizes)
        path = loss_path(problem, adapter.alpha, pool_rows, batches, include_pool=include_pool)
        losses.append(path)
    return np.array(losses)


def _require_same_rows(derivative: np.ndarray, expected: np.ndarray) -> None:
    """Raise unless the derivatives (n_pool,), which depend on every row, are those of the fit."""
    differ, largest = np.abs(derivative - expected).max(), np.abs(expected).max()
    if differ > _CLOSE * largest:
        raise ValueError(
            f"Expected the rows that the extender was fitted with, in their order; got rows with "
            f"which pool_derivative_ differs by up to {differ:.3g}, its largest being "
            f"{largest:.3g}. Pass X, y, X_pool, y_pool, groups, X_val and y_val as given to fit; "
            "or no rows, if the featurizer's transform does not repeat what its fit_transform gave."
        )


def _is_view(features: Tensor, X: Any) -> bool:
    """Return whether features are rows of X themselves."""
    on_host = isinstance(X, np.ndarray) and features.device.type == "cpu"
    return on_host and np.may_share_memory(features.numpy(), X)
