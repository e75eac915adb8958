"""Inner estimator of a meta-estimator: delegated methods, metadata routing and sample weights."""

from copy import deepcopy
from inspect import Parameter, signature
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import MetaEstimatorMixin
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import Tags, get_tags
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    _raise_for_params,
    _routing_enabled,
    get_routing_for_object,
    process_routing,
)
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from skdiva._decorators import available_if
from skdiva.arrays import to_host

_DELEGATED = ("predict", "predict_proba", "predict_log_proba", "decision_function", "score")


def _inner_has(method: str) -> Any:
    def check(self: Any) -> Any:
        inner = getattr(self, "estimator_", self.estimator)
        if inner is None:
            raise AttributeError(
                f"{type(self).__name__}(estimator=None) trains no model, so it has no {method}. "
                "Pass estimator=... to train one."
            )
        return getattr(inner, method)

    return check


class DelegationMixin(MetaEstimatorMixin):
    """Methods of the inner estimator, which is trained in `fit` and kept as ``estimator_``."""

    _routes_fit: ClassVar[bool] = True  # whether metadata are passed to the inner `fit`

    estimator: Any
    estimator_: Any

    @available_if(_inner_has("predict"))
    def predict(self, X: ArrayLike, **params: Any) -> np.ndarray:
        """Predict with the trained estimator.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to predict.
        **params : dict
            Metadata that ``estimator`` requests, if metadata routing is enabled.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_targets)
            Predicted labels or targets.
        """
        return self._delegate("predict", X, **params)

    @available_if(_inner_has("predict_proba"))
    def predict_proba(self, X: ArrayLike, **params: Any) -> np.ndarray:
        """Predict class probabilities with the trained estimator.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to predict.
        **params : dict
            Metadata that ``estimator`` requests, if metadata routing is enabled.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probabilities, with the classes in the order of ``classes_``.
        """
        return self._delegate("predict_proba", X, **params)

    @available_if(_inner_has("predict_log_proba"))
    def predict_log_proba(self, X: ArrayLike, **params: Any) -> np.ndarray:
        """Predict logarithms of class probabilities with the trained estimator.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to predict.
        **params : dict
            Metadata that ``estimator`` requests, if metadata routing is enabled.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Logarithms of the probabilities, with the classes in the order of ``classes_``.
        """
        return self._delegate("predict_log_proba", X, **params)

    @available_if(_inner_has("decision_function"))
    def decision_function(self, X: ArrayLike, **params: Any) -> np.ndarray:
        """Compute the decision function of the trained estimator.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to predict.
        **params : dict
            Metadata that ``estimator`` requests, if metadata routing is enabled.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            Decision function, as the trained estimator defines it.
        """
        return self._delegate("decision_function", X, **params)

    @available_if(_inner_has("score"))
    def score(self, X: ArrayLike, y: ArrayLike, **params: Any) -> float:
        """Compute the score of the trained estimator.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Test rows.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            True labels or targets.
        **params : dict
            Arguments of the `score` of ``estimator``. If metadata routing is enabled, the metadata
            that it requests.

        Returns
        -------
        float
            Score, as the trained estimator defines it.
        """
        return self._delegate("score", X, to_host(y), **params)

    def _delegate(self, method: str, X: Any, *y: Any, **params: Any) -> Any:
        check_is_fitted(self)
        if _routing_enabled():
            params = getattr(process_routing(self, method, **params).estimator, method)
        elif method != "score":
            _raise_for_params(params, self, method)
        return getattr(self.estimator_, method)(to_host(X), *y, **params)

    def get_metadata_routing(self) -> MetadataRouter:
        """Return the metadata routing of this estimator and the inner one.

        Returns
        -------
        MetadataRouter
            Routing of `fit`, whose own arguments can be requested, and of the delegated methods.
        """
        router = MetadataRouter(owner=type(self).__name__).add_self_request(self)
        if self.estimator is None:
            return router
        mapping = MethodMapping()
        for caller in ("fit", "fit_transform") if self._routes_fit else ():
            mapping.add(caller=caller, callee="fit")
        for method in _DELEGATED:
            mapping.add(caller=method, callee=method)
        return router.add(estimator=self.estimator, method_mapping=mapping)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        if self.estimator is not None:
            inner = get_tags(self.estimator)
            tags.estimator_type = inner.estimator_type
            tags.regressor_tags = deepcopy(inner.regressor_tags)
            tags.classifier_tags = deepcopy(inner.classifier_tags)
            tags.target_tags = deepcopy(inner.target_tags)
            tags.target_tags.required = True
            if tags.classifier_tags is not None:
                # Class labels are one-hot columns of a single target.
                tags.classifier_tags.multi_label = False
                tags.target_tags.multi_output = False
        return tags


def sample_weight_name(estimator: Any) -> str | None:
    """Return the keyword under which ``estimator.fit`` takes sample weights; None if it does not.

    Parameters
    ----------
    estimator : estimator

    Returns
    -------
    str or None
    """
    if _routing_enabled():
        # A request that is set to False would silently drop the weights.
        request = get_routing_for_object(estimator)
        return "sample_weight" if request.consumes("fit", {"sample_weight"}) else None
    return _find_weight_name(estimator)


def check_takes_weights(estimator: Any) -> None:
    """Raise unless ``estimator.fit`` takes sample weights.

    Raises
    ------
    ValueError
        The message says what to do instead.
    """
    if sample_weight_name(estimator) is not None:
        return
    name = type(estimator).__name__
    remedy = (
        "Use apply='drop' to train it on the rows that keep at least a quarter of their weight, "
        "or another estimator."
    )
    if _routing_enabled() and _find_weight_name(estimator) is not None:
        remedy = (
            "With metadata routing on, weights must be requested: "
            f"{name}(...).set_fit_request(sample_weight=True), on every step of a Pipeline that "
            "is to get them."
        )
    raise ValueError(
        f"Expected an estimator whose fit takes sample_weight, got {name}, which would be trained "
        f"without the learned weights. {remedy}"
    )


def inner_fit_params(
    owner: Any, sample_weight: np.ndarray | None, metadata: dict, fit_params: dict
) -> dict[str, Any]:
    """Return the keyword arguments for the `fit` of the inner estimator.

    Parameters
    ----------
    owner : estimator
        Meta-estimator, whose ``estimator`` is to be fitted.
    sample_weight : ndarray of shape (n,) or None
        Weights to pass on.
    metadata : dict
        Named arguments of the owner's own `fit`, which the inner estimator may request as well.
    fit_params : dict
        Other arguments of the owner's `fit`.

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


def _find_weight_name(estimator: Any) -> str | None:
    """Find the keyword without metadata routing, also in estimators that forward weights."""
    if not hasattr(estimator, "fit") or isinstance(estimator, FrozenEstimator):
        return None
    if has_fit_parameter(estimator, "sample_weight"):
        return "sample_weight"
    if isinstance(estimator, Pipeline):
        step, last = estimator.steps[-1]
        inner = _find_weight_name(last)
        return inner and f"{step}__{inner}"
    if all(p.kind != Parameter.VAR_KEYWORD for p in signature(estimator.fit).parameters.values()):
        return None
    for attribute in ("estimator", "regressor"):
        if hasattr(estimator, attribute):
            return _find_weight_name(getattr(estimator, attribute))
    members = [member for _, member in getattr(estimator, "estimators", []) if member != "drop"]
    members += [member] if (member := getattr(estimator, "final_estimator", None)) else []
    takes = members and all(has_fit_parameter(member, "sample_weight") for member in members)
    return "sample_weight" if takes else None
