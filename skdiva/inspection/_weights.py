"""WeightsDisplay: the rows that gained and that lost most weight."""

import numpy as np

from skdiva.inspection._drawing import WEIGHERS, check_numbers, fitted_attribute
from skdiva.inspection._two_ends import TwoEnds


class WeightsDisplay(TwoEnds):
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
    RankingDisplay : The rows of a pool that are ranked first and last.
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

    _headings = ("most weight", "least weight")

    def __init__(self, *, sample_weight, X, y=None, image_shape=None):
        self.sample_weight = check_numbers("sample_weight", sample_weight, low=0)
        self._keep_rows("sample_weight", len(self.sample_weight), X, y, image_shape)

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

    def _ends(self, n_shown):
        self.up_rows_ = np.argsort(-self.sample_weight, kind="stable")[:n_shown]
        upwards = np.argsort(self.sample_weight, kind="stable")
        # With many equal weights a row could be among both.
        self.down_rows_ = upwards[~np.isin(upwards, self.up_rows_)][:n_shown]
        return self.up_rows_, self.down_rows_

    def _captions(self, rows):
        return [f"weight {self.sample_weight[row]:.2f}" for row in rows]

    def _columns(self, rows):
        return {"weight": [f"{weight:.3f}" for weight in self.sample_weight[rows]]}
