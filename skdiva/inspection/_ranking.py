"""RankingDisplay: first and last rows of the ranking of a pool."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skdiva.inspection._drawing import (
    check_has_pool,
    check_numbers,
    fitted_attribute,
    last_step,
    out_of_tuple,
)
from skdiva.inspection._extreme_rows import ExtremeRowsDisplay


class RankingDisplay(ExtremeRowsDisplay):
    """First and last rows of a ranking, as images or as a table.

    Parameters
    ----------
    ranking : array-like of shape (n_samples,)
        Rank of each row, 1 for the best: ``ranking_`` of a fitted extender.
    X : array-like of shape (n_samples, n_features) or (n_samples, height, width[, n_channels])
        Data to show for each row, which may differ from the features that the estimator was fitted
        on. Images may have 1, 3 or 4 channels, first or last; colors are integers from 0 to 255 or
        floats from 0 to 1. Rows of two-dimensional X are shown as a table if ``image_shape`` is
        None.
    y : array-like of shape (n_samples,), default=None
        Labels or targets of the rows, shown beside the ranks.
    derivative : array-like of shape (n_samples,), default=None
        Derivative with respect to the weight of each row, ``pool_derivative_``, shown beside the
        ranks.
    image_shape : tuple of int, default=None
        Shape of the image in each row of a two-dimensional X: (height, width), optionally with the
        number of channels first or last.

    Attributes
    ----------
    first_rows_ : ndarray of shape (n_shown,)
        Positions of the rows with the lowest ranks, in ascending order of rank; ties are broken by
        position.
    last_rows_ : ndarray of shape (n_shown,)
        Positions of the rows with the highest ranks, in descending order of rank.
    images_ : list of matplotlib AxesImage
        Images of ``first_rows_``, followed by those of ``last_rows_``; empty for a table.
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
    ExtensionDisplay : Loss and test error as a function of the number of rows added.
    WeightsDisplay : Rows with the largest and the smallest weights.

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

    def __init__(
        self,
        *,
        ranking: ArrayLike,
        X: Any,
        y: ArrayLike | None = None,
        derivative: ArrayLike | None = None,
        image_shape: tuple[int, ...] | None = None,
    ) -> None:
        self.ranking = check_numbers("ranking", ranking)
        n_samples = len(self.ranking)
        self._store_rows("ranking", n_samples, X, y, image_shape)
        self.derivative = None
        if derivative is not None:
            self.derivative = check_numbers("derivative", derivative, n_samples)

    @classmethod
    def from_estimator(
        cls,
        extender: Any,
        X_pool: Any,
        y_pool: Any = None,
        *,
        image_shape: tuple[int, ...] | None = None,
        ax: Any = None,
        n_shown: int = 8,
        columns: list | None = None,
        cmap: Any = "gray",
    ) -> Self:
        """Draw the rows that a fitted extender ranks first and last in its pool.

        Parameters
        ----------
        extender : DivaExtender or Pipeline
            Extender fitted with a pool, or a Pipeline that ends with one.
        X_pool : array-like of shape (n_pool, n_features) or (n_pool, height, width[, n_channels])
            Data to show for the rows of the pool, in the order used in `fit`.
        y_pool : array-like of shape (n_pool,), default=None
            Labels or targets of these rows.
        image_shape : tuple of int, default=None
            Shape of the image in each row of a two-dimensional X_pool.
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, a new figure is created.
        n_shown : int, default=8
            Number of rows shown from each end, at most half of all rows.
        columns : list, default=None
            Columns of X_pool that a table shows: names if it has column names, otherwise positions.
            If None, the first five.
        cmap : str or Colormap, default="gray"
            Colormap of images with one channel.

        Returns
        -------
        RankingDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If ``extender`` is not fitted.
        TypeError
            If it does not have the attribute ``pool_derivative_``; if ``ax`` is not a single Axes.
        ValueError
            If it was fitted without a pool; if an argument is not as described.
        ImportError
            If matplotlib is not installed.
        """
        derivative = fitted_attribute(extender, "pool_derivative_", cls, "DivaExtender")
        check_has_pool(extender, cls)
        display = cls(
            ranking=last_step(extender).ranking_,
            X=out_of_tuple(X_pool),
            y=out_of_tuple(y_pool),
            derivative=derivative,
            image_shape=image_shape,
        )
        return display.plot(ax, n_shown=n_shown, columns=columns, cmap=cmap)

    def _ends(self, n_shown: int) -> tuple[np.ndarray, np.ndarray]:
        order = np.argsort(self.ranking, kind="stable")
        self.first_rows_, self.last_rows_ = order[:n_shown], order[::-1][:n_shown]
        return self.first_rows_, self.last_rows_

    def _captions(self, rows: np.ndarray) -> list[str]:
        ranks = [f"rank {self.ranking[row]:g}" for row in rows]
        if self.derivative is None:
            return ranks
        values = (f"deriv. {value:.2g}" for value in self.derivative[rows])
        return [f"{rank}\n{value}" for rank, value in zip(ranks, values, strict=True)]

    def _columns(self, rows: np.ndarray) -> dict[str, list[str]]:
        columns = {"rank": [f"{rank:g}" for rank in self.ranking[rows]]}
        if self.derivative is not None:
            columns["derivative"] = [f"{value:.3g}" for value in self.derivative[rows]]
        return columns
