"""What the rows of an extension tell beside its extender: random losses, and test errors."""

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state

from skdiva.inspection._curves import check_count
from skdiva.inspection._drawing import last_step, out_of_tuple
from skdiva.inspection._error_curves import GrowingTraining

_GIVEN = ("X", "y", "X_pool", "y_pool")
_OTHERS = ("groups", "X_val", "y_val")
_TEST = ("X_test", "y_test")


def extension_curves(extender, rows, training, *, n_rows, n_repeats, random_state):
    """Losses of random orders and, with test rows, test errors, as arguments of the display.

    Parameters
    ----------
    extender : DivaExtender or Pipeline
        Fitted, with a pool.
    rows : dict of {str: array-like or None}
        X, y, X_pool, y_pool, groups, X_val and y_val as given to `fit`, X_test and y_test.
    training : dict of {str: object}
        What is trained for the test errors and how: model, metric and n_jobs.
    n_rows : int or array-like of int
        At which numbers of rows added models are trained, or at how many.
    n_repeats : int
        Random orders.
    random_state : int, RandomState instance or None
        Decides them.

    Returns
    -------
    dict of {str: object}
    """
    check_count("n_repeats", n_repeats)
    is_tested = any(rows[name] is not None for name in _TEST)
    rows = _as_seen(extender, _complete(rows, _GIVEN + _TEST * is_tested))
    last = last_step(extender)
    growing = GrowingTraining(last, rows, **training) if is_tested else None
    orders = _random_orders(len(last.ranking_), n_repeats, random_state)
    curves = {}
    # Without orders, too: only so are rows of another fit found out.
    losses = last._losses_in(orders, {name: rows[name] for name in _GIVEN + _OTHERS})
    if orders:
        curves["random_loss"] = losses
    if is_tested:
        curves |= growing.curves(n_rows, last.n_added_[-1], orders)
    return curves


def _complete(rows, needed):
    """Return rows out of the tuples of one that a search needs; none needed may be missing."""
    missing = [name for name in needed if rows[name] is None]
    if missing:
        what = "Test errors" if "X_test" in needed else "Losses of random orders"
        raise ValueError(
            f"{what} expect {', '.join(needed)}, got no {', '.join(missing)}. Pass the rows that "
            "the extender was fitted with, and test rows for test errors; or none of them."
        )
    return {name: out_of_tuple(value) for name, value in rows.items()}


def _as_seen(extender, rows):
    """Bring rows to where the extender stands in a Pipeline; all of its pool must be there."""
    n_pool = len(last_step(extender).ranking_)
    if len(rows["y_pool"]) != n_pool:
        raise ValueError(
            f"X_pool and y_pool must hold the {n_pool} rows of the pool that the extender was "
            f"fitted with, got {len(rows['y_pool'])}. Pass those given to fit."
        )
    if not isinstance(extender, Pipeline) or len(extender) == 1:
        return rows
    # Other rows than X go through the steps if the pipeline was told so, else they were given
    # transformed.
    raw = {"X", "X_test", *(extender.transform_input or ())}
    steps = extender[:-1]
    return {
        name: steps.transform(value) if name in raw and value is not None else value
        for name, value in rows.items()
    }


def _random_orders(n_pool, n_repeats, random_state):
    # A seed of its own: with the seed given, other code may have drawn the very permutation by
    # which it chose, say, the rows that got wrong labels.
    rng = np.random.RandomState(check_random_state(random_state).randint(2**31 - 1))
    return [rng.permutation(n_pool) for _ in range(n_repeats)]
