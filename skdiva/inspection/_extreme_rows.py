"""Base class of the displays that show the first and last rows of an order."""

from abc import ABC, abstractmethod
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse

from skdiva.arrays import in_memory, take_rows, to_host
from skdiva.inspection._drawing import axes_to_draw_on, check_vector
from skdiva.inspection._images_and_tables import (
    as_cells,
    as_images,
    as_text,
    choose_columns,
    draw_grid,
    draw_table,
    grid_size,
    table_size,
)
from skdiva.targets import refuse_missing


class ExtremeRowsDisplay(ABC):
    """Base of the displays of single rows, as images or as a table.

    Subclasses define which rows are shown and what is written about them.
    """

    _headings: tuple[str, str]  # of the first and of the last rows

    @abstractmethod
    def _ends(self, n_shown: int) -> tuple[np.ndarray, np.ndarray]:
        """Store and return the positions of the ``n_shown`` first and last rows."""

    @abstractmethod
    def _captions(self, rows: np.ndarray) -> list[str]:
        """Return the captions of the images of some rows."""

    @abstractmethod
    def _columns(self, rows: np.ndarray) -> dict[str, list[str]]:
        """Return the columns, by title, that a table of some rows shows before those of X."""

    def _store_rows(
        self, name: str, n_samples: int, X: Any, y: ArrayLike | None, image_shape: Any
    ) -> None:
        """Check and store X, y and the image shape for the ``n_samples`` values in ``name``."""
        if n_samples < 2:
            raise ValueError(f"{name} must hold at least 2 numbers, got 1. Pass more rows.")
        self.X = to_host(in_memory(X)) if hasattr(X, "shape") else np.asarray(X)
        if issparse(X) or len(self.X.shape) < 2 or self.X.shape[0] != n_samples:
            raise ValueError(
                f"X must be dense and have one row for each of the {n_samples} numbers in {name}, "
                f"got {type(X).__name__} of shape {tuple(self.X.shape)}. "
                "Pass the rows that the estimator was fitted on, in the same order."
            )
        self.y = None if y is None else check_vector("y", refuse_missing(y, "y"), n_samples)
        self.image_shape = image_shape

    def plot(
        self,
        ax: Any = None,
        *,
        n_shown: int = 8,
        columns: list | None = None,
        cmap: Any = "gray",
    ) -> Self:
        """Draw the images or the table.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, a new figure is created.
        n_shown : int, default=8
            Number of rows shown from each end, at most half of all rows.
        columns : list, default=None
            Columns of X that a table shows: names if X has column names, otherwise positions. If
            None, the first five.
        cmap : str or Colormap, default="gray"
            Colormap of images with one channel.

        Returns
        -------
        self
            The display itself.

        Raises
        ------
        TypeError
            If ``ax`` is not a single Axes.
        ValueError
            If ``n_shown`` is not an int of at least 1; if the rows are not images of the given
            shape; if X does not have all of the ``columns``.
        ImportError
            If matplotlib is not installed.
        """
        if not isinstance(n_shown, Integral) or n_shown < 1:
            raise ValueError(
                f"n_shown must be an int of at least 1, got {n_shown!r}. "
                "Pass the number of rows to show from each end."
            )
        rows = np.concatenate(self._ends(min(int(n_shown), len(self.X) // 2)))
        shown = take_rows(self.X, rows)
        images = as_images(shown, self.image_shape)
        self.images_: list[Any] = []
        self.table_: Any = None
        if images is not None:
            captions = self._labeled_captions(rows)
            ax = axes_to_draw_on(ax, self, figsize=grid_size(images, captions))
            self.images_ = draw_grid(ax, images, captions, self._headings, cmap)
        else:
            first: dict[str, Any] = {"row": rows, **self._columns(rows)}
            if self.y is not None:
                first["label"] = self.y[rows]
            cells = as_cells(first, shown, choose_columns(self.X, columns))
            fits = ax is None
            ax = axes_to_draw_on(ax, self, figsize=table_size(cells))
            self.table_ = draw_table(ax, cells, fits)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _labeled_captions(self, rows: np.ndarray) -> list[str]:
        """Return the captions of some rows, below their labels if there are any."""
        captions = self._captions(rows)
        if self.y is None:
            return captions
        labels = (f"label {as_text(label, 9)}" for label in self.y[rows])
        return [f"{label}\n{caption}" for label, caption in zip(labels, captions, strict=True)]
