"""DivaSampler: removal of rows with wrong labels, with the interface of imbalanced-learn."""

from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, clone
from sklearn.pipeline import Pipeline
from sklearn.utils import InputTags, Tags, _safe_indexing, get_tags, indexable
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    _routing_enabled,
    process_routing,
)
from sklearn.utils.validation import _num_samples

from skdiva._decorators import fit_context
from skdiva.arrays import in_memory, is_categorical, to_host
from skdiva.estimators._outlier_detector import DivaOutlierDetector
from skdiva.targets import (
    TASK_CONSTRAINT,
    TaskMixin,
    holds_classes,
    read_labels,
    read_values,
    set_task,
)


class DivaSampler(TaskMixin, OneToOneFeatureMixin, BaseEstimator):
    """Drop rows that a detector flags as outliers.

    The sampler is a step for the ``Pipeline`` of imbalanced-learn. Rows are dropped when the
    pipeline is fitted, and the following steps are fitted on the remaining rows. No row is dropped
    when the pipeline predicts. `fit_resample` itself does not require imbalanced-learn.

    Parameters
    ----------
    detector : estimator instance, default=None
        Detector with a method ``fit_predict(X, y)`` that returns 1 for rows to keep. If None,
        ``DivaOutlierDetector()``. Pass a detector to set its parameters, or to include them in a
        parameter search, for example as ``detector__contamination``.
    task : {"auto", "classification", "regression"}, default="auto"
        What y holds. If it is not "auto", the detector and every step in it that has this
        parameter are told. If "auto", ``task`` of the detector decides; y itself does so, by the
        same rule, if the detector does not read y.

    Attributes
    ----------
    detector_ : estimator
        The detector, fitted on all rows. If it is a DivaOutlierDetector, its ``label_issues()``
        returns a table of the flagged labels.
    sample_indices_ : ndarray of shape (n_samples_new,)
        Positions of the remaining rows, in ascending order.
    sampling_strategy_ : dict
        Number of remaining rows of every class; empty for regression.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns of X, if all of them are strings.

    See Also
    --------
    DivaOutlierDetector : Detect rows with wrong labels.
    DivaReweighter : Last step of any pipeline, which trains an estimator with learned weights or,
        with ``apply="drop"``, on the rows that kept their weight.

    Notes
    -----
    No class is lost: if all rows of a class are flagged, none of them is dropped. With a
    DivaOutlierDetector that estimates probabilities, a class loses more than half of its rows only
    if more than half of its labels are expected to be wrong, by ``noise_matrix_``. For regression,
    no more than half of the rows are dropped. Nevertheless, correctly labeled rows of a rare class
    are dropped more often than others. With few classes, it helps to pass class-balanced
    ``sample_weight`` to `fit_resample`, which passes them to the detector.

    Unlike the samplers of imbalanced-learn, it also accepts regression targets.

    If metadata routing is enabled, a pipeline passes ``groups``, ``sample_weight`` and other
    metadata to the detector if it requests them, for example by
    ``DivaOutlierDetector().set_fit_request(groups=True)``. ``X_val`` is passed as it is, without
    being transformed by the previous steps. If metadata routing is not enabled, a pipeline of
    imbalanced-learn silently passes no metadata to a sampler, not even as ``sampler__groups``.
    Metadata for the steps after a sampler cannot be used, because they have an entry for every row,
    including those that were dropped. To train with weights, use :class:`DivaReweighter`.

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
    _parameter_constraints: ClassVar[dict] = {
        "detector": [HasMethods(["fit_predict"]), None],
        "task": TASK_CONSTRAINT,
    }

    detector_: Any
    sample_indices_: np.ndarray
    sampling_strategy_: dict[Any, int]
    n_features_in_: int
    feature_names_in_: np.ndarray

    def __init__(self, detector: Any = None, *, task: str = "auto"):
        self.detector = detector
        self.task = task

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: ArrayLike, y: ArrayLike, **params: Any) -> Self:
        """Fit the detector and find the rows to keep.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in any container that ``detector`` accepts.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Labels, as a vector, a column or one-hot rows; or regression targets.
        **params : dict
            Arguments for the `fit_predict` of the detector, such as ``groups``. If metadata routing
            is enabled, the metadata that it requests.

        Returns
        -------
        DivaSampler
            The fitted sampler.

        Raises
        ------
        ValueError
            If the detector does not accept X, y or a parameter.
        """
        detector, task = self._configured_detector()
        labels = y if task == "regression" else _flat_labels(y)
        decisions = detector.fit_predict(X, labels, **self._routed(params))
        stays = _read_decisions(detector, decisions, _num_samples(X))
        strategy = {}
        if not _has_classes(detector, labels, task):
            stays |= _least_suspicious_half(detector, stays, np.zeros(len(stays), dtype=np.int64))
        else:
            classes, codes = np.unique(read_labels(labels), return_inverse=True)
            stays |= (np.bincount(codes, weights=stays) == 0)[codes]
            stays |= _least_suspicious_half(detector, stays, codes)
            strategy = dict(zip(classes.tolist(), np.bincount(codes[stays]).tolist(), strict=True))
        identity = ("n_features_in_", "feature_names_in_")
        fitted = {name: getattr(detector, name) for name in identity if hasattr(detector, name)}
        fitted |= {"detector_": detector, "sample_indices_": np.flatnonzero(stays)}
        for name in [name for name in vars(self) if name.endswith("_")]:
            delattr(self, name)
        self.__dict__.update(fitted, sampling_strategy_=strategy)
        return self

    def fit_resample(self, X: ArrayLike, y: ArrayLike, **params: Any) -> tuple[Any, Any]:
        """Fit the detector and return the rows to keep.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in any container that ``detector`` accepts.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Labels, as a vector, a column or one-hot rows; or regression targets.
        **params : dict
            Arguments for the detector, as in `fit`.

        Returns
        -------
        X_resampled : array-like of shape (n_samples_new, n_features)
            The remaining rows, in their order and in the container of X: an array, a dataframe with
            its index and dtypes, a sparse array, a list or a tensor.
        y_resampled : array-like of shape (n_samples_new,) or (n_samples_new, n_targets)
            Their labels, in the container of y.
        """
        self.fit(X, y, **params)
        X, y = indexable(in_memory(X), y)
        return tuple(_safe_indexing(array, self.sample_indices_) for array in (X, y))

    def get_metadata_routing(self) -> MetadataRouter:
        """Return the metadata routing of the sampler.

        Returns
        -------
        MetadataRouter
            All metadata are passed to the `fit` of the detector.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        with suppress(ValueError):  # only imbalanced-learn makes this method known to scikit-learn
            mapping.add(caller="fit_resample", callee="fit")
        router = MetadataRouter(owner=type(self).__name__)
        return router.add(detector=self._given_detector(), method_mapping=mapping)

    def _given_detector(self) -> Any:
        return DivaOutlierDetector() if self.detector is None else self.detector

    def _configured_detector(self) -> tuple[Any, str]:
        """Return a clone of the detector that knows the task, and the task."""
        detector = clone(self._given_detector())
        if self.task == "auto":
            reader = _last_step(detector)
            return detector, reader.task if isinstance(reader, TaskMixin) else "auto"
        set_task(detector, self.task)
        return detector, self.task

    def _routed(self, params: dict) -> dict:
        if not _routing_enabled():
            return params
        return process_routing(self, "fit", **params).detector.fit

    def __sklearn_tags__(self) -> Tags:
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
    """Tags of scikit-learn, with one of imbalanced-learn."""

    dataframe: bool = True


