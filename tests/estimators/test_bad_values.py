"""Values that are not what an argument of `fit` stands for: each is refused by name."""

import warnings
from datetime import datetime, timedelta

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.base import clone

from skdiva import DivaOutlierDetector, DivaReweighter
from tests.estimators.refusals import ONES, N, X, Y, fails, masked, spoiled, with_object

HALF = np.arange(N) // 2  # groups
DENSE = "Expected a dense tensor that holds numbers as {}"
MIXED = r"one type in {}, got a mixture of \['int', 'str'\]. Convert them"
SINGLE = "Expected one label per row in {}, got a single {}. Pass an array, a list"
NUMBERS = "{} expects numbers, one per row, got {}.* Convert it to floats"
NOT_A_NUMBER = "Expected a number in column 2, got .* in row 1.*Convert the column to numbers"
DATES = "Expected numbers in X, got dates, times or durations .*Convert them to numbers"


def without_warning(function):
    """Create a tensor whose kind torch calls a prototype, or deprecated."""

    def create(array):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return function(torch.tensor(array))

    return create


quantized = without_warning(
    lambda tensor: torch.quantize_per_tensor(tensor.float(), 0.1, 0, torch.qint8)
)
nested = without_warning(lambda tensor: torch.nested.nested_tensor(list(tensor)))
compressed = without_warning(torch.Tensor.to_sparse_csc)


