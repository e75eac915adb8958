"""What a fitted extender says: the best rows of its pool, and scores of rows that come later."""

from numbers import Integral

import numpy as np
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted

from skdiva.arrays import to_host
from skdiva.estimators._inputs import check_X


class PoolChoiceMixin:
    """Methods of a fitted extender."""

    def score_rows(self, X, y):
        """Derivative with respect to the weight, at 0, of any labelled rows.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows that are not trained on.
        y : array-like of shape (n_rows,) or (n_rows, n_targets)
            Their labels, out of ``classes_``, or their targets.

        Returns
        -------
        ndarray of shape (n_rows,)
            Negative: adding the row to the core lowers ``loo_loss_``. For the rows of the pool
            ``pool_derivative_``, save that with ``evaluate_on="all"`` a row that is scored is taken
            for one more, beside the one in the pool.

        Raises
        ------
        ValueError
            If X or y is not as in `fit`.
        """
        check_is_fitted(self)
        X = check_X(self, X, numeric=self._feature_map.reads_numbers, reset=False)
        target = self._target.encode(y)
        check_consistent_length(X, target.given)
        return self._row_scores.derivative(self._feature_map, X, target)

    def select(self, n):
        """Return the best rows of the pool.

        Parameters
        ----------
        n : int
            How many; more than were chosen are filled up by ``ranking_``.

        Returns
        -------
        ndarray of shape (n,)
            Positions in the pool, best first.

        Raises
        ------
        ValueError
            If n is not a whole number, or the pool has fewer rows.
        """
        check_is_fitted(self)
        if not isinstance(n, Integral) or not 0 <= n <= len(self.ranking_):
            raise ValueError(
                "n must be an int between 0 and the number of rows in the pool, "
                f"{len(self.ranking_)}; got {n!r}."
            )
        return np.argsort(self.ranking_)[:n]


def ranking_of(answer):
    """Rank of every row of the pool, from 1: those chosen in their order, then by derivative."""
    chosen, derivative = to_host(answer.chosen), to_host(answer.derivative)
    rest = np.setdiff1d(np.arange(len(derivative)), chosen)
    order = np.concatenate([chosen, rest[np.argsort(derivative[rest], kind="stable")]])
    ranking = np.empty(len(order), dtype=np.int64)
    ranking[order] = np.arange(1, len(order) + 1)
    return ranking
