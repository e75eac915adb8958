"""SourceDisplay: weights and probabilities of the sources of rows."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skdiva.arrays import to_host
from skdiva.inspection._drawing import (
    DARK,
    LIGHT,
    MIDDLE,
    WEIGHERS,
    axes_to_draw_on,
    check_numbers,
    check_vector,
    fitted_attribute,
    hide_frame,
    last_step,
)
from skdiva.inspection._images_and_tables import as_text

_ROUNDING = 1e-5  # relative, of float32


class SourceDisplay:
    """Bar chart of the weight and probability of each source of rows.

    The error bars show how much the weights may vary by chance.

    Parameters
    ----------
    sources : array-like of shape (n_sources,)
        Names of the sources, ``sources_`` of a fitted estimator.
    source_weight : array-like of shape (n_sources,)
        Weight of each source divided by its initial weight, ``source_weight_``.
    source_probability : array-like of shape (n_sources,)
        Share of each source in the sum of all weights, ``source_probability_``.
    source_weight_interval : array-like of shape (n_sources, 2), default=None
        Lower and upper bounds of intervals that contain ``source_weight``,
        ``source_weight_interval_`` of a fitted DivaReweighter. They are drawn as error bars. If
        None, there are none.

    Attributes
    ----------
    weight_bars_ : matplotlib BarContainer
        Bars of the weights, in the order of ``sources``.
    probability_bars_ : matplotlib BarContainer
        Bars of the probabilities.
    axes_ : tuple of two matplotlib Axes
        Axes of the weights and of the probabilities, inside ``ax_``.
    ax_ : matplotlib Axes
        Axes drawn on. Only their title is visible.
    figure_ : matplotlib Figure
        Figure of ``ax_``.

    Raises
    ------
    ValueError
        If an argument is not as described.

    See Also
    --------
    WeightsDisplay : Rows with the largest and the smallest weights.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skdiva import DivaReweighter
    >>> from skdiva.inspection import SourceDisplay
    >>> X, y = load_digits(n_class=3, return_X_y=True)
    >>> site = np.where(np.arange(len(y)) % 3, "careful", "hasty")
    >>> y[::6] = (y[::6] + 1) % 3  # half of the labels at the hasty site are wrong
    >>> model = DivaReweighter().fit(X, y, sources=site)
    >>> display = SourceDisplay.from_estimator(model)
    >>> [label.get_text() for label in display.axes_[0].get_yticklabels()]
    ['careful', 'hasty']
    >>> careful, hasty = display.weight_bars_
    >>> hasty.get_width() < careful.get_width()
    np.True_
    """

    def __init__(
        self,
        *,
        sources: ArrayLike,
        source_weight: ArrayLike,
        source_probability: ArrayLike,
        source_weight_interval: ArrayLike | None = None,
    ) -> None:
        self.sources = check_vector("sources", sources)
        n_sources = len(self.sources)
        self.source_weight = check_numbers("source_weight", source_weight, n_sources, low=0)
        self.source_probability = check_numbers(
            "source_probability", source_probability, n_sources, low=0
        )
        self.source_weight_interval = None
        if source_weight_interval is not None:
            interval = _check_interval(source_weight_interval, self.source_weight)
            self.source_weight_interval = interval

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> Self:
        """Draw the weights that a fitted estimator has learned for the sources.

        Parameters
        ----------
        estimator : DivaOutlierDetector, DivaReweighter or Pipeline
            Estimator fitted with ``sources``, or a Pipeline that ends with one.
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, a new figure is created.

        Returns
        -------
        SourceDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If ``estimator`` is not fitted.
        TypeError
            If it does not have the attribute ``sample_weight_``; if ``ax`` is not a single Axes.
        ValueError
            If it was fitted without ``sources``.
        ImportError
            If matplotlib is not installed.
        """
        fitted_attribute(estimator, "sample_weight_", cls, WEIGHERS)
        estimator = last_step(estimator)
        if not hasattr(estimator, "sources_"):
            raise ValueError(
                "SourceDisplay expects an estimator fitted with sources, got "
                f"{type(estimator).__name__} fitted without them. Pass the source of each row to "
                "fit: fit(X, y, sources=...)."
            )
        display = cls(
            sources=estimator.sources_,
            source_weight=estimator.source_weight_,
            source_probability=estimator.source_probability_,
            source_weight_interval=getattr(estimator, "source_weight_interval_", None),
        )
        return display.plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the bars.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, a new figure is created.

        Returns
        -------
        SourceDisplay
            The display itself.

        Raises
        ------
        TypeError
            If ``ax`` is not a single Axes.
        ImportError
            If matplotlib is not installed.
        """
        n_sources = len(self.sources)
        ax = axes_to_draw_on(ax, self, figsize=(7.5, 1.2 + 0.35 * n_sources))
        # With many sources the names are close together and need a smaller font.
        inches = ax.get_window_extent().height / ax.figure.dpi
        size = min(10, 0.7 * 72 * inches / n_sources)
        ax.set_axis_off()
        left, right = (ax.inset_axes([start, 0, 0.48, 1]) for start in (0, 0.52))
        self.weight_bars_ = _draw_bars(
            left, self.source_weight, DARK, "{:.2f}", size, self.source_weight_interval
        )
        left.axvline(1, color="black", linestyle="--", linewidth=1)
        names = [as_text(source, 30) for source in self.sources]
        left.set_yticks(range(n_sources), names, fontsize=size)
        left.set_xlabel("weight relative to the\ninitial weight (dashed)")
        percent = 100 * self.source_probability
        self.probability_bars_ = _draw_bars(right, percent, LIGHT, "{:.1f}", size)
        right.set_yticks([])
        right.set_xlabel("probability\n(% of the total weight)")
        self.axes_ = (left, right)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _check_interval(interval: ArrayLike, weight: np.ndarray) -> np.ndarray:
    """Return the bounds of intervals, (n_sources, 2); raise unless they contain the weights."""
    interval = np.asarray(to_host(interval))
    if interval.shape != (len(weight), 2):
        raise ValueError(
            f"source_weight_interval must have shape ({len(weight)}, 2), got {interval.shape}. "
            "Pass a lower and an upper bound per source."
        )
    interval = check_numbers("source_weight_interval", interval.ravel(), low=0).reshape(-1, 2)
    slack = _ROUNDING * weight
    if (interval[:, 0] > weight + slack).any() or (interval[:, 1] < weight - slack).any():
        raise ValueError(
            "source_weight_interval must contain source_weight; at least one interval does not. "
            "Pass both from the same fitted estimator."
        )
    return interval


def _draw_bars(
    ax: Any,
    lengths: np.ndarray,
    color: str,
    number: str,
    fontsize: float,
    interval: np.ndarray | None = None,
) -> Any:
    """Draw bars from top to bottom, with their lengths as text, and with error bars."""
    longest, errors = max(lengths.max(), 1e-12), None
    if interval is not None:
        longest = max(longest, interval.max())
        errors = np.abs(interval.T - lengths)
    error_style = {"ecolor": MIDDLE, "capsize": 3}
    bars = ax.barh(np.arange(len(lengths)), lengths, color=color, xerr=errors, error_kw=error_style)
    # The white background hides the dashed line behind the text.
    on_white = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
    numbers = [number.format(length) for length in lengths]
    ax.bar_label(bars, numbers, padding=3, bbox=on_white, fontsize=fontsize)
    ax.set_ylim(len(lengths) - 0.4, -0.6)
    ax.set_xlim(0, 1.25 * longest)
    ax.locator_params(axis="x", nbins=5)
    # No ticks to the right of the longest bar, where there is only text: a share of 120 % would
    # make no sense.
    ax.set_xticks([tick for tick in ax.get_xticks() if tick <= longest * (1 + 1e-9)])
    hide_frame(ax)
    return bars
