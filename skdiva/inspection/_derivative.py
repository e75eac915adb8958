"""DerivativeDisplay: histogram of the derivatives for correct and for wrong labels."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skdiva.inspection._drawing import (
    DARK,
    LIGHT,
    add_legend,
    axes_to_draw_on,
    check_has_pool,
    check_numbers,
    check_vector,
    fitted_attribute,
    hide_frame,
    last_step,
)

_HOLDERS = "DivaReweighter, DivaOutlierDetector; pool_derivative_ of DivaExtender"


class DerivativeDisplay:
    """Histogram of the derivatives of the loss with respect to the weights of the rows.

    Rows with wrong labels tend to make the predictions for other rows worse, so that their
    derivatives are positive (figure 3 of [1]_). Wrong labels may be known, or flagged by a
    detector.

    Parameters
    ----------
    derivative : array-like of shape (n_samples,)
        Derivative of the mean loss with respect to the weight of each row, ``derivative_`` or
        ``pool_derivative_`` of a fitted estimator, in units of the loss per unit of weight.
    is_wrong : array-like of bool of shape (n_samples,), default=None
        Whether each label is wrong, or flagged as wrong. If None, all rows are drawn together.
    status_names : tuple of two str, default=("right label", "wrong label")
        Names in the legend of the rows for which ``is_wrong`` is False and True.

    Attributes
    ----------
    bars_ : list of matplotlib BarContainer
        Bars of the rows for which ``is_wrong`` is False, followed by those of the others; a single
        entry if ``is_wrong`` is None.
    bin_edges_ : ndarray of shape (n_bins + 1,)
        Edges of the bins, the same for all rows.
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
    WeightsDisplay : Rows with the largest and the smallest weights.

    References
    ----------
    .. [1] Dukler, Achille, Paolini, Ravichandran, Polito and Soatto, "DIVA: Dataset Derivative of
       a Learning Task", ICLR 2022, https://arxiv.org/abs/2111.09785

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdiva import DivaOutlierDetector
    >>> from skdiva.datasets import flip_labels
    >>> from skdiva.inspection import DerivativeDisplay
    >>> X, y = load_digits(n_class=3, return_X_y=True)
    >>> y, is_flipped = flip_labels(y, 0.2, random_state=0)
    >>> detector = DivaOutlierDetector().fit(X, y)
    >>> display = DerivativeDisplay.from_estimator(detector, is_wrong=is_flipped)
    >>> display.ax_.get_ylabel()
    'rows per bin'
    """

    def __init__(
        self,
        *,
        derivative: ArrayLike,
        is_wrong: ArrayLike | None = None,
        status_names: tuple[str, str] = ("right label", "wrong label"),
    ) -> None:
        self.derivative = check_numbers("derivative", derivative)
        self.is_wrong: np.ndarray | None = None
        self.status_names = _check_names(status_names)
        if is_wrong is not None:
            self.is_wrong = check_vector("is_wrong", is_wrong, len(self.derivative))
            if self.is_wrong.dtype != bool:
                raise ValueError(
                    f"is_wrong must hold booleans, got dtype {self.is_wrong.dtype}. "
                    "Pass True for rows with a wrong label and False for all others."
                )

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        is_wrong: ArrayLike | None = None,
        ax: Any = None,
        bins: int | str | ArrayLike = 50,
        relative: bool = False,
    ) -> Self:
        """Draw the derivatives of a fitted estimator.

        Parameters
        ----------
        estimator : DivaOutlierDetector, DivaReweighter, DivaExtender or Pipeline
            Fitted estimator with ``derivative_`` or, for the rows of a pool, ``pool_derivative_``;
            or a Pipeline that ends with one.
        is_wrong : array-like of bool of shape (n_samples,), default=None
            Whether the label of each row is known to be wrong. If None, the rows that a detector
            flags, or that an extender does not choose, are drawn separately; for a reweighter, all
            rows are drawn together.
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, a new figure is created.
        bins : int, str or array-like, default=50
            Number of bins, a method of :func:`numpy.histogram_bin_edges`, or the edges.
        relative : bool, default=False
            Whether the bars of each status sum to 100 %, which makes a small number of wrong labels
            visible.

        Returns
        -------
        DerivativeDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If ``estimator`` is not fitted.
        TypeError
            If it has neither of these attributes; if ``ax`` is not a single Axes.
        ValueError
            If ``is_wrong`` is not as described; if an extender was fitted without a pool.
        ImportError
            If matplotlib is not installed.
        """
        last = last_step(estimator)
        if hasattr(last, "pool_derivative_"):
            check_has_pool(last, cls)
            derivative = last.pool_derivative_
        else:
            derivative = fitted_attribute(last, "derivative_", cls, _HOLDERS)
        if is_wrong is not None:
            display = cls(derivative=derivative, is_wrong=is_wrong)
        else:
            display = cls(derivative=derivative, **_suspected(last))
        return display.plot(ax, bins=bins, relative=relative)

    def plot(
        self, ax: Any = None, *, bins: int | str | ArrayLike = 50, relative: bool = False
    ) -> Self:
        """Draw the histogram.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, a new figure is created.
        bins : int, str or array-like, default=50
            Number of bins, a method of :func:`numpy.histogram_bin_edges`, or the edges.
        relative : bool, default=False
            Whether the bars of each status sum to 100 %, which makes a small number of wrong labels
            visible.

        Returns
        -------
        DerivativeDisplay
            The display itself.

        Raises
        ------
        TypeError
            If ``ax`` is not a single Axes.
        ImportError
            If matplotlib is not installed.
        """
        ax = axes_to_draw_on(ax, self, figsize=(7, 4.2))
        self.bin_edges_ = np.histogram_bin_edges(self.derivative, bins)
        self.bars_: list[Any] = []
        for values, name, color in self._parts():
            heights, _ = np.histogram(values, self.bin_edges_)
            if relative:
                heights = 100 * heights / max(len(values), 1)
            self.bars_.append(
                ax.bar(
                    self.bin_edges_[:-1], heights, np.diff(self.bin_edges_), align="edge",
                    color=color, alpha=0.85, label=f"{name} (n = {len(values):,})",
                )
            )  # fmt: skip
            # Dark bars cover light ones, whose outline remains visible.
            ax.stairs(heights, self.bin_edges_, color=color, zorder=3)
        _label_axes(ax, relative)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _parts(self) -> list[tuple[np.ndarray, str, str]]:
        """Return the derivatives, name and color of each status."""
        if self.is_wrong is None:
            return [(self.derivative, "all", LIGHT)]
        right, wrong = self.derivative[~self.is_wrong], self.derivative[self.is_wrong]
        return list(zip((right, wrong), self.status_names, (LIGHT, DARK), strict=True))


def _check_names(names: Any) -> tuple[str, str]:
    """Return the names of the two kinds of rows, or raise."""
    is_pair = isinstance(names, (tuple, list)) and len(names) == 2
    if not is_pair or not all(isinstance(name, str) for name in names):
        raise ValueError(
            f"status_names must be a tuple of two str, got {names!r}. Pass the name of the rows "
            "for which is_wrong is False, followed by that of the other rows."
        )
    return names


def _suspected(estimator: Any) -> dict[str, Any]:
    """Return which rows a fitted estimator flags or rejects, and their names in the legend."""
    if hasattr(estimator, "pool_derivative_"):
        return {"is_wrong": ~estimator.support_, "status_names": ("chosen", "not chosen")}
    if hasattr(estimator, "outlier_scores_"):
        is_flagged = estimator.outlier_scores_ > estimator.threshold_
        return {"is_wrong": is_flagged, "status_names": ("not flagged", "flagged")}
    return {}


def _label_axes(ax: Any, relative: bool) -> None:
    """Label the axes, mark zero and add a legend."""
    label = "helps ← 0 → harms"
    ax.axvline(0, color="black", linestyle="--", linewidth=1, label=label)
    ax.set_xlabel("derivative of the mean loss\n(per unit of the row's weight)")
    ax.set_ylabel("% of the rows with this status" if relative else "rows per bin")
    ax.ticklabel_format(axis="x", style="sci", scilimits=(-2, 3), useMathText=True)
    ax.locator_params(axis="y", integer=not relative)
    add_legend(ax)
    hide_frame(ax)
