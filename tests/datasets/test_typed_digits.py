"""Typed digits: format, symbols, and similarity to handwritten digits."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from skdiva.datasets import load_typed_digits


@pytest.fixture(scope="module")
def typed():
    pytest.importorskip("matplotlib", reason="matplotlib provides the fonts")
    return load_typed_digits()


def test_shapes_and_values(typed):
    n = len(typed.target)
    assert typed.data.shape == (n, 64)
    assert np.array_equal(typed.images.reshape(n, 64), typed.data)
    assert {typed[name].shape for name in ("font", "glyph", "is_symbol", "target")} == {(n,)}
    counts = np.unique(typed.data)
    assert np.array_equal(counts, np.round(counts))
    assert (counts.min(), counts.max()) == (0, 16)
    # Every font has every digit in every width.
    n_fonts = len(set(typed.font))
    assert n_fonts > 20
    assert np.array_equal(typed.target, np.tile(np.repeat(np.arange(10), 3), n_fonts))


def test_symbols_are_those_of_symbol_fonts(typed):
    fonts = set(typed.font[typed.is_symbol])
    assert {"cmex10", "cmsy10"} <= fonts
    assert not {font for font in fonts if font.startswith(("DejaVuS", "STIX", "cmr"))}
    assert set(typed.font[~typed.is_symbol]).isdisjoint(fonts)
    assert "parenlefttp" in typed.glyph[typed.is_symbol]
    assert {"seven", "sevenoldstyle"} == set(typed.glyph[(typed.target == 7) & ~typed.is_symbol])


def test_a_digit_looks_alike_in_all_fonts_and_a_symbol_like_none(typed):
    neighbor = KNeighborsClassifier(1)
    predicted = cross_val_predict(
        neighbor, typed.data, typed.target, groups=typed.font, cv=LeaveOneGroupOut()
    )
    right = predicted == typed.target
    assert right[~typed.is_symbol].mean() > 0.9
    assert right[typed.is_symbol].mean() < 0.3


def test_handwriting_predicts_typed_digits(typed):
    """Orientation, contrast and size match; otherwise the accuracy would be 10 %."""
    neighbor = KNeighborsClassifier(1).fit(*load_digits(return_X_y=True))
    right = neighbor.predict(typed.data) == typed.target
    assert right[~typed.is_symbol].mean() > 0.6
    assert right[typed.is_symbol].mean() < 0.3


def test_widths(typed):
    width = (typed.images > 0).any(axis=1).sum(axis=1).reshape(-1, 3)
    assert (np.diff(width, axis=1) >= 0).all()
    assert width[:, 2].mean() > 1.3 * width[:, 0].mean()
    one = load_typed_digits(widths=[1.0])
    assert np.array_equal(one.data, typed.data[1::3])


@pytest.mark.parametrize("widths", [[], [0], [1, -1], [np.inf], ["1"], 1.0, None], ids=str)
def test_bad_widths(widths):
    with pytest.raises(
        ValueError, match=r"must hold one or more positive numbers, got .* Pass a list"
    ):
        load_typed_digits(widths)


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install \"skdiva\[plot\]\""):
        load_typed_digits()


def test_importing_the_package_loads_neither_torch_nor_matplotlib():
    code = "import sys, skdiva.datasets; print(*{'torch', 'matplotlib', 'PIL'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