# name: (arguments of fit that differ from good ones, error, part of its message)
VALUES = {
    # X
    "complex X": ({"X": X + 1j}, ValueError, "Complex data not supported"),
    "complex tensor": ({"X": torch.tensor(X + 1j)}, ValueError, "Complex data not supported"),
    "complex list": ({"X": (X + 1j).tolist()}, ValueError, "Complex data not supported"),
    "complex object": ({"X": with_object(1j)}, TypeError, NOT_A_NUMBER),
    "dates": ({"X": X.astype("datetime64[D]")}, ValueError, DATES),
    "durations": ({"X": X.astype("timedelta64[D]")}, ValueError, DATES),
    "a date": ({"X": with_object(datetime(2000, 1, 1))}, TypeError, NOT_A_NUMBER),
    "a duration": ({"X": with_object(timedelta(1))}, TypeError, NOT_A_NUMBER),
    "a NumPy date": ({"X": with_object(np.datetime64("2000"))}, TypeError, NOT_A_NUMBER),
    "a NumPy duration": ({"X": with_object(np.timedelta64(1, "D"))}, TypeError, NOT_A_NUMBER),
    "a dict": ({"X": with_object({"a": 1})}, TypeError, NOT_A_NUMBER),
    "a list": ({"X": with_object([1])}, TypeError, NOT_A_NUMBER),
    "a word": ({"X": with_object("word")}, ValueError, NOT_A_NUMBER),
    "digits": ({"X": with_object("1.5")}, ValueError, NOT_A_NUMBER),
    "strings of digits": ({"X": X.astype(str)}, ValueError, "not compatible with arrays of bytes"),
    "bytes": ({"X": X.astype("S5")}, ValueError, "not compatible with arrays of bytes"),
    "records": ({"X": np.zeros(N, [("a", float)])}, ValueError, "Expected 2D array"),
    "ragged lists": ({"X": [[1, 2]] * (N - 1) + [[1]]}, ValueError, "inhomogeneous shape"),
    "dict of columns": ({"X": {"a": X[:, 0]}}, ValueError, "Expected 2D array, got scalar"),
    "list of dicts": ({"X": [{"a": 1}] * N}, TypeError, "not 'dict'"),
    "no X": ({"X": None}, ValueError, "Expected 2D array, got scalar array"),
    "set": ({"X": {1, 2}}, ValueError, "Expected 2D array, got scalar array"),
    "generator": ({"X": (row for row in X)}, ValueError, "Expected 2D array, got scalar"),
    "number": ({"X": np.array(3.0)}, ValueError, "Expected 2D array, got scalar array"),
    "no columns": ({"X": X[:, :0]}, ValueError, r"Found array with 0 feature\(s\)"),
    "no rows": ({"X": X[:0], "y": Y[:0]}, ValueError, r"Found array with 0 sample\(s\)"),
    "sparse tensor": ({"X": torch.tensor(X).to_sparse()}, TypeError, DENSE.format("X")),
    "CSC tensor": ({"X": compressed(X)}, TypeError, DENSE.format("X")),
    "nested tensor": ({"X": nested(X)}, TypeError, DENSE.format("X")),
    "quantized tensor": ({"X": quantized(X)}, TypeError, DENSE.format("X")),
    "meta tensor": ({"X": torch.zeros(N, 2, device="meta")}, TypeError, DENSE.format("X")),
    # y
    "masked y": ({"y": masked(Y)}, ValueError, "Input y contains NaN, first in row 5"),
    "masked strings": (
        {"y": masked(Y.astype(str))},
        ValueError,
        "Input y contains None or NaN, first in row 5",
    ),
    "NaN among strings": (
        {"y": ["a", float("nan"), *"b" * (N - 2)]},
        ValueError,
        "Input y contains None or NaN, first in row 1",
    ),
    "mixed list": ({"y": [1, "a"] * (N // 2)}, ValueError, MIXED.format("y")),
    "dict y": ({"y": {0: 1}}, TypeError, SINGLE.format("y", "dict")),
    "set y": ({"y": {0, 1}}, TypeError, SINGLE.format("y", "set")),
    "generator y": ({"y": (label for label in Y)}, TypeError, SINGLE.format("y", "generator")),
    "number y": ({"y": 1}, TypeError, SINGLE.format("y", "int")),
    "text y": ({"y": "abc"}, TypeError, SINGLE.format("y", "str")),
    "sparse y": ({"y": sparse.csr_array(Y[:, None])}, TypeError, SINGLE.format("y", "csr_array")),
    "sparse tensor y": ({"y": torch.tensor(Y).to_sparse()}, TypeError, DENSE.format("y")),
    "quantized y": ({"y": quantized(Y)}, TypeError, DENSE.format("y")),
    "long y": ({"y": np.r_[Y, Y]}, ValueError, "inconsistent numbers of samples"),
    "empty y": ({"y": []}, ValueError, "while a minimum of 1 is required"),
    "infinite y": ({"y": spoiled(X[:, 0], np.inf)}, ValueError, "Input y contains infinity"),
    # weights
    "masked weight": (
        {"sample_weight": masked(ONES)},
        ValueError,
        "Input sample_weight contains NaN: expected finite .* in row 5. Use 0 for rows",
    ),
    "masked validation weight": (
        {"validation_weight": masked(ONES)},
        ValueError,
        "Input validation_weight contains NaN: expected finite .* in row 5. Use 0 for rows",
    ),
    "infinite weight": (
        {"sample_weight": spoiled(ONES, np.inf)},
        ValueError,
        "Input sample_weight contains infinity: expected finite numbers",
    ),
    "dates as weight": (
        {"sample_weight": np.ones(N, "datetime64[D]")},
        ValueError,
        NUMBERS.format("sample_weight", "datetime64"),
    ),
    "durations as weight": (
        {"validation_weight": np.ones(N, "timedelta64[D]")},
        ValueError,
        NUMBERS.format("validation_weight", "timedelta64"),
    ),
    "digits as weight": (
        {"sample_weight": np.array(["1"] * N, object)},
        ValueError,
        NUMBERS.format("sample_weight", "str"),
    ),
    "dict as weight": (
        {"sample_weight": {0: 1.0, 1: 2.0}},
        ValueError,
        NUMBERS.format("sample_weight", "dict"),
    ),
    "word as weight": (
        {"sample_weight": "balanced"},
        ValueError,
        NUMBERS.format("sample_weight", "str"),
    ),
    "two columns of weights": (
        {"sample_weight": np.ones((N, 2))},
        ValueError,
        "one weight per row of X: expected 40, got 40 x 2. Pass a 1d array",
    ),
    "sparse tensor weight": (
        {"sample_weight": torch.ones(N).to_sparse()},
        TypeError,
        DENSE.format("sample_weight"),
    ),
    # groups and sources
    "masked groups": (
        {"groups": masked(HALF)},
        ValueError,
        "Input groups contains NaN, first in row 5",
    ),
    "masked sources": (
        {"sources": masked(HALF)},
        ValueError,
        "Input sources contains NaN, first in row 5",
    ),
    "mixed groups": ({"groups": [1, "a"] * (N // 2)}, ValueError, MIXED.format("groups")),
    "digits and numbers": ({"groups": [1, "1"] * (N // 2)}, ValueError, MIXED.format("groups")),
    "mixed sources": (
        {"sources": np.array([1, "a"] * (N // 2), object)},
        ValueError,
        MIXED.format("sources"),
    ),
    "pairs as groups": (
        {"groups": np.fromiter([(0, 1), (2, 3)] * (N // 2), object)},
        ValueError,
        "one type in groups, got objects of type tuple. Convert them",
    ),
    "NaN among groups": (
        {"groups": ["a", float("nan"), *"b" * (N - 2)]},
        ValueError,
        "Input groups contains None or NaN, first in row 1",
    ),
    "infinite groups": (
        {"groups": spoiled(ONES, np.inf)},
        ValueError,
        "Input groups contains infinity",
    ),
    "complex groups": ({"groups": Y + 1j}, ValueError, "Complex data not supported"),
    "two columns of groups": (
        {"groups": np.ones((N, 2))},
        ValueError,
        "groups must hold one label per row of X: expected 40, got 40 x 2. Pass a 1d array",
    ),
    "name as groups": ({"groups": "site"}, TypeError, SINGLE.format("groups", "str")),
    "dict as sources": ({"sources": {0: 1}}, TypeError, SINGLE.format("sources", "dict")),
    "quantized groups": ({"groups": quantized(HALF)}, TypeError, DENSE.format("groups")),
    # validation rows
    "masked y_val": (
        {"X_val": X, "y_val": masked(Y)},
        ValueError,
        "Input y_val contains NaN, first in row 5",
    ),
    "dates as X_val": (
        {"X_val": X.astype("datetime64[D]"), "y_val": Y},
        ValueError,
        "X_val must hold rows like those of X. " + DATES,
    ),
    "digits in X_val": (
        {"X_val": with_object("1.5"), "y_val": Y},
        ValueError,
        "X_val must hold rows like those of X. " + NOT_A_NUMBER,
    ),
    "no validation rows": (
        {"X_val": X[:0], "y_val": Y[:0]},
        ValueError,
        r"X_val must hold rows like those of X. Found array with 0 sample\(s\)",
    ),
}


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize(
    "estimator",
    [DivaReweighter(), DivaOutlierDetector(criterion="derivative", featurizer=None)],
    ids=["reweighter", "detector of X itself"],
)
def test_value(estimator, name):
    fails(clone(estimator), *VALUES[name])


def test_a_masked_entry_is_a_missing_value():
    """`featurizer="auto"` reads it like NaN, which X itself must not hold."""
    hidden, with_nan = masked(X), X.copy()
    with_nan[5, 1] = np.nan
    for estimator in (DivaReweighter, DivaOutlierDetector):
        actual = estimator().fit(hidden, Y).derivative_
        np.testing.assert_array_equal(actual, estimator().fit(with_nan, Y).derivative_)
    message = "Input X contains NaN: expected finite numbers, got nan in column 1, row 5"
    fails(DivaReweighter(featurizer=None), {"X": hidden}, ValueError, message)


def test_a_mask_that_hides_nothing():
    plain = DivaReweighter().fit(X, Y, sample_weight=1.0 + Y, groups=HALF)
    arrays = [np.ma.array(array) for array in (X, Y, 1.0 + Y, HALF)]
    hidden = DivaReweighter().fit(*arrays[:2], sample_weight=arrays[2], groups=arrays[3])
    np.testing.assert_array_equal(hidden.sample_weight_, plain.sample_weight_)
