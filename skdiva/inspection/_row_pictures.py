"""Rows of the two ends of an order, as a grid of images or as a table."""

import numpy as np

from skdiva.inspection._drawing import LIGHT

_GAP, _LINE, _MARGIN = 0.12, 0.2, 0.35  # in widths of an image: between two, a line of text, left
_CHANNELS = (1, 3, 4)


def as_images(rows, shape):
    """Return rows as images (n, height, width[, 3 or 4]), or None if they are none.

    Parameters
    ----------
    rows : array-like of shape (n, n_features) or (n, height, width[, n_channels])
        Rows of any container, with the channels first or last.
    shape : tuple of int or None
        Shape of one image, if ``rows`` have two dimensions.

    Returns
    -------
    ndarray or None
        The images, channels last; None if neither the rows nor ``shape`` speak of images.

    Raises
    ------
    ValueError
        If the rows do not hold images of this shape, or colours out of range.
    """
    if shape is None and np.ndim(rows) < 3:
        return None
    images = np.asarray(rows)
    if images.dtype.kind not in "buif":
        raise ValueError(
            f"Images must hold numbers, got dtype {images.dtype}. Pass numeric columns."
        )
    if shape is not None:
        shape = tuple(np.atleast_1d(shape).tolist())
        if np.prod(shape) != np.prod(images.shape[1:]):
            raise ValueError(
                f"image_shape must multiply to the {np.prod(images.shape[1:])} values of a row, "
                f"got {shape}. Pass (height, width), or with the number of channels."
            )
        images = images.reshape(len(images), *shape)
    if images.ndim == 4 and images.shape[-1] not in _CHANNELS and images.shape[1] in _CHANNELS:
        images = np.moveaxis(images, 1, -1)
    if images.ndim == 4 and images.shape[-1] == 1:
        images = images[..., 0]
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[-1] not in _CHANNELS):
        raise ValueError(
            "An image must have shape (height, width), or that with 1, 3 or 4 channels first or "
            f"last, got {images.shape[1:]}. Pass image_shape=(height, width)."
        )
    _check_colours(images)
    return images.astype(float) if images.dtype == bool else images


def _check_colours(images):
    top = 1 if images.dtype.kind == "f" else 255
    if images.ndim == 4 and images.size and (images.min() < 0 or images.max() > top):
        raise ValueError(
            "Colour images must hold floats from 0 to 1 or integers from 0 to 255, got "
            f"{images.dtype} from {images.min():g} to {images.max():g}. Scale them back."
        )


def column_names(X, columns):
    """Names, or positions, of the columns that a table shows: the first five by default."""
    names = list(X.columns) if hasattr(X, "columns") else list(range(np.shape(X)[1]))
    missing = [] if columns is None else [column for column in columns if column not in names]
    if missing:
        raise ValueError(f"columns must be among {names}, got {missing}. Pass those that X has.")
    return names[:5] if columns is None else list(columns)


def _layout(images, captions):
    """Height of an image, from one row of images to the next, and size of the grid."""
    tall = images.shape[1] / images.shape[2]
    pitch = tall + _LINE * (1 + captions[0].count("\n")) + _GAP
    return tall, pitch, (_MARGIN + len(images) // 2 * (1 + _GAP), 2 * pitch)


def grid_size(images, captions):
    """Width and height of a figure, in inches, that a grid of images fills."""
    width, height = _layout(images, captions)[-1]
    return 1.05 * width, 1.05 * height


def draw_grid(ax, images, captions, headings, cmap):
    """Draw two rows of images, and return them.

    Parameters
    ----------
    ax : matplotlib Axes
        Axes to draw on.
    images : ndarray of shape (2 n, height, width[, n_channels])
        The images, those of the upper row first.
    captions : list of 2 n str
        What stands above each.
    headings : tuple of two str
        What stands beside each row of images.
    cmap : str or Colormap
        Colours of images with one channel.

    Returns
    -------
    list of 2 n matplotlib AxesImage
        The images drawn.
    """
    n_columns = len(images) // 2
    tall, pitch, (width, height) = _layout(images, captions)
    limits = {} if images.ndim == 4 else {"vmin": images.min(), "vmax": images.max()}
    drawn = []
    for i, (image, caption) in enumerate(zip(images, captions, strict=True)):
        left, top = (i % n_columns) * (1 + _GAP), (i // n_columns) * pitch
        extent = (left, left + 1, top + tall, top)
        drawn.append(ax.imshow(image, cmap=cmap, extent=extent, **limits))
        ax.text(left + 0.5, top - 0.04, caption, ha="center", va="bottom", fontsize=9)
    for i, heading in enumerate(headings):
        ax.text(
            -0.1,
            tall + i * pitch - (pitch - _GAP) / 2,
            heading,
            ha="right",
            va="center",
            rotation=90,
        )
    ax.set_xlim(-_MARGIN, width - _MARGIN)
    ax.set_ylim(pitch + tall, pitch + tall - height)
    ax.set_axis_off()
    return drawn


def as_cells(columns, values, names):
    """Return the lines of a table as lists of text, the first one of titles.

    Parameters
    ----------
    columns : dict of {str: array of shape (n,)}
        The first columns, by title.
    values : array-like of shape (n, n_features)
        Array or dataframe that holds the others.
    names : list
        Names, or positions in an array, of the columns of ``values`` to show.

    Returns
    -------
    list of n + 1 lists of str
        The lines.
    """
    named = hasattr(values, "columns")
    for name in names:
        column = values[name] if named else np.asarray(values)[:, name]
        columns = columns | {(str(name) if named else f"column {name}"): column}
    texts = [[as_text(cell) for cell in (title, *column)] for title, column in columns.items()]
    return [list(line) for line in zip(*texts, strict=True)]


def as_text(value, length=20):
    """Return a number to four digits, or text cut to ``length`` characters."""
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    text = str(value)
    return text if len(text) <= length else text[: length - 1] + "…"


def _widths(cells):
    """Characters that every column of a table takes."""
    return np.array([max(map(len, column)) + 3 for column in zip(*cells, strict=True)])


def table_size(cells):
    """Width and height of a figure, in inches, that a table fills."""
    return 0.1 * _widths(cells).sum(), 0.26 * len(cells)


def draw_table(ax, cells, fits):
    """Draw a table, the lower half of its lines on grey, and return it.

    Parameters
    ----------
    ax : matplotlib Axes
        Axes to draw on.
    cells : list of 2 n + 1 lists of str
        The lines: titles, n rows of one end, n rows of the other.
    fits : bool
        Whether the axes are as large as `table_size` says. If not, letters shrink where they must.

    Returns
    -------
    matplotlib Table
        The table.
    """
    titles, *lines = cells
    widths = _widths(cells)
    table = ax.table(
        lines, colLabels=titles, colLoc="right", colWidths=widths / widths.sum(), bbox=(0, 0, 1, 1)
    )
    table.set_fontsize(10)
    table.auto_set_font_size(not fits)
    for (line, _), cell in table.get_celld().items():
        cell.set_edgecolor(LIGHT)
        cell.PAD = 0.05
        if line == 0:
            cell.set_text_props(weight="bold")
        elif line > len(lines) // 2:
            cell.set_facecolor("#eeeeee")
    ax.set_axis_off()
    return table
