"""Classes or numbers: the rule over containers, dtypes and distributions, and what is refused."""

import datetime
import warnings
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.cluster import KMeans
from sklearn.datasets import load_diabetes, load_digits, load_linnerud
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdiva.targets import encode_like, holds_classes, read_labels, read_target, read_values

RNG = np.random.default_rng(0)
DIABETES = load_diabetes().target
HALVES = [0.5, 1.5, 2.0, 0.5]
DECIMALS = [Decimal(str(half)) for half in HALVES]
WORDS = ["b", "a", "b", "a"]
CODES = [0, 2, 1, 0, 1, 2]
ARROW_WORDS = pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string()))

CLASSES = {
    "strings": WORDS,
    "strings of digits": ["1", "20", "1", "20"],
    "bytes": np.array(WORDS, "S"),
    "objects of strings": np.array(WORDS, object),
    "booleans": [True, False, True],
    "objects of booleans": np.array([True, False, True], object),
    "whole numbers": CODES,
    "objects of whole numbers": np.array(CODES, object),
    "large codes": np.array([2**70, 2**80, 2**70, 2**80], object),
    "unsigned bytes": np.array(CODES, np.uint8),
    "whole floats": np.array(CODES, float),
    "float16": np.array(CODES, np.float16),
    "whole Decimals": [Decimal(code) for code in CODES],
    "a column": np.reshape(CODES, (-1, 1)),
    "tensor": torch.tensor(CODES),
    "boolean tensor": torch.tensor([True, False, True]),
    "pandas": pd.Series(CODES, index=list("fedcba")),
    "pandas Int64": pd.Series(CODES, dtype="Int64"),
    "pandas boolean": pd.Series([True, False, True], dtype="boolean"),
    "pandas string": pd.Series(WORDS, dtype="string"),
    "pandas int64[pyarrow]": pd.Series(CODES, dtype="int64[pyarrow]"),
    "pandas dictionary": pd.Series(pd.array(WORDS, dtype=ARROW_WORDS)),
    "pandas sparse": pd.Series(pd.arrays.SparseArray(CODES)),
    "pandas category": pd.Series(WORDS, dtype="category"),
    "category of halves": pd.Series(HALVES, dtype="category"),
    "category of many numbers": pd.Series(DIABETES, dtype="category"),
    "Categorical of many numbers": pd.Categorical(DIABETES),
    "frame with a category of many numbers": pd.DataFrame({"y": pd.Categorical(DIABETES)}),
    "intervals": pd.cut(pd.Series(np.arange(9.0)), 3),
    "polars": pl.Series(CODES),
    "polars String": pl.Series(WORDS),
    "polars Boolean": pl.Series([True, False, True]),
    "polars Categorical": pl.Series(WORDS, dtype=pl.Categorical),
    "polars Enum": pl.Series(WORDS, dtype=pl.Enum(["a", "b", "unused"])),
    "pyarrow": pa.array(CODES),
    "pyarrow string": pa.array(WORDS),
    "pyarrow bool": pa.array([True, False, True]),
    "pyarrow dictionary of halves": pa.array(HALVES).dictionary_encode(),
    "chunked": pa.chunked_array([WORDS[:1], WORDS[1:]]),
    # Distributions of whole numbers.
    "two amounts": [1000, 5000, 5000],
    "plus and minus one": [-1, 1, 1, -1],
    "noise labels of a clustering": [-1, 0, 1, -1, 0, 1],
    "some of the digits": np.repeat([3, 4, 8], 20),
    "ratings": np.repeat([1, 2, 3, 4, 5], [3, 5, 80, 90, 20]),
    "digits": load_digits().target,
    "few digits": [*range(10), *range(5)],
    "letters with two gaps": np.repeat(np.delete(np.arange(26), [9, 25]), 30),
    "100 classes of 10 rows": np.repeat(np.arange(100), 10),
    "100 classes from 1, as floats": np.repeat(np.arange(1.0, 101), 10),
    "100 classes at random": RNG.integers(100, size=1000),
    "1000 classes at random": RNG.integers(1000, size=6000),
}
NUMBERS = {
    "halves": HALVES,
    "float32 halves": np.array(HALVES, np.float32),
    "objects of floats": np.array(HALVES, object),
    "objects of ints and floats": np.array([1, 2.5, 3, 1], object),
    "Decimals": DECIMALS,
    "Fractions": [Fraction(1, 3), Fraction(2, 3)],
    "negative": [-1.5, 2.0],
    "tensor": torch.tensor(HALVES),
    "a column": np.reshape(HALVES, (-1, 1)),
    "several": np.c_[HALVES, HALVES],
    "pandas Float64": pd.Series(HALVES, dtype="Float64"),
    "pandas double[pyarrow]": pd.Series(HALVES, dtype="double[pyarrow]"),
    "pandas decimal": pd.Series(DECIMALS, dtype=pd.ArrowDtype(pa.decimal128(5, 2))),
    "frame": pd.DataFrame({"a": HALVES, "b": HALVES}),
    "polars": pl.Series(HALVES),
    "polars Decimal": pl.Series(DECIMALS),
    "polars frame": pl.DataFrame({"a": HALVES, "b": HALVES}),
    "pyarrow": pa.array(HALVES),
    "pyarrow decimal": pa.array(DECIMALS),
}
# Whole numbers that are read as numbers, with a warning.
MANY = {
    "diabetes": DIABETES,
    "diabetes as ints": DIABETES.astype(int),
    "diabetes as objects": DIABETES.astype(int).astype(object),
    "diabetes as Decimals": [Decimal(int(value)) for value in DIABETES],
    "diabetes in pandas": pd.Series(DIABETES.astype(int), dtype="Int64"),
    "diabetes in polars": pl.Series(DIABETES.astype(int)),
    "diabetes in pyarrow": pa.array(DIABETES.astype(int)),
    "diabetes as a tensor": torch.tensor(DIABETES.astype(int)),
    "float32 without room for a fraction": ((DIABETES + 0.25) * 1e6).astype(np.float32),
    "ages": RNG.integers(18, 91, 3000),
    "years": RNG.integers(1950, 2012, 20_000).astype(np.int16),
    "uint8": RNG.integers(50, 256, 500).astype(np.uint8),
    "counts": RNG.poisson(20, 500),
    "counts with a long tail": RNG.geometric(0.05, 2000),
    "a few sizes": np.repeat(np.arange(10, 160, 10), 20),
    "amounts": RNG.integers(1, 200, 1000) * 500,
    "row numbers": np.arange(50),
    "five rows": [25, 151, 141, 206, 135],
    "int64 limits": [np.iinfo(np.int64).min, 3, 5, 8, np.iinfo(np.int64).max],
    "several targets": np.c_[RNG.poisson(20, 200), RNG.integers(2, size=200)],
    "linnerud": load_linnerud().target,
}
# Whole numbers that are read as classes, with a warning.
DOUBTFUL = {
    "small counts": np.repeat(np.arange(10), [25, 75, 112, 112, 84, 50, 25, 11, 4, 2]),
    "smaller counts": [0] * 60 + [1] * 60 + [2] * 60 + [3],
    "people with one or two pictures": np.repeat(np.arange(50), [1, 3] * 25),
    "abalone": np.repeat(np.arange(1, 30), [1, 1, *[150] * 25, 2, 1]),
    "two rows of every class": np.repeat(np.arange(100), 2),
}


