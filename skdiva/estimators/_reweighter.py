"""DivaReweighter: train an estimator on the data as if they had been curated."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import _fit_context, clone
from sklearn.utils import _safe_indexing, get_tags, indexable
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import _check_method_params

from skdiva.arrays import to_host
from skdiva.estimators._base import BaseDiva
from skdiva.estimators._delegation import DelegationMixin
from skdiva.estimators._kept_rows import rows_kept
from skdiva.estimators._metadata import check_takes_weights, inner_fit_params


class DivaReweighter(DelegationMixin, BaseDiva):
    r"""Train an estimator with sample weights that lower the leave-one-out loss.

    A weighted ridge model on features of X has leave-one-out predictions in closed form, and so
    has the derivative of their mean loss with respect to every sample weight. Rows lose weight if a
    model of label noise, fitted to these predictions, takes their label for wrong, and by steps
    against the derivative, if they make predictions for the other rows worse. The given estimator
    is then trained with these weights. No validation set is needed and nothing is refitted on the
    way.

    Parameters
    ----------
    estimator : estimator instance, default=None
        What is trained with the learned weights. It sees X as given. None learns the weights only.
    featurizer : "auto", transformer or None, default="auto"
        Features of the ridge model. "auto": linear or kernel features, whichever predict better
        (:class:`~skdiva.features.KernelFeaturizer`); a dataframe may hold strings and categories.
        None: X as it is. A transformer: what it makes of X, of shape (n_samples, p) and finite; X
        may then hold whatever it (and ``estimator``) can take. If it offers ``initial_outputs(X)``
        of shape (n_samples, k), the model is added to these.
    alpha : float or "auto", default="auto"
        Ridge penalty, on the sum of weighted squared errors at mean weight 1. "auto": the one with
        the smallest leave-one-out squared error on a log grid.
    loss : "auto", "log_loss", "squared_error" or object, default="auto"
        Loss of the leave-one-out predictions. "auto": softmax cross-entropy for classes, squared
        error for regression. An object must offer ``value(predictions, targets)``, shape (n,), and
        ``derivative(predictions, targets)``, shape (n, k), for torch tensors of shape (n, k).
    learning_rate : "auto" or float, default="auto"
        Size of a step, in units of the mean absolute derivative. "auto": chosen to do no harm, if
        most rows are predicted rightly; else overlap of classes can pass for wrong labels. For
        classes, weights are the squared probabilities that the labels are right, by a model of
        label noise fitted to leave-one-out outputs, and one step of up to 0.5 follows, smaller if
        less than a fifth of the labels seem wrong; no step if all seem right. With ``sources``:
        steps that settle between the loss of the judges and what is known beforehand (see the
        guide). For targets or with ``X_val``: steps of 0.25, as many
        as lower the error (absolute, or of classes) of held-out rows by more than its standard
        error.
    max_iter : int, default=3
        Largest number of steps; many steps overfit the leave-one-out loss.
    apply : {"sample_weight", "drop"}, default="sample_weight"
        How ``estimator`` is trained: with the weights; or, for estimators that take none, on the
        rows that kept at least a quarter of their start weight, which those do that are likelier
        right than wrong (and on all rows of a class that kept none). Dropping hands on the user's
        own weights, if the estimator takes any.
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
    sample_weight_ : ndarray of shape (n_samples,)
        Learned weights, mean 1.
    derivative_ : ndarray of shape (n_samples,)
        Derivative of ``loo_loss_`` with respect to the weights, at the start weights (user's
        weights at mean 1, else all 1). Positive: the row is detrimental.
    loo_loss_ : float
        Mean leave-one-out loss at the start weights, weighted by ``validation_weight``; with
        ``X_val``, the mean validation loss.
    loo_loss_path_ : ndarray of shape (`n_steps_` + 1,)
        That loss at the start and after every step. With ``sources`` of classes it may rise: what
        falls is the squared error at its best scale.
    loo_predictions_ : ndarray of shape (n_samples, k)
        Leave-one-out outputs at the start weights, one column per class or target.
    alpha_ : float
        Ridge penalty used.
    n_iter_ : int
        Steps tried.
    n_steps_ : int
        Steps taken; 0 if none is worth it.
    estimator_ : estimator
        The trained estimator; None without one.
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
    DivaOutlierDetector : Says which rows are wrong.

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

    A weight of 2 is not the same as a repeated row: leaving out the row leaves out all of it, while
    a repeated row leaves its twin.

    In a Pipeline this is to be the last step: weights cannot travel from step to step.

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

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit"]), None],
        **BaseDiva._parameter_constraints,
        "learning_rate": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "apply": [StrOptions({"sample_weight", "drop"})],
    }

    def __init__(
        self,
        estimator=None,
        *,
        featurizer="auto",
        alpha="auto",
        loss="auto",
        learning_rate="auto",
        max_iter=3,
        apply="sample_weight",
        fit_intercept=True,
        device=None,
        dtype=None,
        batch_size="auto",
        random_state=None,
        verbose=0,
    ):
        self.estimator = estimator
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
        **fit_params,
    ):
        """Learn the weights and train the estimator with them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows: array, dataframe or tensor.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Labels of any type, or regression targets. The tag of ``estimator`` says which; without
            one, floats with a fraction are regression targets. Several targets need an estimator
            that takes them, or none.
        sample_weight : array-like of shape (n_samples,), default=None
            Start weights, scaled to mean 1.
        groups : array-like of shape (n_samples,), default=None
            Rows of one group are left out together.
        sources : array-like of shape (n_samples,), default=None
            Rows of one source share one weight.
        validation_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in the mean loss: who judges, and how much. 0 for rows that train
            but do not judge, as augmented copies. None: ``sample_weight``.
        X_val : array-like of shape (n_val, n_features) or tuple of one, default=None
            Validation rows: their mean loss replaces the leave-one-out loss. In a search pass
            ``(X_val,)``: it would slice an array that has as many rows as X.
        y_val : array-like of shape (n_val,) or (n_val, n_targets) or tuple of one, default=None
            Labels of the validation rows.
        **fit_params : dict
            Passed to the `fit` of ``estimator``; with metadata routing on, what it requests.

        Returns
        -------
        DivaReweighter
            The fitted estimator.

        Raises
        ------
        ValueError
            If an argument is not as described; if ``estimator`` takes no weights; if ``alpha`` is
            too small even for float64. The estimator is then left as it was.
        """
        if self.estimator is not None and self.apply == "sample_weight":
            check_takes_weights(self.estimator)
        metadata = {
            "groups": groups, "sources": sources, "validation_weight": validation_weight,
            "X_val": X_val, "y_val": y_val,
        }  # fmt: skip
        several = self.estimator is None or get_tags(self.estimator).target_tags.multi_output
        data, feature_map = self._read(
            X, y, sample_weight, inner=self.estimator, several=several, **metadata
        )
        posed = self._pose(data, feature_map)
        descent = posed.descend()
        fitted = {
            "loo_predictions_": to_host(descent.start.loo_predictions),
            "loo_loss_path_": np.asarray(descent.loss_path),
            "n_iter_": descent.n_iter,
            "n_steps_": descent.n_steps,
            "estimator_": self._train(data, descent, metadata, fit_params),
        }
        return self._adopt(data, posed, descent.start, descent.factor, **fitted)

    def _train(self, data, descent, metadata, fit_params):
        """Fit a clone of the inner estimator, with the weights or on the rows that kept theirs."""
        if self.estimator is None:
            if fit_params:
                raise TypeError(
                    f"fit got unexpected argument(s) {sorted(fit_params)}: they are for the inner "
                    "estimator, and estimator=None. Pass estimator=... or leave them out."
                )
            return None
        X, y = data.X, data.y
        handed_on = data.sample_weight
        if self.apply == "sample_weight":
            handed_on = to_host(descent.sample_weight)
        else:
            rows = rows_kept(data, to_host(descent.factor))
            validation = {name: metadata[name] for name in ("X_val", "y_val")}
            metadata = _check_method_params(X, metadata, rows) | validation
            fit_params = _check_method_params(X, fit_params, rows)
            handed_on = None if handed_on is None else handed_on[rows]
            X, y = _safe_indexing(indexable(X)[0], rows), y[rows]
        params = inner_fit_params(self, handed_on, metadata, fit_params)
        return clone(self.estimator).fit(X, y, **params)

    def _what_is_lost(self):
        if self.estimator is None:
            return "The learned weights do not reach the next step of a Pipeline: it gets X alone."
        return None
