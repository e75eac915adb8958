"""Standardized columns of a table: categories are encoded, and every column gets variance 1."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
)
from sklearn.utils import check_array, gen_batches

from skdiva.arrays import columns_by_kind, has_categories, take_rows

_MAX_CATEGORIES = 100  # per column; the rarer ones share a column


class StandardizedColumns:
    """Columns of X with mean 0 and variance 1 over the weighted training rows.

    A nominal column of a dataframe becomes one column per category, with a total variance of 1. An
    ordinal column becomes the positions of its categories.

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

    def __init__(self, block_rows: int = 2**14):
        self._block_rows = block_rows

    def fit(self, X: Any, sample_weight: np.ndarray | None = None) -> "StandardizedColumns":
        """Learn the categories, means and variances."""
        self._encoder: ColumnTransformer | None = None
        nominal_blocks: list[np.ndarray] = []
        if has_categories(X):
            self._encoder, nominal_blocks = _fit_encoder(X)
        scaler = StandardScaler().set_output(transform="default")
        for rows in gen_batches(len(X), self._block_rows):
            block, weight = self._numbers(X, rows), None
            if sample_weight is not None:
                # A first block without weight would leave the scaler's running mean undefined.
                positive = sample_weight[rows] > 0
                block, weight = block[positive], sample_weight[rows][positive]
            if len(block):
                # With weights, the variance of a constant column may be rounded to just below 0.
                # The scaler still recognizes the column as constant.
                with np.errstate(invalid="ignore"):
                    scaler.partial_fit(block, sample_weight=weight)
        for columns in nominal_blocks:
            variance = scaler.var_[columns].sum()
            scaler.scale_[columns] = np.sqrt(variance) if variance > 0 else 1.0
        self._scaler, self.n_columns = scaler, len(scaler.scale_)
        standardized = np.maximum(scaler.var_, 0) / scaler.scale_**2
        self.total_variance = max(float(standardized.sum()), 1.0)
        return self

    def blocks(self, X: Any, dtype: str) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield slices of rows and their columns, scaled in the wider of the two dtypes."""
        for rows in gen_batches(len(X), self._block_rows):
            block = self._numbers(X, rows)
            wide = np.result_type(block.dtype, dtype)
            scaled = self._scaler.transform(block.astype(wide, copy=False))
            yield rows, scaled.astype(dtype, copy=False)

    def transform(self, X: Any, dtype: str) -> np.ndarray:
        """Return the columns, of shape (n_rows, n_columns)."""
        columns = np.empty((len(X), self.n_columns), dtype)
        for rows, block in self.blocks(X, dtype):
            columns[rows] = block
        return columns

    def _numbers(self, X: Any, rows: slice) -> np.ndarray:
        if self._encoder is None:
            return X[rows]
        return check_array(self._encoder.transform(take_rows(X, rows)), input_name="X")


def _fit_encoder(X: Any) -> tuple[ColumnTransformer, list[np.ndarray]]:
    """Fit an encoder of the columns; return it and the output columns of each nominal column."""
    numeric, nominal, ordinal = columns_by_kind(X)
    nominal_encoder = OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        max_categories=_MAX_CATEGORIES,
        sparse_output=False,
    )
    ordinal_encoders = [
        (f"ordinal {name}", _ordinal_encoder(X[name].dtype.categories), [name]) for name in ordinal
    ]
    encoder = ColumnTransformer(
        [
            ("nominal", nominal_encoder, nominal),
            *ordinal_encoders,
            ("numeric", "passthrough", numeric),
        ]
    )
    encoder.set_output(transform="default").fit(X)
    blocks: list[np.ndarray] = []
    if not nominal:
        return encoder, blocks
    fitted, start = encoder.named_transformers_["nominal"], 0
    for categories, rare in zip(fitted.categories_, fitted.infrequent_categories_, strict=True):
        width = len(categories) - (0 if rare is None else len(rare) - 1)
        blocks.append(np.arange(start, start + width))
        start += width
    return encoder, blocks


def _ordinal_encoder(categories: Any) -> Pipeline:
    """Return an encoder of ordered categories, compared as text: numbers may be in any order."""
    texts = np.asarray(categories).astype(str)
    return make_pipeline(FunctionTransformer(_as_text), OrdinalEncoder(categories=[texts]))


def _as_text(column: Any) -> np.ndarray:
    return np.asarray(column).astype(str)
