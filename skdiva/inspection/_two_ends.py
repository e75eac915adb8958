"""What displays of single rows share: rows of the two ends of an order, as images or as a table."""

from numbers import Integral

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import _safe_indexing

from skdiva.arrays import to_host
from skdiva.inspection._drawing import axes_to_draw_on, check_vector
from skdiva.inspection._row_pictures import (
    as_cells,
    as_images,
    as_text,
    column_names,
    draw_grid,
    draw_table,
    grid_size,
    table_size,
)


class TwoEnds:
    """Base of the displays; a subclass says which rows, and what is written about them.

    It has ``_headings`` of the two ends, ``_ends(n_shown)`` returning the positions of the rows at
    either, and ``_captions(rows)`` and ``_columns(rows)`` for the images and for the table.
    """

    def _keep_rows(self, name, n_samples, X, y, image_shape):
        """Check and keep what is shown of the ``n_samples`` rows that ``name`` holds numbers of."""
        if n_samples < 2:
            raise ValueError(f"{name} must hold at least 2 numbers, got 1. Pass more rows.")
        self.X = to_host(X) if hasattr(X, "shape") else np.asarray(X)
        if issparse(X) or len(self.X.shape) < 2 or self.X.shape[0] != n_samples:
            raise ValueError(
                f"X must be dense and have one row for each of the {n_samples} numbers in {name}, "
                f"got {type(X).__name__} of shape {tuple(self.X.shape)}. "
                "Pass the rows that the estimator was fitted on, in their order."
            )
        self.y = None if y is None else check_vector("y", y, n_samples)
        self.image_shape = image_shape

    def plot(self, ax=None, *, n_shown=8, columns=None, cmap="gray"):
        """Draw the images or the table.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None: those of a new figure.
        n_shown : int, default=8
            Rows shown of either kind; at most half of all.
        columns : list, default=None
            Columns of a table: names if X has some, else positions. None: the first five.
        cmap : str or Colormap, default="gray"
            Colours of images with one channel.

        Returns
        -------
        self
            The display itself.

        Raises
        ------
        TypeError
            If ``ax`` is not one Axes.
        ValueError
            If ``n_shown`` is not an int of at least 1; if the rows do not hold such images; if X
            lacks a column.
        ImportError
            If matplotlib is not installed.
        """
        if not isinstance(n_shown, Integral) or n_shown < 1:
            raise ValueError(
                f"n_shown must be an int of at least 1, got {n_shown!r}. Pass how many to show."
            )
        n_shown = min(n_shown, len(self.X) // 2)
        rows = np.concatenate(self._ends(n_shown))
        shown = _safe_indexing(self.X, rows)
        images = as_images(shown, self.image_shape)
        self.images_, self.table_ = [], None
        if images is not None:
            captions = self._captions(rows)
            if self.y is not None:
                labels = (f"label {as_text(label, 9)}" for label in self.y[rows])
                captions = [
                    f"{label}\n{text}" for label, text in zip(labels, captions, strict=True)
                ]
            ax = axes_to_draw_on(ax, self, figsize=grid_size(images, captions))
            self.images_ = draw_grid(ax, images, captions, self._headings, cmap)
        else:
            first = {"row": rows, **self._columns(rows)}
            if self.y is not None:
                first["label"] = self.y[rows]
            cells = as_cells(first, shown, column_names(self.X, columns))
            fits = ax is None
            ax = axes_to_draw_on(ax, self, figsize=table_size(cells))
            self.table_ = draw_table(ax, cells, fits)
        self.ax_, self.figure_ = ax, ax.figure
        return self
