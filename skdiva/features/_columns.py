"""Standardized columns of a table: missing values are filled in, and columns get variance 1."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_array, gen_batches
from sklearn.utils.validation import validate_data

from skdiva.arrays import (
    frame_numbers,
    has_categories,
    is_frame,
    read_numbers,
    refuse_non_finite,
    take_rows,
    to_host,
    with_unique_names,
)
from skdiva.features._encoding import FrameEncoder

_GAP = 100  # an isolated value is this many times farther from the median than all others
_ISOLATED_SHARE = 50  # at most one row, and one in this number of rows, are isolated
_SAMPLED = 1000  # rows from which the center of a column is estimated
_TINY = 1e-30  # smaller numbers, and those above the reciprocal, are brought to about 1 first
_LARGEST = 1e8  # a standardized value of a new row that is larger is set to this number


class StandardizedColumns:
    """Columns of X with mean 0 and variance 1 over the weighted training rows.

    A nominal column of a dataframe becomes one column per category, with a total variance of 1. An
    ordinal column becomes the positions of its categories. A missing value is replaced by the mean,
    and a column that has missing values gets a second column, which says where; both together have
    a variance of 1. A few values that are isolated far from all others are replaced by the nearest
    of these (see `_isolated_limits`).

    Parameters
    ----------
    block_rows : int, default=2**14
        Number of rows standardized at a time. A block of the default size stays in the cache, and
        nothing as large as X is copied.

    Attributes
    ----------
    n_columns : int
        Number of columns that `transform` returns.
    total_variance : float
        Sum of the variances of the standardized columns: the number of columns of X that vary, or 1
        if none does.
    """

    n_columns: int
    total_variance: float
    _limits: np.ndarray  # (2, n), smallest and largest value of every column
    _unit: np.ndarray  # (n,), factor of every column

    def __init__(self, block_rows: int = 2**14):
        self._block_rows = block_rows

    def fit(self, X: Any, sample_weight: np.ndarray | None = None) -> "StandardizedColumns":
        """Learn the categories, means and variances."""
        self._encoder = FrameEncoder().fit(X) if is_frame(X) and has_categories(X) else None
        low, high = self._fit_scaler(X, sample_weight)
        scaler, n_main = self._scaler, len(self._scaler.scale_)
        self._limits, self._unit = np.full((2, n_main), [[-np.inf], [np.inf]]), np.ones(n_main)
        missing = np.zeros(n_main)
        for column in self._suspects(low, high, len(X), sample_weight):
            missing[column] = self._fit_column(X, column, sample_weight)
        for columns in [] if self._encoder is None else self._encoder.blocks:
            variance = scaler.var_[columns].sum()
            scaler.scale_[columns] = np.sqrt(variance) if variance > 0 else 1.0
        # Missing values have the mean of the column, so that they lower its variance.
        variance = np.maximum(scaler.var_, 0) / scaler.scale_**2 * (1 - missing)
        self._indicated = np.flatnonzero((missing > 0) & (missing < 1))
        self._missing = missing[self._indicated]
        variance[self._indicated] += self._missing * (1 - self._missing)
        self._indicator_scale = np.sqrt(variance[self._indicated])
        scaler.scale_[self._indicated] *= self._indicator_scale
        variance[self._indicated] = 1
        self.n_columns = n_main + len(self._missing)
        self.total_variance = max(float(variance.sum()), 1.0)
        return self

    @property
    def encodes(self) -> bool:
        """Whether X is a table with categories."""
        return self._encoder is not None

    def blocks(self, X: Any, dtype: str) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield slices of rows and their columns, scaled in the wider of the two dtypes."""
        for rows in gen_batches(len(X), self._block_rows):
            block = self._numbers(X, rows)
            wide = np.result_type(block.dtype, dtype)
            scaled = self._scaled(block.astype(wide, copy=False))
            if len(self._indicated):
                lost = np.isnan(block[:, self._indicated]) - self._missing
                scaled = np.hstack([scaled, lost / self._indicator_scale])
            yield rows, scaled.astype(dtype, copy=False)

    def transform(self, X: Any, dtype: str) -> np.ndarray:
        """Return the columns, of shape (n_rows, n_columns)."""
        columns = np.empty((len(X), self.n_columns), dtype)
        for rows, block in self.blocks(X, dtype):
            columns[rows] = block
        return columns

    def _scaled(self, block: np.ndarray) -> np.ndarray:
        if np.isfinite(self._limits).any():
            block = block.clip(*self._limits)
        if (self._unit != 1).any():
            block = block * self._unit
        with np.errstate(over="ignore"):
            scaled = self._scaler.transform(block)
        if not (scaled.min() >= -_LARGEST and scaled.max() <= _LARGEST):  # or NaN
            np.clip(scaled, -_LARGEST, _LARGEST, out=scaled)
            np.copyto(scaled, 0, where=np.isnan(scaled))
        return scaled

    def _fit_scaler(self, X: Any, sample_weight: Any) -> tuple[np.ndarray, np.ndarray]:
        """Fit the scaler; return the smallest and largest values, NaN if a value is missing."""
        self._scaler = StandardScaler().set_output(transform="default")
        low, high = np.inf, -np.inf
        for rows in gen_batches(len(X), self._block_rows):
            block, weight = self._numbers(X, rows), None
            if sample_weight is not None:
                # A first block without weight would leave the scaler's running mean undefined.
                positive = sample_weight[rows] > 0
                block, weight = block[positive], sample_weight[rows][positive]
            if len(block):
                # With weights, the variance of a constant column may be rounded to just below 0.
                # The scaler still recognizes the column as constant. Other columns whose moments
                # are not finite are fitted again.
                with np.errstate(all="ignore"):
                    self._scaler.partial_fit(block, sample_weight=weight)
                smallest, largest = _extremes(block)
                low, high = np.minimum(low, smallest), np.maximum(high, largest)
        return np.asarray(low), np.asarray(high)

    def _suspects(self, low: Any, high: Any, n: int, sample_weight: Any) -> np.ndarray:
        """Return the columns that may have missing, isolated, very large or very small values."""
        scaler = self._scaler
        # Isolated values are at least this many standard deviations from the mean.
        least = 2.0 if sample_weight is not None else 0.9 / np.sqrt(1 / n + 1 / _ISOLATED_SHARE)
        with np.errstate(all="ignore"):
            farthest = np.maximum(high - scaler.mean_, scaler.mean_ - low) / scaler.scale_
            largest = np.maximum(np.abs(low), np.abs(high)).astype(np.float64)
            ordinary = (farthest < least) & (largest < 1 / _TINY)
            ordinary &= (largest > _TINY) | (largest == 0)
            # Only zeros and ones have the largest variance that the bounds and the mean allow.
            bound = scaler.mean_ * (1 - scaler.mean_)
            ordinary |= (low == 0) & (high == 1) & (scaler.var_ > (1 - 1e-12) * bound)
        if self._encoder is not None:
            ordinary[: sum(map(len, self._encoder.blocks))] = True
        return np.flatnonzero(~ordinary)

    def _fit_column(self, X: Any, column: int, sample_weight: np.ndarray | None) -> float:
        """Fit the scaler to a single column again; return its weighted share of missing values."""
        values = X[:, column] if self._encoder is None else self._encoder.column(X, column)
        rounding = np.finfo(values.dtype).eps if values.dtype.kind == "f" else 0.0
        values = values.astype(np.float64)
        weight = np.ones(len(values)) if sample_weight is None else sample_weight
        lost = np.isnan(values)
        held = (weight > 0) & ~lost
        values, held_weight = values[held], weight[held]
        if not len(values):  # a column without any value is replaced by zeros
            self._limits[:, column] = 0
            values, held_weight = np.zeros(1), np.ones(1)
        limits = _isolated_limits(values, rounding)
        if limits is not None:
            self._limits[:, column] = limits
            values = values.clip(*limits)
        self._unit[column] = _unit(values)
        if lost.any() or limits is not None or self._unit[column] != 1:
            values = values[:, None] * self._unit[column]
            unweighted = sample_weight is None
            scaler = StandardScaler().fit(values, None, None if unweighted else held_weight)
            for name in ("mean_", "var_", "scale_"):
                getattr(self._scaler, name)[column] = getattr(scaler, name)[0]
        return float(weight[lost].sum() / weight.sum())

    def _numbers(self, X: Any, rows: slice) -> np.ndarray:
        block = X[rows] if self._encoder is None else self._encoder.transform(take_rows(X, rows))
        # The standard deviations of half-precision numbers may be too large for half precision.
        dtype = np.float32 if block.dtype == np.float16 else block.dtype
        # Sums depend on the order in memory, in the last digit.
        return np.ascontiguousarray(block, dtype)


