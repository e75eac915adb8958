"""WeightsDisplay: rows with the largest and the smallest weights."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skdiva.inspection._drawing import WEIGHERS, check_numbers, fitted_attribute
from skdiva.inspection._extreme_rows import ExtremeRowsDisplay


class WeightsDisplay(ExtremeRowsDisplay):
    """Rows with the largest and the smallest weights, as images or as a table.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,)
        Non-negative weight of each row, ``sample_weight_`` of a fitted estimator.
    X : array-like of shape (n_samples, n_features) or (n_samples, height, width[, n_channels])
        Data to show for each row, which may differ from the features that the estimator was fitted
        on. Images may have 1, 3 or 4 channels, first or last; colors are integers from 0 to 255 or
        floats from 0 to 1. Rows of two-dimensional X are shown as a table if ``image_shape`` is
        None.
    y : array-like of shape (n_samples,), default=None
        Labels or targets of the rows, shown beside the weights.
    image_shape : tuple of int, default=None
        Shape of the image in each row of a two-dimensional X: (height, width), optionally with the
        number of channels first or last.

    Attributes
    ----------
    up_rows_ : ndarray of shape (n_shown,)
        Positions of the rows with the largest weights, in descending order of weight; ties are
        broken by position.
    down_rows_ : ndarray of shape (n_shown,)
        Positions of the rows with the smallest weights among the others, in ascending order of
        weight; ties are broken by position.
    images_ : list of matplotlib AxesImage
        Images of ``up_rows_``, followed by those of ``down_rows_``; empty for a table.
    table_ : matplotlib Table or None
        The table; None for images.
    ax_ : matplotlib Axes
        Axes drawn on.
    figure_ : matplotlib Figure
        Figure of ``ax_``.

    Raises
    ------
    ValueError
        If an argument is not as described.

    See Also
    --------
    RankingDisplay : First and last rows of the ranking of a pool.
    DerivativeDisplay : Histogram of the derivatives of all rows.
    SourceDisplay : Weights and probabilities of the sources of rows.

    Notes
    -----
    If an estimator was fitted with a ``sample_weight``, the weights that it learns are multiples of
    these initial weights. To show only what was learned, pass the ratio of the two.

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

    _headings = ("most weight", "least weight")

    def __init__(
        self,
        *,
        sample_weight: ArrayLike,
        X: Any,
        y: ArrayLike | None = None,
        image_shape: tuple[int, ...] | None = None,
    ) -> None:
        self.sample_weight = check_numbers("sample_weight", sample_weight, low=0)
        self._store_rows("sample_weight", len(self.sample_weight), X, y, image_shape)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike | None = None,
        *,
        image_shape: tuple[int, ...] | None = None,
        ax: Any = None,
        n_shown: int = 8,
        columns: list | None = None,
        cmap: Any = "gray",
    ) -> Self:
        """Draw the rows with the largest and smallest weights of a fitted estimator.

        Parameters
        ----------
        estimator : DivaReweighter, DivaOutlierDetector or Pipeline
            Fitted estimator with ``sample_weight_``, or a Pipeline that ends with one.
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width[, n_channels])
            Data to show for the training rows, in the order used in `fit`.
        y : array-like of shape (n_samples,), default=None
            Labels or targets of these rows.
        image_shape : tuple of int, default=None
            Shape of the image in each row of a two-dimensional X.
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
        WeightsDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If ``estimator`` is not fitted.
        TypeError
            If it does not have the attribute ``sample_weight_``; if ``ax`` is not a single Axes.
        ValueError
            If an argument is not as described.
        ImportError
            If matplotlib is not installed.
        """
        weight = fitted_attribute(estimator, "sample_weight_", cls, WEIGHERS)
        display = cls(sample_weight=weight, X=X, y=y, image_shape=image_shape)
        return display.plot(ax, n_shown=n_shown, columns=columns, cmap=cmap)

    def _ends(self, n_shown: int) -> tuple[np.ndarray, np.ndarray]:
        self.up_rows_ = np.argsort(-self.sample_weight, kind="stable")[:n_shown]
        upwards = np.argsort(self.sample_weight, kind="stable")
        # If many weights are equal, a row could otherwise be in both groups.
        self.down_rows_ = upwards[~np.isin(upwards, self.up_rows_)][:n_shown]
        return self.up_rows_, self.down_rows_

    def _captions(self, rows: np.ndarray) -> list[str]:
        return [f"weight {self.sample_weight[row]:.2f}" for row in rows]

    def _columns(self, rows: np.ndarray) -> dict[str, list[str]]:
        return {"weight": [f"{weight:.3f}" for weight in self.sample_weight[rows]]}
