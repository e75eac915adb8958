"""KernelFeaturizer: features whose linear models predict well, chosen by leave-one-out error."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from skdiva.arrays import has_categories, take_rows, to_host
from skdiva.features._columns import StandardizedColumns

_MOST_LANDMARKS = 1000
_FEATURE_BYTES = 2**30  # of the features of the training rows
_CHOICE_ROWS, _CHOICE_LANDMARKS = 3000, 400  # on which the candidates are compared


class KernelFeaturizer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Linear or kernel features, whichever a ridge model predicts best with.

    Columns are brought to mean 0 and variance 1. Then either they are the features, or the features
    are those of a kernel between rows and landmarks (Nystroem), rows that are drawn without a look
    at the labels. Which kernel, and how wide, is decided by the leave-one-out squared error of a
    ridge model at its best penalty, in closed form, for eight candidates. Beyond that choice the
    features do not depend on y, so that leave-one-out errors of models on them stay honest.

    Parameters
    ----------
    kernel : {"auto", "linear", "rbf", "laplacian"}, default="auto"
        "linear": the standardised columns themselves; "rbf": exp(-gamma * squared Euclidean
        distance); "laplacian": exp(-gamma * sum of absolute differences), which follows steps along
        single columns, as trees do. "auto": the best of them.
    gamma : "auto" or float, default="auto"
        Coefficient of the kernel on standardised columns. "auto": the best of 0.1, 0.3, 1 and 3
        ("rbf") or 0.2, 0.6 and 2 ("laplacian"), divided by the number of columns of X that vary.
    n_components : "auto" or int, default="auto"
        Number of landmarks, and largest number of features of a kernel. "auto": 1000, or fewer if
        there are fewer rows or the training features would take more than 1 GiB.
    device : str, default=None
        "cpu", "cuda" or "cuda:<index>". None: where X is if that is a CUDA tensor, else CUDA if
        there is one, else the CPU.
    dtype : {"float32", "float64"}, default=None
        Precision of the features. None: float32 for float32, float16 or CUDA input, else float64.
    random_state : int, RandomState instance or None, default=None
        Decides which rows are landmarks. None is 0: the same call gives the same features.

    Attributes
    ----------
    kernel_ : {"linear", "rbf", "laplacian"}
        Kernel used.
    gamma_ : float or None
        Its coefficient; None for "linear".
    loo_losses_ : dict
        Mean leave-one-out squared error, summed over classes or targets, by (kernel, gamma); empty
        if there was nothing to choose.
    landmarks_ : ndarray of shape (n_landmarks, n_columns)
        Standardised landmarks; None for "linear".
    projection_ : ndarray of shape (n_landmarks, n_components)
        Turns kernel values at the landmarks into features; None for "linear".
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if they are all strings.

    See Also
    --------
    DivaOutlierDetector : Uses it as ``featurizer="auto"``.
    DivaReweighter : Uses it as ``featurizer="auto"``.

    Notes
    -----
    In a pandas or polars dataframe, strings and categories become one column per category, scaled
    to a total variance of 1, so that such a column counts as much as a numeric one; ordered
    categories become their position. Categories beyond the hundred most frequent of a column share
    one.

    Of more than 3000 rows, 3000 and 400 landmarks make the choice.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from skdiva.features import KernelFeaturizer
    >>> X, y = load_wine(return_X_y=True)
    >>> featurizer = KernelFeaturizer().fit(X, y)
    >>> featurizer.kernel_
    'laplacian'
    >>> featurizer.transform(X).shape
    (178, 178)
    """

    _parameter_constraints: dict = {
        "kernel": [StrOptions({"auto", "linear", "rbf", "laplacian"})],
        "gamma": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "n_components": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "device": [str, None],
        "dtype": [StrOptions({"float32", "float64"}), None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        kernel="auto",
        *,
        gamma="auto",
        n_components="auto",
        device=None,
        dtype=None,
        random_state=None,
    ):
        self.kernel = kernel
        self.gamma = gamma
        self.n_components = n_components
        self.device = device
        self.dtype = dtype
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None, *, groups=None):
        """Choose kernel and coefficient, and draw the landmarks.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows: finite numbers, or a dataframe that may also hold strings and categories.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
            Labels, or targets: floats with a fraction. Needed where there is something to choose.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights in means, variances and errors.
        groups : array-like of shape (n_samples,), default=None
            Rows of one group are left out together.

        Returns
        -------
        KernelFeaturizer
            The fitted featurizer.

        Raises
        ------
        ValueError
            If an argument is not as described.
        """
        from skdiva.arrays import choose_device, choose_dtype
        from skdiva.features._kernel_selection import read_labels

        device = choose_device(self.device, X, y)
        dtype = choose_dtype(self.dtype, X, y)
        X = self._check_X(X, reset=True)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(
                to_host(sample_weight), X, dtype=np.float64, ensure_non_negative=True
            )
        labels = read_labels(X, y, groups, device) if self.chooses else None
        return self.fit_checked(X, sample_weight, labels, device, dtype)

    def transform(self, X):
        """Compute the features.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows with the columns seen in `fit`.

        Returns
        -------
        ndarray of shape (n_rows, n_components)
            The features; standardised columns for "linear".
        """
        check_is_fitted(self)
        return to_host(self.transform_checked(self._check_X(X, reset=False)))

    @property
    def chooses(self):
        """Whether `fit` has something to choose, and needs y."""
        return self.kernel == "auto" or (self.kernel != "linear" and self.gamma == "auto")

    def fit_checked(self, X, sample_weight, labels, device, dtype):
        """Fit to checked arguments.

        Parameters
        ----------
        X : ndarray of shape (n, p) or dataframe
        sample_weight : ndarray of shape (n,) or None
        labels : SelectionTask or None
            What decides; None if there is nothing to choose.
        device : torch.device
        dtype : {"float32", "float64"}

        Returns
        -------
        KernelFeaturizer
        """
        from skdiva.features._kernel_selection import candidates

        self._device, self._dtype = str(device), dtype
        self._columns = StandardizedColumns().fit(X, sample_weight)
        rows = np.arange(len(X)) if sample_weight is None else np.flatnonzero(sample_weight)
        seed = 0 if self.random_state is None else self.random_state
        order = check_random_state(seed).permutation(rows)
        n_landmarks = self._n_landmarks(len(X))
        pairs = candidates(self.kernel, self.gamma, self._columns.total_variance)
        self.loo_losses_ = {}
        if len(pairs) > 1:
            self.loo_losses_ = self._compare(pairs, X, sample_weight, labels, order, n_landmarks)
            pairs = [min(pairs, key=self.loo_losses_.get)]
        ((self.kernel_, self.gamma_),) = pairs
        self._set_landmarks(X, np.sort(order[:n_landmarks]))
        return self

    def transform_checked(self, X):
        """Features of checked rows: an array for "linear", else a tensor on the device."""
        if self.kernel_ == "linear":
            return self._columns.transform(X, self._dtype)
        from skdiva.features._kernel_selection import nystroem_features

        landmarks, projection = map(self._tensor, (self.landmarks_, self.projection_))
        features = landmarks.new_empty((len(X), projection.shape[1]))
        for rows, block in self._columns.blocks(X, self._dtype):
            nystroem_features(
                self.kernel_, self.gamma_, self._tensor(block), landmarks, projection,
                out=features[rows],
            )  # fmt: skip
        return features

    @property
    def _n_features_out(self):
        if self.kernel_ == "linear":
            return self._columns.n_columns
        return self.projection_.shape[1]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self.chooses
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.string = tags.input_tags.categorical = False
        return tags

    def _check_X(self, X, *, reset):
        if has_categories(X):
            return validate_data(self, X, reset=reset, skip_check_array=True)
        X = to_host(X)
        return validate_data(self, X, reset=reset, dtype="numeric", ensure_min_samples=1 + reset)

    def _n_landmarks(self, n_rows):
        if self.n_components != "auto":
            return self.n_components
        row_bytes = n_rows * np.dtype(self._dtype).itemsize
        return min(_MOST_LANDMARKS, max(_FEATURE_BYTES // row_bytes, 1))

    def _compare(self, pairs, X, sample_weight, labels, order, n_landmarks):
        """Loss of every candidate on some rows, in single precision: they are only compared."""
        from skdiva.features._kernel_selection import loo_losses

        def columns(X):
            return self._tensor(self._columns.transform(X, "float32"))

        rows = np.sort(labels.judges_first(order, _CHOICE_ROWS // 2)[:_CHOICE_ROWS])
        landmarks = np.sort(order[: min(n_landmarks, _CHOICE_LANDMARKS)])
        weight = None
        if sample_weight is not None:
            weight = self._tensor(sample_weight[rows].astype(np.float32))
        labels = labels.select(self._tensor(rows))
        if labels.validation is not None:
            X_val, targets = labels.validation
            labels = labels._replace(validation=(columns(X_val), targets))
        return loo_losses(
            pairs, columns(take_rows(X, rows)), weight, labels, columns(take_rows(X, landmarks))
        )

    def _set_landmarks(self, X, positions):
        self.landmarks_ = self.projection_ = None
        if self.kernel_ == "linear":
            return
        from skdiva.features._kernel_selection import distances, whitening

        self.landmarks_ = self._columns.transform(take_rows(X, positions), self._dtype)
        landmarks = self._tensor(self.landmarks_)
        self.projection_ = to_host(
            whitening(distances(self.kernel_, landmarks, landmarks), self.gamma_)
        )

    def _tensor(self, array):
        from skdiva.arrays import to_tensor

        return to_tensor(array, self._device, array.dtype.name)
