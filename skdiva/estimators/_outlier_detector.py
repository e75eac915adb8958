"""DivaOutlierDetector: which labels are wrong."""

from numbers import Real

import numpy as np
from sklearn.base import OutlierMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions

from skdiva.arrays import to_host
from skdiva.estimators._base import BaseDiva
from skdiva.estimators._criteria import make_criterion
from skdiva.estimators._judgement import JudgementMixin


class DivaOutlierDetector(JudgementMixin, OutlierMixin, BaseDiva):
    """Find rows whose labels are wrong, by their leave-one-out predictions.

    A weighted ridge model on features of X has leave-one-out predictions in closed form, and so
    has the derivative of their mean loss with respect to every sample weight. For classes, a model
    of label noise is fitted to these predictions, which have not seen the labels; wrong labels are
    taken out of the weights, and what the rows that are left predict says how likely every label is
    wrong. No validation set is needed and nothing is refitted on the way.

    Parameters
    ----------
    criterion : {"auto", "probability", "derivative", "residual"}, default="auto"
        What the score of a row is; higher is worse. "probability" (classes; their default): that
        the label is wrong, by a model of label noise fitted to leave-one-out outputs, with wrong
        labels taken out of the weights. "derivative": ``derivative_``, the rule of [1]_.
        "residual" (numbers; their default): size of the leave-one-out residual at the start
        weights, in robust standard deviations; for several targets the root mean square.
    contamination : "auto" or float, default="auto"
        Which scores are outliers. "auto": for "probability", as many as make the expected F1 of
        the flags largest, none that is wrong with a probability below 0.1; above 0 for
        "derivative"; above 3 for "residual". A float in (0, 0.5]: this share of the rows. Rows
        tied at the threshold stay inliers.
    featurizer : "auto", transformer or None, default="auto"
        Features of the ridge model. "auto": linear or kernel features, whichever predict better
        (:class:`~skdiva.features.KernelFeaturizer`); a dataframe may hold strings and categories.
        None: X as it is. A transformer: what it makes of X, of shape (n_samples, p) and finite; X
        may then hold whatever it can take. If it offers ``initial_outputs(X)``
        of shape (n_samples, k), the model is added to these.
    alpha : float or "auto", default="auto"
        Ridge penalty, on the sum of weighted squared errors at mean weight 1. "auto": the one with
        the smallest leave-one-out squared error on a log grid.
    loss : "auto", "log_loss", "squared_error" or object, default="auto"
        Loss of the leave-one-out predictions. "auto": softmax cross-entropy for classes, squared
        error for regression. An object must offer ``value(predictions, targets)``, shape (n,), and
        ``derivative(predictions, targets)``, shape (n, k), for torch tensors of shape (n, k).
    fit_intercept : bool, default=True
        Whether the ridge model has an intercept, which is not penalised.
    device : str, default=None
        "cpu", "cuda" or "cuda:<index>". None: where X is if that is a CUDA tensor, else CUDA if
        there is one, else the CPU.
    dtype : {"float32", "float64"}, default=None
        Precision of the computation. None: float32 for float32, float16 or CUDA input, else
        float64.
    batch_size : int or "auto", default="auto"
        Rows worked on at a time.
    random_state : int, RandomState instance or None, default=None
        Decides which rows the kernels of ``featurizer="auto"`` start from. None is 0: the same call
        gives the same answer.
    verbose : int, default=0
        If positive, a progress bar over the steps is shown.

    Attributes
    ----------
    outlier_scores_ : ndarray of shape (n_samples,)
        Scores of the training rows; higher is worse.
    threshold_ : float
        Rows are outliers if their score is above it.
    suggested_label_ : ndarray of shape (n_samples,) or (n_samples, n_targets)
        Class with the largest leave-one-out output, which may be the given one, or the
        leave-one-out prediction.
    derivative_ : ndarray of shape (n_samples,)
        Derivative of ``loo_loss_`` with respect to the weights, at the start weights (user's
        weights at mean 1, else all 1). Positive: the row is detrimental.
    loo_loss_ : float
        Mean leave-one-out loss at the start weights, weighted by ``validation_weight``; with
        ``X_val``, the mean validation loss.
    noise_rate_ : float
        Estimated share of wrong labels; for "probability" only, as the next one.
    noise_matrix_ : ndarray of shape (n_classes, n_classes)
        Estimated share, of the rows labelled as the class of a row of the matrix, that belong to
        the class of a column. Rows sum to 1; one minus the diagonal is the share of wrong labels.
    loo_predictions_ : ndarray of shape (n_samples, k)
        Leave-one-out outputs at ``sample_weight_``, one column per class or target.
    sample_weight_ : ndarray of shape (n_samples,)
        Curated weights for "probability", else start weights; mean 1.
    alpha_ : float
        Ridge penalty used.
    coef_ : ndarray of shape (p, k)
        Coefficients, for the features, of a ridge trained on the inliers with ``sample_weight_``.
        If no two inliers with weight are left, on all rows.
    intercept_ : ndarray of shape (k,)
        Its intercept.
    featurizer_ : transformer or None
        The fitted featurizer; a KernelFeaturizer for "auto".
    classes_ : ndarray of shape (n_classes,)
        Class labels; for classification only.
    sources_ : ndarray of shape (n_sources,)
        The sources, sorted; only if ``sources`` were passed, as the next two.
    source_weight_ : ndarray of shape (n_sources,)
        Weight of every source relative to its start weight; mean 1 over the rows.
    source_probability_ : ndarray of shape (n_sources,)
        Share of every source in the sum of the weights.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if they are all strings.

    See Also
    --------
    DivaReweighter : Trains an estimator on weighted rows.

    Notes
    -----
    With residuals :math:`e_i`, weights :math:`a_i` and leverages :math:`h_i` of the ridge model,
    the leave-one-out residual is (equation 13 of [1]_, in a form that allows zero weights)

    .. math:: r_i = e_i / (1 - a_i h_i)

    and leave-one-out predictions are :math:`r_i + t_i`, with :math:`t_i` the one-hot label or the
    target. See :class:`DivaReweighter` for the derivative.

    Labels are part of what is judged, so there is no ``predict``: `fit_predict` judges the training
    rows, `score_labels` new ones.

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

    _parameter_constraints: dict = {
        "criterion": [StrOptions({"auto", "probability", "derivative", "residual"})],
        "contamination": [StrOptions({"auto"}), Interval(Real, 0, 0.5, closed="right")],
        **BaseDiva._parameter_constraints,
    }

    _fitted_private = ("_feature_map", "_target", "_index", "_label_score")

    def __init__(
        self,
        *,
        criterion="auto",
        contamination="auto",
        featurizer="auto",
        alpha="auto",
        loss="auto",
        fit_intercept=True,
        device=None,
        dtype=None,
        batch_size="auto",
        random_state=None,
        verbose=0,
    ):
        self.criterion = criterion
        self.contamination = contamination
        self.featurizer = featurizer
        self.alpha = alpha
        self.loss = loss
        self.fit_intercept = fit_intercept
        self.device = device
        self.dtype = dtype
        self.batch_size = batch_size
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X,
        y,
        sample_weight=None,
        *,
        groups=None,
        sources=None,
        validation_weight=None,
        X_val=None,
        y_val=None,
    ):
        """Score the labels of the training rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows: array, dataframe or tensor.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Labels of any type, or regression targets: floats with a fraction are targets, all else
            classes, unless ``criterion`` is "residual".
        sample_weight : array-like of shape (n_samples,), default=None
            Start weights, scaled to mean 1.
        groups : array-like of shape (n_samples,), default=None
            Rows of one group are left out together.
        sources : array-like of shape (n_samples,), default=None
            Rows of one source share one curated weight.
        validation_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in the mean loss: who judges, and how much. 0 for rows that train
            but do not judge, as augmented copies. None: ``sample_weight``.
        X_val : array-like of shape (n_val, n_features) or tuple of one, default=None
            Validation rows: their mean loss replaces the leave-one-out loss in the derivative. In a
            search pass ``(X_val,)``: it would slice an array that has as many rows as X.
        y_val : array-like of shape (n_val,) or (n_val, n_targets) or tuple of one, default=None
            Labels of the validation rows.

        Returns
        -------
        DivaOutlierDetector
            The fitted detector.

        Raises
        ------
        ValueError
            If an argument is not as described; if ``alpha`` is too small even for float64. The
            detector is then left as it was.
        """
        metadata = {
            "groups": groups, "sources": sources, "validation_weight": validation_weight,
            "X_val": X_val, "y_val": y_val,
        }  # fmt: skip
        classes = False if self.criterion == "residual" else None
        data, feature_map = self._read(X, y, sample_weight, classes=classes, **metadata)
        criterion = make_criterion(self.criterion, data.target)
        posed = self._pose(data, feature_map)
        verdict = criterion.judge(posed)
        offset = self._offset(verdict.scores, criterion)
        coef, intercept = _inlier_ridge(posed, data, verdict, verdict.scores <= offset)
        predictions = to_host(verdict.loo_predictions)
        fitted = {
            "outlier_scores_": verdict.scores,
            "threshold_": offset,
            "loo_predictions_": predictions,
            "suggested_label_": data.target.decode(predictions),
            "coef_": coef,
            "intercept_": intercept,
            "_label_score": criterion,
            "_target": data.target,
            "_index": data.index,
            **verdict.extra,
        }
        return self._adopt(data, posed, verdict.start, verdict.factor, **fitted)

    def fit_predict(self, X, y, sample_weight=None, **metadata):
        """Score the labels of the training rows and say which are outliers.

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
            -1 where ``outlier_scores_ > threshold_``, else 1.
        """
        self.fit(X, y, sample_weight, **metadata)
        return np.where(self.outlier_scores_ > self.threshold_, -1, 1)

    def _offset(self, scores, criterion):
        if self.contamination == "auto":
            return criterion.offset
        return float(np.quantile(scores, 1 - self.contamination))

    def _what_is_lost(self):
        return "No row was dropped: the next step of a Pipeline gets all of X and y."


def _inlier_ridge(posed, data, verdict, inlier):
    """Ridge trained on the inliers, or on all rows if at most one inlier (one group) has weight."""
    weight = posed.start_weight * verdict.factor
    inlier_weight = to_host(weight) * inlier
    held = np.flatnonzero(inlier_weight)
    units = held if data.groups is None else data.groups[held]
    return posed.ridge(inlier_weight if len(np.unique(units)) > 1 else weight)
