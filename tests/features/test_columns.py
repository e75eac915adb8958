"""Standardized columns: numbers, one-hot blocks, and positions of ordered categories."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.preprocessing import StandardScaler

from skdiva.features._columns import StandardizedColumns

COLORS = np.array(["red", "green", "blue", "green"])
SIZES = np.array(["small", "large", "medium", "medium"])


def numbers(n=60, seed=0):
    X = np.random.default_rng(seed).normal(size=(n, 4)) * [1e-2, 1, 10, 1] + [0, 5, -100, 0]
    X[:, 3] = 7.0  # constant
    return X


def pandas_frame(n=60):
    pd = pytest.importorskip("pandas")
    X = numbers(n)
    return pd.DataFrame(
        {
            "a": X[:, 0],
            "color": pd.Categorical(COLORS[np.arange(n) % 4]),
            "b": X[:, 1],
            "size": pd.Categorical(
                SIZES[np.arange(n) % 4], categories=["small", "medium", "large"], ordered=True
            ),
            "name": COLORS[np.arange(n) // 3 % 4],
        }
    )


def polars_frame(n=60):
    pl = pytest.importorskip("polars")
    X = numbers(n)
    return pl.DataFrame(
        {
            "a": X[:, 0],
            "color": pl.Series(COLORS[np.arange(n) % 4]).cast(pl.Categorical),
            "b": X[:, 1],
            "size": pl.Series(SIZES[np.arange(n) % 4]).cast(pl.Enum(["small", "medium", "large"])),
            "name": COLORS[np.arange(n) // 3 % 4],
        }
    )


FRAMES = {"pandas": pandas_frame, "polars": polars_frame}


def one_hot(values, categories=("blue", "green", "red")):
    return (np.asarray(values)[:, None] == np.array(categories)).astype(float)


def centered(block, weight=None):
    return block - np.average(block, axis=0, weights=weight)


def variance(block, weight=None):
    return np.average(centered(block, weight) ** 2, axis=0, weights=weight)


def transformed(X, weight=None, dtype="float64", **budget):
    return StandardizedColumns(**budget).fit(X, weight).transform(X, dtype)


@pytest.mark.parametrize("block_rows", [7, 2**14])
@pytest.mark.parametrize("weighted", [False, True])
def test_numbers_are_those_of_a_standard_scaler(weighted, block_rows):
    X = numbers()
    weight = np.linspace(0, 2, 60) if weighted else None
    if weighted:
        weight[:10] = 0  # a whole block of rows without weight
    columns = StandardizedColumns(block_rows).fit(X, weight)
    scaler = StandardScaler().fit(X, sample_weight=weight)
    assert_allclose(columns.transform(X, "float64"), scaler.transform(X), atol=1e-10)
    new = numbers(9, seed=1)
    assert_allclose(columns.transform(new, "float64"), scaler.transform(new), atol=1e-10)
    assert columns.n_columns == 4
    assert columns.total_variance == pytest.approx(3)  # the fourth does not vary


def test_blocks_are_slices_of_the_whole():
    X = numbers()
    columns = StandardizedColumns(block_rows=7).fit(X)
    parts = list(columns.blocks(X, "float64"))
    assert len(parts) == 9
    whole = columns.transform(X, "float64")
    for part, block in parts:
        assert_array_equal(block, whole[part])


def test_single_precision_is_rounded_after_scaling():
    X = numbers() + 1e8
    Z = transformed(X, dtype="float32")
    assert Z.dtype == np.float32
    assert_allclose(Z, StandardScaler().fit_transform(X), atol=1e-6)


def test_constant_columns_only():
    columns = StandardizedColumns().fit(np.full((5, 2), 3.0))
    assert columns.total_variance == 1  # the coefficient of a kernel is divided by it
    assert_array_equal(columns.transform(np.full((5, 2), 3.0), "float64"), 0)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("frame", FRAMES)
def test_categories_are_one_hot_and_ordered_ones_positions(frame, weighted):
    X = FRAMES[frame]()
    weight = np.linspace(0, 2, 60) if weighted else None
    columns = StandardizedColumns().fit(X, weight)
    Z = columns.transform(X, "float64")
    # Nominal columns first, then ordered ones, then numbers.
    color, name = one_hot(X["color"].to_numpy()), one_hot(X["name"].to_numpy())
    position = np.array([["small", "medium", "large"].index(size) for size in X["size"]])
    expected = [centered(b, weight) / np.sqrt(variance(b, weight).sum()) for b in (color, name)]
    for column in (position, X["a"].to_numpy(), X["b"].to_numpy()):
        single = column.astype(float)[:, None]
        expected.append(centered(single, weight) / np.sqrt(variance(single, weight)))
    assert_allclose(Z, np.hstack(expected), atol=1e-10)
    for block in (Z[:, :3], Z[:, 3:6], Z[:, 6:7], Z[:, 7:8]):
        assert variance(block, weight).sum() == pytest.approx(1)
    assert columns.total_variance == pytest.approx(5)
    assert columns.n_columns == 9


@pytest.mark.parametrize("frame", FRAMES)
def test_blocks_of_a_frame(frame):
    X = FRAMES[frame]()
    assert_allclose(transformed(X, block_rows=7), transformed(X), atol=1e-12)


def test_both_libraries_give_the_same():
    assert_allclose(transformed(pandas_frame()), transformed(polars_frame()))


def test_an_unknown_category_is_none_of_the_known_ones():
    X = pandas_frame()
    columns = StandardizedColumns().fit(X)
    new = X.iloc[:1].assign(name=["violet"])
    known = one_hot(X["name"])
    expected = -known.mean(axis=0) / np.sqrt(variance(known).sum())
    assert_allclose(columns.transform(new, "float64")[0, 3:6], expected)


def many(n=600, n_names=150):
    """A column whose names occur twice or more often, and the names past the hundredth rarer."""
    pd = pytest.importorskip("pandas")
    number = np.concatenate([np.arange(n_names), np.arange(n - n_names) % 99])
    return pd.DataFrame({"name": [f"{i:03d}" for i in number], "x": np.arange(float(n))})


def test_categories_beyond_a_hundred_share_a_column():
    X = many()
    columns = StandardizedColumns().fit(X)
    Z = columns.transform(X, "float64")
    assert Z.shape == (600, 101)
    assert variance(Z[:, :100]).sum() == pytest.approx(1)
    rare = Z[99:150]  # each name once
    assert_array_equal(rare[:, :100], np.repeat(rare[:1, :100], 51, axis=0))
    assert len(np.unique(Z[:99, :100], axis=0)) == 99
    assert columns.total_variance == pytest.approx(2)
    new = X.iloc[:1].assign(name=["unheard of"])
    assert_array_equal(columns.transform(new, "float64")[0, :100], rare[0, :100])


def test_a_second_nominal_column_is_scaled_by_itself_behind_a_long_one():
    X = many().assign(color=COLORS[np.arange(600) % 4])
    Z = transformed(X)
    assert Z.shape == (600, 104)
    assert variance(Z[:, 100:103]).sum() == pytest.approx(1)


def test_a_category_that_never_changes_is_no_column_that_varies():
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame({"x": np.arange(5.0), "same": ["a"] * 5})
    columns = StandardizedColumns().fit(X)
    assert columns.total_variance == pytest.approx(1)
    assert_array_equal(columns.transform(X, "float64")[:, 0], 0)


def test_missing_strings_are_a_category():
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame({"name": ["a", None, "b", "a"], "x": np.arange(4.0)})
    assert transformed(X).shape == (4, 4)


def test_a_missing_number_beside_strings_is_the_mean():
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame({"name": list("abca"), "x": [0.0, np.nan, 1.0, 2.0]})
    Z = transformed(X)
    assert Z.shape == (4, 5)
    assert Z[1, 3] == 0


def test_booleans_and_nullable_integers_are_numbers():
    pd = pytest.importorskip("pandas")
    plain = pd.DataFrame({"yes": np.arange(8) % 2, "count": np.arange(8)})
    frame = pd.DataFrame(
        {
            "yes": pd.array(np.arange(8) % 2 == 1, dtype="boolean"),
            "count": pd.array(np.arange(8), dtype="Int64"),
        }
    )
    mixed = frame.assign(name=COLORS[np.arange(8) % 4])
    assert_allclose(transformed(mixed)[:, 3:], transformed(plain.to_numpy().astype(float)))
    assert_allclose(
        transformed(frame.assign(yes=frame["yes"].astype(bool), name="a"))[:, 1:],
        transformed(plain.to_numpy().astype(float)),
    )


def test_ordered_numbers_keep_the_order_that_they_were_given():
    pd = pytest.importorskip("pandas")
    grades = pd.Categorical([3, 1, 2] * 10, categories=[3, 1, 2], ordered=True)
    frame = pd.DataFrame({"grade": grades, "x": np.arange(30.0)})
    columns = StandardizedColumns().fit(frame).transform(frame, "float64")
    expected = StandardScaler().fit_transform(np.array([[0.0], [1.0], [2.0]] * 10))
    assert_allclose(columns[:, :1], expected)
