"""The fit of an inner estimator with sample weights, tried on a few rows where that is needed."""

import warnings
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import sklearn
from joblib import parallel_config
from sklearn.base import clone
from sklearn.utils import _safe_indexing, indexable
from sklearn.utils.metadata_routing import _routing_enabled, process_routing
from sklearn.utils.validation import _check_method_params

from skdiva.arrays import in_memory
from skdiva.estimators.inner._recording import FittedWithoutWeights, recording
from skdiva.estimators.inner._requests import request_weights
from skdiva.estimators.inner._sample_weight import (
    find_refusal,
    forwards_for_certain,
    learner_chains,
    refusal,
    weight_keyword,
)

_ROWS_PER_CLASS = 10
_LARGEST_SAMPLE = 100

# How weights are passed on: as a keyword; by the requests of the user, with metadata routing; or
# with routing enabled for the inner estimator only, and requests that are set on a clone of it.
Way = Literal["none", "keyword", "requests", "own_requests"]


@dataclass(frozen=True)
class InnerFit:
    """How the inner estimator of ``owner`` is trained."""

    owner: Any
    metadata: dict  # named arguments of the owner's `fit`, which may be requested as well
    fit_params: dict  # other arguments of the owner's `fit`
    way: Way = "none"

    def new_estimator(self) -> Any:
        """Return the estimator to train, unfitted."""
        estimator = clone(self.owner.estimator)
        return request_weights(estimator) if self.way == "own_requests" else estimator

    def select(self, X: Any, rows: np.ndarray) -> "InnerFit":
        """Return the same fit, for some of the rows of X."""
        validation = {k: v for k, v in self.metadata.items() if k in ("X_val", "y_val")}
        metadata = _check_method_params(X, self.metadata, rows) | validation
        fit_params = _check_method_params(X, self.fit_params, rows)
        return replace(self, metadata=metadata, fit_params=fit_params)

    def train(self, X: Any, y: Any, sample_weight: Any = None, estimator: Any = None) -> Any:
        """Return a trained estimator; ``estimator`` is a new one, by default."""
        estimator = self.new_estimator() if estimator is None else estimator
        params = self.fit_params
        if _routing_enabled():
            given = {**self.metadata, **params, "sample_weight": sample_weight}
            given = {name: value for name, value in given.items() if value is not None}
            params = process_routing(self.owner, "fit", **given).estimator.fit
        elif sample_weight is not None and self.way != "none":
            routed = self.way == "own_requests"
            keyword = "sample_weight" if routed else weight_keyword(estimator)
            params = {**params, keyword: sample_weight}
        with self._context():
            return estimator.fit(X, y, **params)

    def _context(self) -> AbstractContextManager:
        """Return a context in which metadata routing is on, in this thread, if it is needed."""
        if self.way != "own_requests":
            return nullcontext()
        return sklearn.config_context(enable_metadata_routing=True)


def choose_fit(fit: InnerFit, X: Any, y: np.ndarray, *, required: bool) -> InnerFit:
    """Find out how sample weights reach every learner inside an inner estimator.

    Parameters
    ----------
    fit : InnerFit
        The fit without weights.
    X : array-like of shape (n, n_features)
        Rows that the estimator will be fitted on.
    y : ndarray of shape (n,) or (n, n_targets)
        Their labels or targets.
    required : bool
        Whether to raise if weights do not reach every learner.

    Returns
    -------
    InnerFit
        The fit with weights, or ``fit`` if they do not reach every learner.

    Raises
    ------
    ValueError
        If weights are required and do not reach every learner. The message names the first that
        they do not reach, and says what to do.
    """
    refused = find_refusal(fit.owner.estimator)
    if refused is None:
        ways: list[Way] = ["requests"] if _routing_enabled() else ["keyword", "own_requests"]
        found = [replace(fit, way=way) for way in ways]
        if forwards_for_certain(fit.owner.estimator):
            return found[0]
        chosen, refused = _try_ways(found, indexable(in_memory(X))[0], y)
        if chosen is not None:
            return chosen
    if required and refused is not None:
        raise refused
    return fit


def _try_ways(
    fits: list[InnerFit], X: Any, y: np.ndarray
) -> tuple[InnerFit | None, ValueError | None]:
    """Return the first fit that hands weights to all learners on a few rows, or the error."""
    for rows in (_few_rows(y), np.arange(len(y))):
        part = _safe_indexing(X, rows), y[rows]
        weight = np.linspace(0.5, 1.5, len(rows))
        failures = []
        for fit in fits:
            failure = _try(fit.select(X, rows), *part, weight)
            if failure is None:
                return fit, None
            failures.append(failure)
        # The fit may have failed because of the weights or because there are too few rows. If it
        # also fails without weights, the next attempt uses all rows.
        unweighted = replace(fits[0], way="none").select(X, rows)
        if all(map(_blames_weights, failures)) or _try(unweighted, *part, None) is None:
            return None, _explain(fits[0].owner.estimator, failures)
    raise failures[0]


def _try(fit: InnerFit, X: Any, y: Any, weight: np.ndarray | None) -> BaseException | None:
    """Fit in this process and silently; return what kept weights from a learner, if anything."""
    random_state = np.random.get_state()  # noqa: NPY002
    with warnings.catch_warnings(), parallel_config("sequential"):
        warnings.simplefilter("ignore")
        try:
            estimator = fit.new_estimator()
            if weight is None:
                fit.train(X, y, estimator=estimator)
                return None
            with recording(estimator) as fits:
                fit.train(X, y, weight, estimator)
                # Frozen estimators need no weights.
                if not fits and next(learner_chains(estimator), None) is not None:
                    raise FittedWithoutWeights((estimator,))
        except (Exception, FittedWithoutWeights) as failure:
            return failure
        finally:
            np.random.set_state(random_state)  # noqa: NPY002
    return None


def _blames_weights(failure: BaseException) -> bool:
    if isinstance(failure, FittedWithoutWeights):
        return True
    return "sample_weight" in str(failure) or "metadata routing" in str(failure)


def _explain(estimator: Any, failures: list) -> ValueError:
    """Return the error that names the learner without weights, or else what failed."""
    for failure in failures:
        if isinstance(failure, FittedWithoutWeights):
            return refusal(failure.chain, "It does not receive them.")
    reason = str(failures[0]).strip().splitlines() or [type(failures[0]).__name__]
    error = refusal((estimator,), f"Its fit with weights fails: {reason[-1].rstrip('.')}.")
    error.__cause__ = failures[0]
    return error


def _few_rows(y: np.ndarray) -> np.ndarray:
    """Return positions of some rows: the first ones of up to ten classes, if y holds classes."""
    first = np.arange(min(len(y), _LARGEST_SAMPLE))
    if y.ndim > 1:
        return first
    _, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
    if np.median(counts) < _ROWS_PER_CLASS:
        return first
    frequent = np.argsort(-counts, kind="stable")[: _LARGEST_SAMPLE // _ROWS_PER_CLASS]
    chosen = [np.flatnonzero(codes == code)[:_ROWS_PER_CLASS] for code in frequent]
    return np.sort(np.concatenate(chosen))
