"""WeightsDisplay: the rows that gained and that lost most weight."""

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import _safe_indexing

from skdiva.arrays.containers import to_host
from skdiva.inspection._drawing import (
    WEIGHERS,
    axes_to_draw_on,
    check_numbers,
    check_vector,
    fitted_attribute,
)
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


class WeightsDisplay:
    """The rows with the largest and the smallest weights, as images or as a table.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,)
        Weight of every row, ``sample_weight_`` of a fitted estimator. Not negative.
    X : array-like of shape (n_samples, n_features) or (n_samples, height, width[, n_channels])
        What is shown of every row; need not be what the estimator was fitted on. Images may have
        their 1, 3 or 4 channels first or last; colours are integers from 0 to 255 or floats from 0
        to 1. With two dimensions and no ``image_shape``, the rows are shown as a table.
    y : array-like of shape (n_samples,), default=None
        Labels or targets of the rows, shown beside the weights.
    image_shape : tuple of int, default=None
        Shape of the image that a row of X holds: (height, width), or with the channels first or
        last.

    Attributes
    ----------
    up_rows_ : ndarray of shape (n_shown,)
        Positions of the rows with the largest weights, from the largest; ties by position.
    down_rows_ : ndarray of shape (n_shown,)
        Positions of the other rows with the smallest weights, from the smallest; ties by position.
    images_ : list of matplotlib AxesImage
        Images of the up rows, then of the down rows; empty for a table.
    table_ : matplotlib Table or None
        The table; None for images.
    ax_ : matplotlib Axes
        Axes drawn on.
    figure_ : matplotlib Figure
        Their figure.

    Raises
    ------
    ValueError
        If an argument is not as described.

    See Also
    --------
    DerivativeDisplay : Histogram of the derivatives of all rows.
    SourceDisplay : Weights of the sources of rows.

    Notes
    -----
    The weights of an estimator that was fitted with start weights hold these, too. To see what was
    learned alone, pass their ratio as ``sample_weight``.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdiva import DivaReweighter
    >>> from skdiva.inspection import WeightsDisplay
    >>> X, y = load_digits(n_class=3, return_X_y=True)
    >>> y[::10] = (y[::10] + 1) % 3  # wrong labels
    >>> model = DivaReweighter().fit(X, y)
    >>> display = WeightsDisplay.from_estimator(model, X, y, image_shape=(8, 8))
    >>> display.down_rows_
    array([ 0, 10, 20, 30, 40, 50, 60, 70])
    """

    def __init__(self, *, sample_weight, X, y=None, image_shape=None):
        self.sample_weight = check_numbers("sample_weight", sample_weight, low=0)
        n_samples = len(self.sample_weight)
        if n_samples < 2:
            raise ValueError("sample_weight must hold at least 2 weights, got 1. Pass more rows.")
        self.X = to_host(X) if hasattr(X, "shape") else np.asarray(X)
        if issparse(X) or len(self.X.shape) < 2 or self.X.shape[0] != n_samples:
            raise ValueError(
                f"X must be dense and have one row for each of the {n_samples} weights, got "
                f"{type(X).__name__} of shape {tuple(self.X.shape)}. "
                "Pass the rows that the estimator was fitted on, in their order."
            )
        self.y = None if y is None else check_vector("y", y, n_samples)
        self.image_shape = image_shape

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y=None,
        *,
        image_shape=None,
        ax=None,
        n_shown=8,
        columns=None,
        cmap="gray",
    ):
        """Draw the rows to which a fitted estimator gave most and least weight.

        Parameters
        ----------
        estimator : DivaReweighter, DivaOutlierDetector or Pipeline
            Fitted estimator with ``sample_weight_``, or a Pipeline that ends in one.
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width[, n_channels])
            What is shown of the training rows, in their order.
        y : array-like of shape (n_samples,), default=None
            Their labels or targets.
        image_shape : tuple of int, default=None
            Shape of the image that a row of X holds.
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
        WeightsDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If ``estimator`` is not fitted.
        TypeError
            If it has no ``sample_weight_``; if ``ax`` is not one Axes.
        ValueError
            If an argument is not as described.
        ImportError
            If matplotlib is not installed.
        """
        weight = fitted_attribute(estimator, "sample_weight_", cls, WEIGHERS)
        display = cls(sample_weight=weight, X=X, y=y, image_shape=image_shape)
        return display.plot(ax, n_shown=n_shown, columns=columns, cmap=cmap)

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
        WeightsDisplay
            The display itself.

        Raises
        ------
        TypeError
            If ``ax`` is not one Axes.
        ValueError
            If ``n_shown`` is below 1; if the rows do not hold such images; if X lacks a column.
        ImportError
            If matplotlib is not installed.
        """
        if n_shown < 1:
            raise ValueError(f"n_shown must be at least 1, got {n_shown!r}. Pass how many to show.")
        n_shown = min(n_shown, len(self.sample_weight) // 2)
        self.up_rows_ = np.argsort(-self.sample_weight, kind="stable")[:n_shown]
        upwards = np.argsort(self.sample_weight, kind="stable")
        # With many equal weights a row could be among both.
        self.down_rows_ = upwards[~np.isin(upwards, self.up_rows_)][:n_shown]
        rows = np.concatenate([self.up_rows_, self.down_rows_])
        shown = _safe_indexing(self.X, rows)
        images = as_images(shown, self.image_shape)
        self.images_, self.table_ = [], None
        if images is not None:
            captions = self._captions(rows)
            ax = axes_to_draw_on(ax, self, figsize=grid_size(images, captions))
            self.images_ = draw_grid(ax, images, captions, cmap)
        else:
            names = column_names(self.X, columns)
            cells = as_cells(self._columns(rows), shown, names)
            fits = ax is None
            ax = axes_to_draw_on(ax, self, figsize=table_size(cells))
            self.table_ = draw_table(ax, cells, fits)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _captions(self, rows):
        """What stands above the image of every row."""
        weights = [f"weight {self.sample_weight[row]:.2f}" for row in rows]
        if self.y is None:
            return weights
        labels = [f"label {as_text(label, 9)}" for label in self.y[rows]]
        return [f"{label}\n{weight}" for label, weight in zip(labels, weights, strict=True)]

    def _columns(self, rows):
        """What a table says of every row before its features."""
        columns = {"row": rows, "weight": [f"{weight:.3f}" for weight in self.sample_weight[rows]]}
        return columns if self.y is None else columns | {"label": self.y[rows]}
