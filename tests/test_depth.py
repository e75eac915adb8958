"""Depth of a fit: files and functions of the library that it runs through, and factorizations."""

import sys
from pathlib import Path

import pytest
from sklearn.datasets import load_digits

import skdiva
from skdiva import DivaOutlierDetector

PACKAGE = str(Path(skdiva.__file__).parent)
DETECTORS = {
    "default": (DivaOutlierDetector(), 26, 225),
    "derivative of X itself": (
        DivaOutlierDetector(criterion="derivative", featurizer=None),
        23,
        172,
    ),
}


def visited(function):
    """Files, and functions with their files, of the library that a call runs through."""
    seen = set()

    def profile(frame, event, _):
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(PACKAGE):
            seen.add((code.co_filename, code.co_qualname))

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        function()
    finally:
        sys.setprofile(before)
    return {path for path, _ in seen}, seen


@pytest.mark.parametrize("name", DETECTORS)
def test_a_fit_is_easy_to_follow(name):
    """A contributor who steps through a fit meets few files and functions."""
    detector, n_files, n_functions = DETECTORS[name]
    X, y = load_digits(return_X_y=True)
    X, y = X[:600], y[:600]
    detector.fit(X, y)  # modules are imported, and lazy names bound
    files, functions = visited(lambda: detector.fit(X, y))
    assert 10 < len(files) <= n_files
    assert 50 < len(functions) <= n_functions


def test_files_and_functions_are_counted():
    files, functions = visited(lambda: skdiva.augment([[1.0]], [0], {"same": lambda X: X}))
    assert any(path.endswith("augmentation.py") for path in files)
    assert any(name == "augment" for _, name in functions)
