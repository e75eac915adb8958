"""Encoder of dataframes with categories: one-hot columns, positions and numbers."""

from typing import Any, Self

import numpy as np
from sklearn.preprocessing import OneHotEncoder

from skdiva.arrays import (
    category_texts,
    column_at,
    column_names,
    columns_by_kind,
    read_numbers,
    read_positions,
    read_texts,
)

_MAX_CATEGORIES = 100  # per column; the rarer ones share a column


class FrameEncoder:
    """Turn the columns of a dataframe into numbers.

    Columns are found by their position. The output holds one column per category of the nominal
    columns, followed by the positions of the categories of the ordinal columns, and by the numeric
    columns. A missing value is a category of a nominal column, and NaN in the others.

    Attributes
    ----------
    blocks : list of ndarray of int
        Output columns of every nominal column.
    """

    def fit(self, X: Any) -> Self:
        """Learn the categories of a dataframe."""
        self._kinds = columns_by_kind(X)
        self._orders = [category_texts(column_at(X, j)) for j in self._kinds.ordinal]
        self._encoder = OneHotEncoder(
            handle_unknown="infrequent_if_exist",
            max_categories=_MAX_CATEGORIES,
            sparse_output=False,
        ).set_output(transform="default")
        self.blocks: list[np.ndarray] = []
        if not self._kinds.nominal:
            return self
        self._encoder.fit(self._texts(X))
        start, rare = 0, self._encoder.infrequent_categories_
        for categories, infrequent in zip(self._encoder.categories_, rare, strict=True):
            width = len(categories) - (0 if infrequent is None else len(infrequent) - 1)
            self.blocks.append(np.arange(start, start + width))
            start += width
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the encoded columns (n, n_columns), in float64."""
        parts = [self._encoder.transform(self._texts(X))] if self._kinds.nominal else []
        n_one_hot = sum(map(len, self.blocks))
        n_others = len(self._kinds.ordinal) + len(self._kinds.numeric)
        parts += [self.column(X, n_one_hot + j)[:, None] for j in range(n_others)]
        return np.hstack(parts, dtype=np.float64)

    def column(self, X: Any, output: int) -> np.ndarray:
        """Return an output column (n,) that does not belong to a nominal column."""
        place = output - sum(map(len, self.blocks))
        if place < len(self._orders):
            j = self._kinds.ordinal[place]
            return read_positions(column_at(X, j), self._orders[place], _name(X, j))
        j = self._kinds.numeric[place - len(self._orders)]
        return read_numbers(column_at(X, j), _name(X, j))

    def _texts(self, X: Any) -> np.ndarray:
        return np.column_stack([read_texts(column_at(X, j)) for j in self._kinds.nominal])


def _name(X: Any, position: int) -> Any:
    names = column_names(X)
    return position if names is None else names[position]
