"""DivaExtender: which rows of a pool to add."""

from numbers import Integral

import numpy as np
from sklearn.base import _fit_context, clone
from sklearn.utils import _safe_indexing, get_tags, indexable
from sklearn.utils._param_validation import HasMethods, Interval, RealNotInt, StrOptions

from skdiva.arrays import append_rows, to_host
from skdiva.estimators._base import BaseDiva
from skdiva.estimators._delegation import DelegationMixin
from skdiva.estimators._inputs import read_pool
from skdiva.estimators._new_row_scores import NewRowScores
from skdiva.estimators._pool_choice import PoolChoiceMixin, ranking_of
from skdiva.estimators._pool_sample import with_pool


class DivaExtender(DelegationMixin, PoolChoiceMixin, BaseDiva):
    r"""Extend a core of labelled rows by those rows of a pool that lower the leave-one-out loss.

    A ridge model on features of X has leave-one-out predictions in closed form, and so has the
    derivative of their mean loss with respect to the weight of a row that is not trained on. The
    rows of the pool with the most negative derivative are added, a batch at a time, until none has
    a negative one. Then the given estimator is trained on the core and the rows chosen.

    Parameters
    ----------
    estimator : estimator instance, default=None
        What is trained on core and chosen rows. It sees X as given. None chooses rows only.
    n_samples_to_select : "auto" or int, default="auto"
        Largest number of rows to add. "auto": all that help. Adding stops in any case when no row
        has a negative derivative.
    step : float or int, default=0.1
        Rows added at a time: an int, or, as a float, a share of the rows trained on so far, those
        of the core and those added. With the int 1 the choice is greedy; larger steps cost less.
    evaluate_on : {"all", "core"}, default="all"
        Whose predictions make the loss. "all": every row of the core and of the pool, each
        predicted by a model that is not trained on it; most labels of the pool must be right, and
        the pool of the same kind as the core. "core": the rows of the core only, as in [1]_; for a
        pool of another kind (another site, another modality) of which many rows may be added, or
        whose labels are mostly wrong. With ``X_val``, its rows are the only judges.
    featurizer : "auto", transformer or None, default="auto"
        Features of the ridge model, fitted on the core and the pool (on 10 000 rows drawn from it,
        if it is larger). "auto": linear or kernel features,
        whichever predict better (:class:`~skdiva.features.KernelFeaturizer`); a dataframe may hold
        strings and categories. None: X as it is. A transformer: what it makes of X, of shape
        (n_samples, p) and finite; X may then hold whatever it (and ``estimator``) can take. If it
        offers ``initial_outputs(X)`` of shape (n_samples, k), the model is added to these.
    alpha : float or "auto", default="auto"
        Ridge penalty, on the sum of squared errors. "auto": the one with the smallest leave-one-out
        squared error on a log grid, of the same rows as the features.
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
        Decides which rows the kernels of ``featurizer="auto"`` start from, and which are drawn from
        a large pool. None is 0: the same call gives the same answer.
    verbose : int, default=0
        If positive, a progress bar over the rows added is shown.

    Attributes
    ----------
    ranking_ : ndarray of shape (n_pool,)
        Rank of every row of the pool: 1 for the first chosen; rows that were not chosen follow by
        their derivative after the last step. Ties by index.
    support_ : ndarray of shape (n_pool,)
        Mask of the rows chosen.
    pool_derivative_ : ndarray of shape (n_pool,)
        Derivative of ``loo_loss_`` with respect to the weight, at 0, of every row of the pool, for
        the model of the core alone. Positive: adding the row is detrimental. A row has no say on
        itself.
    loo_loss_ : float
        Mean loss of the judges, predicted by the model of the core alone.
    loo_loss_path_ : ndarray of shape (n_batches + 1,)
        That loss at the start and after every batch of rows added. The last batches may raise it:
        rows of a batch do not know of each other.
    n_added_ : ndarray of shape (n_batches + 1,)
        Number of rows added up to each entry of ``loo_loss_path_``.
    alpha_ : float
        Ridge penalty used.
    coef_ : ndarray of shape (p, k)
        Coefficients, for the features, of the ridge model of the core.
    intercept_ : ndarray of shape (k,)
        Its intercept.
    estimator_ : estimator
        The trained estimator; None without one.
    featurizer_ : transformer or None
        The fitted featurizer; a KernelFeaturizer for "auto".
    classes_ : ndarray of shape (n_classes,)
        Class labels; for classification only.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if they are all strings.

    See Also
    --------
    DivaReweighter : Learns weights for rows that are there already.

    Notes
    -----
    A row with features :math:`z` and residual :math:`e` (prediction minus target) has the
    derivative (section 3.4 of [1]_)

    .. math:: - \langle (C Z' P)' z, e \rangle - z' C M C z

    with :math:`C` the inverse of the penalised Gram matrix of the rows trained on, and :math:`P`
    and :math:`M = \sum_i P_i' r_i z_i z_i'` sums over the judges other than the row itself (in
    :math:`M`, over those trained on). The factorisation is made once and updated with every batch.

    References
    ----------
    .. [1] Dukler, Achille, Paolini, Ravichandran, Polito and Soatto, "DIVA: Dataset Derivative of
       a Learning Task", ICLR 2022, https://arxiv.org/abs/2111.09785

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skdiva import DivaExtender
    >>> X, y = load_digits(n_class=3, return_X_y=True)
    >>> X_pool, y_pool = X[60:], y[60:].copy()
    >>> y_pool[::5] = (y_pool[::5] + 1) % 3  # wrong labels
    >>> extender = DivaExtender(LogisticRegression(max_iter=1000), n_samples_to_select=50)
    >>> extender = extender.fit(X[:60], y[:60], X_pool=X_pool, y_pool=y_pool)
    >>> int(extender.support_.sum())
    50
    >>> (extender.pool_derivative_[::5] > 0).mean() > 0.8
    np.True_
    >>> extender.predict(X[:4])
    array([0, 1, 2, 0])
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit"]), None],
        "evaluate_on": [StrOptions({"all", "core"})],
        "n_samples_to_select": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "step": [
            Interval(Integral, 1, None, closed="left"),
            Interval(RealNotInt, 0, None, closed="neither"),
        ],
        **BaseDiva._parameter_constraints,
    }
    _fitted_private = ("_feature_map", "_target", "_row_scores")
    _hands_metadata_on = False
    _instead = "Use DivaExtender(estimator=...) as the last step instead."

    def __init__(
        self,
        estimator=None,
        *,
        n_samples_to_select="auto",
        step=0.1,
        evaluate_on="all",
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
        self.estimator = estimator
        self.n_samples_to_select = n_samples_to_select
        self.step = step
        self.evaluate_on = evaluate_on
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
    def fit(self, X, y, *, X_pool=None, y_pool=None, groups=None, X_val=None, y_val=None):
        """Choose rows of the pool and train the estimator on them and the core.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows of the core: array, dataframe or tensor.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Labels of any type, or regression targets. The tag of ``estimator`` says which; without
            one, floats with a fraction are regression targets.
        X_pool : array-like of shape (n_pool, n_features) or tuple of one, default=None
            Rows that may be added. In a Pipeline they arrive as given, unless metadata routing is
            on and its ``transform_input`` names them. In a search pass ``(X_pool,)``: it would
            slice an array that has as many rows as X. None: no row is added, and `score_rows`
            scores rows that come later.
        y_pool : array-like of shape (n_pool,) or (n_pool, n_targets) or tuple of one, default=None
            Labels of the pool, out of those in y.
        groups : array-like of shape (n_samples,), default=None
            Rows of the core of one group are left out together.
        X_val : array-like of shape (n_val, n_features) or tuple of one, default=None
            Validation rows: their mean loss replaces the leave-one-out loss. In a Pipeline as
            ``X_pool``.
        y_val : array-like of shape (n_val,) or (n_val, n_targets) or tuple of one, default=None
            Labels of the validation rows.

        Returns
        -------
        DivaExtender
            The fitted estimator.

        Raises
        ------
        ValueError
            If an argument is not as described; if ``n_samples_to_select`` is larger than the pool;
            if ``alpha`` is too small even for float64. The estimator is then left as it was.
        """
        data, pool, feature_map = self._read_all(
            X, y, X_pool, y_pool, groups=groups, X_val=X_val, y_val=y_val
        )
        limit = self._limit(0 if pool is None else pool.n_rows)
        posed = self._pose(with_pool(data, pool, self.random_state), feature_map)
        answer = posed.extend(data, pool, limit)
        ranking = ranking_of(answer)
        scores = NewRowScores(answer)
        fitted = {
            "ranking_": ranking,
            "support_": ranking <= len(answer.chosen),
            "pool_derivative_": to_host(answer.start_derivative),
            "loo_loss_": answer.loss_path[0],
            "loo_loss_path_": np.asarray(answer.loss_path),
            "n_added_": np.cumsum([0, *answer.n_added]),
            "coef_": scores.coef,
            "intercept_": scores.intercept,
            "estimator_": self._train(data, pool, to_host(answer.chosen)),
            "_row_scores": scores,
            "_target": data.target,
        }
        return self._keep(data, posed, **fitted)

    def _read_all(self, X, y, X_pool, y_pool, **metadata):
        """Check what `fit` was given: core, pool, and the feature map that will read them."""
        several = self.estimator is None or get_tags(self.estimator).target_tags.multi_output
        data, feature_map = self._read(
            X, y, None, self.estimator, several, sources=None, **metadata
        )
        pool = read_pool(self, data, X_pool, y_pool, numeric=feature_map.reads_numbers)
        return data, pool, feature_map

    def _limit(self, n_pool):
        """Largest number of rows to add."""
        if self.n_samples_to_select == "auto" or n_pool == 0:
            return n_pool
        if self.n_samples_to_select > n_pool:
            raise ValueError(
                f"n_samples_to_select={self.n_samples_to_select} is larger than the pool, which "
                f"has {n_pool} rows. Use n_samples_to_select='auto' to add all rows that help."
            )
        return self.n_samples_to_select

    def _train(self, data, pool, chosen):
        """Fit a clone of the inner estimator on the core and the chosen rows, in input order."""
        if self.estimator is None:
            return None
        X, y, rows = data.X, data.y, np.sort(chosen)
        if len(rows):
            X = append_rows(X, _safe_indexing(indexable(pool.X)[0], rows))
            y = np.concatenate([y, pool.target.select(rows).given])
        return clone(self.estimator).fit(X, y)

    def _losses_in(self, orders, rows):
        """Losses as ``loo_loss_path_``, had the pool been added in other orders."""
        # Imported here: it loads torch.
        from skdiva.estimators._added_losses import added_losses

        return added_losses(self, rows, orders)

    def _what_is_lost(self):
        if self.estimator is None and self.support_.any():
            return "The chosen rows do not reach the next step of a Pipeline: it gets X alone."
        return None
