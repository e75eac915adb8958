"""Rows of data drawn as a grid of images or as a table."""

from typing import Any

import numpy as np

from skdiva.arrays import column_at, column_names
from skdiva.inspection._drawing import LIGHT

# In widths of an image: gap between two images, line of text, left margin.
_GAP, _LINE, _MARGIN = 0.12, 0.2, 0.35
_CHANNELS = (1, 3, 4)


def as_images(rows: Any, shape: Any) -> np.ndarray | None:
    """Return rows as images, or None if they are to be shown as a table.

    Parameters
    ----------
    rows : array-like of shape (n, n_features) or (n, height, width[, n_channels])
        Rows in any container. Channels may come first or last.
    shape : tuple of int or None
        Shape of one image, for ``rows`` with two dimensions.

    Returns
    -------
    ndarray of shape (n, height, width) or (n, height, width, 3 or 4), or None
        Images with channels last; None if ``rows`` have two dimensions and ``shape`` is None.

    Raises
    ------
    ValueError
        If the rows do not hold images of this shape, or if colors are out of range.
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
                f"got {shape}. Pass (height, width), or include the number of channels."
            )
        images = images.reshape(len(images), *shape)
    if images.ndim == 4 and images.shape[-1] not in _CHANNELS and images.shape[1] in _CHANNELS:
        images = np.moveaxis(images, 1, -1)
    if images.ndim == 4 and images.shape[-1] == 1:
        images = images[..., 0]
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[-1] not in _CHANNELS):
        raise ValueError(
            "An image must have shape (height, width), optionally with 1, 3 or 4 channels first or "
            f"last, got {images.shape[1:]}. Pass image_shape=(height, width)."
        )
    _check_colors(images)
    return images.astype(float) if images.dtype == bool else images


def _check_colors(images: np.ndarray) -> None:
    top = 1 if images.dtype.kind == "f" else 255
    if images.ndim == 4 and images.size and (images.min() < 0 or images.max() > top):
        raise ValueError(
            "Color images must hold floats from 0 to 1 or integers from 0 to 255, got "
            f"{images.dtype} from {images.min():g} to {images.max():g}. Rescale them."
        )


def choose_columns(X: Any, columns: list | None) -> list[int]:
    """Return the positions of the columns to show: ``columns``, or the first five if None."""
    names = column_names(X)
    if names is None:
        names = list(range(np.shape(X)[1]))
    missing = [] if columns is None else [column for column in columns if column not in names]
    if missing:
        raise ValueError(
            f"columns must be among {names}, got {missing}. Pass only columns that X has."
        )
    positions = range(len(names))
    if columns is None:
        return list(positions[:5])
    return [j for column in columns for j in positions if names[j] == column]


def _layout(images: np.ndarray, captions: list[str]) -> tuple[float, float, tuple[float, float]]:
    """Return the height of an image, the distance between rows of images and the grid's size."""
    tall = images.shape[1] / images.shape[2]
    pitch = tall + _LINE * (1 + captions[0].count("\n")) + _GAP
    return tall, pitch, (_MARGIN + len(images) // 2 * (1 + _GAP), 2 * pitch)


def grid_size(images: np.ndarray, captions: list[str]) -> tuple[float, float]:
    """Return the width and height, in inches, of a figure filled by a grid of images."""
    width, height = _layout(images, captions)[-1]
    return 1.05 * width, 1.05 * height


def draw_grid(
    ax: Any, images: np.ndarray, captions: list[str], headings: tuple[str, str], cmap: Any
) -> list[Any]:
    """Draw two rows of images.

    Parameters
    ----------
    ax : matplotlib Axes
        Axes to draw on.
    images : ndarray of shape (2 n, height, width[, n_channels])
        The images of the upper row, followed by those of the lower row.
    captions : list of 2 n str
        Text above each image.
    headings : tuple of two str
        Text to the left of each row of images.
    cmap : str or Colormap
        Colormap of images with one channel.

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


def as_cells(columns: dict[str, Any], values: Any, positions: list[int]) -> list[list[str]]:
    """Return the lines of a table as lists of text.

    Parameters
    ----------
    columns : dict of str to array of shape (n,)
        The first columns, by title.
    values : array-like of shape (n, n_features)
        Array or dataframe that holds the other columns.
    positions : list of int
        Positions of the columns of ``values`` to show.

    Returns
    -------
    list of n + 1 lists of str
        The titles, followed by one line per row.
    """
    names, titled = column_names(values), list(columns.items())
    for j in positions:
        title = f"column {j}" if names is None else str(names[j])
        titled.append((title, column_at(values, j)))
    texts = [[as_text(cell) for cell in (title, *column)] for title, column in titled]
    return [list(line) for line in zip(*texts, strict=True)]


def as_text(value: Any, length: int = 20) -> str:
    """Return a float with four digits, or other values as text of at most ``length`` characters."""
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    text = str(value)
    return text if len(text) <= length else text[: length - 1] + "…"


def _widths(cells: list[list[str]]) -> np.ndarray:
    """Return the width of each column of a table, in characters."""
    return np.array([max(map(len, column)) + 3 for column in zip(*cells, strict=True)])


def table_size(cells: list[list[str]]) -> tuple[float, float]:
    """Return the width and height, in inches, of a figure filled by a table."""
    return 0.1 * _widths(cells).sum(), 0.26 * len(cells)


def draw_table(ax: Any, cells: list[list[str]], fits: bool) -> Any:
    """Draw a table, with the lower half of its lines on a gray background.

    Parameters
    ----------
    ax : matplotlib Axes
        Axes to draw on.
    cells : list of 2 n + 1 lists of str
        The titles, the n rows of one end and the n rows of the other.
    fits : bool
        Whether the axes have the size given by `table_size`. If not, the font shrinks as needed.

    Returns
    -------
    matplotlib Table
        The table drawn.
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
