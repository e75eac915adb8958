"""Axes, colors and argument checks shared by the displays."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skdiva.arrays import to_host

DARK, MIDDLE, LIGHT = "#7f2704", "#858585", "#bdbdbd"  # can be told apart in grayscale
WEIGHERS = "DivaReweighter, DivaOutlierDetector"


def axes_to_draw_on(ax: Any, display: Any, figsize: tuple[float, float]) -> Any:
    """Return ``ax``, or the axes of a new figure if it is None."""
    check_axes(ax, type(display))
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=figsize, layout="constrained")[1]


def check_axes(ax: Any, display: type) -> None:
    """Raise if matplotlib is not installed, or if ``ax`` is neither a single Axes nor None."""
    try:
        import matplotlib.pyplot  # noqa: F401
        from matplotlib.axes import Axes
    except ImportError as error:
        raise ImportError(
            f"{display.__name__}.plot requires matplotlib, which is not installed. "
            'Install it with: pip install "skdiva[plot]".'
        ) from error
    if ax is not None and not isinstance(ax, Axes):
        raise TypeError(
            f"ax must be a single matplotlib Axes or None, got {type(ax).__name__}. "
            "If you have several axes, pass one of them, for example axes[0]."
        )


def hide_frame(ax: Any) -> None:
    """Hide the top and right spines of ``ax``, which carry no scale."""
    ax.spines[["top", "right"]].set_visible(False)


def add_legend(ax: Any, *entries: Any) -> None:
    """Add a small, translucent legend, which stays readable if it covers part of the plot.

    ``entries`` are handles and labels; by default those of ``ax``.
    """
    inches = ax.get_window_extent().width / ax.figure.dpi
    size = 9 if inches > 3.3 else 7
    ax.legend(*entries, fontsize=size, handlelength=1.7, framealpha=0.75, edgecolor="none")


def fitted_attribute(estimator: Any, name: str, display: type, holders: str) -> Any:
    """Return an attribute of a fitted estimator, or of the last step of a fitted Pipeline.

    ``holders`` names the estimators that have this attribute, for the error message.
    """
    estimator = last_step(estimator)
    check_is_fitted(estimator)
    if not hasattr(estimator, name):
        raise TypeError(
            f"{display.__name__} expects an estimator with the fitted attribute {name} "
            f"({holders}), got {type(estimator).__name__}. "
            f"Pass one that has it, or pass the values themselves to {display.__name__}(...)."
        )
    return getattr(estimator, name)


def check_has_pool(extender: Any, display: type) -> None:
    """Raise if an extender, or the extender at the end of a Pipeline, was fitted without a pool."""
    if not len(last_step(extender).ranking_):
        raise ValueError(
            f"{display.__name__} expects an extender fitted with a pool, got "
            f"{type(last_step(extender)).__name__} fitted without one. "
            "Pass the pool to fit: fit(X, y, X_pool=..., y_pool=...)."
        )


def last_step(estimator: Any) -> Any:
    """Return the last step of a Pipeline; any other estimator is returned as it is."""
    return estimator[-1] if isinstance(estimator, Pipeline) else estimator


def out_of_tuple(value: Any) -> Any:
    """Unpack rows from a tuple of length one, the form in which a search expects a pool."""
    return value[0] if isinstance(value, tuple) and len(value) == 1 else value


def check_numbers(
    name: str, values: ArrayLike, length: int | None = None, low: float = -np.inf
) -> np.ndarray:
    """Return ``values`` as a vector of finite floats that are at least ``low``."""
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
            f"{values.max():g}. Pass the attribute of a fitted estimator."
        )
    return values


def check_vector(name: str, values: ArrayLike, length: int | None = None) -> np.ndarray:
    """Return ``values`` as a vector that is not empty, of the given length unless it is None."""
    values = np.asarray(to_host(values))
    expected = "(n,), n > 0" if length is None else f"({length},)"
    if values.ndim != 1 or values.size == 0 or (length is not None and len(values) != length):
        raise ValueError(
            f"{name} must have shape {expected}, got {values.shape}. "
            "Pass one value per row, or per source, in the order used in fit."
        )
    return values
