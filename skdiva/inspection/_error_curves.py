"""Test errors of a model that is trained on a core and on more and more rows of a pool."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.metrics import mean_squared_error, zero_one_loss
from sklearn.utils import _safe_indexing, check_consistent_length, indexable
from sklearn.utils.parallel import Parallel, delayed

from skdiva.arrays import append_rows, to_host

_ERROR_NAMES = {
    zero_one_loss: "test error\n(share misclassified)",
    mean_squared_error: "test error\n(mean squared)",
}


class GrowingTraining:
    """Trains a model on a core and on rows of a pool, as an extender does, and tests it.

    Parameters
    ----------
    extender : DivaExtender
        Fitted, with a pool.
    rows : dict of {str: array-like}
        X, y, X_pool, y_pool, X_test and y_test, as the extender sees them.
    model : estimator or None
        What is trained; None: a clone of what the extender trains.
    metric : callable or None
        Error of ``(y_true, y_predicted)``.
    n_jobs : int or None
        Trainings at a time.
    """

    def __init__(self, extender, rows, model, metric, n_jobs):
        self.model = extender.estimator if model is None else model
        if self.model is None:
            raise ValueError(
                "ExtensionDisplay expects a model to train for the test errors, got an extender "
                "without an estimator. Pass estimator=..., or leave out X_test and y_test."
            )
        self.core, self.pool, self.test = (
            _on_host(*(rows[name + kind] for name in "Xy")) for kind in ("", "_pool", "_test")
        )
        self.order = np.argsort(extender.ranking_)
        if metric is not None and not callable(metric):
            raise TypeError(
                f"metric must be a callable of (y_true, y_predicted) or None, got {metric!r}. "
                "Pass a function such as sklearn.metrics.zero_one_loss; smaller values are better."
            )
        default = zero_one_loss if is_classifier(self.model) else mean_squared_error
        self.metric = default if metric is None else metric
        self.n_jobs = n_jobs

    def curves(self, n_rows, n_chosen, orders):
        """Test errors by rows added, as arguments of the display.

        Parameters
        ----------
        n_rows : int or array-like of int
            At which numbers of rows added, or at how many.
        n_chosen : int
            Rows that the extender added.
        orders : list of ndarray of int of shape (n_pool,)
            Orders to compare with.

        Returns
        -------
        dict of {str: object}
        """
        sizes = self._sizes(n_rows, n_chosen)
        errors = self._errors([self.order], sizes)
        name = _ERROR_NAMES.get(self.metric)
        curves = {"n_trained": sizes, "test_error": errors[0]}
        curves["error_name"] = name or f"test error\n({getattr(self.metric, '__name__', 'metric')})"
        if orders:
            # With no row and with all of them the order does not matter.
            inner = (sizes > 0) & (sizes < len(self.order))
            curves["random_error"] = np.repeat(errors, len(orders), axis=0)
            curves["random_error"][:, inner] = self._errors(orders, sizes[inner])
        return curves

    def _sizes(self, n_rows, n_chosen):
        n_pool = len(self.order)
        if isinstance(n_rows, Integral) and n_rows >= 2:
            even = np.linspace(0, n_pool, n_rows).round().astype(int)
            return np.union1d(even, n_chosen)
        sizes = np.unique(n_rows)
        is_whole = np.ndim(n_rows) == 1 and sizes.size and sizes.dtype.kind in "iu"
        if not is_whole or sizes[0] < 0 or sizes[-1] > n_pool:
            raise ValueError(
                f"n_rows must be an int of at least 2, or ints from 0 to the {n_pool} rows of the "
                f"pool, got {n_rows!r}. Pass how many models to train, or on how many rows each."
            )
        return sizes

    def _errors(self, orders, sizes):
        """Test errors (n_orders, n_sizes), with the first rows of an order added."""
        tasks = (delayed(self._error)(np.sort(o[:size])) for o in orders for size in sizes)
        errors = Parallel(n_jobs=self.n_jobs)(tasks)
        return np.reshape(np.array(errors, dtype=np.float64), (len(orders), len(sizes)))

    def _error(self, rows):
        """Test error with some rows of the pool added, in input order."""
        X, y = self.core
        if len(rows):
            X = append_rows(X, _safe_indexing(self.pool[0], rows))
            y = np.concatenate([y, self.pool[1][rows].reshape(-1, *y.shape[1:])])
        X_test, y_test = self.test
        error = self.metric(y_test, clone(self.model).fit(X, y).predict(X_test))
        if not isinstance(error, Real) or not np.isfinite(error):
            raise ValueError(
                f"metric must return a finite number, got {error!r} with {len(rows)} rows added. "
                "Pass one that is defined for these test rows and predictions."
            )
        return error


def _on_host(X, y):
    X, y = indexable(to_host(X))[0], np.asarray(to_host(y))
    check_consistent_length(X, y)
    return X, y
