"""RankingDisplay: the rows of a pool that are ranked first, and those ranked last."""

import numpy as np

from skdiva.inspection._drawing import (
    check_has_pool,
    check_numbers,
    fitted_attribute,
    last_step,
    out_of_tuple,
)
from skdiva.inspection._two_ends import TwoEnds


class RankingDisplay(TwoEnds):
    """The first and the last rows of a ranking, as images or as a table.

    Parameters
    ----------
    ranking : array-like of shape (n_samples,)
        Rank of every row, 1 for the best: ``ranking_`` of a fitted extender.
    X : array-like of shape (n_samples, n_features) or (n_samples, height, width[, n_channels])
        What is shown of every row; need not be what the estimator was fitted on. Images may have
        their 1, 3 or 4 channels first or last; colours are integers from 0 to 255 or floats from 0
        to 1. With two dimensions and no ``image_shape``, the rows are shown as a table.
    y : array-like of shape (n_samples,), default=None
        Labels or targets of the rows, shown beside the ranks.
    derivative : array-like of shape (n_samples,), default=None
        Derivative of every row, ``pool_derivative_``, shown too.
    image_shape : tuple of int, default=None
        Shape of the image that a row of X holds: (height, width), or with the channels first or
        last.

    Attributes
    ----------
    first_rows_ : ndarray of shape (n_shown,)
        Positions of the rows with the lowest ranks, from the lowest; ties by position.
    last_rows_ : ndarray of shape (n_shown,)
        Positions of the rows with the highest ranks, from the highest.
    images_ : list of matplotlib AxesImage
        Images of the first rows, then of the last rows; empty for a table.
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
    ExtensionDisplay : Loss and test error against the number of rows added.
    WeightsDisplay : The rows that gained and lost most weight.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdiva import DivaExtender
    >>> from skdiva.inspection import RankingDisplay
    >>> X, y = load_digits(n_class=3, return_X_y=True)
    >>> X_pool, y_pool = X[60:160], y[60:160].copy()
    >>> y_pool[::10] = (y_pool[::10] + 1) % 3  # wrong labels
    >>> extender = DivaExtender().fit(X[:60], y[:60], X_pool=X_pool, y_pool=y_pool)
    >>> display = RankingDisplay.from_estimator(extender, X_pool, y_pool, image_shape=(8, 8))
    >>> display.last_rows_[:4] % 10
    array([0, 0, 0, 0])
    """

    _headings = ("ranked first", "ranked last")

    def __init__(self, *, ranking, X, y=None, derivative=None, image_shape=None):
        self.ranking = check_numbers("ranking", ranking)
        n_samples = len(self.ranking)
        self._keep_rows("ranking", n_samples, X, y, image_shape)
        self.derivative = derivative
        if derivative is not None:
            self.derivative = check_numbers("derivative", derivative, n_samples)

    @classmethod
    def from_estimator(
        cls,
        extender,
        X_pool,
        y_pool=None,
        *,
        image_shape=None,
        ax=None,
        n_shown=8,
        columns=None,
        cmap="gray",
    ):
        """Draw the rows of its pool that a fitted extender ranks first and last.

        Parameters
        ----------
        extender : DivaExtender or Pipeline
            Fitted with a pool, or a Pipeline that ends in one.
        X_pool : array-like of shape (n_pool, n_features) or (n_pool, height, width[, n_channels])
            What is shown of the rows of the pool, in their order.
        y_pool : array-like of shape (n_pool,), default=None
            Their labels or targets.
        image_shape : tuple of int, default=None
            Shape of the image that a row of X_pool holds.
        ax : matplotlib Axes, default=None
            Axes to draw on. None: those of a new figure.
        n_shown : int, default=8
            Rows shown of either end; at most half of all.
        columns : list, default=None
            Columns of a table: names if X_pool has some, else positions. None: the first five.
        cmap : str or Colormap, default="gray"
            Colours of images with one channel.

        Returns
        -------
        RankingDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If ``extender`` is not fitted.
        TypeError
            If it has no ``pool_derivative_``; if ``ax`` is not one Axes.
        ValueError
            If it was fitted without a pool; if an argument is not as described.
        ImportError
            If matplotlib is not installed.
        """
        derivative = fitted_attribute(extender, "pool_derivative_", cls, "DivaExtender has")
        check_has_pool(extender, cls)
        display = cls(
            ranking=last_step(extender).ranking_,
            X=out_of_tuple(X_pool),
            y=out_of_tuple(y_pool),
            derivative=derivative,
            image_shape=image_shape,
        )
        return display.plot(ax, n_shown=n_shown, columns=columns, cmap=cmap)

    def _ends(self, n_shown):
        order = np.argsort(self.ranking, kind="stable")
        self.first_rows_, self.last_rows_ = order[:n_shown], order[::-1][:n_shown]
        return self.first_rows_, self.last_rows_

    def _captions(self, rows):
        ranks = [f"rank {self.ranking[row]:g}" for row in rows]
        if self.derivative is None:
            return ranks
        values = (f"deriv. {value:.2g}" for value in self.derivative[rows])
        return [f"{rank}\n{value}" for rank, value in zip(ranks, values, strict=True)]

    def _columns(self, rows):
        columns = {"rank": [f"{rank:g}" for rank in self.ranking[rows]]}
        if self.derivative is not None:
            columns["derivative"] = [f"{value:.3g}" for value in self.derivative[rows]]
        return columns
