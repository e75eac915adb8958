"""Losses of random orders and test errors of retrained models, computed from given rows."""

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone, is_classifier
from sklearn.metrics import mean_squared_error, zero_one_loss
from sklearn.pipeline import Pipeline
from sklearn.utils import (
    _safe_indexing,
    check_consistent_length,
    check_random_state,
    indexable,
)
from sklearn.utils.parallel import Parallel, delayed

from skdiva.arrays import append_rows, in_memory, to_host
from skdiva.inspection._curves import check_count
from skdiva.inspection._drawing import last_step, out_of_tuple

_FIT_ROWS = ("X", "y", "X_pool", "y_pool")
_OTHERS = ("groups", "X_val", "y_val")
_TEST_ROWS = ("X_test", "y_test")
_ERROR_NAMES = {
    zero_one_loss: "test error\n(share misclassified)",
    mean_squared_error: "test error\n(mean squared)",
}


def extension_data(
    extender: Any,
    rows: dict[str, Any],
    training: dict[str, Any],
    *,
    n_rows: int | ArrayLike,
    n_repeats: int,
    random_state: int | np.random.RandomState | None,
) -> dict[str, Any]:
    """Return losses of random orders and, with test rows, test errors, for ExtensionDisplay.

    Parameters
    ----------
    extender : DivaExtender or Pipeline
        Fitted with a pool.
    rows : dict of str to array-like or None
        X, y, X_pool, y_pool, groups, X_val and y_val as passed to `fit`; X_test and y_test.
    training : dict of str to object
        Settings of the models trained to compute test errors: model, metric and n_jobs.
    n_rows : int or array-like of int
        How many models to train, or the numbers of rows added for each.
    n_repeats : int
        Number of random orders.
    random_state : int, RandomState instance or None
        Determines the random orders.

    Returns
    -------
    dict of str to object
        Keyword arguments of ExtensionDisplay.
    """
    from skdiva.estimators import loss_paths  # loads torch

    check_count("n_repeats", n_repeats)
    is_tested = any(rows[name] is not None for name in _TEST_ROWS)
    rows = _rows_at_extender(extender, _complete(rows, _FIT_ROWS + _TEST_ROWS * is_tested))
    last = last_step(extender)
    test_errors = _TestErrors(last, rows, **training) if is_tested else None
    orders = _random_orders(len(last.ranking_), n_repeats, random_state)
    curves = {}
    # Called even without orders, because it also checks that the rows are those of the fit.
    losses = loss_paths(last, {name: rows[name] for name in _FIT_ROWS + _OTHERS}, orders)
    if orders:
        curves["random_loss"] = losses
    if test_errors is not None:
        curves |= test_errors.curves(n_rows, last.n_added_[-1], orders)
    return curves


def _complete(rows: dict[str, Any], needed: tuple[str, ...]) -> dict[str, Any]:
    """Unpack rows from tuples of length one; raise if any of the needed ones is missing."""
    missing = [name for name in needed if rows[name] is None]
    if missing:
        what = "Test errors" if "X_test" in needed else "Losses of random orders"
        raise ValueError(
            f"{what} require {', '.join(needed)}, got no {', '.join(missing)}. Pass the rows that "
            "the extender was fitted with, and test rows for test errors; or pass no rows at all."
        )
    return {name: out_of_tuple(value) for name, value in rows.items()}


def _rows_at_extender(extender: Any, rows: dict[str, Any]) -> dict[str, Any]:
    """Return the rows as they are passed to the extender, transformed by previous Pipeline steps.

    Raises if they do not hold the whole pool.
    """
    n_pool = len(last_step(extender).ranking_)
    if len(rows["y_pool"]) != n_pool:
        raise ValueError(
            f"X_pool and y_pool must hold the {n_pool} rows of the pool that the extender was "
            f"fitted with, got {len(rows['y_pool'])}. Pass the same rows as to fit."
        )
    if not isinstance(extender, Pipeline) or len(extender) == 1:
        return rows
    # A Pipeline transforms X and what `transform_input` names. All other rows were transformed by
    # the caller before fit.
    raw = {"X", "X_test", *(extender.transform_input or ())}
    steps = extender[:-1]
    return {
        name: steps.transform(value) if name in raw and value is not None else value
        for name, value in rows.items()
    }


def _random_orders(
    n_pool: int, n_repeats: int, random_state: int | np.random.RandomState | None
) -> list[np.ndarray]:
    # The given seed is not used directly: the caller may have drawn, say, the rows with wrong
    # labels with the same seed, and the orders must not be correlated with these.
    rng = np.random.RandomState(check_random_state(random_state).randint(2**31 - 1))
    return [rng.permutation(n_pool) for _ in range(n_repeats)]


