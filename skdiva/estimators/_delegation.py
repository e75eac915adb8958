"""Prediction, routing and tags of an estimator that trains another one, kept as ``estimator_``."""

from copy import deepcopy

from sklearn.base import MetaEstimatorMixin
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    _raise_for_params,
    _routing_enabled,
    process_routing,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skdiva.arrays import to_host

_DELEGATED = ("predict", "predict_proba", "predict_log_proba", "decision_function", "score")


def _inner_has(method):
    def check(self):
        inner = getattr(self, "estimator_", self.estimator)
        if inner is None:
            raise AttributeError(
                f"{type(self).__name__}(estimator=None) trains no model, so it has no {method}. "
                "Pass estimator=..., which is trained on what is learned."
            )
        return getattr(inner, method)

    return check


class DelegationMixin(MetaEstimatorMixin):
    """Methods of the trained estimator, where it has them."""

    _hands_metadata_on = True  # to the `fit` of the inner estimator

    @available_if(_inner_has("predict"))
    def predict(self, X, **params):
        """Predict with the trained estimator.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        **params : dict
            With metadata routing on, what ``estimator`` requests.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_targets)
            Predicted labels or targets.
        """
        return self._delegate("predict", X, **params)

    @available_if(_inner_has("predict_proba"))
    def predict_proba(self, X, **params):
        """Predict class probabilities with the trained estimator.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        **params : dict
            With metadata routing on, what ``estimator`` requests.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probabilities, columns as in ``classes_``.
        """
        return self._delegate("predict_proba", X, **params)

    @available_if(_inner_has("predict_log_proba"))
    def predict_log_proba(self, X, **params):
        """Predict logarithms of class probabilities with the trained estimator.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        **params : dict
            With metadata routing on, what ``estimator`` requests.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Logarithms of probabilities, columns as in ``classes_``.
        """
        return self._delegate("predict_log_proba", X, **params)

    @available_if(_inner_has("decision_function"))
    def decision_function(self, X, **params):
        """Return the decision function of the trained estimator.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        **params : dict
            With metadata routing on, what ``estimator`` requests.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            As the trained estimator defines it.
        """
        return self._delegate("decision_function", X, **params)

    @available_if(_inner_has("score"))
    def score(self, X, y, **params):
        """Return the score of the trained estimator.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            True labels or targets.
        **params : dict
            Passed to ``estimator``; with metadata routing on, what it requests.

        Returns
        -------
        float
            As the trained estimator defines it.
        """
        return self._delegate("score", X, to_host(y), **params)

    def _delegate(self, method, X, *y, **params):
        check_is_fitted(self)
        if _routing_enabled():
            params = getattr(process_routing(self, method, **params).estimator, method)
        elif method != "score":
            _raise_for_params(params, self, method)
        return getattr(self.estimator_, method)(to_host(X), *y, **params)

    def get_metadata_routing(self):
        """Say which metadata this estimator and the inner one take.

        Returns
        -------
        MetadataRouter
            Routing of `fit`, whose own arguments can be requested, and of the delegated methods.
        """
        router = MetadataRouter(owner=type(self).__name__).add_self_request(self)
        if self.estimator is None:
            return router
        mapping = MethodMapping()
        for caller in ("fit", "fit_transform") if self._hands_metadata_on else ():
            mapping.add(caller=caller, callee="fit")
        for method in _DELEGATED:
            mapping.add(caller=method, callee=method)
        return router.add(estimator=self.estimator, method_mapping=mapping)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        if self.estimator is not None:
            inner = get_tags(self.estimator)
            tags.estimator_type = inner.estimator_type
            tags.regressor_tags = deepcopy(inner.regressor_tags)
            tags.classifier_tags = deepcopy(inner.classifier_tags)
            tags.target_tags = deepcopy(inner.target_tags)
            tags.target_tags.required = True
            if tags.classifier_tags is not None:
                # Labels are one-hot columns of one target.
                tags.classifier_tags.multi_label = False
                tags.target_tags.multi_output = False
        return tags
