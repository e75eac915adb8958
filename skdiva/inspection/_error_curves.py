"""Test errors of a model that is trained on a core and on more and more rows of a pool."""

from numbers import Integral

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.metrics import mean_squared_error, zero_one_loss
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing, check_consistent_length, check_random_state, indexable
from sklearn.utils.parallel import Parallel, delayed

from skdiva.arrays.containers import append_rows, to_host
from skdiva.inspection._drawing import check_numbers, last_step, out_of_tuple

_ERROR_NAMES = {
    zero_one_loss: "test error\n(share misclassified)",
    mean_squared_error: "test error\n(mean squared)",
}


class GrowingTraining:
    """Trains a model on a core and on rows of a pool, as an extender does, and tests it.

    Parameters
    ----------
    extender : DivaExtender or Pipeline
        Fitted, with a pool.
    rows : dict of {str: array-like or None}
        X, y, X_pool, y_pool, X_test and y_test, as given to the extender.
    model : estimator or None
        What is trained; None: a clone of what the extender trains.
    metric : callable or None
        Error of ``(y_true, y_predicted)``.
    n_jobs : int or None
        Trainings at a time.
    """

    def __init__(self, extender, rows, model, metric, n_jobs):
        last = last_step(extender)
        self.model = last.estimator if model is None else model
        if self.model is None:
            raise ValueError(
                "ExtensionDisplay expects a model to train for the test errors, got an extender "
                "without an estimator. Pass estimator=..., or leave out X_test and y_test."
            )
        rows = _complete(rows)
        self.core, self.pool, self.test = (
            _on_host(*(rows[name + kind] for name in "Xy")) for kind in ("", "_pool", "_test")
        )
        self.order = np.argsort(last.ranking_)
        if len(self.pool[1]) != len(self.order):
            raise ValueError(
                f"X_pool and y_pool must hold the {len(self.order)} rows of the pool that the "
                f"extender was fitted with, got {len(self.pool[1])}. Pass those given to fit."
            )
        if isinstance(extender, Pipeline):
            self._transform(extender)
        default = zero_one_loss if is_classifier(self.model) else mean_squared_error
        self.metric = default if metric is None else metric
        self.n_jobs = n_jobs

    def _transform(self, pipeline):
        """Bring the rows to where the extender stands in a Pipeline."""
        steps = pipeline[:-1]
        if len(steps) == 0:
            return
        # The pool goes through the steps if it was told to, else it was given transformed.
        is_raw = (True, "X_pool" in (pipeline.transform_input or ()), True)
        parts = zip(is_raw, (self.core, self.pool, self.test), strict=True)
        self.core, self.pool, self.test = (
            (steps.transform(X), y) if raw else (X, y) for raw, (X, y) in parts
        )

    def curves(self, n_rows, n_chosen, n_repeats, random_state):
        """Test errors by rows added, as arguments of the display.

        Parameters
        ----------
        n_rows : int or array-like of int
            At which numbers of rows added, or at how many.
        n_chosen : int
            Rows that the extender added.
        n_repeats : int
            Random orders.
        random_state : int, RandomState instance or None
            Decides them.

        Returns
        -------
        dict of {str: object}
        """
        check_count("n_repeats", n_repeats)
        sizes = self._sizes(n_rows, n_chosen)
        errors = self._errors([self.order], sizes)
        name = _ERROR_NAMES.get(self.metric)
        curves = {"n_trained": sizes, "test_error": errors[0], "random_error": None}
        curves["error_name"] = name or f"test error\n({getattr(self.metric, '__name__', 'metric')})"
        if n_repeats:
            # A seed of its own: with the seed given, other code may have drawn the very permutation
            # by which it chose, say, the rows that got wrong labels.
            rng = np.random.RandomState(check_random_state(random_state).randint(2**31 - 1))
            orders = [rng.permutation(len(self.order)) for _ in range(n_repeats)]
            # With no row and with all of them the order does not matter.
            inner = (sizes > 0) & (sizes < len(self.order))
            curves["random_error"] = np.repeat(errors, n_repeats, axis=0)
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
            y = np.concatenate([y, self.pool[1][rows]])
        X_test, y_test = self.test
        return self.metric(y_test, clone(self.model).fit(X, y).predict(X_test))


def _complete(rows):
    """Return rows out of the tuples of one that a search needs; none may be missing."""
    missing = [name for name, value in rows.items() if value is None]
    if missing:
        raise ValueError(
            f"Test errors expect {', '.join(rows)}, got no {', '.join(missing)}. Pass the rows "
            "that the extender was fitted with and test rows, or neither X_test nor y_test."
        )
    return {name: out_of_tuple(value) for name, value in rows.items()}


def _on_host(X, y):
    X, y = indexable(to_host(X))[0], np.asarray(to_host(y))
    check_consistent_length(X, y)
    return X, y


def check_curve(x_name, x, y_name, y):
    """Return two vectors, the first increasing, or None and None.

    Parameters
    ----------
    x_name, y_name : str
        What they are called.
    x, y : array-like of shape (n,) or None
        Rows added, and losses or errors.

    Returns
    -------
    tuple of two ndarrays of shape (n,), or of None
    """
    if (x is None) != (y is None):
        given, missing = (y_name, x_name) if x is None else (x_name, y_name)
        raise ValueError(
            f"{x_name} and {y_name} must be passed together, got {given} alone. Pass {missing}, "
            "or neither."
        )
    if x is None:
        return None, None
    x = check_numbers(x_name, x, low=0)
    if (np.diff(x) <= 0).any():
        raise ValueError(
            f"{x_name} must increase, got {x}. Sort it, and {y_name} with it; pass every number "
            "of rows once."
        )
    return x, check_numbers(y_name, y, len(x))


def check_count(name, value):
    """Raise if ``value`` is not an int of at least 0."""
    if not isinstance(value, Integral) or value < 0:
        raise ValueError(
            f"{name} must be an int of at least 0, got {value!r}. Pass a whole number."
        )


def check_repeats(errors, n_trained):
    """Return errors of random orders as an array (n_repeats, n_sizes).

    Parameters
    ----------
    errors : array-like of shape (n_repeats, n_sizes)
    n_trained : ndarray of shape (n_sizes,) or None
        Sizes of the other errors.

    Returns
    -------
    ndarray of shape (n_repeats, n_sizes)
    """
    if n_trained is None:
        raise ValueError(
            "random_error is drawn beside test_error, got no test_error. "
            "Pass n_trained and test_error too, or no random_error."
        )
    errors = np.asarray(errors)
    if errors.ndim != 2 or len(errors) == 0:
        raise ValueError(
            f"random_error must have shape (n_repeats, {len(n_trained)}), got {errors.shape}. "
            "Pass one line per repeat."
        )
    return np.array([check_numbers("random_error", line, len(n_trained)) for line in errors])
