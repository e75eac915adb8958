"""Handing learned weights to an inner estimator, with metadata routing on or off."""

from inspect import Parameter, signature

from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import (
    _routing_enabled,
    get_routing_for_object,
    process_routing,
)
from sklearn.utils.validation import has_fit_parameter


def sample_weight_name(estimator):
    """Keyword under which ``estimator.fit`` takes sample weights, or None if it takes none."""
    if _routing_enabled():
        # A request set to False would drop the weights silently.
        request = get_routing_for_object(estimator)
        return "sample_weight" if request.consumes("fit", {"sample_weight"}) else None
    return _find_name(estimator)


def check_takes_weights(estimator):
    """Raise unless ``estimator.fit`` takes sample weights.

    Raises
    ------
    ValueError
        Naming the remedy.
    """
    if sample_weight_name(estimator) is not None:
        return
    name = type(estimator).__name__
    remedy = "Use apply='drop' to train it on the rows of positive weight, or another estimator."
    if _routing_enabled() and _find_name(estimator) is not None:
        remedy = (
            "With metadata routing on, weights must be requested: "
            f"{name}(...).set_fit_request(sample_weight=True), on every step of a Pipeline that "
            "is to get them."
        )
    raise ValueError(
        f"Expected an estimator whose fit takes sample_weight, got {name}, which would be trained "
        f"without the learned weights. {remedy}"
    )


def inner_fit_params(owner, sample_weight, metadata, fit_params):
    """Return the keyword arguments for the inner estimator's `fit`.

    Parameters
    ----------
    owner : estimator
        The router; its ``estimator`` is to be fitted.
    sample_weight : ndarray of shape (n,) or None
        Weights to hand on.
    metadata : dict
        Named arguments of the router's own `fit`, which the inner estimator may request too.
    fit_params : dict
        All other arguments of the router's `fit`.

    Returns
    -------
    dict
    """
    if _routing_enabled():
        given = {**metadata, **fit_params, "sample_weight": sample_weight}
        given = {name: value for name, value in given.items() if value is not None}
        return process_routing(owner, "fit", **given).estimator.fit
    name = sample_weight_name(owner.estimator)
    if sample_weight is None or name is None:
        return fit_params
    return {**fit_params, name: sample_weight}


def _find_name(estimator):
    """Find the keyword with routing off, also through estimators that only forward it."""
    if not hasattr(estimator, "fit") or isinstance(estimator, FrozenEstimator):
        return None
    if has_fit_parameter(estimator, "sample_weight"):
        return "sample_weight"
    if isinstance(estimator, Pipeline):
        step, last = estimator.steps[-1]
        inner = _find_name(last)
        return inner and f"{step}__{inner}"
    if all(p.kind != Parameter.VAR_KEYWORD for p in signature(estimator.fit).parameters.values()):
        return None
    for attribute in ("estimator", "regressor"):
        if hasattr(estimator, attribute):
            return _find_name(getattr(estimator, attribute))
    members = [member for _, member in getattr(estimator, "estimators", []) if member != "drop"]
    members += [member] if (member := getattr(estimator, "final_estimator", None)) else []
    takes = members and all(has_fit_parameter(member, "sample_weight") for member in members)
    return "sample_weight" if takes else None
