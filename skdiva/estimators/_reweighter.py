"""DivaReweighter: training with learned sample weights."""

from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import _safe_indexing, get_tags, indexable
from sklearn.utils._param_validation import Interval, StrOptions

from skdiva._decorators import fit_context
from skdiva.arrays import in_memory, to_host
from skdiva.estimators._base import BaseDiva
from skdiva.estimators._inputs import TrainingData
from skdiva.estimators.inner import DelegationMixin, InnerFit, choose_fit, find_refusal
from skdiva.targets import ClassLabels

# Weights are squared probabilities that labels are correct, so this is a probability of one half.
_KEPT = 0.25


class DivaReweighter(DelegationMixin, BaseDiva):
    r"""Train an estimator with sample weights that lower the leave-one-out loss.

    A weighted ridge model on features of X has leave-one-out predictions in closed form, and so
    has the derivative of their mean loss with respect to every sample weight. A row loses weight if
    a model of label noise, fitted to these predictions, considers its label wrong. Steps against
    the derivative then take weight from rows that make the predictions for other rows worse.
    Finally, the given estimator is trained with these weights. No validation set is needed, and no
    ridge model is refitted.

    Parameters
    ----------
    estimator : estimator instance, default=None
        Estimator to train with the learned weights. It receives X as passed to `fit`. If None, only
        the weights are learned.
    task : {"auto", "classification", "regression"}, default="auto"
        What y holds. If "auto", the type of ``estimator`` decides if it is a classifier or a
        regressor, and y itself otherwise: strings, booleans and categories are classes, and numbers
        with a fraction are regression targets. Whole numbers are classes if there are at most 10
        different ones, or if they look like class codes: they start at -1, 0 or 1 and have few
        gaps. If there are more, or if most rows have a number of their own, they are regression
        targets. A warning says how they are read if this is in doubt.
    featurizer : "auto", transformer or None, default="auto"
        Features of the ridge model. If "auto", a :class:`~skdiva.features.KernelFeaturizer` chooses
        linear or kernel features, whichever predict better; X may have missing values, and a
        dataframe may hold strings and categories. For sparse X with more than 300 columns, the
        features are 300 singular vectors of rows of length one, as in latent semantic analysis. If
        None, X itself, which must be finite. If a transformer, its output of shape (n_samples, p),
        which must be finite; X may then be whatever the transformer and ``estimator`` accept. If
        the transformer has a method ``initial_outputs(X)`` that returns an array of shape
        (n_samples, k), the ridge model is added to these outputs.
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
    learning_rate : "auto" or float, default="auto"
        Step size, relative to the mean absolute derivative. If "auto", the rule depends on the
        task. For classes, each weight is first multiplied by the squared probability that the label
        is correct, according to a model of label noise fitted to leave-one-out outputs. One step of
        size 0.5 follows, or a smaller one if less than a fifth of the labels appear to be wrong. No
        step is taken if all labels appear to be correct. With ``sources``, one weight per source is
        learned, from the leave-one-out loss and a prior, and sources that differ no more than by
        chance get the same weight (see the user guide). For regression, or with ``X_val``, steps
        have size 0.25, and their number is chosen by early stopping on held-out rows: it is zero
        unless the error decreases by more than its standard error. If most rows are predicted
        incorrectly, overlapping classes may be mistaken for wrong labels.
    max_iter : int, default=3
        Largest number of steps. Many steps overfit the leave-one-out loss. With
        ``learning_rate="auto"``, classes and neither ``sources`` nor ``X_val``, there are at most
        two: the first multiplies the weights by the squared probabilities, and the second goes
        along the derivative. ``max_iter=1`` omits the second.
    apply : {"sample_weight", "drop", "auto"}, default="sample_weight"
        How ``estimator`` is trained. If "sample_weight", with the learned weights. If "drop", for
        estimators that do not accept weights, on the rows that kept at least a quarter of their
        start weight, which are roughly those whose labels are more likely correct than wrong. If a
        class has no such row, all of its rows are kept. With "drop", ``estimator`` receives the
        ``sample_weight`` passed to `fit`, if it accepts any. If "auto", "sample_weight" if weights
        reach every learner inside ``estimator``, else "drop"; ``apply_`` tells which.
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
        If positive, a progress bar over the steps is shown.

    Attributes
    ----------
    sample_weight_ : ndarray of shape (n_samples,)
        Learned weights; their mean is 1.
    derivative_ : ndarray of shape (n_samples,)
        Derivative of ``loo_loss_`` with respect to the sample weights, at the start weights (those
        passed to `fit`, scaled to mean 1, or 1 for all rows). If it is positive, the row is
        detrimental.
    loo_loss_ : float
        Mean leave-one-out loss at the start weights, weighted by ``validation_weight``. If
        ``X_val`` is passed, the mean validation loss.
    loo_loss_path_ : ndarray of shape (`n_steps_` + 1,)
        That loss at the start weights and after every step. With ``sources`` and classes, it may
        increase, because the steps minimize the squared error of rescaled outputs instead.
    loo_predictions_ : ndarray of shape (n_samples, k)
        Leave-one-out outputs at the start weights, one column per class or target.
    alpha_ : float
        Ridge penalty that was used.
    n_iter_ : int
        Number of steps that were tried.
    n_steps_ : int
        Number of steps that were taken; 0 if no step is an improvement. The multiplication by the
        squared probabilities counts as a step, see ``max_iter``.
    estimator_ : estimator
        The trained estimator; None if ``estimator`` is None.
    apply_ : {"sample_weight", "drop"}
        How ``estimator`` was trained. It exists only if ``estimator`` is not None.
    featurizer_ : transformer or None
        The fitted featurizer; for "auto", a KernelFeaturizer, or a Pipeline of a Normalizer and a
        TruncatedSVD.
    classes_ : ndarray of shape (n_classes,)
        Class labels; only for classification.
    sources_ : ndarray of shape (n_sources,)
        The sources, in sorted order. This attribute and the next three exist only if ``sources``
        was passed to `fit`.
    source_weight_ : ndarray of shape (n_sources,)
        Weight of every source relative to its start weight, with mean 1 over the rows.
    source_probability_ : ndarray of shape (n_sources,)
        Share of every source in the sum of the weights.
    source_weight_interval_ : ndarray of shape (n_sources, 2)
        Approximate 95 % interval (or wider, with more than three sources) of every
        ``source_weight_``, which tells how much it may vary by chance. It contains the weight. If
        all sources are alike, it contains 1 except by chance. Only with ``learning_rate="auto"``;
        see the user guide.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns of X, if all of them are strings.

    See Also
    --------
    DivaOutlierDetector : Detect rows with wrong labels.

    Notes
    -----
    With residuals :math:`e_i`, weights :math:`a_i` and leverages :math:`h_i` of the ridge model,
    the leave-one-out residual is (equation 13 of [1]_, in a form that allows zero weights)

    .. math:: r_i = e_i / (1 - a_i h_i)

    and with :math:`q_i = 1 / (1 - a_i h_i)`, loss gradients :math:`g_i`, :math:`P_i = q_i g_i` and
    :math:`s_i = a_i \langle P_i, r_i \rangle` the derivative is

    .. math::
        \frac{dL}{da_j} = - \sum_{i \ne j} H_{ij} \langle P_i, e_j \rangle
                          - \sum_{i \ne j} H_{ij}^2 s_i .

    If leave-one-out predictions are no better than the class shares, a warning says so, and with
    ``learning_rate="auto"`` and neither ``sources`` nor ``X_val`` all rows keep their weights. If
    the predictions are better, no class loses more than half of its weight, unless its label is
    also found, significantly often, among the rows that look least like it.

    A weight of 2 is not the same as a repeated row. If a weighted row is left out, all of it is
    left out. If a repeated row is left out, its copy remains in the training set.

    Before anything is computed, `fit` finds out whether weights reach every learner inside
    ``estimator``, such as the members of a VotingClassifier. If signatures and metadata requests do
    not tell, a clone of ``estimator`` is fitted on about a hundred rows. Weights are passed on as
    keywords. If an estimator inside, such as OneVsRestClassifier, passes them on by metadata
    routing only, routing is enabled while ``estimator`` is fitted, with requests set on the clone.

    In a Pipeline, this estimator should be the last step, because weights are not passed from step
    to step.

    References
    ----------
    .. [1] Dukler, Achille, Paolini, Ravichandran, Polito and Soatto, "DIVA: Dataset Derivative of
       a Learning Task", ICLR 2022, https://arxiv.org/abs/2111.09785

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skdiva import DivaReweighter
    >>> X, y = load_digits(n_class=3, return_X_y=True)
    >>> y[::10] = (y[::10] + 1) % 3  # wrong labels
    >>> model = DivaReweighter(LogisticRegression(max_iter=1000)).fit(X, y)
    >>> model.sample_weight_[::10].mean() < 0.1 < model.sample_weight_.mean()
    np.True_
    >>> model.predict(X[:4])
    array([0, 1, 2, 0])
    """

    _parameter_constraints: ClassVar[dict] = {
        **DelegationMixin._parameter_constraints,
        **BaseDiva._parameter_constraints,
        "learning_rate": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "apply": [StrOptions({"sample_weight", "drop", "auto"})],
    }

    sample_weight_: np.ndarray
    derivative_: np.ndarray
    loo_loss_path_: np.ndarray
    loo_predictions_: np.ndarray
    n_iter_: int
    n_steps_: int
    sources_: np.ndarray
    source_weight_: np.ndarray
    source_probability_: np.ndarray
    source_weight_interval_: np.ndarray

    def __init__(
        self,
        estimator: Any = None,
        *,
        task: str = "auto",
        featurizer: Any = "auto",
        alpha: str | float = "auto",
        loss: Any = "auto",
        learning_rate: str | float = "auto",
        max_iter: int = 3,
        apply: str = "sample_weight",
        fit_intercept: bool = True,
        device: str | None = None,
        dtype: str | None = None,
        batch_size: str | int = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.task = task
        self.featurizer = featurizer
        self.alpha = alpha
        self.loss = loss
        self.learning_rate = learning_rate
        self.max_iter = max_iter
        self.apply = apply
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
        **fit_params: Any,
    ) -> Self:
        """Learn the weights and train the estimator with them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows: an array, a sparse array or matrix, a dataframe or a tensor. With
            ``featurizer=None``, sparse rows and a :class:`skdiva.loo.RowSource` are read in blocks
            if there are at least as many rows as columns; otherwise all rows are held in memory,
            and are dense there. To train ``estimator``, all rows of a source are read into memory
            after the weights are learned; sparse rows stay sparse.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Labels of any type, or regression targets; ``estimator`` or ``task`` says which. Several
            targets require an estimator that accepts them, or no estimator.
        sample_weight : array-like of shape (n_samples,), default=None
            Start weights, which are scaled to mean 1.
        groups : array-like of shape (n_samples,), default=None
            Group of every row. The rows of a group are left out together.
        sources : array-like of shape (n_samples,), default=None
            Source of every row. The rows of a source share one weight.
        validation_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in the mean leave-one-out loss. Rows with weight 0, such as
            augmented copies, are trained on but not evaluated. If None, ``sample_weight``.
        X_val : array-like of shape (n_val, n_features) or tuple of one, default=None
            Validation rows, whose mean loss replaces the leave-one-out loss. In a parameter
            search, pass ``(X_val,)``, because a search slices arrays that have as many rows as X.
        y_val : array-like of shape (n_val,) or (n_val, n_targets) or tuple of one, default=None
            Labels of the validation rows.
        **fit_params : dict
            Passed to the `fit` of ``estimator``. If metadata routing is enabled, the metadata that
            it requests.

        Returns
        -------
        DivaReweighter
            The fitted estimator.

        Raises
        ------
        TypeError
            If an argument is of another kind than described, such as a set, a sparse tensor or the
            class of a loss.
        ValueError
            If an argument is not as described, if weights do not reach every learner inside
            ``estimator`` (see Notes), or if ``alpha`` is too small even for float64. The estimator
            is then left unchanged.
        MemoryError
            If the ridge model needs more memory than is free. The message says how much.
        """
        self._check_estimator(fit_params)
        self._check_takes_weights()
        metadata = {
            "groups": groups, "sources": sources, "validation_weight": validation_weight,
            "X_val": X_val, "y_val": y_val,
        }  # fmt: skip
        several = self.estimator is None or get_tags(self.estimator).target_tags.multi_output
        data, feature_map = self._validate_fit(
            X, y, sample_weight=sample_weight, inner=self.estimator, several=several, **metadata
        )
        inner = self._choose_inner_fit(data, metadata, fit_params)
        adapter = self._build_adapter(data, feature_map)
        descent = adapter.descend()
        fitted = {
            "loo_predictions_": to_host(descent.start.loo_predictions),
            "loo_loss_path_": np.asarray(descent.loss_path),
            "n_iter_": descent.n_iter,
            "n_steps_": descent.n_steps,
            **self._train(data, descent, inner),
        }
        return self._store_weights(
            data, adapter, descent.start, descent.relative_weight, descent.source_interval, **fitted
        )

    def _check_takes_weights(self) -> None:
        """Raise an error if a learner inside ``estimator`` certainly takes no weights."""
        if self.estimator is not None and self.apply == "sample_weight":
            refusal = find_refusal(self.estimator)
            if refusal is not None:
                raise refusal

    def _choose_inner_fit(
        self, data: TrainingData, metadata: dict, fit_params: dict
    ) -> InnerFit | None:
        """Find out how weights reach the inner estimator, before anything is computed."""
        if self.estimator is None:
            return None
        inner = InnerFit(self, metadata, fit_params)
        if self.apply == "drop" and data.sample_weight is None:
            return inner
        return choose_fit(inner, data.X, data.y, required=self.apply == "sample_weight")

    def _train(self, data: TrainingData, descent: Any, inner: InnerFit | None) -> dict[str, Any]:
        """Train the inner estimator, with the weights or on the rows that kept theirs."""
        if inner is None:
            return {"estimator_": None}
        X = in_memory(data.X)  # not earlier: for the weights, a row source is read in blocks
        if self.apply != "drop" and inner.way != "none":
            trained = inner.train(X, data.y, to_host(descent.sample_weight))
            return {"estimator_": trained, "apply_": "sample_weight"}
        rows = _kept_rows(data, to_host(descent.relative_weight))
        weight = None if data.sample_weight is None else data.sample_weight[rows]
        kept = _safe_indexing(indexable(X)[0], rows)
        trained = inner.select(X, rows).train(kept, data.y[rows], weight)
        return {"estimator_": trained, "apply_": "drop"}

    def _pipeline_warning(self) -> str | None:
        if self.estimator is not None:
            return None
        return (
            "The learned weights do not reach the next step of a Pipeline: it gets X alone. Use "
            "DivaReweighter(estimator=...) as the last step instead."
        )


def _kept_rows(data: TrainingData, relative_weight: np.ndarray) -> np.ndarray:
    """Return positions of rows that kept their weight, and of all rows of classes without any."""
    held = np.ones(len(relative_weight), dtype=bool)
    if data.sample_weight is not None:
        held = data.sample_weight > 0
    kept = held & (relative_weight >= _KEPT)
    if isinstance(data.target, ClassLabels):
        codes = data.target.codes
        kept |= held & (np.bincount(codes, weights=kept) == 0)[codes]
    return np.flatnonzero(kept)
