"""Learners inside an estimator, and whether their signatures or requests take sample weights."""

from collections.abc import Iterator
from typing import Any

from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import AdaBoostRegressor, BaggingClassifier, BaggingRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import (
    MetadataRequest,
    _routing_enabled,
    _RoutingNotSupportedMixin,
    get_routing_for_object,
)
from sklearn.utils.validation import has_fit_parameter

# They draw rows with probabilities that are proportional to the weights, for a learner that may
# ignore weights.
_DRAW_ROWS = (BaggingClassifier, BaggingRegressor, AdaBoostRegressor)

DROP = (
    "Use apply='drop' to train it on the rows that keep at least a quarter of their weight, or "
    "another estimator."
)


def find_refusal(estimator: Any) -> ValueError | None:
    """Return the error for a learner inside ``estimator`` that takes no sample weights.

    Nothing is fitted: an estimator without such a learner may still not hand weights on to them.

    Parameters
    ----------
    estimator : estimator

    Returns
    -------
    ValueError or None
        The message names the learner and says what to do instead. None if there is no such learner.
    """
    chains = list(learner_chains(estimator))
    for chain in chains:
        if not _takes_weights(chain[-1]):
            return refusal(chain)
    if not chains and not has_fit_parameter(estimator, "sample_weight"):
        return refusal((estimator,))
    return None


def refusal(chain: tuple, reason: str = "") -> ValueError:
    """Return the error for weights that do not reach the last estimator of a chain.

    Parameters
    ----------
    chain : tuple of estimators
        An estimator, one that it trains, and so on.
    reason : str, default=""
        What happened; empty if the last estimator takes no weights.

    Returns
    -------
    ValueError
    """
    name = type(chain[-1]).__name__
    within = f" in {' > '.join(type(link).__name__ for link in chain)}" if chain[1:] else ""
    remedy = DROP
    if hasattr(chain[-1], "fit_resample"):
        reason = reason or "It changes the rows, so that weights no longer belong to them."
    elif _routing_enabled() and isinstance(chain[-1], _RoutingNotSupportedMixin):
        reason = reason or "It does not support metadata routing, which is on."
    elif _routing_enabled() and has_fit_parameter(chain[-1], "sample_weight"):
        remedy = (
            "With metadata routing on, weights must be requested: "
            f"{name}(...).set_fit_request(sample_weight=True), on every step of a Pipeline that "
            "is to get them."
        )
    return ValueError(
        f"Expected an estimator whose fit takes sample_weight, got {name}{within}, which would be "
        f"trained without the learned weights. {reason}{' ' if reason else ''}{remedy}"
    )


def learner_chains(estimator: Any) -> Iterator[tuple]:
    """Find the estimators inside an estimator whose training decides its predictions.

    Parameters
    ----------
    estimator : estimator

    Yields
    ------
    tuple of estimators
        From the outermost to the learner. Samplers of a Pipeline count as learners. Frozen
        estimators do not, because they are not trained.
    """
    if isinstance(estimator, FrozenEstimator):
        return
    inside = _trained_inside(estimator)
    if inside is None:
        yield (estimator,)
        return
    for member in inside:
        for chain in learner_chains(member):
            yield (estimator, *chain)


def has_learners(estimator: Any) -> bool:
    """Return whether ``estimator`` trains other estimators.

    Parameters
    ----------
    estimator : estimator

    Returns
    -------
    bool
    """
    return bool(_trained_inside(estimator)) or isinstance(estimator, _DRAW_ROWS)


def forwards_for_certain(estimator: Any) -> bool:
    """Return whether weights reach all learners if the signatures of those say so.

    This is known of a Pipeline, of a parameter search, and of an estimator that trains no other.

    Parameters
    ----------
    estimator : estimator
        One without a refusal.

    Returns
    -------
    bool
    """
    if _routing_enabled():  # of a router, any request on the way may be missing
        return isinstance(get_routing_for_object(estimator), MetadataRequest)
    if not has_learners(estimator):
        return True
    if isinstance(estimator, Pipeline):
        return forwards_for_certain(estimator.steps[-1][1])
    return isinstance(estimator, BaseSearchCV) and forwards_for_certain(estimator.estimator)


def weight_keyword(estimator: Any) -> str:
    """Return the keyword for sample weights in ``estimator.fit``, without metadata routing.

    Parameters
    ----------
    estimator : estimator

    Returns
    -------
    str
    """
    if isinstance(estimator, Pipeline):
        step, last = estimator.steps[-1]
        return f"{step}__{weight_keyword(last)}"
    inner = getattr(estimator, "estimator", getattr(estimator, "regressor", None))
    if inner is None or has_fit_parameter(estimator, "sample_weight"):
        return "sample_weight"
    return weight_keyword(inner)


def predicts(value: Any) -> bool:
    """Return whether a value is an estimator instance that predicts once it is fitted.

    Parameters
    ----------
    value : object

    Returns
    -------
    bool
    """
    if isinstance(value, Pipeline):
        return bool(value.steps) and predicts(value.steps[-1][1])
    if isinstance(value, type) or not hasattr(value, "fit"):
        return False
    # A StackingClassifier has the method only after `fit`, its class always.
    return hasattr(type(value), "predict") or hasattr(value, "predict")


def _takes_weights(learner: Any) -> bool:
    if _routing_enabled():
        if isinstance(learner, _RoutingNotSupportedMixin):
            return False
        # A request that is set to False would silently drop the weights.
        request = get_routing_for_object(learner)
        return bool(request.consumes("fit", {"sample_weight"}))
    if isinstance(learner, TransformedTargetRegressor):  # of LinearRegression, its default
        return True
    return has_fit_parameter(learner, "sample_weight")


def _trained_inside(estimator: Any) -> list | None:
    """Return the estimators that are trained by ``estimator``; None if it is a learner itself."""
    if isinstance(estimator, _DRAW_ROWS):
        return None
    if isinstance(estimator, Pipeline):
        samplers = [step for _, step in estimator.steps if hasattr(step, "fit_resample")]
        last = estimator.steps[-1][1]
        return [*samplers, last] if predicts(last) else samplers
    if not hasattr(estimator, "get_params"):
        return None
    return list(_predictors(list(estimator.get_params(deep=False).values()))) or None


def _predictors(value: Any) -> Iterator[Any]:
    """Yield the estimators in a parameter, such as a list of names and estimators or a grid."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for entry in value:
            yield from _predictors(entry)
    elif predicts(value):
        yield value