@dataclass(slots=True)
class _SamplerTags:
    sample_indices: bool = True


@dataclass(slots=True)
class _TagsOfSampler(Tags):
    """Tags of scikit-learn, with those of imbalanced-learn."""

    sampler_tags: _SamplerTags = field(default_factory=_SamplerTags)


def _last_step(detector: Any) -> Any:
    return detector[-1] if isinstance(detector, Pipeline) else detector


def _read_decisions(detector: Any, decisions: Any, n_rows: int) -> np.ndarray:
    """Return a mask (n,) of the rows to keep, from what the detector decided."""
    decisions = np.asarray(to_host(decisions))
    if decisions.shape != (n_rows,) or not np.isin(decisions, (-1, 1)).all():
        found = f"shape {decisions.shape}"
        if decisions.shape == (n_rows,):
            found = f"values {decisions[~np.isin(decisions, (-1, 1))][:3].tolist()}"
        raise ValueError(
            f"{type(detector).__name__}.fit_predict must return 1 for rows to keep and -1 for rows "
            f"to drop, shape ({n_rows},); got {found}. Wrap the detector in a class whose "
            "fit_predict converts them."
        )
    return decisions > 0


def _flat_labels(y: Any) -> Any:
    """Return a column or one-hot rows as a vector of labels; anything else as it is."""
    labels = np.asarray(to_host(y, "y"))
    if labels.ndim != 2:
        return y
    if labels.shape[1] == 1:
        # A column of a dataframe keeps its dtype, which may be categorical.
        return _safe_indexing(y, 0, axis=1) if hasattr(y, "columns") else labels[:, 0]
    one_hot = np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all()
    return labels.argmax(axis=1) if one_hot else y


def _has_classes(detector: Any, y: Any, task: str) -> bool:
    """Return whether y holds classes, as the detector read it if it reads y."""
    reader = _last_step(detector)
    if get_tags(reader).target_tags.required:
        return hasattr(reader, "classes_")
    return holds_classes(read_values(y), categorical=is_categorical(y), task=task)


def _least_suspicious_half(detector: Any, stays: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return the mask of rows to keep in classes that would lose more than half of their rows.

    A class may lose more if more of its labels are expected to be wrong. All rows of regression
    targets form one class.
    """
    kept, n_rows = np.zeros(len(codes), dtype=bool), np.bincount(codes)
    if hasattr(detector, "noise_matrix_"):
        share = np.minimum(0.5, np.diag(detector.noise_matrix_))
    elif hasattr(detector, "outlier_scores_") and not hasattr(detector, "classes_"):
        share = np.full(1, 0.5)
    else:
        return kept
    n_kept = share * n_rows
    for code in np.flatnonzero(np.bincount(codes, weights=stays) < np.floor(n_kept)):
        rows = np.flatnonzero(codes == code)
        order = np.argsort(detector.outlier_scores_[rows], kind="stable")
        kept[rows[order[: int(n_kept[code])]]] = True
    return kept
