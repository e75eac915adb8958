"""SourceDisplay: how much weight every source of rows got."""

import numpy as np

from skdiva.inspection._drawing import (
    DARK,
    LIGHT,
    WEIGHERS,
    axes_to_draw_on,
    check_numbers,
    check_vector,
    fitted_attribute,
    hide_frame,
    last_step,
)
from skdiva.inspection._row_pictures import as_text


class SourceDisplay:
    """Bar chart of the weight and the probability of every source of rows.

    Parameters
    ----------
    sources : array-like of shape (n_sources,)
        Names of the sources, ``sources_`` of a fitted estimator.
    source_weight : array-like of shape (n_sources,)
        Weight of every source relative to its start weight, ``source_weight_``: 1 is the start.
    source_probability : array-like of shape (n_sources,)
        Share of every source in the sum of the weights, ``source_probability_``.

    Attributes
    ----------
    weight_bars_ : matplotlib BarContainer
        Bars of the weights, in the order of ``sources``.
    probability_bars_ : matplotlib BarContainer
        Bars of the probabilities.
    axes_ : tuple of two matplotlib Axes
        Axes of the weights and of the probabilities, inside ``ax_``.
    ax_ : matplotlib Axes
        Axes drawn on; only its title shows.
    figure_ : matplotlib Figure
        Their figure.

    Raises
    ------
    ValueError
        If an argument is not as described.

    See Also
    --------
    WeightsDisplay : The rows that gained and lost most weight.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skdiva import DivaReweighter
    >>> from skdiva.inspection import SourceDisplay
    >>> X, y = load_digits(n_class=3, return_X_y=True)
    >>> site = np.where(np.arange(len(y)) % 3, "careful", "hasty")
    >>> y[::6] = (y[::6] + 1) % 3  # half the labels of the hasty site
    >>> model = DivaReweighter().fit(X, y, sources=site)
    >>> display = SourceDisplay.from_estimator(model)
    >>> [label.get_text() for label in display.axes_[0].get_yticklabels()]
    ['careful', 'hasty']
    >>> careful, hasty = display.weight_bars_
    >>> hasty.get_width() < careful.get_width()
    np.True_
    """

    def __init__(self, *, sources, source_weight, source_probability):
        self.sources = check_vector("sources", sources)
        n_sources = len(self.sources)
        self.source_weight = check_numbers("source_weight", source_weight, n_sources, low=0)
        self.source_probability = check_numbers(
            "source_probability", source_probability, n_sources, low=0
        )

    @classmethod
    def from_estimator(cls, estimator, *, ax=None):
        """Draw the weights of the sources that a fitted estimator holds.

        Parameters
        ----------
        estimator : DivaOutlierDetector, DivaReweighter or Pipeline
            Estimator fitted with ``sources``, or a Pipeline that ends in one.
        ax : matplotlib Axes, default=None
            Axes to draw on. None: those of a new figure.

        Returns
        -------
        SourceDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If ``estimator`` is not fitted.
        TypeError
            If it does not learn weights; if ``ax`` is not one Axes.
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
                f"{type(estimator).__name__} fitted without. Pass the source of every row to fit: "
                "fit(X, y, sources=...)."
            )
        display = cls(
            sources=estimator.sources_,
            source_weight=estimator.source_weight_,
            source_probability=estimator.source_probability_,
        )
        return display.plot(ax)

    def plot(self, ax=None):
        """Draw the bars.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None: those of a new figure.

        Returns
        -------
        SourceDisplay
            The display itself.

        Raises
        ------
        TypeError
            If ``ax`` is not one Axes.
        ImportError
            If matplotlib is not installed.
        """
        n_sources = len(self.sources)
        ax = axes_to_draw_on(ax, self, figsize=(7.5, 1.2 + 0.35 * n_sources))
        # Names that are close to each other are written smaller.
        inches = ax.get_window_extent().height / ax.figure.dpi
        size = min(10, 0.7 * 72 * inches / n_sources)
        ax.set_axis_off()
        left, right = (ax.inset_axes([start, 0, 0.48, 1]) for start in (0, 0.52))
        self.weight_bars_ = _draw_bars(left, self.source_weight, DARK, "{:.2f}", size)
        left.axvline(1, color="black", linestyle="--", linewidth=1)
        names = [as_text(source, 30) for source in self.sources]
        left.set_yticks(range(n_sources), names, fontsize=size)
        left.set_xlabel("weight relative\nto the start (dashed)")
        percent = 100 * self.source_probability
        self.probability_bars_ = _draw_bars(right, percent, LIGHT, "{:.1f}", size)
        right.set_yticks([])
        right.set_xlabel("probability\n(% of all weight)")
        self.axes_ = (left, right)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _draw_bars(ax, lengths, color, number, fontsize):
    """Draw bars from top to bottom, each with its number."""
    bars = ax.barh(np.arange(len(lengths)), lengths, color=color)
    on_white = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}  # the dashed line ends there
    numbers = [number.format(length) for length in lengths]
    ax.bar_label(bars, numbers, padding=3, bbox=on_white, fontsize=fontsize)
    ax.set_ylim(len(lengths) - 0.4, -0.6)
    longest = max(lengths.max(), 1e-12)
    ax.set_xlim(0, 1.25 * longest)
    ax.locator_params(axis="x", nbins=5)
    # Only numbers stand to the right of the longest bar: a share has no 120 %.
    ax.set_xticks([tick for tick in ax.get_xticks() if tick <= longest * (1 + 1e-9)])
    hide_frame(ax)
    return bars