def silently(function):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "A column-vector y was passed")
        return function()


@pytest.mark.parametrize("name", CLASSES)
def test_classes(name):
    y = CLASSES[name]
    labels, target = silently(lambda: read_target(y))
    assert target.task == "classification"
    assert_array_equal(target.given, np.asarray(y).ravel())
    assert_array_equal(labels, target.given)
    assert_array_equal(np.unique(target.codes), np.arange(len(target.classes)))


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers(name):
    y = NUMBERS[name]
    values, target = silently(lambda: read_target(y))
    assert target.task == "regression"
    assert_array_equal(target.given.ravel(), np.asarray(y).astype(float).ravel())
    assert_array_equal(values, target.given)
    assert values.dtype.kind == "f"


@pytest.mark.parametrize("name", MANY)
def test_whole_numbers_that_are_read_as_numbers(name):
    y = MANY[name]
    with pytest.warns(UserWarning, match=r"different whole numbers in \d+ rows, .*as numbers") as w:
        target = read_target(y)[1]
    assert target.task == "regression"
    assert_array_equal(target.given, np.asarray(y).astype(float))
    assert len(w) == 1
    assert "Pass task='regression' if this is right, or task='classification'" in str(w[0].message)
    assert silently(lambda: read_target(y, task="regression"))[1].task == "regression"
    if target.flat:
        assert silently(lambda: read_target(y, task="classification"))[1].task == "classification"


@pytest.mark.parametrize("name", DOUBTFUL)
def test_whole_numbers_that_may_be_classes(name):
    y = DOUBTFUL[name]
    with pytest.warns(UserWarning, match="read as classes, although .*task='classification'") as w:
        assert read_target(y)[1].task == "classification"
    assert len(w) == 1
    for task in ("classification", "regression"):
        assert silently(lambda task=task: read_target(y, task=task))[1].task == task


def test_the_warning_says_what_was_seen():
    message = "y holds 214 different whole numbers in 442 rows, from 25 to 346"
    with pytest.warns(UserWarning, match=message):
        read_target(DIABETES)


