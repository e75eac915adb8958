"""Curves over the number of rows added, with a comparison to random orders."""

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skdiva.inspection._drawing import DARK, LIGHT, MIDDLE, add_legend, check_numbers, hide_frame


def check_curve(
    x_name: str, x: ArrayLike | None, y_name: str, y: ArrayLike | None
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return two vectors, the first of which increases, or None and None.

    Parameters
    ----------
    x_name, y_name : str
        Names of the two arguments, for error messages.
    x, y : array-like of shape (n,) or None
        Numbers of rows added, and losses or errors.

    Returns
    -------
    tuple of two ndarrays of shape (n,), or of two None
    """
    if x is None or y is None:
        if x is not None or y is not None:
            given, missing = (y_name, x_name) if x is None else (x_name, y_name)
            raise ValueError(
                f"{x_name} and {y_name} must be passed together, got {given} alone. Pass "
                f"{missing} too, or neither."
            )
        return None, None
    x = check_numbers(x_name, x, low=0)
    if (np.diff(x) <= 0).any():
        raise ValueError(
            f"{x_name} must increase, got {x}. Sort it, and {y_name} along with it; pass every "
            "number of rows only once."
        )
    return x, check_numbers(y_name, y, len(x))


def check_count(name: str, value: Any) -> None:
    """Raise if ``value`` is not an int of at least 0."""
    if not isinstance(value, Integral) or value < 0:
        raise ValueError(
            f"{name} must be an int of at least 0, got {value!r}. Pass a whole number."
        )


def check_repeats(
    name: str, values: ArrayLike | None, beside: tuple[str, str], x: np.ndarray | None
) -> np.ndarray | None:
    """Return the values of random orders as an array, or None if there are none.

    Parameters
    ----------
    name : str
        Name of the argument, for error messages.
    values : array-like of shape (n_repeats, n) or None
        Losses or errors of random orders.
    beside : tuple of two str
        Names of the y and x values of the curve to compare with.
    x : ndarray of shape (n,) or None
        The x values of that curve; None if it is not drawn.

    Returns
    -------
    ndarray of shape (n_repeats, n) or None
    """
    if values is None:
        return None
    if x is None:
        raise ValueError(
            f"{name} is drawn beside {beside[0]}, got no {beside[0]}. "
            f"Pass {beside[1]} and {beside[0]} too, or omit {name}."
        )
    values = np.asarray(values)
    if values.ndim != 2 or len(values) == 0:
        raise ValueError(
            f"{name} must have shape (n_repeats, {len(x)}), got {values.shape}. "
            "Pass one row per repeat."
        )
    return np.array([check_numbers(name, line, len(x)) for line in values])


def draw_curve(
    ax: Any, x: np.ndarray | None, values: np.ndarray | None, repeats: np.ndarray | None, name: str
) -> tuple[Any, Any, Any, Any]:
    """Draw a curve beside those of random orders.

    Parameters
    ----------
    ax : matplotlib Axes
    x : ndarray of shape (n,) or None
    values : ndarray of shape (n,) or None
        If None, nothing is drawn.
    repeats : ndarray of shape (n_repeats, n) or None
        Values of random orders, drawn as their mean plus and minus one standard deviation. If None,
        they are not drawn.
    name : str
        Label of the y axis.

    Returns
    -------
    ax : matplotlib Axes or None
    line, random_line : matplotlib Line2D or None
    random_band : matplotlib PolyCollection or None
    """
    if values is None:
        return None, None, None, None
    random_line = band = None
    if repeats is not None:
        mean, spread = repeats.mean(axis=0), repeats.std(axis=0)
        band = ax.fill_between(x, mean - spread, mean + spread, color=LIGHT, alpha=0.5, linewidth=0)
        n_repeats = len(repeats)
        label = f"at random (mean ± std of {n_repeats})" if n_repeats > 1 else "at random"
        (random_line,) = ax.plot(
            x, mean, color=MIDDLE, linestyle="--", marker="s", markersize=4, label=label
        )
    (line,) = ax.plot(x, values, color=DARK, marker="o", markersize=4, label="in the order chosen")
    ax.set_ylabel(name)
    return ax, line, random_line, band


def split_axes(ax: Any) -> list[Any]:
    """Return two axes inside ``ax``, the second below the first."""
    ax.set_axis_off()
    return [ax.inset_axes([0, start, 1, 0.47]) for start in (0.53, 0)]


def label_axes(parts: list[Any], n_chosen: int | None, with_legend: Any) -> list[Any]:
    """Mark where adding stopped, label the x axis and add a legend.

    Parameters
    ----------
    parts : list of matplotlib Axes
        One, or two that are stacked vertically.
    n_chosen : int or None
        Number of rows after which adding stopped.
    with_legend : matplotlib Axes
        The one of ``parts`` that holds the legend for all of them.

    Returns
    -------
    list of matplotlib Line2D
        One line in each of the axes; empty if ``n_chosen`` is None.
    """
    style = {"color": "black", "linestyle": ":", "linewidth": 1.2}
    lines: list = []
    entries: dict = {}
    for part in parts:
        if n_chosen is not None:
            lines.append(part.axvline(n_chosen, label=f"stopped: {n_chosen:,} rows", **style))
        hide_frame(part)
        handles, names = part.get_legend_handles_labels()
        entries.update(zip(names, handles, strict=True))
    parts[-1].set_xlabel("rows added to the core")
    if len(parts) == 2:
        parts[1].sharex(parts[0])
        parts[0].tick_params(labelbottom=False)
    add_legend(with_legend, entries.values(), entries)
    return lines
