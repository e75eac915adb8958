"""Metadata requests for sample weights, set on an estimator and on everything inside it."""

from collections.abc import Iterator
from typing import Any

import sklearn
from sklearn.base import is_classifier
from sklearn.feature_selection import RFECV
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import get_scorer
from sklearn.utils.metadata_routing import get_routing_for_object

from skdiva.estimators.inner._sample_weight import learner_chains


def request_weights(estimator: Any) -> Any:
    """Request sample weights for all learners inside an estimator, and for its scores.

    Requests that are set already stay as they are. Transformers get no weights, as in a Pipeline
    without metadata routing.

    Parameters
    ----------
    estimator : estimator
        Unfitted. It is changed in place.

    Returns
    -------
    estimator
        The same estimator.
    """
    learners = {id(chain[-1]) for chain in learner_chains(estimator)}
    with sklearn.config_context(enable_metadata_routing=True):
        for part in list(_parts(estimator)):
            _request_in_scorers(part)
            _request(part, "fit", id(part) in learners)
            _request(part, "score", True)
    return estimator


def _parts(value: Any) -> Iterator[Any]:
    """Yield the estimator and all estimators and scorers inside it."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for entry in value:
            yield from _parts(entry)
    elif isinstance(value, type | FrozenEstimator):  # not trained, and not copied by clone
        return
    elif hasattr(value, "get_metadata_routing"):
        yield value
        if hasattr(value, "get_params"):
            yield from _parts(value.get_params(deep=False))


def _request(part: Any, method: str, wanted: bool) -> None:
    """Set the request of a method, unless it has one or takes no sample weights."""
    routing = get_routing_for_object(part)
    routing = getattr(routing, "_self_request", routing)  # of a router, its own requests
    requests = {} if routing is None else getattr(routing, method).requests
    if "sample_weight" in requests and requests["sample_weight"] is None:
        getattr(part, f"set_{method}_request")(sample_weight=wanted)


def _request_in_scorers(part: Any) -> None:
    """Replace names of scorers, which can hold no requests, by scorers."""
    scoring = getattr(part, "scoring", None)
    if scoring is None and isinstance(part, RFECV):  # the others call `score` of the estimator
        scoring = "accuracy" if is_classifier(part) else "r2"
    if isinstance(scoring, list | tuple | set):
        scoring = {name: get_scorer(name) for name in scoring}
    elif isinstance(scoring, dict):
        scoring = {name: get_scorer(scorer) for name, scorer in scoring.items()}
    elif isinstance(scoring, str):
        scoring = get_scorer(scoring)
    else:
        return
    part.set_params(scoring=scoring)
    for scorer in _parts(scoring):
        _request(scorer, "score", True)
