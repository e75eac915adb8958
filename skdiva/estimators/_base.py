"""What the estimators share: parameters, the identity as `transform`, and how a fit is stored."""

import warnings
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import get_tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skdiva.arrays import to_host
from skdiva.estimators._feature_maps import make_feature_map
from skdiva.estimators._inputs import check_X, read_training_data
from skdiva.exceptions import WeightsNotPropagatedWarning


class BaseDiva(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Common part of the estimators."""

    _parameter_constraints: dict = {
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

    # Private attributes of a fit, which the next one replaces with those that end in "_".
    _fitted_private: tuple[str, ...] = ("_feature_map",)

    def transform(self, X):
        """Return X unchanged.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows with the columns seen in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            The same rows; a container if `set_output` asked for one.
        """
        check_is_fitted(self)
        return check_X(self, X, numeric=self._feature_map.reads_numbers, reset=False)

    def fit_transform(self, X, y, **fit_params):
        """Fit, and return X unchanged.

        A Pipeline calls this for every step but the last, and hands on X alone: the weights stay
        here, and a warning says so.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Labels.
        **fit_params : dict
            All other arguments of `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            The same rows; a container if `set_output` asked for one.
        """
        same = self.fit(X, y, **fit_params).transform(X)
        lost = self._what_is_lost()
        if lost:
            warnings.warn(
                f"{lost} {self._instead}",
                WeightsNotPropagatedWarning,
                stacklevel=3,
            )
        return same

    _instead = "Use DivaReweighter(estimator=...) as the last step instead."

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        if self.featurizer is not None and not isinstance(self.featurizer, str):
            # X goes to the featurizer and the inner estimator unseen: it may hold what they take.
            tags.no_validation = True
            readers = [self.featurizer, getattr(self, "estimator", None)]
            taken = [get_tags(r).input_tags for r in readers if hasattr(r, "__sklearn_tags__")]
            for kind in ("sparse", "string", "categorical"):
                setattr(tags.input_tags, kind, all(getattr(tag, kind) for tag in taken))
        return tags

    def _read(self, X, y, sample_weight, inner=None, several=True, classes=None, **metadata):
        """Check what `fit` was given; return it with the feature map that will read X."""
        feature_map = make_feature_map(self.featurizer, X)
        data = read_training_data(
            self, X, y, sample_weight,
            numeric=feature_map.reads_numbers, inner=inner, several=several, classes=classes,
            **metadata,
        )  # fmt: skip
        return data, feature_map

    def _pose(self, data, feature_map):
        """Make the leave-one-out problem."""
        # Imported here, so that estimators are made, cloned and unpickled without torch.
        from skdiva.estimators._posed_problem import PosedProblem

        return PosedProblem(self, data, feature_map)

    def _adopt(self, data, posed, evaluation, factor, **fitted):
        """Keep what was learned about the weights."""
        weight = to_host(posed.start_weight * factor).astype(np.float64)
        fitted |= {
            "loo_loss_": evaluation.loss,
            "derivative_": to_host(evaluation.derivative),
            "sample_weight_": weight / weight.mean(),
        }
        if data.sources is not None:
            fitted |= _source_attributes(data, fitted["sample_weight_"])
        return self._keep(data, posed, **fitted)

    def _keep(self, data, posed, **fitted):
        """Set the fitted attributes, all at once: a fit that fails leaves none behind."""
        fitted |= data.identity | {
            "alpha_": posed.alpha,
            "featurizer_": posed.feature_map.featurizer,
            "_feature_map": posed.feature_map,
        }
        if data.has_classes:
            fitted["classes_"] = data.target.classes
        for name in list(vars(self)):
            if name.endswith("_") or name in self._fitted_private:
                delattr(self, name)
        vars(self).update(fitted)
        return self


def _source_attributes(data, sample_weight):
    """Weight and probability of every source (MATH: p_k = its weight over all weight)."""
    start = np.ones(len(sample_weight)) if data.sample_weight is None else data.sample_weight
    held = np.bincount(data.sources, weights=sample_weight)
    started = np.bincount(data.sources, weights=start)
    return {
        "sources_": data.source_names,
        "source_weight_": np.divide(held, started, out=np.zeros_like(held), where=started > 0),
        "source_probability_": held / held.sum(),
    }
