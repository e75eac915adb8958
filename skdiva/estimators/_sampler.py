"""DivaSampler: drop rows with wrong labels, in the way of imbalanced-learn."""

from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, _fit_context, clone
from sklearn.utils import InputTags, Tags, _safe_indexing, get_tags, indexable
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    _routing_enabled,
    process_routing,
)

from skdiva.arrays import to_host
from skdiva.estimators._outlier_detector import DivaOutlierDetector
from skdiva.estimators._targets import holds_classes


class DivaSampler(OneToOneFeatureMixin, BaseEstimator):
    """Drop the rows that a detector takes for wrong.

    A step for the ``Pipeline`` of imbalanced-learn: rows are dropped when the pipeline is fitted,
    and the steps that follow see the rest. When it predicts, every row stays. imbalanced-learn is
    not needed for `fit_resample` itself.

    Parameters
    ----------
    detector : estimator instance, default=None
        Says which rows are wrong, by ``fit_predict(X, y)``, 1 for a row that is to stay. None:
        ``DivaOutlierDetector()``. Pass one to set its parameters, or to search them as
        ``detector__contamination``.

    Attributes
    ----------
    detector_ : estimator
        The fitted detector, which has seen all rows: ``label_issues()`` of a DivaOutlierDetector
        says which it flags, and why.
    sample_indices_ : ndarray of shape (n_samples_new,)
        Positions of the rows that stay, ascending.
    sampling_strategy_ : dict
        Number of rows that stay, by class; empty for regression.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if they are all strings.

    See Also
    --------
    DivaOutlierDetector : Says which rows are wrong.
    DivaReweighter : The last step of any pipeline: trains an estimator on weighted rows, or, with
        ``apply="drop"``, on those that kept their weight.

    Notes
    -----
    No class is lost: if no row of a class would stay, all of them do. Still, right rows of a rare
    class are dropped more often than others; with few classes, less so if `fit_resample` is given
    class-balanced ``sample_weight``, which the detector gets.

    Unlike the samplers of imbalanced-learn it takes regression targets, too.

    With metadata routing enabled, a pipeline hands ``groups``, ``sample_weight`` and the like to
    the detector, if it requests them: ``DivaOutlierDetector().set_fit_request(groups=True)``.
    ``X_val`` arrives as it was given, not transformed by the steps before. Without routing, a
    pipeline of imbalanced-learn hands no metadata to a sampler, not even as ``sampler__groups``,
    and says nothing. What the steps after a sampler are given has an entry for every row, also for
    those that were dropped, and does not fit: to train with weights, use :class:`DivaReweighter`.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdiva import DivaSampler
    >>> from skdiva.datasets import flip_labels
    >>> X, y = load_digits(n_class=3, return_X_y=True)
    >>> y_noisy, is_wrong = flip_labels(y, 0.2, random_state=0)
    >>> sampler = DivaSampler()
    >>> X_clean, y_clean = sampler.fit_resample(X, y_noisy)
    >>> kept = sampler.sample_indices_
    >>> len(kept) == len(X_clean) < len(X)
    True
    >>> bool(is_wrong[kept].mean() < 0.02)
    True
    """

    _estimator_type = "sampler"
    _parameter_constraints: dict = {"detector": [HasMethods(["fit_predict"]), None]}

    def __init__(self, detector=None):
        self.detector = detector

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, **params):
        """Find the rows that stay.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, as ``detector`` takes them.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Labels, also as a column or as one-hot rows, or regression targets.
        **params : dict
            For the detector, such as ``groups``; with metadata routing on, what it requests.

        Returns
        -------
        DivaSampler
            The fitted sampler.

        Raises
        ------
        ValueError
            If the detector refuses X, y or a parameter.
        """
        detector = clone(self._given_detector())
        labels = _flat_labels(y)
        stays = detector.fit_predict(X, labels, **self._routed(params)) > 0
        strategy = {}
        if _has_classes(detector, labels):
            classes, codes = np.unique(to_host(labels), return_inverse=True)
            stays |= (np.bincount(codes, weights=stays) == 0)[codes]
            strategy = dict(zip(classes.tolist(), np.bincount(codes[stays]).tolist(), strict=True))
        identity = ("n_features_in_", "feature_names_in_")
        fitted = {name: getattr(detector, name) for name in identity if hasattr(detector, name)}
        fitted |= {"detector_": detector, "sample_indices_": np.flatnonzero(stays)}
        for name in [name for name in vars(self) if name.endswith("_")]:
            delattr(self, name)
        vars(self).update(fitted, sampling_strategy_=strategy)
        return self

    def fit_resample(self, X, y, **params):
        """Return the rows that stay.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, as ``detector`` takes them.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Labels, also as a column or as one-hot rows, or regression targets.
        **params : dict
            For the detector, as in `fit`.

        Returns
        -------
        X_resampled : array-like of shape (n_samples_new, n_features)
            The rows that stay, in their order, of the kind of X: array, dataframe with its index
            and dtypes, sparse array, list or tensor.
        y_resampled : array-like of shape (n_samples_new,) or (n_samples_new, n_targets)
            Their labels, as given.
        """
        self.fit(X, y, **params)
        X, y = indexable(X, y)
        return tuple(_safe_indexing(array, self.sample_indices_) for array in (X, y))

    def get_metadata_routing(self):
        """Return who gets which metadata.

        Returns
        -------
        MetadataRouter
            All metadata go to the `fit` of the detector.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        with suppress(ValueError):  # scikit-learn learns of the method from imbalanced-learn
            mapping.add(caller="fit_resample", callee="fit")
        router = MetadataRouter(owner=type(self).__name__)
        return router.add(detector=self._given_detector(), method_mapping=mapping)

    def _given_detector(self):
        return DivaOutlierDetector() if self.detector is None else self.detector

    def _routed(self, params):
        if not _routing_enabled():
            return params
        return process_routing(self, "fit", **params).detector.fit

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        detector = get_tags(self._given_detector())
        given = {tag.name: getattr(tags, tag.name) for tag in fields(tags)}
        given |= {
            "estimator_type": "sampler",
            "no_validation": detector.no_validation,
            "input_tags": _SamplerInputTags(**asdict(detector.input_tags)),
        }
        given["target_tags"].required = True
        return _TagsOfSampler(**given)


@dataclass(slots=True)
class _SamplerInputTags(InputTags):
    """Tags of scikit-learn, and one that imbalanced-learn reads."""

    dataframe: bool = True


@dataclass(slots=True)
class _SamplerTags:
    sample_indices: bool = True


@dataclass(slots=True)
class _TagsOfSampler(Tags):
    """Tags of scikit-learn, and those that imbalanced-learn reads."""

    sampler_tags: _SamplerTags = field(default_factory=_SamplerTags)


def _flat_labels(y):
    """Return a column as (n,), one-hot rows (n, k) as their places, anything else as it is."""
    labels = np.asarray(to_host(y))
    if labels.ndim != 2:
        return y
    if labels.shape[1] == 1:
        return labels[:, 0]
    one_hot = np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all()
    return labels.argmax(axis=1) if one_hot else y


def _has_classes(detector, y):
    """Whether y holds classes: what the detector made of it, if it looked."""
    if get_tags(detector).target_tags.required:
        return hasattr(detector, "classes_")
    return holds_classes(to_host(y))
