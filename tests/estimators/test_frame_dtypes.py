"""Dtypes of dataframe columns: each gives the answer of plain floats or strings."""

from decimal import Decimal

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skdiva import DivaOutlierDetector

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

N = 60
DRAW = np.random.default_rng(0)
A = DRAW.normal(size=N)
K = DRAW.integers(4, size=N)
LOST = np.arange(N) % 7 == 0
Y = (A + (K == 2) > 0.3).astype(int)


def fitted(X, new_rows=9):
    detector = DivaOutlierDetector().fit(X, Y)
    return np.append(detector.outlier_scores_, detector.score_labels(X[:new_rows], Y[:new_rows]))


def with_missing(values, missing):
    return [None if lost and missing else value for value, lost in zip(values, LOST, strict=True)]


def arrow(dtype):
    return lambda values: pd.Series(values, dtype=pd.ArrowDtype(dtype))


def objects(missing=None):
    return lambda values: pd.Series(
        [missing if value is None else value for value in values], dtype=object
    )


def sparse(values):
    return pd.Series(pd.arrays.SparseArray(np.array(values, dtype=float)))


def decimals(values):
    return [None if value is None else Decimal(value) for value in values]


NUMBERS = {
    "floats": lambda values: pd.Series(np.array(values, dtype=float)),
    "Int64": lambda values: pd.Series(values, dtype="Int64"),
    "UInt8": lambda values: pd.Series(values, dtype="UInt8"),
    "Float32": lambda values: pd.Series(values, dtype="Float32"),
    "arrow integers": arrow(pa.int16()),
    "arrow doubles": arrow(pa.float64()),
    "arrow decimals": lambda values: arrow(pa.decimal128(5, 2))(decimals(values)),
    "sparse": sparse,
    "objects, None": objects(),
    "objects, NaN": objects(np.nan),
    "objects, NA": objects(pd.NA),
    "objects, NaT": objects(pd.NaT),
    "Decimal objects": lambda values: pd.Series(decimals(values), dtype=object),
    "polars integers": lambda values: pl.Series(values, dtype=pl.UInt8),
    "polars floats": lambda values: pl.Series(np.array(values, dtype=float)),
    "polars decimals": lambda values: pl.Series(decimals(values), dtype=pl.Decimal(5, 2)),
    "polars objects": lambda values: pl.Series(values, dtype=pl.Object),
}
BOOLEANS = {
    "boolean": lambda values: pd.Series(values, dtype="boolean"),
    "arrow": arrow(pa.bool_()),
    "objects": objects(),
    "polars": lambda values: pl.Series(values, dtype=pl.Boolean),
}


def dictionary(values):
    return arrow(pa.string())(values).astype(pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string())))


def intervals(values):
    numbers = [np.nan if value is None else "pqrs".index(value) for value in values]
    return pd.Series(pd.cut(np.array(numbers), [-1, 0, 1, 2, 3])).cat.as_unordered()


def integer_categories(values):
    return pd.Series(pd.Categorical([None if v is None else "pqrs".index(v) for v in values]))


def mixed(values):
    return pd.Series([7 if value == "p" else value for value in values], dtype=object)


TEXTS = {
    "string": lambda values: pd.Series(values, dtype="string"),
    "arrow-backed string": lambda values: pd.Series(values, dtype="string[pyarrow]"),
    "arrow string": arrow(pa.string()),
    "large string": arrow(pa.large_string()),
    "dictionary": dictionary,
    "objects, NaN": objects(np.nan),
    "objects, NA": objects(pd.NA),
    "integers and strings": mixed,
    "categories": lambda values: pd.Series(pd.Categorical(values)),
    "categories of integers": integer_categories,
    "categories of intervals": intervals,
    "intervals": lambda values: (
        intervals(values).astype(pd.IntervalDtype("int64", "right"))
        if None not in values
        else intervals(values).astype(object)
    ),
    "polars strings": lambda values: pl.Series(values),
    "polars categories": lambda values: pl.Series(values).cast(pl.Categorical),
}
ORDERED = {
    "strings": lambda codes: pd.Categorical.from_codes(codes, list("pqrs"), ordered=True),
    "integers": lambda codes: pd.Categorical.from_codes(codes, [3, 1, 2, 0], ordered=True),
    "mixed": lambda codes: pd.Categorical.from_codes(codes, [3, "b", 2.5, 0], ordered=True),
    "intervals": lambda codes: pd.cut(np.where(codes < 0, np.nan, codes), [-1, 0, 1, 2, 3]),
    "Enum": lambda codes: pl.Series(
        [None if code < 0 else "pqrs"[code] for code in codes], dtype=pl.Enum(list("pqrs"))
    ),
}


