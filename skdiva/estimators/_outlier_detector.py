"""DivaOutlierDetector: detection of wrong labels."""

from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import OutlierMixin
from sklearn.metrics import r2_score
from sklearn.utils import check_consistent_length
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _num_samples, check_is_fitted

from skdiva._decorators import fit_context
from skdiva.arrays import mean_one, read_source, read_weight, to_host
from skdiva.estimators._base import BaseDiva
from skdiva.estimators._inputs import TrainingData, check_X
from skdiva.estimators._label_reports import LabelReports
from skdiva.estimators._label_scores import (
    LABEL_SCORES,
    LabelScore,
    LabelScoreResult,
    make_label_score,
    task_of_criterion,
)
from skdiva.estimators.feature_maps import LazyFeatures
from skdiva.targets import encode_like, read_labels


class DivaOutlierDetector(LabelReports, OutlierMixin, BaseDiva):
    """Detect rows with wrong labels from leave-one-out predictions.

    A weighted ridge model on features of X has leave-one-out predictions in closed form, and so
    has the derivative of their mean loss with respect to every sample weight. For classes, a model
    of label noise is fitted to these predictions, which do not depend on the labels of their own
    rows. Wrong labels then lose their weight, and the predictions from the remaining weights give
    the probability that each label is wrong. No validation set is needed, and no model is refitted.

    Parameters
    ----------
    criterion : {"auto", "probability", "derivative", "residual"}, default="auto"
        Definition of the scores; higher scores are worse. If "probability" (the default for
        classes), the probability that the label is wrong. It comes from a model of label noise,
        which is fitted to leave-one-out outputs after wrong labels have lost their weight. If
        "derivative", ``derivative_``, as in [1]_. If "residual" (the default for regression), the
        absolute leave-one-out residual at the start weights in robust standard deviations; for
        several targets, the root mean square over them.
    contamination : "auto" or float, default="auto"
        Rule for the threshold of the scores. If "auto", it depends on the criterion: for
        "probability", the number of outliers maximizes the expected F1 score, and rows with a
        probability below 0.1 are never outliers; for "derivative", the threshold is 0; for
        "residual", it is 3. If a float in (0, 0.5], the share of rows that are outliers. Rows with
        a score equal to the threshold are inliers.
    task : {"auto", "classification", "regression"}, default="auto"
        What y holds. If "auto", ``criterion`` decides if it is "probability" or "residual", and y
        itself otherwise: strings, booleans and categories are classes, and numbers with a fraction
        are regression targets. Whole numbers are classes if there are at most 10 different ones, or
        if they look like class codes: they start at -1, 0 or 1 and have few gaps. If there are
        more, or if most rows have a number of their own, they are regression targets. A warning
        says how they are read if this is in doubt.
    featurizer : "auto", transformer or None, default="auto"
        Features of the ridge model. If "auto", a :class:`~skdiva.features.KernelFeaturizer` chooses
        linear or kernel features, whichever predict better; X may have missing values, and a
        dataframe may hold strings and categories. For sparse X with more than 300 columns, the
        features are 300 singular vectors of rows of length one, as in latent semantic analysis. If
        None, X itself, which must be finite. If a transformer, its output of shape (n_samples, p),
        which must be finite; X may then be whatever the transformer accepts. If the transformer has
        a method ``initial_outputs(X)`` that returns an array of shape (n_samples, k), the ridge
        model is added to these outputs.
    alpha : float or "auto", default="auto"
        Ridge penalty. It is added to the sum of weighted squared errors, where the weights have
        mean 1. If "auto", the value on a logarithmic grid with the smallest leave-one-out squared
        error.
    loss : "auto", "log_loss", "squared_error" or object, default="auto"
        Loss of the leave-one-out predictions. If "auto", the softmax cross-entropy for classes and
        the squared error for regression. An object must have the methods
        ``value(predictions, targets)``, which returns shape (n,), and
        ``derivative(predictions, targets)``, which returns shape (n, k), for torch tensors of shape
        (n, k). Both must return finite tensors of float32 or float64. They get copies, to which
        they may write.
    fit_intercept : bool, default=True
        Whether the ridge model has an intercept, which is not penalized.
    device : str, default=None
        Device to compute on: "cpu", "cuda" or "cuda:<index>". If None, the device of X if that is a
        CUDA tensor; otherwise CUDA if it is available, else the CPU.
    dtype : {"float32", "float64"}, default=None
        Precision of the computation. If None, float32 for float32, float16 or CUDA input, otherwise
        float64.
    batch_size : int or "auto", default="auto"
        Number of rows worked on at a time.
    random_state : int, RandomState instance or None, default=None
        Determines the landmarks of the kernels of ``featurizer="auto"``. None is the same as 0, so
        that repeated calls give the same results.
    verbose : int, default=0
        If positive, progress bars: for the candidates of ``featurizer="auto"``, and for the three
        steps of the fit, which are the features and the penalty, the scores, and the model of the
        inliers.

    Attributes
    ----------
    outlier_scores_ : ndarray of shape (n_samples,)
        Scores of the training rows; higher scores are worse.
    threshold_ : float
        Rows with a score above it are outliers.
    suggested_label_ : ndarray of shape (n_samples,) or (n_samples, n_targets)
        Class with the largest leave-one-out output, which may be the given one; for regression, the
        leave-one-out prediction.
    derivative_ : ndarray of shape (n_samples,)
        Derivative of ``loo_loss_`` with respect to the sample weights, at the start weights (those
        passed to `fit`, scaled to mean 1, or 1 for all rows). If it is positive, the row is
        detrimental.
    loo_loss_ : float
        Mean leave-one-out loss at the start weights, weighted by ``validation_weight``. If
        ``X_val`` is passed, the mean validation loss.
    noise_rate_ : float
        Estimated share of wrong labels. This attribute and the next two exist only for
        "probability".
    noise_matrix_ : ndarray of shape (n_classes, n_classes)
        Entry (i, j) is the estimated share, among the rows labeled as class i, that belong to class
        j. Every row of the matrix sums to 1. One minus the diagonal is the share of wrong labels in
        every class.
    suggested_probability_ : ndarray of shape (n_samples,)
        Probability that ``suggested_label_`` is the class of the row.
    loo_predictions_ : ndarray of shape (n_samples, k)
        Leave-one-out outputs at ``sample_weight_``, one column per class or target.
    sample_weight_ : ndarray of shape (n_samples,)
        Curated weights for "probability", otherwise the start weights; their mean is 1.
    alpha_ : float
        Ridge penalty that was used.
    coef_ : ndarray of shape (p, k)
        Coefficients of a ridge model on the features, trained on the inliers with
        ``sample_weight_``. If fewer than two inliers (groups) have weight, it is trained on all
        rows.
    intercept_ : ndarray of shape (k,)
        Intercepts of that model.
    featurizer_ : transformer or None
        The fitted featurizer; for "auto", a KernelFeaturizer, or a Pipeline of a Normalizer and a
        TruncatedSVD.
    classes_ : ndarray of shape (n_classes,)
        Class labels; only for classification.
    sources_ : ndarray of shape (n_sources,)
        The sources, in sorted order. This attribute and the next two exist only if ``sources`` was
        passed to `fit`.
    source_weight_ : ndarray of shape (n_sources,)
        Weight of every source relative to its start weight, with mean 1 over the rows.
    source_probability_ : ndarray of shape (n_sources,)
        Share of every source in the sum of the weights.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns of X, if all of them are strings.

    See Also
    --------
    DivaReweighter : Train an estimator with learned sample weights.

    Notes
    -----
    With residuals :math:`e_i`, weights :math:`a_i` and leverages :math:`h_i` of the ridge model,
    the leave-one-out residual is (equation 13 of [1]_, in a form that allows zero weights)

    .. math:: r_i = e_i / (1 - a_i h_i)

    and leave-one-out predictions are :math:`r_i + t_i`, with :math:`t_i` the one-hot label or the
    target. See :class:`DivaReweighter` for the derivative.

    If leave-one-out predictions are no better than the class shares, a warning says so. With
    "probability", no row is flagged then. The number of flagged rows of a class is limited to three
    to five times the expected number of its wrong labels, and in a rare class to that number
    itself. The limit is larger if the label of a small class is also found, significantly often,
    among the rows that look least like the class. The scores of rows beyond the limit are lowered
    to just below the threshold, in the same order. The user guide has the details.

    There is no ``predict``, because labels are required to compute the scores. Use `fit_predict`
    for the training rows and `score_labels` for new rows.

    References
    ----------
    .. [1] Dukler, Achille, Paolini, Ravichandran, Polito and Soatto, "DIVA: Dataset Derivative of
       a Learning Task", ICLR 2022, https://arxiv.org/abs/2111.09785

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdiva import DivaOutlierDetector
    >>> X, y = load_digits(n_class=3, return_X_y=True)
    >>> y[::10] = (y[::10] + 1) % 3  # wrong labels
    >>> detector = DivaOutlierDetector()
    >>> is_inlier = detector.fit_predict(X, y)
    >>> is_inlier[:11]
    array([-1,  1,  1,  1,  1,  1,  1,  1,  1,  1, -1])
    >>> detector.suggested_label_[[0, 10]]
    array([0, 0])
    """

    _parameter_constraints: ClassVar[dict] = {
        "criterion": [StrOptions({"auto", *LABEL_SCORES})],
        "contamination": [StrOptions({"auto"}), Interval(Real, 0, 0.5, closed="right")],
        **BaseDiva._parameter_constraints,
    }
    _fitted_private = ("_feature_map", "_target", "_index", "_label_score")

    noise_rate_: float
    sample_weight_: np.ndarray
    coef_: np.ndarray
    intercept_: np.ndarray
    sources_: np.ndarray
    source_weight_: np.ndarray
    source_probability_: np.ndarray

    def __init__(
        self,
        *,
        criterion: str = "auto",
        contamination: str | float = "auto",
        task: str = "auto",
        featurizer: Any = "auto",
        alpha: str | float = "auto",
        loss: Any = "auto",
        fit_intercept: bool = True,
        device: str | None = None,
        dtype: str | None = None,
        batch_size: str | int = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.criterion = criterion
        self.contamination = contamination
        self.task = task
        self.featurizer = featurizer
        self.alpha = alpha
        self.loss = loss
        self.fit_intercept = fit_intercept
        self.device = device
        self.dtype = dtype
        self.batch_size = batch_size
        self.random_state = random_state
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
        sources: ArrayLike | None = None,
        validation_weight: ArrayLike | None = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> Self:
        """Score the labels of the training rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows: an array, a sparse array or matrix, a dataframe or a tensor. With
            ``featurizer=None``, sparse rows and a :class:`skdiva.loo.RowSource` are read in blocks
            if there are at least as many rows as columns; otherwise all rows are held in memory,
            and are dense there.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Labels of any type, or regression targets; ``task`` says which.
        sample_weight : array-like of shape (n_samples,), default=None
            Start weights, which are scaled to mean 1.
        groups : array-like of shape (n_samples,), default=None
            Group of every row. The rows of a group are left out together.
        sources : array-like of shape (n_samples,), default=None
            Source of every row. The rows of a source share one curated weight.
        validation_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in the mean leave-one-out loss. Rows with weight 0, such as
            augmented copies, are trained on but not evaluated. If None, ``sample_weight``.
        X_val : array-like of shape (n_val, n_features) or tuple of one, default=None
            Validation rows, whose mean loss replaces the leave-one-out loss in the derivative. In a
            parameter search, pass ``(X_val,)``, because a search slices arrays that have as many
            rows as X.
        y_val : array-like of shape (n_val,) or (n_val, n_targets) or tuple of one, default=None
            Labels of the validation rows.

        Returns
        -------
        DivaOutlierDetector
            The fitted detector.

        Raises
        ------
        TypeError
            If an argument is of another kind than described, such as a set, a sparse tensor or the
            class of a loss.
        ValueError
            If an argument is not as described, or if ``alpha`` is too small even for float64. The
            detector is then left unchanged.
        MemoryError
            If the ridge model needs more memory than is free. The message says how much.
        """
        task = self.task if self.task != "auto" else task_of_criterion(self.criterion)
        data, feature_map = self._validate_fit(
            X, y, sample_weight=sample_weight, groups=groups, sources=sources,
            validation_weight=validation_weight, X_val=X_val, y_val=y_val,
            task=task,
        )  # fmt: skip
        label_score = make_label_score(self.criterion, data.target)
        with self._progress(3, "step") as advance:
            adapter = self._build_adapter(data, feature_map)
            advance()
            result = label_score.fit(adapter)
            advance()
            threshold = self._choose_threshold(label_score, result.scores)
            coef, intercept = _inlier_ridge(adapter, data, result, result.scores <= threshold)
            advance()
        predictions = to_host(result.final.loo_predictions)
        fitted = {
            "outlier_scores_": result.scores, "threshold_": threshold,
            "loo_predictions_": predictions, "suggested_label_": data.target.decode(predictions),
            "coef_": coef, "intercept_": intercept, "_label_score": label_score,
            "_target": data.target, "_index": data.index, **result.extra,
        }  # fmt: skip
        return self._store_weights(data, adapter, result.start, result.relative_weight, **fitted)

    def _choose_threshold(self, label_score: LabelScore, scores: np.ndarray) -> float:
        if isinstance(self.contamination, str):
            return label_score.threshold
        return float(np.quantile(scores, 1 - self.contamination))

    def fit_predict(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None, **metadata: Any
    ) -> np.ndarray:
        """Score the labels of the training rows and flag the outliers.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Labels or regression targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Start weights, as in `fit`.
        **metadata : dict
            ``groups``, ``sources``, ``validation_weight``, ``X_val`` and ``y_val``, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,)
            -1 where ``outlier_scores_ > threshold_``, otherwise 1.
        """
        self.fit(X, y, sample_weight, **metadata)
        return np.where(self.outlier_scores_ > self.threshold_, -1, 1)

    def score_labels(self, X: ArrayLike, y: ArrayLike) -> np.ndarray:
        """Score the labels of new rows, on the scale of ``outlier_scores_``.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            New rows.
        y : array-like of shape (n_rows,) or (n_rows, n_targets)
            Their labels, which must be in ``classes_``, or their targets.

        Returns
        -------
        ndarray of shape (n_rows,)
            Labels with a score above ``threshold_`` are suspicious. For "probability", the scores
            come from the ridge model with ``sample_weight_``. For "derivative", they are the
            derivative with respect to the weight of a new row, at weight zero. For "residual", they
            are residuals of the ridge model with the start weights, in the same standard
            deviations. A training row of weight zero has the same score as a new row, except for
            its leverage with "residual".

        Raises
        ------
        ValueError
            If X or y is not as in `fit`.
        """
        check_is_fitted(self)
        rows = self._read_rows(X)
        target = encode_like(self._target, y)
        check_consistent_length(rows.X, target.given)
        return self._label_score.score(rows, target)

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the test score of a ridge model trained on the inliers, for parameter searches.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Test rows.
        y : array-like of shape (n_rows,) or (n_rows, n_targets)
            Their labels or targets.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of the rows in the score.

        Returns
        -------
        float
            Accuracy for classes, R^2 for regression.

        Notes
        -----
        scikit-learn neither stratifies nor shuffles the folds for outlier detectors. If the rows
        are sorted by class, the classes of a test fold are missing in training, and the scores mean
        nothing. Pass shuffled, stratified folds, as in the example.

        Examples
        --------
        >>> from sklearn.datasets import load_wine
        >>> from sklearn.model_selection import StratifiedKFold, cross_val_score
        >>> from skdiva import DivaOutlierDetector
        >>> X, y = load_wine(return_X_y=True)
        >>> folds = StratifiedKFold(3, shuffle=True, random_state=0)
        >>> cross_val_score(DivaOutlierDetector(), X, y, cv=folds).min() > 0.9
        np.True_
        >>> cross_val_score(DivaOutlierDetector(), X, y, cv=3).max() < 0.6
        np.True_
        """
        check_is_fitted(self)
        weight = None
        if sample_weight is not None:
            weight = mean_one(read_weight(sample_weight, _num_samples(y)))
        outputs = self._read_rows(X).linear_outputs(self.coef_, self.intercept_)
        predicted = self._target.decode(outputs)
        if not hasattr(self, "classes_"):
            return r2_score(encode_like(self._target, y).given, predicted, sample_weight=weight)
        # As for any classifier, a class that was not seen in `fit` counts as a wrong prediction.
        given = read_labels(y)
        check_consistent_length(predicted, given)
        return float(np.average(given == predicted, weights=weight))

    def _read_rows(self, X: Any) -> LazyFeatures:
        feature_map = self._feature_map
        X = check_X(self, read_source(self, X), numeric=feature_map.reads_numbers, reset=False)
        return LazyFeatures(feature_map, X, self._target.n_outputs)

    def _pipeline_warning(self) -> str:
        return (
            "No row was dropped: the next step of a Pipeline gets all of X and y. Use "
            "DivaReweighter(estimator=...) as the last step instead."
        )


def _inlier_ridge(
    adapter: Any, data: TrainingData, result: LabelScoreResult, is_inlier: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Train on the inliers, or on all rows if at most one inlier (one group) has weight."""
    weight = to_host(adapter.start_weight * result.relative_weight)
    held = np.flatnonzero(weight * is_inlier)
    units = held if data.groups is None else data.groups[held]
    if len(held) == np.count_nonzero(weight) or len(np.unique(units)) < 2:
        return adapter.model((result.final.coef, result.final.intercept))
    return adapter.model(adapter.fit_ridge(weight * is_inlier).coefficients)
