"""DerivativeDisplay: how the derivatives of right and of wrong labels are distributed."""

import numpy as np

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

_HOLDERS = "DivaReweighter, DivaOutlierDetector and DivaExtender (pool_derivative_) have"


class DerivativeDisplay:
    """Histogram of the derivatives of the loss with respect to the weights of the rows.

    Rows with wrong labels make the predictions for other rows worse: their derivatives are positive
    (figure 3 of [1]_). Which labels are wrong may be known, or suspected by a detector.

    Parameters
    ----------
    derivative : array-like of shape (n_samples,)
        Derivative of the mean loss with respect to the weight of every row, ``derivative_`` or
        ``pool_derivative_`` of a fitted estimator; in units of the loss per unit of weight.
    is_wrong : array-like of bool of shape (n_samples,), default=None
        Which labels are wrong, or flagged. None: all rows are drawn as one.
    status_names : tuple of two str, default=("right label", "wrong label")
        What the legend calls rows for which ``is_wrong`` is False, and True.

    Attributes
    ----------
    bars_ : list of matplotlib BarContainer
        Bars of the rows that are not wrong, then of those that are; one entry without ``is_wrong``.
    bin_edges_ : ndarray of shape (n_bins + 1,)
        Edges of the bins, which all rows share.
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
    WeightsDisplay : The rows that gained and lost most weight.

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

    def __init__(self, *, derivative, is_wrong=None, status_names=("right label", "wrong label")):
        self.derivative = check_numbers("derivative", derivative)
        self.is_wrong = is_wrong
        self.status_names = _check_names(status_names)
        if is_wrong is not None:
            self.is_wrong = check_vector("is_wrong", is_wrong, len(self.derivative))
            if self.is_wrong.dtype != bool:
                raise ValueError(
                    f"is_wrong must hold booleans, got dtype {self.is_wrong.dtype}. "
                    "Pass True for every row whose label is wrong, else False."
                )

    @classmethod
    def from_estimator(cls, estimator, *, is_wrong=None, ax=None, bins=50, relative=False):
        """Draw the derivatives that a fitted estimator holds.

        Parameters
        ----------
        estimator : DivaOutlierDetector, DivaReweighter, DivaExtender or Pipeline
            Fitted estimator with ``derivative_`` or, for the rows of a pool, ``pool_derivative_``;
            or a Pipeline that ends in one.
        is_wrong : array-like of bool of shape (n_samples,), default=None
            Which labels of these rows are known to be wrong. None: rows that a detector flags, or
            that an extender does not choose, are drawn apart; for a reweighter, none are.
        ax : matplotlib Axes, default=None
            Axes to draw on. None: those of a new figure.
        bins : int, str or array-like, default=50
            Number of bins, a rule of :func:`numpy.histogram_bin_edges`, or the edges.
        relative : bool, default=False
            Whether the bars of each status sum to 100 %, so that few wrong labels can be seen.

        Returns
        -------
        DerivativeDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If ``estimator`` is not fitted.
        TypeError
            If it has neither attribute; if ``ax`` is not one Axes.
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
            display = cls(derivative=derivative, **_verdict(last))
        return display.plot(ax, bins=bins, relative=relative)

    def plot(self, ax=None, *, bins=50, relative=False):
        """Draw the histogram.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None: those of a new figure.
        bins : int, str or array-like, default=50
            Number of bins, a rule of :func:`numpy.histogram_bin_edges`, or the edges.
        relative : bool, default=False
            Whether the bars of each status sum to 100 %, so that few wrong labels can be seen.

        Returns
        -------
        DerivativeDisplay
            The display itself.

        Raises
        ------
        TypeError
            If ``ax`` is not one Axes.
        ImportError
            If matplotlib is not installed.
        """
        ax = axes_to_draw_on(ax, self, figsize=(7, 4.2))
        self.bin_edges_ = np.histogram_bin_edges(self.derivative, bins)
        self.bars_ = []
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
            # Dark bars hide light ones: their outline stays visible.
            ax.stairs(heights, self.bin_edges_, color=color, zorder=3)
        _explain_axes(ax, relative)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _parts(self):
        """Derivatives, name and colour of every status."""
        if self.is_wrong is None:
            return [(self.derivative, "all", LIGHT)]
        right, wrong = self.derivative[~self.is_wrong], self.derivative[self.is_wrong]
        return list(zip((right, wrong), self.status_names, (LIGHT, DARK), strict=True))


def _check_names(names):
    """Return the names of the two kinds of rows."""
    is_pair = isinstance(names, (tuple, list)) and len(names) == 2
    if not is_pair or not all(isinstance(name, str) for name in names):
        raise ValueError(
            f"status_names must be a tuple of two str, got {names!r}. Pass the name of the rows "
            "for which is_wrong is False, then that of the others."
        )
    return names


def _verdict(estimator):
    """Which rows a fitted estimator holds to be bad, if any, and what to call them."""
    if hasattr(estimator, "pool_derivative_"):
        return {"is_wrong": ~estimator.support_, "status_names": ("chosen", "not chosen")}
    if hasattr(estimator, "outlier_scores_"):
        is_flagged = estimator.outlier_scores_ > estimator.threshold_
        return {"is_wrong": is_flagged, "status_names": ("not flagged", "flagged")}
    return {}


def _explain_axes(ax, relative):
    """Say what is drawn, and what the side of zero means."""
    label = "helps ← 0 → harms"
    ax.axvline(0, color="black", linestyle="--", linewidth=1, label=label)
    ax.set_xlabel("derivative of the mean loss\n(per unit of the row's weight)")
    ax.set_ylabel("% of the rows of its kind" if relative else "rows per bin")
    ax.ticklabel_format(axis="x", style="sci", scilimits=(-2, 3), useMathText=True)
    ax.locator_params(axis="y", integer=not relative)
    add_legend(ax)
    hide_frame(ax)
