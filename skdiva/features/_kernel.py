"""KernelFeaturizer: standardized columns or kernel features, chosen by leave-one-out error."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _num_samples, check_is_fitted

from skdiva._decorators import fit_context
from skdiva.arrays import (
    has_categories,
    is_frame,
    mean_one,
    read_weight,
    refuse_non_finite,
    refuse_unread_rows,
    take_rows,
    to_host,
)
from skdiva.features._columns import StandardizedColumns, check_names, check_numbers
from skdiva.targets import TASK_CONSTRAINT, TaskMixin

if TYPE_CHECKING:
    import torch

    from skdiva.features._kernel_selection import SelectionTask

_MOST_LANDMARKS = 1000
_FEATURE_BYTES = 2**30  # of the features of the training rows
_CHOICE_ROWS, _CHOICE_LANDMARKS = 3000, 400  # on which the candidates are compared


class KernelFeaturizer(TaskMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Linear or kernel features, whichever give the smaller error of a ridge model.

    The columns of X are standardized to mean 0 and variance 1. The features are either these
    columns, or the Nystroem features of a kernel between rows and landmarks, which are training
    rows drawn without regard to the labels. Eight candidates, which differ in kernel and width, are
    compared by the leave-one-out squared error of a ridge model at its best penalty, in closed
    form. Apart from this choice, the features do not depend on y, so that leave-one-out errors of
    models on these features are not biased by the labels that are left out.

    Parameters
    ----------
    kernel : {"auto", "linear", "rbf", "laplacian"}, default="auto"
        Kernel. If "linear", the features are the standardized columns. If "rbf", the kernel is
        exp(-gamma * squared Euclidean distance). If "laplacian", it is exp(-gamma * sum of absolute
        differences), with which step functions of single columns can be fitted, as with trees. If
        "auto", the best of the three.
    gamma : "auto" or float, default="auto"
        Coefficient of the kernel on standardized columns. If "auto", the best of 0.1, 0.3, 1 and 3
        ("rbf") or of 0.2, 0.6 and 2 ("laplacian"), divided by the number of columns of X that vary.
    n_components : "auto" or int, default="auto"
        Number of landmarks, and largest number of features of a kernel. If "auto", 1000, or fewer
        if there are fewer rows or if the training features would take more than 1 GiB.
    task : {"auto", "classification", "regression"}, default="auto"
        What y holds. If "auto", strings, booleans and categories are classes, and numbers with a
        fraction are regression targets. Whole numbers are classes if there are at most 10 different
        ones, or if they look like class codes: they start at -1, 0 or 1 and have few gaps. If there
        are more, or if most rows have a number of their own, they are regression targets. A warning
        says how they are read if this is in doubt.
    device : str, default=None
        Device to compute on: "cpu", "cuda" or "cuda:<index>". If None, the device of X if that is a
        CUDA tensor; otherwise CUDA if it is available, else the CPU.
    dtype : {"float32", "float64"}, default=None
        Precision of the features. If None, float32 for float32, float16 or CUDA input, otherwise
        float64.
    random_state : int, RandomState instance or None, default=None
        Determines which rows become landmarks. None is the same as 0, so that repeated calls give
        the same results.
    verbose : int, default=0
        If positive, a progress bar of the candidates.

    Attributes
    ----------
    kernel_ : {"linear", "rbf", "laplacian"}
        Kernel used.
    gamma_ : float or None
        Coefficient of the kernel; None for "linear".
    loo_results_ : dict of lists
        The candidates: "kernel", "gamma" (None for "linear") and "loo_loss", the mean leave-one-out
        squared error, summed over classes or targets. ``pandas.DataFrame(loo_results_)`` is a
        table. The lists are empty if there is nothing to choose.
    landmarks_ : ndarray of shape (n_landmarks, n_columns)
        Standardized landmarks; None for "linear".
    projection_ : ndarray of shape (n_landmarks, n_components)
        Matrix that turns kernel values at the landmarks into features; None for "linear".
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if all of them are strings.

    See Also
    --------
    JacobianFeaturizer : Features from a torch network.
    DivaOutlierDetector : Uses this class if ``featurizer="auto"``.
    DivaReweighter : Uses this class if ``featurizer="auto"``.

    Notes
    -----
    In a pandas or polars dataframe, a column of strings or categories becomes one column per
    category, scaled to a total variance of 1, so that it counts as much as a numeric column.
    Ordered categories are replaced by their position. Only the hundred most frequent categories of
    a column get a column of their own; the others share one. Columns of objects are numbers if they
    hold numbers only; otherwise their values are compared as text. Columns of dates, times, complex
    numbers, lists and structs are refused. Columns are matched by position; if all names are
    strings, they must be those of `fit`, in the same order.

    Missing values (NaN, None or NA) of strings and unordered categories are a category of their
    own. Missing numbers and ordered categories are replaced by the weighted mean of the column. If
    a column has missing values in `fit`, another column says where they are, and both together
    have a variance of 1. These columns follow all others. Infinite values are refused.

    One wrong entry, such as 1e12, would leave the rest of its column without any variance. Values
    are therefore replaced by the nearest other value of the column if they are a hundred times
    farther from its median than all others, if there are at most as many of them as two percent of
    the rows, plus one, and if more of the others differ from the median. Heavy tails without such a
    gap, and columns with a few ones among zeros, are not changed. In new rows, standardized values
    are limited to 1e8.

    If there are more than 3000 rows, the candidates are compared on 3000 of them, with 400
    landmarks.

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
        "task": TASK_CONSTRAINT,
        "device": [str, None],
        "dtype": [StrOptions({"float32", "float64"}), None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    kernel_: str
    gamma_: float | None
    loo_results_: dict[str, list]
    landmarks_: np.ndarray | None
    projection_: np.ndarray | None
    n_features_in_: int
    feature_names_in_: np.ndarray
    _columns: StandardizedColumns
    _device: str
    _dtype: str

    def __init__(
        self,
        kernel: str = "auto",
        *,
        gamma: str | float = "auto",
        n_components: str | int = "auto",
        task: str = "auto",
        device: str | None = None,
        dtype: str | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.kernel = kernel
        self.gamma = gamma
        self.n_components = n_components
        self.task = task
        self.device = device
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, *, groups: Any = None) -> Self:
        """Choose the kernel and its coefficient, and draw the landmarks.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows: numbers, or a dataframe that may also hold strings and categories. Values
            may be missing, but not infinite.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
            Labels of any type, or regression targets; ``task`` says which. Required if there is
            something to choose.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights in means, variances and errors.
        groups : array-like of shape (n_samples,), default=None
            Rows of the same group are left out together.

        Returns
        -------
        KernelFeaturizer
            The fitted featurizer.

        Raises
        ------
        ValueError
            If an argument is not as described. The message names the row and column of an infinite
            value, and the column of a dataframe that cannot be read.
        """
        from skdiva.arrays import choose_device, choose_dtype
        from skdiva.features._kernel_selection import read_task

        device = choose_device(self.device, X, y)
        dtype = choose_dtype(self.dtype, X, y)
        X = self._check_X(X, reset=True)
        if sample_weight is not None:
            sample_weight = mean_one(read_weight(sample_weight, _num_samples(X)))
        task = read_task(X, y, groups, device, self.task) if self.chooses else None
        return self.fit_checked(X, sample_weight, task, device, dtype)

    def transform(self, X: Any) -> np.ndarray:
        """Compute the features.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows with the columns seen in `fit`.

        Returns
        -------
        ndarray of shape (n_rows, n_components)
            The features; for "linear", the standardized columns.
        """
        check_is_fitted(self)
        return to_host(self.transform_checked(self._check_X(X, reset=False)))

    @property
    def chooses(self) -> bool:
        """Whether `fit` compares candidates, for which it needs y."""
        return self.kernel == "auto" or (self.kernel != "linear" and self.gamma == "auto")

    def fit_checked(
        self,
        X: Any,
        sample_weight: np.ndarray | None,
        task: SelectionTask | None,
        device: torch.device,
        dtype: str,
        *,
        choice_rows: int = _CHOICE_ROWS,
        choice_landmarks: int = _CHOICE_LANDMARKS,
    ) -> Self:
        """Fit to arguments that have been checked.

        Parameters
        ----------
        X : ndarray of shape (n, p) or dataframe
            Training rows.
        sample_weight : ndarray of shape (n,) or None
            Their weights.
        task : SelectionTask or None
            Targets, groups and weights for the choice; None if there is nothing to choose.
        device : torch.device
            Device to compute on.
        dtype : {"float32", "float64"}
            Precision of the features.
        choice_rows : int, default=3000
            Largest number of rows for comparing the candidates.
        choice_landmarks : int, default=400
            Largest number of landmarks for comparing the candidates.

        Returns
        -------
        KernelFeaturizer
            The fitted featurizer.
        """
        from skdiva.arrays import to_tensor
        from skdiva.features._kernel_selection import (
            candidates,
            compare_on_sample,
            kernel_distances,
            nystroem_projection,
        )

        columns = StandardizedColumns().fit(X, sample_weight)
        rows = np.arange(len(X)) if sample_weight is None else np.flatnonzero(sample_weight)
        seed = 0 if self.random_state is None else self.random_state
        order = check_random_state(seed).permutation(rows)
        n_landmarks = self.n_components
        if n_landmarks == "auto":
            n_landmarks = automatic_n_landmarks(len(X), dtype)
        pairs = candidates(self.kernel, self.gamma, columns.total_variance)
        losses: dict = {}
        landmarks: Any = None
        projection: Any = None
        if task is not None and len(pairs) > 1:
            sample = task.validation_rows_first(order, choice_rows // 2)[:choice_rows]
            centers = np.sort(order[: min(n_landmarks, choice_landmarks)])
            shown, rows = self._shown(pairs), np.sort(sample)
            losses = compare_on_sample(
                shown, columns, X, sample_weight, task, rows, centers, device
            )
            pairs = [min(pairs, key=losses.__getitem__)]
        ((kernel, gamma),) = pairs
        if gamma is not None:
            landmarks = columns.transform(take_rows(X, np.sort(order[:n_landmarks])), dtype)
            tensor = to_tensor(landmarks, device, dtype)
            _require_memory(3 * len(tensor), len(tensor), tensor)
            distances = kernel_distances(kernel, tensor, tensor)
            projection = to_host(nystroem_projection(distances, gamma))
        self.kernel_, self.gamma_ = kernel, gamma
        self.loo_results_ = _as_table(losses)
        self.landmarks_, self.projection_ = landmarks, projection
        self._columns, self._device, self._dtype = columns, str(device), dtype
        return self

    def transform_checked(self, X: Any) -> np.ndarray | torch.Tensor:
        """Compute the features of rows that have been checked.

        Parameters
        ----------
        X : ndarray of shape (n, p) or dataframe
            Rows with the columns seen in `fit`.

        Returns
        -------
        ndarray or tensor of shape (n, n_components)
            An ndarray for "linear", else a tensor on the device.
        """
        if self.gamma_ is None:
            return self._columns.transform(X, self._dtype)
        from skdiva.arrays import to_tensor
        from skdiva.features._kernel_selection import nystroem_features

        landmarks = to_tensor(self.landmarks_, self._device, self._dtype)
        projection = to_tensor(self.projection_, self._device, self._dtype)
        _require_memory(len(X), projection.shape[1], landmarks)
        features = landmarks.new_empty((len(X), projection.shape[1]))
        for rows, block in self._columns.blocks(X, self._dtype):
            tensor = to_tensor(block, self._device, self._dtype)
            nystroem_features(
                self.kernel_, self.gamma_, tensor, landmarks, projection, out=features[rows]
            )
        return features

    def _shown(self, candidates: list) -> Any:
        """Return the candidates, with a progress bar if the featurizer is verbose."""
        if not self.verbose:
            return candidates
        from skdiva._progress import tracked

        return tracked(candidates, type(self).__name__, "candidate")

    @property
    def _n_features_out(self) -> int:
        if self.projection_ is None:
            return self._columns.n_columns
        return self.projection_.shape[1]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self.chooses
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.string = tags.input_tags.categorical = False
        tags.input_tags.allow_nan = True
        return tags

    def _check_X(self, X: Any, *, reset: bool) -> Any:
        if issparse(X):
            raise TypeError(
                "KernelFeaturizer expects dense X, got sparse data. Reduce the columns first, with "
                "make_pipeline(TruncatedSVD(100), KernelFeaturizer()), or pass X.toarray() if "
                "there are few columns."
            )
        refuse_unread_rows(X, type(self).__name__, numeric=True)
        encodes = is_frame(X) and has_categories(X) if reset else self._columns.encodes
        if not encodes:
            return check_numbers(self, X, reset=reset, allow_nan=True)
        check_names(self, X, reset=reset)
        refuse_non_finite(X, allow_nan=True)
        return X


def _require_memory(n_rows: int, n_columns: int, landmarks: Any) -> None:
    from skdiva.loo.rows import require_memory

    require_memory(
        n_rows * n_columns * landmarks.dtype.itemsize,
        landmarks.device,
        f"Kernel features of {n_rows} rows and {n_columns} columns",
        "Use a smaller n_components, or dtype='float32'.",
    )


def automatic_n_landmarks(n_rows: int, dtype: str) -> int:
    """Return the number of landmarks for ``n_components="auto"``, as memory allows."""
    row_bytes = n_rows * np.dtype(dtype).itemsize
    return min(_MOST_LANDMARKS, max(_FEATURE_BYTES // row_bytes, 1))


def _as_table(losses: dict) -> dict[str, list]:
    """Return losses of pairs (kernel, gamma) as columns, of types that JSON has."""
    kernels, gammas = zip(*losses, strict=True) if losses else ((), ())
    return {"kernel": [*kernels], "gamma": [*gammas], "loo_loss": [*losses.values()]}
