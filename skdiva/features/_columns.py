"""From a table to numbers on one scale: every column of X has variance 1, whatever it holds."""

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
)
from sklearn.utils import check_array, gen_batches

from skdiva.arrays import columns_by_kind, has_categories, take_rows

# Rows standardised at a time: the block stays in cache, and nothing of X's size is copied.
_BLOCK_ROWS = 2**14
_MAX_CATEGORIES = 100  # of a column; rarer ones share a column


class StandardizedColumns:
    """Columns of X with mean 0 and variance 1 over the weighted training rows.

    A categorical column of a dataframe becomes one column per category, of total variance 1, or, if
    its categories are ordered, one column of their positions.
    """

    def fit(self, X, sample_weight=None):
        """Learn categories, means and variances."""
        self._encoder, self._nominal = None, []
        if has_categories(X):
            self._encoder, self._nominal = _fit_encoder(X)
        self._scaler = StandardScaler().set_output(transform="default")
        for rows in gen_batches(len(X), _BLOCK_ROWS):
            block, weight = self._numbers(X, rows), None
            if sample_weight is not None:
                # A first block without weight would leave the scaler's running mean undefined.
                positive = sample_weight[rows] > 0
                block, weight = block[positive], sample_weight[rows][positive]
            if len(block):
                # Weighted, the variance of a constant column may round to just below 0; the
                # scaler knows the column for constant all the same.
                with np.errstate(invalid="ignore"):
                    self._scaler.partial_fit(block, sample_weight=weight)
        for columns in self._nominal:
            variance = self._scaler.var_[columns].sum()
            self._scaler.scale_[columns] = np.sqrt(variance) if variance > 0 else 1.0
        return self

    @property
    def n_columns(self):
        """Number of columns that `transform` returns."""
        return len(self._scaler.scale_)

    @property
    def total_variance(self):
        """Number of columns of X that vary."""
        varies = np.maximum(self._scaler.var_, 0) / self._scaler.scale_**2
        return max(float(varies.sum()), 1.0)

    def blocks(self, X, dtype):
        """Yield slices of rows with their columns, scaled in the wider of both dtypes."""
        for rows in gen_batches(len(X), _BLOCK_ROWS):
            block = self._numbers(X, rows)
            wide = np.result_type(block.dtype, dtype)
            scaled = self._scaler.transform(block.astype(wide, copy=False))
            yield rows, scaled.astype(dtype, copy=False)

    def transform(self, X, dtype):
        """Return the columns (n, n_columns)."""
        columns = np.empty((len(X), self.n_columns), dtype)
        for rows, block in self.blocks(X, dtype):
            columns[rows] = block
        return columns

    def _numbers(self, X, rows):
        if self._encoder is None:
            return X[rows]
        return check_array(self._encoder.transform(take_rows(X, rows)), input_name="X")


def _fit_encoder(X):
    """Transformer of mixed columns into numbers, and the output columns of every nominal one."""
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
    blocks, start = [], 0
    fitted = encoder.named_transformers_["nominal"] if nominal else None
    for i in range(len(nominal)):
        rare = fitted.infrequent_categories_[i]
        width = len(fitted.categories_[i]) - (0 if rare is None else len(rare) - 1)
        blocks.append(np.arange(start, start + width))
        start += width
    return encoder, blocks


def _ordinal_encoder(categories):
    """Positions of ordered categories, which are compared as text: numbers may be in any order."""
    texts = np.asarray(categories).astype(str)
    return make_pipeline(FunctionTransformer(_as_text), OrdinalEncoder(categories=[texts]))


def _as_text(column):
    return np.asarray(column).astype(str)
