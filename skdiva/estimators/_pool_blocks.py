"""A pool as features with targets, a block of rows at a time."""

import numpy as np
from sklearn.utils import _safe_indexing, indexable

from skdiva.loo.rows import free_bytes
from skdiva.loo.rows._source import default_batch_size

_KEEP_SHARE = 0.25  # of the free memory: features of the pool up to this size are made once


class PoolBlocks:
    """Sequence of blocks; features that do not fit into memory are made anew on every visit.

    Parameters
    ----------
    posed : PosedProblem
        Whose feature map reads the rows.
    pool : Pool
    features : tensor of shape (n_pool, p), optional
        Features of the pool, where they are known already.
    """

    def __init__(self, posed, pool, features=None):
        self.posed, self.pool = posed, pool
        self._X = indexable(pool.X_checked)[0]
        n_columns, itemsize = posed.problem.features.shape[1], posed.problem.features.itemsize
        self.size = posed.estimator.batch_size
        if self.size == "auto":
            self.size = default_batch_size(n_columns, posed.device, itemsize)
        n_bytes = pool.n_rows * n_columns * itemsize
        self._features = features
        self._keeps = features is not None or n_bytes <= _KEEP_SHARE * free_bytes(posed.device)
        self._kept = {}

    def __len__(self):
        return -(-self.pool.n_rows // self.size)

    def __getitem__(self, number):
        """Features (m, p) and targets of block ``number``."""
        if not 0 <= number < len(self):
            raise IndexError(number)  # which ends an iteration
        if number in self._kept:
            return self._kept[number]
        rows = slice(number * self.size, (number + 1) * self.size)
        X = _safe_indexing(self._X, rows)
        block = self.posed.labelled_rows(
            X,
            self.pool.target.select(rows),
            None if self._features is None else self._features[rows],
        )
        # What is kept of block after block lies between the gaps that their work leaves: the heap
        # would grow by as much as the pool, which may be in a file because it is too large.
        if self._keeps and not _is_view(block[0], X):
            self._kept[number] = block
        return block


def _is_view(features, X):
    """Whether features are rows of X themselves."""
    on_host = isinstance(X, np.ndarray) and features.device.type == "cpu"
    return on_host and np.may_share_memory(features.numpy(), X)