@pytest.mark.parametrize("y", [CODES, DIABETES, WORDS, HALVES], ids=["few", "many", "abc", "half"])
def test_the_inner_estimator_decides(y):
    values = read_values(y)
    for classifier in (LogisticRegression(), make_pipeline(StandardScaler(), LogisticRegression())):
        assert silently(lambda inner=classifier: holds_classes(values, inner=inner))
        with pytest.raises(ValueError, match="task='regression' contradicts the estimator"):
            holds_classes(values, inner=classifier, task="regression")
    assert not silently(lambda: holds_classes(values, inner=Ridge()))
    with pytest.raises(ValueError, match="Ridge is for regression"):
        holds_classes(values, inner=Ridge(), task="classification")
    # Neither a classifier nor a regressor
    assert silently(lambda: holds_classes(values, inner=KMeans(), task="classification"))


DAY = datetime.date(2020, 1, 1)
MISSING = [1.5, None, 2.5]
REFUSED = {
    "datetime64": (np.array(["2020-01-01", "2020-01-02"], "M8[D]"), "dates, times or durations"),
    "timedelta64": (np.array([1, 2], "m8[s]"), "dates, times or durations"),
    "dates": ([DAY, DAY], "dates, times or durations"),
    "time zones": (pd.Series(pd.date_range("2020", periods=2, tz="UTC")), "dates, times"),
    "polars dates": (pl.Series([DAY, DAY]), "dates, times or durations"),
    "polars times": (pl.Series([datetime.time(1), datetime.time(2)]), "dates, times"),
    "pyarrow dates": (pa.array([DAY, DAY]), "days since the first one, or to labels"),
    "complex": (np.array([1j, 2j]), "Complex data not supported"),
    "complex objects": (np.array([1, 2j], object), "expected classes or real numbers in y"),
    "None": (None, "got None. Pass one label per row"),
    "NaN": ([0.5, 1.5, np.nan], "Input y contains NaN, first in row 2"),
    "NaN in a second target": ([[1, 2], [3, np.nan]], "Input y contains NaN, first in row 1"),
    "infinity": ([0.5, np.inf], "Input y contains infinity"),
    "None in strings": (["a", None], "contains None or NaN, first in row 1. Remove such rows"),
    "Decimal NaN": ([Decimal(1), Decimal("NaN")], "contains None or NaN, first in row 1"),
    "Int64": (pd.Series([1, None, 2], dtype="Int64"), "first in row 1"),
    "boolean": (pd.Series([True, None], dtype="boolean"), "first in row 1"),
    "category": (pd.Series(["a", "b", None], dtype="category"), "first in row 2"),
    "category of numbers": (pd.Series([1, None, 2], dtype="category"), "first in row 1"),
    "polars null": (pl.Series(MISSING), "Input y contains NaN, first in row 1"),
    "polars string null": (pl.Series(["a", None]), "None or NaN, first in row 1"),
    "pyarrow null": (pa.array(MISSING), "Input y contains NaN, first in row 1"),
    "two types": (np.array(["a", 1, "a"], object), "labels of one type in y, got a mixture"),
    "one class": (["a", "a"], "only one class"),
    "one-hot rows": (np.eye(3, dtype=int)[CODES], "y should be a 1d array"),
    "several classes": (np.c_[CODES, CODES], "y should be a 1d array"),
    "no rows": ([], "Found array with 0 sample"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name):
    y, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        read_target(y)


@pytest.mark.parametrize("y", [WORDS, ["1.5", "2"], np.array(["1.5", 2.0], object)], ids=str)
def test_strings_are_not_numbers(y):
    with pytest.raises(ValueError, match="Expected numbers in y for regression, got strings"):
        read_target(y, task="regression")


def test_numbers_with_a_fraction_are_not_classes():
    message = "continuous. Expected classes in y, got numbers with a fraction, such as 0.5"
    with pytest.raises(ValueError, match=message):
        read_target(HALVES, task="classification")


def test_later_labels_are_read_alike():
    target = read_target(pd.Series(["a", "b", "c"], dtype="category"))[1]
    for y in (["c", "a"], pl.Series(["c", "a"]), pa.array(["c", "a"]), pd.Categorical(["c", "a"])):
        assert_array_equal(encode_like(target, y).codes, [2, 0])
        assert_array_equal(read_labels(y), ["c", "a"])
    target = read_target(HALVES)[1]
    for y in (DECIMALS[:2], pl.Series(HALVES[:2]), pd.Series(HALVES[:2], dtype="Float64")):
        assert_array_equal(encode_like(target, y).values, [[0.5], [1.5]])
    with pytest.raises(ValueError, match="Expected numbers in y_val for regression, got strings"):
        encode_like(target, ["0.5", "1.5"], "y_val")
    with pytest.raises(ValueError, match="numbers in y_val, got dates, times or durations"):
        encode_like(target, np.array([1, 2], "M8[D]"), "y_val")


def test_periods_are_dates():
    with pytest.raises(ValueError, match="got dates, times or durations"):
        read_target(pd.Series(pd.period_range("2020", periods=9, freq="D")))
