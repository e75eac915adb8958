"""Digits rendered in the fonts of matplotlib, a second modality of the handwritten digits."""

from collections.abc import Iterator, Sequence
from numbers import Real
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def load_typed_digits(widths: Sequence[float] = (0.8, 1.0, 1.3)) -> Bunch:
    """Load images of the ten digits, rendered in the fonts of matplotlib.

    The images have the format of the handwritten digits of :func:`sklearn.datasets.load_digits`:
    32 x 32 pixels that are black or white, of which the black ones are counted in blocks of 4 x 4.
    To a model of handwriting, the typed digits are another modality, of which some images help and
    others do not. A few fonts have symbols in place of the digits, so that their labels are known
    to be wrong.

    Parameters
    ----------
    widths : sequence of float, default=(0.8, 1.0, 1.3)
        Widths in which each digit is rendered, relative to its width in the font.

    Returns
    -------
    :class:`~sklearn.utils.Bunch`
        Sorted by font, digit and width, with the attributes

        data : ndarray of shape (n_samples, 64)
            Number of black pixels in each block, from 0 to 16.
        images : ndarray of shape (n_samples, 8, 8)
            The same data as images.
        target : ndarray of int of shape (n_samples,)
            The digit.
        font : ndarray of str of shape (n_samples,)
            Name of the font.
        glyph : ndarray of str of shape (n_samples,)
            Name of the glyph in the font, such as "three", "threeoldstyle" or "owner".
        is_symbol : ndarray of bool of shape (n_samples,)
            Whether the glyph is something other than the digit.

    Raises
    ------
    ImportError
        If matplotlib, which provides the fonts, is not installed.
    ValueError
        If ``widths`` is empty or holds anything other than positive numbers.

    See Also
    --------
    sklearn.datasets.load_digits : Handwritten digits.

    Notes
    -----
    The set of fonts depends on the version of matplotlib.

    Examples
    --------
    >>> from skdiva.datasets import load_typed_digits
    >>> typed = load_typed_digits(widths=[1.0])
    >>> typed.images.shape == (len(typed.target), 8, 8)
    True
    >>> [str(name) for name in typed.glyph[typed.font == "cmsy10"][:3]]
    ['prime', 'infinity', 'element']
    """
    is_list = np.ndim(widths) == 1 and len(widths) > 0
    if not is_list or not all(isinstance(w, Real) and 0 < w < np.inf for w in widths):
        raise ValueError(
            f"widths must hold one or more positive numbers, got {widths!r}. "
            "Pass a list, for example widths=[1.0]."
        )
    rows = [
        (_scan(glyph, width), digit, path.stem, name)
        for path in _font_files()
        for digit, (name, glyph) in enumerate(_draw_digits(path))
        for width in widths
    ]
    images, target, font, glyph = map(np.array, zip(*rows, strict=True))
    is_digit = np.array([n.startswith(_NAMES[t]) for n, t in zip(glyph, target, strict=True)])
    return Bunch(
        data=images.reshape(len(images), -1),
        images=images,
        target=target,
        font=font,
        glyph=glyph,
        is_symbol=~is_digit,
    )


def _font_files() -> list[Path]:
    try:
        import matplotlib
    except ImportError as error:
        raise ImportError(
            "load_typed_digits requires the fonts of matplotlib, which is not installed. "
            'Install it with: pip install "skdiva[plot]".'
        ) from error
    return sorted(Path(matplotlib.get_data_path(), "fonts", "ttf").glob("*.ttf"))


def _draw_digits(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the glyph name and the cropped image of each digit that the font has."""
    from matplotlib.font_manager import get_font

    font = get_font(path)
    font.set_size(200, 72)
    glyph_index = font.get_charmap()
    for digit in "0123456789":
        if ord(digit) in glyph_index:
            font.set_text(digit)
            font.draw_glyphs_to_bitmap(antialiased=False)
            ink = np.asarray(font.get_image()) > 0
            ink = ink[np.ix_(ink.any(axis=1), ink.any(axis=0))]
            yield font.get_glyph_name(glyph_index[ord(digit)]), ink


def _scan(ink: np.ndarray, width: float) -> np.ndarray:
    """Scale an image to a height of 32 pixels and count the black pixels in blocks of 4 x 4."""
    from PIL import Image

    n_columns = int(np.clip(round(32 * width * ink.shape[1] / ink.shape[0]), 1, 32))
    gray = Image.fromarray(ink.astype(np.float32)).resize((n_columns, 32), Image.Resampling.BOX)
    page = np.zeros((32, 32))
    left = (32 - n_columns) // 2
    page[:, left : left + n_columns] = np.asarray(gray) > 0.5
    return page.reshape(8, 4, 8, 4).sum(axis=(1, 3))
