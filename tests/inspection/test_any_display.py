"""What holds for every display: what it loads, where it draws, and what it refuses."""

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

from skdiva import DivaReweighter
from skdiva.inspection import DerivativeDisplay, SourceDisplay, WeightsDisplay, _drawing
from tests.estimators.data import classes

X, y, _ = classes()
SOURCES = np.arange(len(y)) % 3

# A display, and what its from_estimator takes after the estimator.
DISPLAYS = [(DerivativeDisplay, ()), (WeightsDisplay, (X, y)), (SourceDisplay, ())]
IDS = [display.__name__ for display, _ in DISPLAYS]
every_display = pytest.mark.parametrize(("display", "arguments"), DISPLAYS, ids=IDS)


@pytest.fixture(scope="module")
def reweighter():
    return DivaReweighter(LogisticRegression()).fit(X, y, sources=SOURCES)


def brightness(color):
    return np.dot(to_rgb(color), (0.299, 0.587, 0.114))


def test_importing_costs_neither_matplotlib_nor_torch():
    code = "import sys, skdiva.inspection; print(*{'matplotlib', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


@every_display
def test_draws_on_the_axes_given(display, arguments, reweighter):
    figure, (first, second) = plt.subplots(1, 2, layout="constrained")
    drawn = display.from_estimator(reweighter, *arguments, ax=second)
    assert type(drawn) is display
    assert drawn.ax_ is second
    assert drawn.figure_ is figure
    assert not first.has_data()
    assert plt.get_fignums() == [figure.number]
    figure.canvas.draw()


@every_display
def test_draws_on_a_new_figure_and_again_on_another(display, arguments, reweighter):
    drawn = display.from_estimator(reweighter, *arguments)
    figure = drawn.figure_
    figure.canvas.draw()
    assert drawn.plot() is drawn
    assert drawn.figure_ is not figure
    assert drawn.ax_.figure is drawn.figure_


@every_display
def test_last_step_of_a_pipeline(display, arguments):
    pipeline = make_pipeline(StandardScaler(), DivaReweighter())
    pipeline.fit(X, y, divareweighter__sources=SOURCES)
    drawn = display.from_estimator(pipeline, *arguments)
    alone = display.from_estimator(pipeline[-1], *arguments)
    name = {DerivativeDisplay: "derivative", WeightsDisplay: "sample_weight"}
    name = name.get(display, "source_weight")
    np.testing.assert_array_equal(getattr(drawn, name), getattr(alone, name))
    np.testing.assert_array_equal(getattr(drawn, name), getattr(pipeline[-1], f"{name}_"))


@every_display
def test_without_matplotlib_the_error_says_what_to_install(
    display, arguments, reweighter, monkeypatch
):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'pip install "skdiva\[plot\]"') as error:
        display.from_estimator(reweighter, *arguments)
    assert f"{display.__name__}.plot" in str(error.value)


@every_display
def test_unfitted(display, arguments):
    with pytest.raises(NotFittedError, match="DivaReweighter"):
        display.from_estimator(DivaReweighter(), *arguments)
    with pytest.raises(NotFittedError, match="DivaReweighter"):
        display.from_estimator(make_pipeline(StandardScaler(), DivaReweighter()), *arguments)


@every_display
def test_another_estimator(display, arguments):
    with pytest.raises(TypeError, match=f"{display.__name__} expects .*got LogisticRegression"):
        display.from_estimator(LogisticRegression().fit(X, y), *arguments)


@every_display
def test_several_axes(display, arguments, reweighter):
    _, axes = plt.subplots(1, 2)
    with pytest.raises(TypeError, match=r"ax must be one .* got ndarray.*axes\[0\]"):
        display.from_estimator(reweighter, *arguments, ax=axes)


def test_colours_are_apart_in_grey():
    assert brightness(_drawing.LIGHT) - brightness(_drawing.DARK) > 0.4
    assert brightness("white") - brightness(_drawing.LIGHT) > 0.2