def _extremes(block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and the largest value of every column; NaN where a value is missing."""
    n, p = block.shape
    if block.flags.c_contiguous and n % 16 == 0:
        # NumPy compares long rows much faster than short ones.
        block = block.reshape(-1, 16 * p)
    low, high = block.min(axis=0), block.max(axis=0)
    return low.reshape(-1, p).min(axis=0), high.reshape(-1, p).max(axis=0)


def _isolated_limits(values: np.ndarray, rounding: float) -> tuple[float, float] | None:
    """Return the smallest and largest value that is not isolated; None if none is isolated.

    Values are isolated if they are a hundred times farther from the median than all others, if
    there are at most as many of them as two percent of the rows, plus one, and if more of the
    others differ from the median. A single 1 in a column of zeros is thus not isolated. Neither is
    a value of a heavy-tailed distribution, such as the log-normal, where the distances grow
    gradually.

    Parameters
    ----------
    values : ndarray of shape (n,)
    rounding : float
        Relative error of the values. Distances of about that size are not told from zero.
    """
    n_most = len(values) // _ISOLATED_SHARE + 1
    # Halves, because the difference of float64's largest numbers would be infinite.
    sample = values[:: max(len(values) // _SAMPLED, 1)] / 2
    center = np.median(sample)
    distance = np.abs(values / 2 - center)
    inner = np.quantile(np.abs(sample - center), 1 - 1.5 / _ISOLATED_SHARE, method="lower")
    if distance.max() / _GAP <= inner:  # which most columns are done with
        return None
    is_far = distance > inner
    nearest = distance.max(where=~is_far, initial=0)
    farthest = np.append(nearest, np.sort(distance[is_far]))[-n_most - 1 :]
    before, after = farthest[:-1], farthest[1:]
    noise = 100 * rounding * np.maximum(abs(center), np.minimum(after, 1))
    (gaps,) = np.nonzero((after / _GAP > before) & (before > noise))
    if not len(gaps):
        return None
    inside = distance <= before[gaps[0]]
    if np.count_nonzero(distance[inside]) <= np.count_nonzero(~inside):
        return None
    return float(values[inside].min()), float(values[inside].max())


def _unit(values: np.ndarray) -> float:
    """Return a power of two that brings values whose squares are out of range to about 1."""
    largest = np.abs(values).max()
    if _TINY < largest < 1 / _TINY or largest == 0:
        return 1.0
    return float(np.ldexp(1.0, -np.clip(np.frexp(largest)[1], -1000, 1000)))


def check_names(estimator: Any, X: Any, *, reset: bool) -> None:
    """Validate the number and the names of the columns of any container.

    scikit-learn refuses names that occur twice. Columns are then matched by their positions.
    """
    validate_data(estimator, with_unique_names(X), reset=reset, skip_check_array=True)


def check_numbers(estimator: Any, X: Any, *, reset: bool, allow_nan: bool) -> np.ndarray:
    """Validate a table of numbers with the checks of scikit-learn.

    Parameters
    ----------
    estimator : estimator
        Receives or holds the number and the names of the columns.
    X : array-like, dataframe or tensor
        With any of the dtypes for numbers.
    reset : bool
        True in `fit`, False for other rows.
    allow_nan : bool
        Whether missing values are accepted.

    Returns
    -------
    ndarray of shape (n, p)
        With NaN for missing values.

    Raises
    ------
    ValueError
        If X is not such a table. If a value is not finite, the message names its place.
    """
    given = X = plain_numbers(X)
    checks: dict[str, Any] = {
        "ensure_all_finite": "allow-nan" if allow_nan else True,
        "dtype": "numeric",
    }
    checks["ensure_min_samples"] = 1 + reset
    if is_frame(X):
        check_names(estimator, X, reset=reset)
    try:
        if is_frame(X):
            X = frame_numbers(X)
            return check_array(X, estimator=estimator, input_name="X", **checks)
        return validate_data(estimator, X, reset=reset, **checks)
    except ValueError:
        refuse_non_finite(given, allow_nan=allow_nan)
        raise


def plain_numbers(X: Any) -> Any:
    """Return rows of numbers with a plain dtype, if they are not in a dataframe.

    Parameters
    ----------
    X : array-like or tensor
        Anything that is neither a tensor, an array nor a list is returned unchanged.

    Returns
    -------
    ndarray
        With NaN for missing values and masked entries.

    Raises
    ------
    TypeError, ValueError
        If X holds dates, times or objects other than numbers. The message names the first of these
        objects.
    """
    X = to_host(X, "X")
    if isinstance(X, list | tuple):
        X = np.asarray(X)
    if not isinstance(X, np.ndarray):
        return X
    if X.dtype.kind in "mM":
        raise ValueError(
            f"Expected numbers in X, got dates, times or durations (dtype {X.dtype}). Convert them "
            "to numbers, such as days since the first one."
        )
    if X.dtype.kind != "O" or X.ndim < 2:
        return X
    columns = X.reshape(len(X), -1).T
    return np.stack([read_numbers(c, j) for j, c in enumerate(columns)], axis=1).reshape(X.shape)