def frame_of(column):
    library = pl if isinstance(column, pl.Series) else pd
    return library.DataFrame({"a": A, "k": column})


def plain(values):
    return np.column_stack([A, np.array(values, dtype=float)])


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("dtype", NUMBERS)
def test_numbers(dtype, missing):
    values = with_missing(K.tolist(), missing)
    assert_allclose(fitted(frame_of(NUMBERS[dtype](values))), fitted(plain(values)), atol=1e-9)


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("dtype", BOOLEANS)
def test_booleans(dtype, missing):
    values = with_missing((K > 1).tolist(), missing)
    assert_allclose(fitted(frame_of(BOOLEANS[dtype](values))), fitted(plain(values)), atol=1e-9)


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("dtype", TEXTS)
def test_texts(dtype, missing):
    values = with_missing(np.array(list("pqrs"))[K].tolist(), missing)
    expected = fitted(frame_of(pd.Series(values, dtype=object)))
    assert_allclose(fitted(frame_of(TEXTS[dtype](values))), expected, atol=1e-9)


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("kind", ORDERED)
def test_ordered_categories_are_their_positions(kind, missing):
    codes = np.where(LOST & missing, -1, K)
    expected = fitted(plain(with_missing(K.tolist(), missing)))
    assert_allclose(fitted(frame_of(ORDERED[kind](codes))), expected, atol=1e-9)


DAYS = pd.date_range("2020", periods=N)
REFUSED = {
    "datetime": lambda: DAYS,
    "time zone": lambda: DAYS.tz_localize("UTC"),
    "timedelta": lambda: DAYS - DAYS[0],
    "period": lambda: DAYS.to_period("D"),
    "date objects": lambda: DAYS.date,
    "arrow date": lambda: pd.Series(DAYS.date, dtype=pd.ArrowDtype(pa.date32())),
    "arrow timestamp": lambda: pd.Series(DAYS).astype(pd.ArrowDtype(pa.timestamp("ns"))),
    "complex": lambda: 1j * A,
    "lists": lambda: pd.Series([[1]] * N),
    "dicts": lambda: pd.Series([{"b": 1}] * N),
    "arrow list": lambda: arrow(pa.list_(pa.int8()))([[1]] * N),
    "arrow struct": lambda: arrow(pa.struct([("b", pa.int8())]))([{"b": 1}] * N),
    "polars date": lambda: pl.Series(DAYS.date.tolist()),
    "polars duration": lambda: pl.Series([pd.Timedelta("1D").to_pytimedelta()] * N),
    "polars list": lambda: pl.Series([[1]] * N),
    "polars struct": lambda: pl.Series([{"b": 1}] * N),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_columns_that_are_neither_numbers_nor_categories_are_refused(kind):
    X = frame_of(REFUSED[kind]())
    message = r"Expected numbers.*, got .* in column 'k' \(position 1\)\. Convert it"
    with pytest.raises(ValueError, match=message):
        DivaOutlierDetector().fit(X, Y)
    with pytest.raises(ValueError, match="column 'k'"):
        DivaOutlierDetector(featurizer=None).fit(X, Y)
    for other in (K.astype(float), np.array(list("pqrs"))[K]):
        good = pl.DataFrame({"a": A, "k": other}) if kind.startswith("polars") else None
        detector = DivaOutlierDetector()
        detector.fit(pd.DataFrame({"a": A, "k": other}) if good is None else good, Y)
        with pytest.raises(ValueError, match="column 'k'"):
            detector.score_labels(X, Y)
