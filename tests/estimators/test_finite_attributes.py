"""All numbers of a fitted estimator are finite, after fits on odd but legal data."""

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression, Ridge

from skdiva import DivaExtender, DivaOutlierDetector, DivaReweighter
from skdiva.exceptions import UninformativeFeaturesWarning
from tests.estimators.data import classes, numbers

X, Y, _ = classes(60)
ONES = np.ones(60)


def numbers_in(value, path, seen):
    """Yield the paths and values of all floats that an object holds, at any depth."""
    if id(value) in seen or value is None or isinstance(value, str | type):
        return
    seen.add(id(value))
    if isinstance(value, torch.Tensor):
        value = value.detach().numpy()
    if isinstance(value, float | np.floating) or (
        isinstance(value, np.ndarray) and value.dtype.kind in "fc"
    ):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from numbers_in(item, f"{path}.{key}", seen)
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from numbers_in(item, f"{path}[{i}]", seen)
    elif type(value).__module__.startswith("skdiva"):
        yield from numbers_in(vars(value), path, seen)


def assert_finite(estimator):
    """Assert that no number is NaN, and that only bounds are infinite, where there are none."""
    found = dict(numbers_in(vars(estimator), "", set()))
    assert len(found) > 5
    assert [path for path, value in found.items() if np.isnan(value).any()] == []
    infinite = [path for path, value in found.items() if np.isinf(value).any()]
    assert [path for path in infinite if not path.endswith(("_limits", ".cuts"))] == []


def test_numbers_are_found():
    class Inner(BaseEstimator):
        __module__ = "skdiva.made_up"

        def __init__(self):
            self.a = {"b": [1.0, (torch.tensor([2.0]), np.float32(3))], "c": np.array([np.nan])}

    found = dict(numbers_in(Inner(), "", set()))
    assert set(found) == {".a.b[0]", ".a.b[1][0]", ".a.b[1][1]", ".a.c"}
    with pytest.raises(AssertionError):
        assert_finite(Inner())


def with_column(column):
    return np.c_[X, np.broadcast_to(column, len(X))]


def with_value(value, row=3):
    array = X.copy()
    array[row, 1] = value
    return array


SINGLE_OF_A_CLASS = np.where(np.arange(60) == 0, "other", Y.astype(str))
NO_WEIGHT = np.where(np.arange(60) % 3 > 0, 1.0, 0.0)
# Arguments of fit that differ from X and Y.
LEGAL = {
    "plain": {},
    "constant column": {"X": with_column(3.0)},
    "constant X": {"X": np.zeros((60, 3))},
    "column of NaN": {"X": with_column(np.nan)},
    "NaN but for one row": {"X": with_column([1.0] + [np.nan] * 59)},
    "row of NaN": {"X": np.where(np.arange(60)[:, None] == 2, np.nan, X)},
    "sentinel": {"X": with_value(1e12)},
    "largest number": {"X": with_value(np.finfo(float).max)},
    "smallest number": {"X": X * 1e-300},
    "large numbers": {"X": X * 1e100},
    "subnormal column": {"X": with_column(5e-324 * (np.arange(60) % 2))},
    "float32 with a sentinel": {"X": with_value(1e30).astype(np.float32)},
    "duplicate rows": {"X": np.repeat(X[:20], 3, axis=0), "y": np.repeat(Y[:20], 3)},
    "more columns than rows": {"X": np.tile(X, 20) + np.arange(120)},
    "one column": {"X": X[:, :1]},
    "two rows": {"X": X[:2], "y": [0, 1]},
    "three rows": {"X": X[:3], "y": [0, 1, 1]},
    "single row of a class": {"y": SINGLE_OF_A_CLASS},
    "random labels": {"y": np.random.default_rng(0).integers(0, 2, 60)},
    "weights of zero": {"sample_weight": NO_WEIGHT},
    "tiny weights": {"sample_weight": ONES * 1e-320},
    "huge weights": {"sample_weight": ONES * 1e308},
    "weights of all sizes": {"sample_weight": 10.0 ** (np.arange(60) % 7 - 3)},
    "outlier of weight zero": {"X": with_value(1e12, row=0), "sample_weight": NO_WEIGHT},
    "groups of two": {"groups": np.arange(60) // 2},
    "two groups": {"groups": np.arange(60) % 2},
}
SOURCES = {
    "one source": {"sources": np.zeros(60)},
    "source of one row": {"sources": np.arange(60) == 0},
    "every row a source": {"sources": np.arange(60)},
    "source without weight": {"sources": np.arange(60) % 3, "sample_weight": NO_WEIGHT},
}
DETECTORS = {
    "probability": DivaOutlierDetector,
    "derivative": lambda: DivaOutlierDetector(criterion="derivative"),
}


def fitted(estimator, arguments):
    return estimator.fit(**{"X": X, "y": Y, **arguments})


@pytest.mark.filterwarnings("ignore::skdiva.exceptions.UninformativeFeaturesWarning")
@pytest.mark.parametrize("name", LEGAL | SOURCES)
@pytest.mark.parametrize("criterion", DETECTORS)
def test_detector(criterion, name):
    detector = fitted(DETECTORS[criterion](), (LEGAL | SOURCES)[name])
    assert_finite(detector)
    rows = (LEGAL | SOURCES)[name].get("X", X)
    scores = detector.score_labels(rows[:2], detector.classes_[[0, 1]])
    assert np.isfinite(scores).all()


@pytest.mark.filterwarnings("ignore::skdiva.exceptions.UninformativeFeaturesWarning")
@pytest.mark.parametrize("name", LEGAL | SOURCES)
def test_reweighter(name):
    assert_finite(fitted(DivaReweighter(), (LEGAL | SOURCES)[name]))


@pytest.mark.parametrize("name", [name for name in LEGAL if "weight" not in name])
def test_extender(name):
    rows = LEGAL[name].get("X", X)
    assert_finite(
        fitted(
            DivaExtender(),
            LEGAL[name]
            | {
                "X_pool": rows[:1],
                "y_pool": LEGAL[name].get("y", Y)[:1],
            },
        )
    )


TARGETS = {
    "plain": lambda y: y,
    "constant": lambda y: 0 * y,
    "outlier": lambda y: np.where(np.arange(60) == 0, 1e9, y),
    "large mean": lambda y: y + 1e9,
    "tiny": lambda y: y * 1e-150,
    "subnormal": lambda y: y * 1e-310,
    "huge": lambda y: y * 1e100,
    "two targets": lambda y: np.c_[y, 0 * y],
    "float32": lambda y: (y * 1e8).astype(np.float32),
}


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("estimator", [DivaOutlierDetector, DivaReweighter])
def test_regression(estimator, name):
    rows, y = numbers(60)
    assert_finite(estimator(task="regression").fit(rows, TARGETS[name](y)))


def test_inner_estimators():
    rows, y = numbers(60)
    for estimator, (data, labels) in (
        (LogisticRegression(max_iter=1000), (X, Y)),
        (Ridge(), (rows, y)),
    ):
        assert_finite(DivaReweighter(estimator).fit(data, labels))


def test_features_that_say_nothing_are_not_the_rule():
    """The warning that the tests above ignore is not given for all of their data."""
    with pytest.warns(UninformativeFeaturesWarning):
        fitted(DivaReweighter(), LEGAL["constant X"])
    fitted(DivaReweighter(), LEGAL["plain"])