class _TestErrors:
    """Test errors of a model trained on a core and a growing number of rows of a pool.

    Parameters
    ----------
    extender : DivaExtender
        Fitted with a pool.
    rows : dict of str to array-like
        X, y, X_pool, y_pool, X_test and y_test, as they are passed to the extender.
    model : estimator or None
        Model to train. If None, the estimator of the extender.
    metric : callable or None
        Error as a function of ``(y_true, y_predicted)``.
    n_jobs : int or None
        Number of models trained in parallel.
    """

    def __init__(
        self,
        extender: Any,
        rows: dict[str, Any],
        model: Any,
        metric: Callable[[Any, Any], float] | None,
        n_jobs: int | None,
    ) -> None:
        self.model = extender.estimator if model is None else model
        if self.model is None:
            raise ValueError(
                "ExtensionDisplay expects a model to train for the test errors, got an extender "
                "without an estimator. Pass estimator=..., or omit X_test and y_test."
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

    def curves(
        self, n_rows: int | ArrayLike, n_chosen: int, orders: list[np.ndarray]
    ) -> dict[str, Any]:
        """Return test errors by number of rows added, for ExtensionDisplay.

        Parameters
        ----------
        n_rows : int or array-like of int
            How many models to train, or the numbers of rows added for each.
        n_chosen : int
            Number of rows that the extender added.
        orders : list of ndarray of int of shape (n_pool,)
            Random orders to compare with.

        Returns
        -------
        dict of str to object
            Keyword arguments of ExtensionDisplay.
        """
        sizes = self._sizes(n_rows, n_chosen)
        errors = self._errors([self.order], sizes)
        name = _ERROR_NAMES.get(self.metric)
        curves: dict[str, Any] = {"n_trained": sizes, "test_error": errors[0]}
        curves["error_name"] = name or f"test error\n({getattr(self.metric, '__name__', 'metric')})"
        if orders:
            # The order makes no difference if no rows or all rows are added.
            inner = (sizes > 0) & (sizes < len(self.order))
            curves["random_error"] = np.repeat(errors, len(orders), axis=0)
            curves["random_error"][:, inner] = self._errors(orders, sizes[inner])
        return curves

    def _sizes(self, n_rows: int | ArrayLike, n_chosen: int) -> np.ndarray:
        n_pool = len(self.order)
        if isinstance(n_rows, Integral) and n_rows >= 2:
            even = np.linspace(0, n_pool, int(n_rows)).round().astype(int)
            return np.union1d(even, n_chosen)
        sizes = np.unique(n_rows)
        is_whole = np.ndim(n_rows) == 1 and sizes.size and sizes.dtype.kind in "iu"
        if not is_whole or sizes[0] < 0 or sizes[-1] > n_pool:
            raise ValueError(
                f"n_rows must be an int of at least 2, or ints from 0 to the {n_pool} rows of the "
                f"pool, got {n_rows!r}. Pass how many models to train, or the number of rows added "
                "for each."
            )
        return sizes

    def _errors(self, orders: list[np.ndarray], sizes: np.ndarray) -> np.ndarray:
        """Return test errors (n_orders, n_sizes) with the first rows of each order added."""
        tasks = (delayed(self._error)(np.sort(o[:size])) for o in orders for size in sizes)
        errors = Parallel(n_jobs=self.n_jobs)(tasks)
        return np.reshape(np.array(errors, dtype=np.float64), (len(orders), len(sizes)))

    def _error(self, rows: np.ndarray) -> float:
        """Return the test error with some rows of the pool added, in input order."""
        X, y = self.core
        if len(rows):
            X = append_rows(X, _safe_indexing(self.pool[0], rows))
            y = np.concatenate([y, self.pool[1][rows].reshape(-1, *y.shape[1:])])
        X_test, y_test = self.test
        error = self.metric(y_test, clone(self.model).fit(X, y).predict(X_test))
        if not isinstance(error, Real) or not np.isfinite(float(error)):
            raise ValueError(
                f"metric must return a finite number, got {error!r} with {len(rows)} rows added. "
                "Pass a metric that is defined for these test rows and predictions."
            )
        return float(error)


def _on_host(X: Any, y: Any) -> tuple[Any, np.ndarray]:
    X, y = indexable(to_host(in_memory(X)))[0], np.asarray(to_host(y))
    check_consistent_length(X, y)
    return X, y
