"""DivaExtender: selection of rows of a pool to add to the training set."""

from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.utils import _safe_indexing, check_consistent_length, get_tags, indexable
from sklearn.utils._param_validation import Interval, RealNotInt, StrOptions
from sklearn.utils.validation import check_is_fitted

from skdiva._decorators import fit_context
from skdiva.arrays import append_rows, read_source, to_host
from skdiva.estimators._base import BaseDiva
from skdiva.estimators._inputs import TrainingData, check_X
from skdiva.estimators._new_rows import NewRowDerivative
from skdiva.estimators._pool import Pool, read_pool, with_pool
from skdiva.estimators.feature_maps import FeatureMap
from skdiva.estimators.inner import DelegationMixin
from skdiva.targets import Target, encode_like


class DivaExtender(DelegationMixin, BaseDiva):
    r"""Extend a core of labeled rows by the rows of a pool that lower the leave-one-out loss.

    A ridge model on features of X has leave-one-out predictions in closed form, and so has the
    derivative of their mean loss with respect to the weight of a row that is not trained on. The
    rows of the pool with the most negative derivatives are added in batches, until no derivative is
    negative. The given estimator is then trained on the core and the selected rows.

    Parameters
    ----------
    estimator : estimator instance, default=None
        Estimator to train on the core and the selected rows. It receives X as passed to `fit`. If
        None, rows are only selected.
    task : {"auto", "classification", "regression"}, default="auto"
        What y holds. If "auto", the type of ``estimator`` decides if it is a classifier or a
        regressor, and y itself otherwise: strings, booleans and categories are classes, and numbers
        with a fraction are regression targets. Whole numbers are classes if there are at most 10
        different ones, or if they look like class codes: they start at -1, 0 or 1 and have few
        gaps. If there are more, or if most rows have a number of their own, they are regression
        targets. A warning says how they are read if this is in doubt.
    n_samples_to_select : "auto" or int, default="auto"
        Largest number of rows to add. If "auto", there is no limit. In either case, no more rows
        are added when none has a negative derivative.
    step : float or int, default=0.1
        Number of rows in a batch. If an int, the number itself. If a float, the share of the rows
        that are trained on so far, which are those of the core and those added. With the int 1 the
        selection is greedy; larger steps take less time.
    evaluate_on : {"all", "core"}, default="all"
        Rows whose predictions are evaluated by the loss. If "all", every row of the core and of the
        pool, each predicted by a model that is not trained on it. This requires that most labels of
        the pool are correct, and that the pool is similar to the core. If "core", only the rows of
        the core, as in [1]_. This suits a pool of another kind, such as another site or another
        modality, of which many rows may be added, and a pool whose labels are mostly wrong. With
        ``X_val``, the loss is evaluated on the validation rows only.
    featurizer : "auto", transformer or None, default="auto"
        Features of the ridge model. They are fitted on the core and the pool, or on the core and a
        sample of 10,000 rows of the pool if it is larger. If "auto", a
        :class:`~skdiva.features.KernelFeaturizer` chooses linear or kernel features, whichever
        predict better; X may have missing values, and a dataframe may hold strings and categories.
        For sparse X with more than 300 columns, the features are 300 singular vectors of rows of
        length one, as in latent semantic analysis. If None, X itself, which must be finite. If a
        transformer, its output of shape (n_samples, p), which must be finite; X may then be
        whatever the transformer and ``estimator`` accept. If the transformer has a method
        ``initial_outputs(X)`` that returns an array of shape (n_samples, k), the ridge model is
        added to these outputs.
    alpha : float or "auto", default="auto"
        Ridge penalty, which is added to the sum of squared errors. If "auto", the value on a
        logarithmic grid with the smallest leave-one-out squared error, on the same rows as the
        features.
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
        Determines the landmarks of the kernels of ``featurizer="auto"``, and the sample of a large
        pool. None is the same as 0, so that repeated calls give the same results.
    verbose : int, default=0
        If positive, a progress bar over the rows added is shown.

    Attributes
    ----------
    ranking_ : ndarray of shape (n_pool,)
        Rank of every row of the pool; 1 is the row selected first. Rows that were not selected
        follow in the order of their derivatives after the last step. Ties are broken by index.
    support_ : ndarray of shape (n_pool,)
        Mask of the selected rows.
    pool_derivative_ : ndarray of shape (n_pool,)
        Derivative of ``loo_loss_`` with respect to the weight, at zero, of every row of the pool,
        for the model of the core alone. If it is positive, adding the row is detrimental. The loss
        of the row itself is not included. If ``alpha_`` is close to zero, derivatives may exceed
        the loss by orders of magnitude (1e6 for a loss of 1); only their signs and order are then
        meaningful.
    loo_loss_ : float
        Mean loss of the rows chosen by ``evaluate_on``, predicted by the model of the core alone.
    loo_loss_path_ : ndarray of shape (n_batches + 1,)
        That loss at the start and after every batch of rows. The last batches may raise it, because
        the rows of a batch are selected independently of each other.
    n_added_ : ndarray of shape (n_batches + 1,)
        Number of rows added up to each entry of ``loo_loss_path_``.
    alpha_ : float
        Ridge penalty that was used.
    coef_ : ndarray of shape (p, k)
        Coefficients of the ridge model of the core, on the features.
    intercept_ : ndarray of shape (k,)
        Intercepts of that model.
    estimator_ : estimator
        The trained estimator; None if ``estimator`` is None.
    featurizer_ : transformer or None
        The fitted featurizer; for "auto", a KernelFeaturizer, or a Pipeline of a Normalizer and a
        TruncatedSVD.
    classes_ : ndarray of shape (n_classes,)
        Class labels; only for classification.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns of X, if all of them are strings.

    See Also
    --------
    DivaReweighter : Learn weights for the rows of a training set.

    Notes
    -----
    A row with features :math:`z` and residual :math:`e` (prediction minus target) has the
    derivative (section 3.4 of [1]_)

    .. math:: - \langle (C Z' P)' z, e \rangle - z' C M C z

    with :math:`C` the inverse of the penalized Gram matrix of the rows trained on, and :math:`P`
    and :math:`M = \sum_i P_i' r_i z_i z_i'` sums over the rows that the loss is evaluated on, other
    than the row itself (in :math:`M`, over those that are also trained on). The factorization is
    computed once and updated with every batch.

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

    _parameter_constraints: ClassVar[dict] = {
        **DelegationMixin._parameter_constraints,
        "evaluate_on": [StrOptions({"all", "core"})],
        "n_samples_to_select": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "step": [
            Interval(Integral, 1, None, closed="left"),
            Interval(RealNotInt, 0, None, closed="neither"),
        ],
        **BaseDiva._parameter_constraints,
    }
    _fitted_private = ("_feature_map", "_target", "_row_scores")
    _routes_fit = False

    _target: Target
    _row_scores: NewRowDerivative
    ranking_: np.ndarray
    support_: np.ndarray
    pool_derivative_: np.ndarray
    loo_loss_path_: np.ndarray
    n_added_: np.ndarray
    coef_: np.ndarray
    intercept_: np.ndarray

    def __init__(
        self,
        estimator: Any = None,
        *,
        task: str = "auto",
        n_samples_to_select: str | int = "auto",
        step: float = 0.1,
        evaluate_on: str = "all",
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
        self.estimator = estimator
        self.task = task
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

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        X_pool: Any = None,
        y_pool: Any = None,
        groups: ArrayLike | None = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> Self:
        """Select rows of the pool and train the estimator on the core and these rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows of the core: an array, a sparse array or matrix, a dataframe or a tensor.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Labels of any type, or regression targets; ``estimator`` or ``task`` says which.
        X_pool : array-like of shape (n_pool, n_features) or tuple of one, default=None
            Rows that may be added. A Pipeline passes them on without transforming them, unless
            metadata routing is enabled and its ``transform_input`` includes them. In a parameter
            search, pass ``(X_pool,)``, because a search slices arrays that have as many rows as X.
            If None, no row is added, and `score_rows` can score rows afterwards.
        y_pool : array-like of shape (n_pool,) or (n_pool, n_targets) or tuple of one, default=None
            Labels of the pool, whose classes must occur in y.
        groups : array-like of shape (n_samples,), default=None
            Group of every row of the core. The rows of a group are left out together.
        X_val : array-like of shape (n_val, n_features) or tuple of one, default=None
            Validation rows, whose mean loss replaces the leave-one-out loss. In a Pipeline and in a
            search, they are treated as ``X_pool``.
        y_val : array-like of shape (n_val,) or (n_val, n_targets) or tuple of one, default=None
            Labels of the validation rows.

        Returns
        -------
        DivaExtender
            The fitted estimator.

        Raises
        ------
        TypeError
            If an argument is of another kind than described, such as a set, a sparse tensor or the
            class of a loss.
        ValueError
            If an argument is not as described, if ``n_samples_to_select`` is larger than the pool,
            or if ``alpha`` is too small even for float64. The estimator is then left unchanged.
        MemoryError
            If the ridge model needs more memory than is free. The message says how much.
        """
        self._check_estimator()
        data, pool, feature_map = self._validate_with_pool(
            X, y, X_pool, y_pool, groups=groups, X_val=X_val, y_val=y_val
        )
        limit = self._limit(0 if pool is None else pool.n_rows)
        adapter = self._build_adapter(with_pool(data, pool, self.random_state), feature_map)
        extension = adapter.extend(data, pool, limit)
        ranking = _ranking(to_host(extension.chosen), to_host(extension.derivative))
        coef, intercept = to_host(extension.coef), to_host(extension.intercept)
        fitted = {
            "ranking_": ranking,
            "support_": ranking <= len(extension.chosen),
            "pool_derivative_": to_host(extension.start_derivative),
            "loo_loss_": extension.loss_path[0],
            "loo_loss_path_": np.asarray(extension.loss_path),
            "n_added_": np.cumsum([0, *extension.n_added]),
            "coef_": coef,
            "intercept_": intercept,
            "estimator_": self._train(data, pool, to_host(extension.chosen)),
            "_row_scores": NewRowDerivative(extension.start_form, coef, intercept),
            "_target": data.target,
        }
        return self._set_fitted(data, adapter, **fitted)

    def score_rows(self, X: ArrayLike, y: ArrayLike) -> np.ndarray:
        """Return the derivative with respect to the weight, at zero, of any labeled rows.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows that are not trained on.
        y : array-like of shape (n_rows,) or (n_rows, n_targets)
            Their labels, which must be in ``classes_``, or their targets.

        Returns
        -------
        ndarray of shape (n_rows,)
            If it is negative, adding the row to the core lowers ``loo_loss_``. For the rows of the
            pool it is ``pool_derivative_`` if ``evaluate_on="core"``. If ``evaluate_on="all"``, a
            row of the pool is scored as a copy of the one in the pool, whose own loss is included.
            As for ``pool_derivative_``, only signs and order are meaningful if ``alpha_`` is close
            to zero.

        Raises
        ------
        ValueError
            If X or y is not as in `fit`.
        """
        check_is_fitted(self)
        X = check_X(
            self, read_source(self, X), numeric=self._feature_map.reads_numbers, reset=False
        )
        target = encode_like(self._target, y)
        check_consistent_length(X, target.given)
        return self._row_scores.score(self._feature_map, X, target)

    def select(self, n: int) -> np.ndarray:
        """Return the best rows of the pool.

        Parameters
        ----------
        n : int
            Number of rows. If it is larger than the number of selected rows, the remaining rows
            follow in the order of ``ranking_``.

        Returns
        -------
        ndarray of shape (n,)
            Positions in the pool, best first.

        Raises
        ------
        ValueError
            If n is not an int, or larger than the number of rows in the pool.
        """
        check_is_fitted(self)
        if not isinstance(n, Integral) or not 0 <= n <= len(self.ranking_):
            raise ValueError(
                "n must be an int between 0 and the number of rows in the pool, "
                f"{len(self.ranking_)}; got {n!r}."
            )
        return np.argsort(self.ranking_)[:n]

    def _validate_with_pool(
        self, X: Any, y: Any, X_pool: Any, y_pool: Any, **metadata: Any
    ) -> tuple[TrainingData, Pool | None, FeatureMap]:
        """Validate the arguments of `fit`; return the core, the pool, and a new feature map."""
        several = self.estimator is None or get_tags(self.estimator).target_tags.multi_output
        data, feature_map = self._validate_fit(
            read_source(self, X), y, inner=self.estimator, several=several, **metadata
        )
        pool = read_pool(self, data, X_pool, y_pool, numeric=feature_map.reads_numbers)
        return data, pool, feature_map

    def _limit(self, n_pool: int) -> int:
        """Return the largest number of rows to add."""
        limit = self.n_samples_to_select
        if isinstance(limit, str) or n_pool == 0:
            return n_pool
        if limit > n_pool:
            raise ValueError(
                f"n_samples_to_select={limit} is larger than the pool, which has {n_pool} rows. "
                "Use n_samples_to_select='auto' to add all rows that help."
            )
        return limit

    def _train(self, data: TrainingData, pool: Pool | None, chosen: np.ndarray) -> Any:
        """Fit a clone of the inner estimator on the core and the selected rows, in input order."""
        if self.estimator is None:
            return None
        X, y, rows = data.X, data.y, np.sort(chosen)
        if pool is not None and len(rows):
            X = append_rows(X, _safe_indexing(indexable(pool.X)[0], rows))
            y = np.concatenate([y, pool.target.select(rows).given])
        return clone(self.estimator).fit(X, y)

    def _pipeline_warning(self) -> str | None:
        if self.estimator is not None or not self.support_.any():
            return None
        return (
            "The chosen rows do not reach the next step of a Pipeline: it gets X alone. Use "
            "DivaExtender(estimator=...) as the last step instead."
        )


def _ranking(chosen: np.ndarray, derivative: np.ndarray) -> np.ndarray:
    """Return the rank, from 1, of every row of the pool: chosen rows first, then by derivative."""
    rest = np.setdiff1d(np.arange(len(derivative)), chosen)
    order = np.concatenate([chosen, rest[np.argsort(derivative[rest], kind="stable")]])
    ranking = np.empty(len(order), dtype=np.int64)
    ranking[order] = np.arange(1, len(order) + 1)
    return ranking
