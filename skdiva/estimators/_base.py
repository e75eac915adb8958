"""Parameters, validation and fitted attributes that the estimators share."""

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import InputTags, Tags, get_tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skdiva.arrays import has_categories, is_frame, refuse_non_finite, to_host
from skdiva.estimators._inputs import TrainingData, check_X, read_training_data
from skdiva.estimators.feature_maps import (
    N_COMPONENTS,
    ChosenFeatures,
    FeatureMap,
    LinearizedFeatures,
    RawFeatures,
    TransformedFeatures,
    reduced_features,
)
from skdiva.exceptions import UninformativeFeaturesWarning, WeightsNotPropagatedWarning
from skdiva.targets import TASK_CONSTRAINT, ClassLabels, TaskMixin

if TYPE_CHECKING:
    from skdiva.estimators._adapter import CoreAdapter


class BaseDiva(TaskMixin, OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Base class of the estimators."""

    _parameter_constraints: ClassVar[dict] = {
        "task": TASK_CONSTRAINT,
        "featurizer": [StrOptions({"auto"}), None, HasMethods(["fit", "transform"])],
        "alpha": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "loss": [
            StrOptions({"auto", "log_loss", "squared_error"}),
            HasMethods(["value", "derivative"]),
        ],
        "fit_intercept": ["boolean"],
        "device": [str, None],
        "dtype": [StrOptions({"float32", "float64"}), None],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }
    # Private attributes set by `fit`. Like public ones, they are deleted before a refit sets new
    # ones.
    _fitted_private: ClassVar[tuple[str, ...]] = ("_feature_map",)

    featurizer: Any
    fit_intercept: bool
    device: str | None
    dtype: str | None
    random_state: Any
    verbose: int
    _feature_map: FeatureMap
    loo_loss_: float
    alpha_: float
    featurizer_: Any
    classes_: np.ndarray
    n_features_in_: int
    feature_names_in_: np.ndarray

    def transform(self, X: ArrayLike) -> Any:
        """Return X unchanged.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows with the columns seen in `fit`.

        Returns
        -------
        ndarray or sparse array of shape (n_samples, n_features)
            The same rows, in another container if `set_output` requests one.
        """
        check_is_fitted(self)
        same = check_X(self, X, numeric=self._feature_map.reads_numbers, reset=False)
        # Missing values are read if featurizer="auto"; check_X has refused them in all other X.
        may_miss = isinstance(self.featurizer, str) and not issparse(same)
        if may_miss and not get_tags(self).input_tags.allow_nan:
            refuse_non_finite(same, allow_nan=False)
        return same

    def fit_transform(self, X: ArrayLike, y: ArrayLike, **fit_params: Any) -> Any:
        """Fit, and return X unchanged.

        A Pipeline calls this method for every step except the last. Only X reaches the next step;
        a warning says that the learned weights or the chosen rows do not.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Labels or targets.
        **fit_params : dict
            Other arguments of `fit`.

        Returns
        -------
        ndarray or sparse array of shape (n_samples, n_features)
            The same rows, in another container if `set_output` requests one.
        """
        same = self.fit(X, y, **fit_params).transform(X)
        message = self._pipeline_warning()
        if message is not None:
            warnings.warn(message, WeightsNotPropagatedWarning, stacklevel=3)
        return same

    def _pipeline_warning(self) -> str | None:
        """Return the warning for a step of a Pipeline that is not the last; None if not needed."""
        return None

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = self.task != "classification"
        inner = getattr(self, "estimator", None)
        if self.featurizer is None or isinstance(self.featurizer, str):
            accepted = InputTags(sparse=True, allow_nan=True)
            if inner is not None:
                accepted = get_tags(inner).input_tags
            tags.input_tags.sparse = accepted.sparse
            tags.input_tags.allow_nan = self.featurizer is not None and accepted.allow_nan
        else:
            # X goes to the featurizer and the inner estimator without validation, so it may be
            # whatever both of them accept.
            tags.no_validation = True
            readers = [self.featurizer, inner]
            read = [get_tags(r).input_tags for r in readers if hasattr(r, "__sklearn_tags__")]
            for kind in ("sparse", "string", "categorical"):
                setattr(tags.input_tags, kind, all(getattr(tag, kind) for tag in read))
        return tags

    def _validate_fit(self, X: Any, y: Any, **arguments: Any) -> tuple[TrainingData, FeatureMap]:
        """Validate the arguments of `fit`; return them with the feature map that will read X."""
        if isinstance(self.featurizer, type):
            name = self.featurizer.__name__
            raise TypeError(f"featurizer must be an instance, {name}(), got the class {name}.")
        feature_map = _make_feature_map(self, X)
        numeric = feature_map.reads_numbers
        arguments = {"task": self.task, **arguments}
        return read_training_data(self, X, y, numeric=numeric, **arguments), feature_map

    def _build_adapter(
        self, data: TrainingData, feature_map: FeatureMap, *, refit: bool = True
    ) -> "CoreAdapter":
        """Compute the features and build the adapter to the core.

        With ``refit=False``, the feature map and the penalty of the last fit are used again.
        """
        # Imported here, so that estimators are created, cloned and unpickled without torch.
        from skdiva.arrays import Compute
        from skdiva.estimators._adapter import CoreAdapter

        compute = Compute.choose(self.device, self.dtype, data.X_checked, *data.given)
        if not refit:
            features = feature_map.transform(data.X_checked)
            return CoreAdapter(self, data, feature_map, compute, features, self.alpha_)
        features = feature_map.fit_transform(data, compute)
        return CoreAdapter(self, data, feature_map, compute, features)

    def _progress(self, total: int, unit: str) -> AbstractContextManager[Callable[..., None]]:
        """Return the context of a progress bar; its value is called when something is done."""
        if not self.verbose:
            return nullcontext(_do_nothing)
        from skdiva._progress import progress_bar

        return progress_bar(type(self).__name__, total, unit)

    def _store_weights(
        self,
        data: TrainingData,
        adapter: "CoreAdapter",
        start: Any,
        relative_weight: Any,
        source_interval: Any = None,
        **fitted: Any,
    ) -> Self:
        """Set the fitted attributes, with those that belong to learned weights.

        ``start`` is the Evaluation at the start weights. ``source_interval`` is None if no
        intervals were computed.
        """
        if adapter.labels is not None:
            _warn_without_signal(start.loo_predictions, adapter.labels, adapter.start_weight)
        weight = to_host(adapter.start_weight * relative_weight).astype(np.float64)
        weight /= weight.mean()
        if data.sources is not None:
            before = np.ones(len(weight)) if data.sample_weight is None else data.sample_weight
            held = np.bincount(data.sources, weights=weight)
            start_held = np.bincount(data.sources, weights=before)
            fitted["sources_"] = data.source_names
            fitted["source_weight_"] = np.divide(
                held, start_held, out=np.zeros_like(held), where=start_held > 0
            )
            fitted["source_probability_"] = held / held.sum()
            if source_interval is not None:
                interval = to_host(source_interval) * (start_held > 0)[:, None]
                fitted["source_weight_interval_"] = interval
        return self._set_fitted(
            data,
            adapter,
            sample_weight_=weight,
            loo_loss_=start.loss,
            derivative_=to_host(start.derivative),
            **fitted,
        )

    def _set_fitted(self, data: TrainingData, adapter: "CoreAdapter", **fitted: Any) -> Self:
        """Set all fitted attributes at once, so that a fit that fails changes nothing."""
        fitted |= data.identity
        fitted["alpha_"] = adapter.alpha
        fitted["featurizer_"] = adapter.feature_map.featurizer
        fitted["_feature_map"] = adapter.feature_map
        if isinstance(data.target, ClassLabels):
            fitted["classes_"] = data.target.classes
        for name in list(vars(self)):
            if name.endswith("_") or name in self._fitted_private:
                delattr(self, name)
        self.__dict__.update(fitted)
        return self


def _warn_without_signal(outputs: Any, labels: Any, sample_weight: Any) -> None:
    """Warn if leave-one-out outputs predict the labels no better than the class shares do."""
    from skdiva.loo.noise import label_signal

    signal = label_signal(outputs, labels, sample_weight)
    if signal.is_significant:
        return
    warnings.warn(
        "The features say nothing about the labels: the mean squared error of leave-one-out "
        f"predictions is {signal.error:.4g}, and that of the class shares is "
        f"{signal.error_of_shares:.4g}. This is no significant difference, so there is no evidence "
        "that labels are wrong. Check that the rows of X and y are in the same order and that no "
        "column holds placeholder values, pass more rows, or use other features (featurizer=...).",
        UninformativeFeaturesWarning,
        stacklevel=5,
    )


def _do_nothing(*_args: Any, **_kwargs: Any) -> None:
    pass


def _make_feature_map(estimator: BaseDiva, X: Any) -> FeatureMap:
    """Return the feature map for the parameter ``featurizer`` of an estimator."""
    featurizer, fit_intercept = estimator.featurizer, estimator.fit_intercept
    if featurizer is None:
        return RawFeatures()
    if isinstance(featurizer, str):
        if issparse(X) and X.shape[-1] > N_COMPONENTS:
            return reduced_features(fit_intercept, estimator.random_state)
        encodes = is_frame(X) and has_categories(X)
        return ChosenFeatures(not encodes, fit_intercept, estimator.random_state, estimator.verbose)
    if hasattr(featurizer, "jacobian_tiles"):
        return LinearizedFeatures(featurizer, fit_intercept)
    return TransformedFeatures(featurizer, fit_intercept)
