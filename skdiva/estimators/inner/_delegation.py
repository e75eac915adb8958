"""Methods, tags and metadata routing of a meta-estimator that come from its inner estimator."""

import warnings
from copy import deepcopy
from inspect import signature
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import MetaEstimatorMixin
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils import Tags, get_tags
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.metadata_routing import (
    UNUSED,
    MetadataRouter,
    MethodMapping,
    _raise_for_params,
    _routing_enabled,
    process_routing,
)
from sklearn.utils.validation import _num_samples, check_is_fitted

from skdiva._decorators import available_if
from skdiva.arrays import in_memory, read_weight, to_host
from skdiva.estimators.inner._sample_weight import predicts

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

    _parameter_constraints: ClassVar[dict] = {
        "estimator": [HasMethods(["fit", "get_params"]), None],
    }
    # Without routing, a search passes weights to `score` because of its signature. With routing,
    # the inner estimator alone requests them.
    __metadata_request__score: ClassVar[dict] = {"sample_weight": UNUSED}
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
    def score(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None, **params: Any
    ) -> float:
        """Compute the score of the trained estimator.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Test rows.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            True labels or targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in the score. If the `score` of ``estimator`` takes none, a warning
            says so and the rows count equally, as in a search over ``estimator`` itself.
        **params : dict
            Other arguments of the `score` of ``estimator``. If metadata routing is enabled, the
            metadata that it requests.

        Returns
        -------
        float
            Score, as the trained estimator defines it.
        """
        if sample_weight is not None:
            params |= self._score_weight(read_weight(sample_weight, _num_samples(y)))
        return self._delegate("score", X, to_host(y, "y"), **params)

    def _delegate(self, method: str, X: Any, *y: Any, **params: Any) -> Any:
        check_is_fitted(self)
        if _routing_enabled():
            params = getattr(process_routing(self, method, **params).estimator, method)
        elif method != "score":
            _raise_for_params(params, self, method)
        return getattr(self.estimator_, method)(to_host(in_memory(X), "X"), *y, **params)

    def _score_weight(self, sample_weight: np.ndarray) -> dict[str, Any]:
        """Return the argument for weights of the inner `score`; empty if it takes none."""
        check_is_fitted(self)
        if _routing_enabled() or "sample_weight" in signature(self.estimator_.score).parameters:
            return {"sample_weight": sample_weight}
        # A search passes weights to `score` and would take an error for the score of a bad model.
        warnings.warn(
            f"The score of {type(self.estimator_).__name__} does not take sample_weight. The rows "
            "count equally in the score.",
            stacklevel=3,
        )
        return {}

    def _check_estimator(self, fit_params: dict | None = None) -> None:
        """Raise an error if ``estimator`` cannot be trained, or if arguments for it have no use."""
        if isinstance(self.estimator, type):
            name = self.estimator.__name__
            raise TypeError(f"estimator must be an instance, {name}(), got the class {name}.")
        if self.estimator is not None and not predicts(self.estimator):
            raise TypeError(
                f"Expected an estimator that predicts, got {type(self.estimator).__name__}, which "
                "has no predict. Pass a classifier or regressor, or a Pipeline that ends with one."
            )
        if isinstance(self.estimator, BaseSearchCV) and not self.estimator.refit:
            name = type(self.estimator).__name__
            raise ValueError(
                f"{name}(refit=False) trains no model to predict with. Use refit=True."
            )
        if self.estimator is None and fit_params:
            raise TypeError(
                f"fit got unexpected argument(s) {sorted(fit_params)}. They are passed to the "
                "inner estimator, but estimator=None. Pass estimator=... or omit them."
            )

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
