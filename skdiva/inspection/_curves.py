"""Curves by rows added, beside those of random orders: how they are checked and drawn."""

from numbers import Integral

import numpy as np

from skdiva.inspection._drawing import DARK, LIGHT, MIDDLE, add_legend, check_numbers, hide_frame


def check_curve(x_name, x, y_name, y):
    """Return two vectors, the first increasing, or None and None.

    Parameters
    ----------
    x_name, y_name : str
        What they are called.
    x, y : array-like of shape (n,) or None
        Rows added, and losses or errors.

    Returns
    -------
    tuple of two ndarrays of shape (n,), or of None
    """
    if (x is None) != (y is None):
        given, missing = (y_name, x_name) if x is None else (x_name, y_name)
        raise ValueError(
            f"{x_name} and {y_name} must be passed together, got {given} alone. Pass {missing}, "
            "or neither."
        )
    if x is None:
        return None, None
    x = check_numbers(x_name, x, low=0)
    if (np.diff(x) <= 0).any():
        raise ValueError(
            f"{x_name} must increase, got {x}. Sort it, and {y_name} with it; pass every number "
            "of rows once."
        )
    return x, check_numbers(y_name, y, len(x))


def check_count(name, value):
    """Raise if ``value`` is not an int of at least 0."""
    if not isinstance(value, Integral) or value < 0:
        raise ValueError(
            f"{name} must be an int of at least 0, got {value!r}. Pass a whole number."
        )


def check_repeats(name, values, beside, x):
    """Return values of random orders as an array (n_repeats, n), or None for None.

    Parameters
    ----------
    name : str
        What they are called.
    values : array-like of shape (n_repeats, n) or None
    beside : tuple of two str
        What the curve beside which they are drawn is called, and its places.
    x : ndarray of shape (n,) or None
        Its places.

    Returns
    -------
    ndarray of shape (n_repeats, n) or None
    """
    if values is None:
        return None
    if x is None:
        raise ValueError(
            f"{name} is drawn beside {beside[0]}, got no {beside[0]}. "
            f"Pass {beside[1]} and {beside[0]} too, or no {name}."
        )
    values = np.asarray(values)
    if values.ndim != 2 or len(values) == 0:
        raise ValueError(
            f"{name} must have shape (n_repeats, {len(x)}), got {values.shape}. "
            "Pass one line per repeat."
        )
    return np.array([check_numbers(name, line, len(x)) for line in values])


def draw_curve(ax, x, values, repeats, name):
    """Draw a curve beside those of random orders.

    Parameters
    ----------
    ax : matplotlib Axes
    x : ndarray of shape (n,)
    values : ndarray of shape (n,) or None
        None: nothing is drawn.
    repeats : ndarray of shape (n_repeats, n) or None
        Of random orders: their mean and a standard deviation to either side. None: not drawn.
    name : str
        Of the axis.

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


def split_axes(ax):
    """Put two axes into one, the second below the first."""
    ax.set_axis_off()
    return [ax.inset_axes([0, start, 1, 0.47]) for start in (0.53, 0)]


def label_axes(parts, n_chosen, with_legend):
    """Mark where adding stopped, and say what is drawn.

    Parameters
    ----------
    parts : list of matplotlib Axes
        One, or two below each other.
    n_chosen : int or None
        Rows after which adding stopped.
    with_legend : matplotlib Axes
        Where the legend of all is put.

    Returns
    -------
    list of matplotlib Line2D
        One in each of the axes; none for None.
    """
    how = {"color": "black", "linestyle": ":", "linewidth": 1.2}
    lines, entries = [], {}
    for part in parts:
        if n_chosen is not None:
            lines.append(part.axvline(n_chosen, label=f"stopped: {n_chosen:,} rows", **how))
        hide_frame(part)
        handles, names = part.get_legend_handles_labels()
        entries |= dict(zip(names, handles, strict=True))
    parts[-1].set_xlabel("rows added to the core")
    if len(parts) == 2:
        parts[1].sharex(parts[0])
        parts[0].tick_params(labelbottom=False)
    add_legend(with_legend, entries.values(), entries)
    return lines
