"""The ten digits, typed in the fonts that come with matplotlib."""

from numbers import Real
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def load_typed_digits(widths=(0.8, 1.0, 1.3)):
    """Load the ten digits as they are typed in the fonts of matplotlib.

    They look like the handwritten ones of :func:`sklearn.datasets.load_digits`, being made as these
    were: 32 x 32 pixels, black or white, the black ones counted in blocks of 4 x 4. To a model of
    handwriting they are another modality: some help, some do not. A few fonts have symbols in the
    places of the digits, so that their labels are wrong, and known to be.

    Parameters
    ----------
    widths : sequence of float, default=(0.8, 1.0, 1.3)
        Every digit is there in these widths, relative to the width that the font gives it.

    Returns
    -------
    :class:`~sklearn.utils.Bunch`
        In order of font, digit and width, with the attributes

        data : ndarray of shape (n_samples, 64)
            Black pixels of every block, 0 to 16.
        images : ndarray of shape (n_samples, 8, 8)
            The same.
        target : ndarray of int of shape (n_samples,)
            The digit typed.
        font : ndarray of str of shape (n_samples,)
            Name of the font.
        glyph : ndarray of str of shape (n_samples,)
            What the font calls what it shows, such as "three", "threeoldstyle" or "owner".
        is_symbol : ndarray of bool of shape (n_samples,)
            Whether it shows something else than the digit.

    Raises
    ------
    ImportError
        If matplotlib, which has the fonts, is not installed.
    ValueError
        If ``widths`` is empty or holds anything but positive numbers.

    See Also
    --------
    sklearn.datasets.load_digits : The handwritten ones.

    Notes
    -----
    Which fonts there are depends on the version of matplotlib.

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
            "Pass a list, as in widths=[1.0]."
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


def _font_files():
    try:
        import matplotlib
    except ImportError as error:
        raise ImportError(
            "load_typed_digits draws with the fonts of matplotlib, which is not installed. Install "
            'it: pip install "skdiva[plot]".'
        ) from error
    return sorted(Path(matplotlib.get_data_path(), "fonts", "ttf").glob("*.ttf"))


def _draw_digits(path):
    """Name and picture, cut to its black pixels, of every digit; none if the font has none."""
    from matplotlib.font_manager import get_font

    font = get_font(path)
    font.set_size(200, 72)
    places = font.get_charmap()
    for digit in "0123456789":
        if ord(digit) in places:
            font.set_text(digit)
            font.draw_glyphs_to_bitmap(antialiased=False)
            ink = np.asarray(font.get_image()) > 0
            ink = ink[np.ix_(ink.any(axis=1), ink.any(axis=0))]
            yield font.get_glyph_name(places[ord(digit)]), ink


def _scan(ink, width):
    """Fit a picture into 32 x 32 pixels, by its height, and count the black ones in blocks."""
    from PIL import Image

    n_columns = int(np.clip(round(32 * width * ink.shape[1] / ink.shape[0]), 1, 32))
    grey = Image.fromarray(ink.astype(np.float32)).resize((n_columns, 32), Image.Resampling.BOX)
    page = np.zeros((32, 32))
    left = (32 - n_columns) // 2
    page[:, left : left + n_columns] = np.asarray(grey) > 0.5
    return page.reshape(8, 4, 8, 4).sum(axis=(1, 3))
