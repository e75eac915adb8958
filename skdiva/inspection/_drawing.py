"""What the displays share: axes, colours, and checks of what they are given."""

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skdiva.arrays import to_host

DARK, MIDDLE, LIGHT = "#7f2704", "#858585", "#bdbdbd"  # apart in grey, too
WEIGHERS = "DivaReweighter and DivaOutlierDetector have"


def axes_to_draw_on(ax, display, figsize):
    """Return ``ax``, or the axes of a new figure if it is None."""
    check_axes(ax, type(display))
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=figsize, layout="constrained")[1]


def check_axes(ax, display):
    """Raise if a display cannot be drawn: no matplotlib, or ``ax`` is not one Axes or None."""
    try:
        import matplotlib.pyplot  # noqa: F401
        from matplotlib.axes import Axes
    except ImportError as error:
        raise ImportError(
            f"{display.__name__}.plot draws with matplotlib, which is not installed. "
            'Install it: pip install "skdiva[plot]".'
        ) from error
    if ax is not None and not isinstance(ax, Axes):
        raise TypeError(
            f"ax must be one matplotlib Axes or None, got {type(ax).__name__}. "
            "Of several axes pass one, as in axes[0]."
        )


def hide_frame(ax):
    """Take away the two lines round ``ax`` that carry no scale."""
    ax.spines[["top", "right"]].set_visible(False)


def add_legend(ax, *entries):
    """Add a legend that can be read on top of what it may have to cover.

    ``entries`` are handles and labels; by default those of ``ax``.
    """
    inches = ax.get_window_extent().width / ax.figure.dpi
    size = 9 if inches > 3.3 else 7
    ax.legend(*entries, fontsize=size, handlelength=1.7, framealpha=0.75, edgecolor="none")


def fitted_attribute(estimator, name, display, holders):
    """Return an attribute of a fitted estimator, or of the last step of a fitted Pipeline.

    ``holders`` says which estimators have it, for the message.
    """
    estimator = last_step(estimator)
    check_is_fitted(estimator)
    if not hasattr(estimator, name):
        raise TypeError(
            f"{display.__name__} expects an estimator that has {name} when fitted, as {holders}, "
            f"got {type(estimator).__name__}. "
            f"Pass such a one, or the numbers themselves to {display.__name__}(...)."
        )
    return getattr(estimator, name)


def check_has_pool(extender, display):
    """Raise if a fitted extender, or the last step of a Pipeline, was fitted without a pool."""
    if not len(last_step(extender).ranking_):
        raise ValueError(
            f"{display.__name__} expects an extender fitted with a pool, got "
            f"{type(last_step(extender)).__name__} fitted without. "
            "Pass the pool to fit: fit(X, y, X_pool=..., y_pool=...)."
        )


def last_step(estimator):
    """Return the last step of a Pipeline; any other estimator as it is."""
    return estimator[-1] if isinstance(estimator, Pipeline) else estimator


def out_of_tuple(value):
    """Take rows out of the tuple of one in which a search needs a pool."""
    return value[0] if isinstance(value, tuple) and len(value) == 1 else value


def check_numbers(name, values, length=None, low=-np.inf):
    """Return ``values`` as a vector of finite floats, none below ``low``."""
    values = check_vector(name, values, length)
    if values.dtype.kind not in "biuf":
        raise ValueError(
            f"{name} must hold numbers, got dtype {values.dtype}. Pass an array of floats."
        )
    values = values.astype(np.float64)
    if not np.isfinite(values).all() or (values < low).any():
        bound = "" if low == -np.inf else f" of at least {low:g}"
        raise ValueError(
            f"{name} must hold finite numbers{bound}, got values from {values.min():g} to "
            f"{values.max():g}. Pass what a fitted estimator holds."
        )
    return values


def check_vector(name, values, length=None):
    """Return ``values`` as a vector, of ``length`` if that is given."""
    values = np.asarray(to_host(values))
    expected = "(n,), n > 0" if length is None else f"({length},)"
    if values.ndim != 1 or values.size == 0 or (length is not None and len(values) != length):
        raise ValueError(
            f"{name} must have shape {expected}, got {values.shape}. "
            "Pass one value per row, or per source, in the order of the fit."
        )
    return values
