"""Properties common to all displays: lazy imports, axes used and input rejected."""

import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdiva import DivaExtender, DivaReweighter
from skdiva.inspection import (
    DerivativeDisplay,
    ExtensionDisplay,
    RankingDisplay,
    SourceDisplay,
    WeightsDisplay,
)
from skdiva.inspection._drawing import DARK, LIGHT, MIDDLE
from tests.estimators.data import classes

X, y, _ = classes()
POOL = {"X_pool": X[:60], "y_pool": y[:60]}
SOURCES = {"sources": np.arange(len(y)) % 3}

# A display, an estimator, keyword arguments of its fit, arguments of from_estimator after the
# estimator, and an attribute that the display shows.
DISPLAYS = {
    "derivative": (DerivativeDisplay, DivaReweighter, {}, (), "derivative"),
    "pool derivative": (DerivativeDisplay, DivaExtender, POOL, (), "derivative"),
    "weights": (WeightsDisplay, DivaReweighter, {}, (X, y), "sample_weight"),
    "sources": (SourceDisplay, DivaReweighter, SOURCES, (), "source_weight"),
    "ranking": (RankingDisplay, DivaExtender, POOL, (X[:60], y[:60]), "ranking"),
    "extension": (ExtensionDisplay, DivaExtender, POOL, (), "n_added"),
}


@pytest.fixture(params=DISPLAYS)
def case(request):
    return DISPLAYS[request.param]


@pytest.fixture
def drawing(case):
    """A display, a fitted estimator and the other arguments of from_estimator."""
    display, estimator, how, arguments, _ = case
    return display, estimator(LogisticRegression()).fit(X, y, **how), arguments


def brightness(color):
    return np.dot(to_rgb(color), (0.299, 0.587, 0.114))


def test_importing_loads_neither_matplotlib_nor_torch():
    code = "import sys, skdiva.inspection; print(*{'matplotlib', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_draws_on_the_axes_given(drawing):
    display, estimator, arguments = drawing
    figure, (first, second) = plt.subplots(1, 2, layout="constrained")
    drawn = display.from_estimator(estimator, *arguments, ax=second)
    assert type(drawn) is display
    assert drawn.ax_ is second
    assert drawn.figure_ is figure
    assert not first.has_data()
    assert plt.get_fignums() == [figure.number]
    figure.canvas.draw()


def test_draws_on_a_new_figure_and_again_on_another(drawing):
    display, estimator, arguments = drawing
    drawn = display.from_estimator(estimator, *arguments)
    figure = drawn.figure_
    figure.canvas.draw()
    assert drawn.plot() is drawn
    assert drawn.figure_ is not figure
    assert drawn.ax_.figure is drawn.figure_


def test_last_step_of_a_pipeline(case):
    display, estimator, how, arguments, name = case
    pipeline = make_pipeline(StandardScaler(), estimator())
    step = estimator.__name__.lower()
    pipeline.fit(X, y, **{f"{step}__{key}": value for key, value in how.items()})
    drawn = display.from_estimator(pipeline, *arguments)
    alone = display.from_estimator(pipeline[-1], *arguments)
    np.testing.assert_array_equal(getattr(drawn, name), getattr(alone, name))
    attribute = "pool_derivative_" if hasattr(pipeline[-1], f"pool_{name}_") else f"{name}_"
    np.testing.assert_array_equal(getattr(drawn, name), getattr(pipeline[-1], attribute))


def test_error_without_matplotlib_names_what_to_install(drawing, monkeypatch):
    display, estimator, arguments = drawing
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'pip install "skdiva\[plot\]"') as error:
        display.from_estimator(estimator, *arguments)
    assert f"{display.__name__}.plot" in str(error.value)


def test_unfitted(case):
    display, estimator, _, arguments, _ = case
    for unfitted in (estimator(), make_pipeline(StandardScaler(), estimator())):
        with pytest.raises(NotFittedError, match=estimator.__name__):
            display.from_estimator(unfitted, *arguments)


def test_another_estimator(case):
    display, _, _, arguments, _ = case
    with pytest.raises(TypeError, match=f"{display.__name__} expects .*got LogisticRegression"):
        display.from_estimator(LogisticRegression().fit(X, y), *arguments)


def test_several_axes(drawing):
    display, estimator, arguments = drawing
    _, axes = plt.subplots(1, 2)
    with pytest.raises(TypeError, match=r"ax must be a single .* got ndarray.*axes\[0\]"):
        display.from_estimator(estimator, *arguments, ax=axes)


@pytest.mark.parametrize(
    "name", [name for name, case in DISPLAYS.items() if case[1] is DivaExtender]
)
def test_an_extender_without_a_pool(name):
    display, _, _, arguments, _ = DISPLAYS[name]
    extender = DivaExtender().fit(X, y)
    with pytest.raises(ValueError, match=r"got DivaExtender fitted without one\. .*X_pool=\.\.\."):
        display.from_estimator(extender, *arguments)


def test_colors_can_be_told_apart_in_grayscale():
    dark, middle, light = map(brightness, (DARK, MIDDLE, LIGHT))
    assert light - dark > 0.4
    assert min(1 - light, light - middle, middle - dark) > 0.2
