"""Missing values in standardized columns, compared with transformers of scikit-learn."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skdiva.features import KernelFeaturizer
from skdiva.features._columns import StandardizedColumns

N = 80


def drawn(seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, 4)) * [1, 100, 1e-3, 1] + [0, 50, 0, 3]
    X[rng.random(N) < 0.2, 1] = np.nan
    X[rng.random(N) < 0.5, 2] = np.nan
    return X


def by_hand(X, new, weight=None):
    """Observed values with variance 1, the mean for missing ones, and one indicator per column."""
    scaler = StandardScaler().fit(X, sample_weight=weight)
    fill = SimpleImputer(strategy="constant", fill_value=0.0, keep_empty_features=True)
    indicator = MissingIndicator(error_on_new=False).fit(X)
    both = [
        np.hstack([fill.fit_transform(scaler.transform(part)), indicator.transform(part)])
        for part in (X, new)
    ]
    mean = np.average(both[0], axis=0, weights=weight)
    variance = np.average((both[0] - mean) ** 2, axis=0, weights=weight)
    p = X.shape[1]
    for i, column in enumerate(indicator.features_):
        total = np.sqrt(variance[column] + variance[p + i])
        for part in both:
            part[:, [column, p + i]] = (part[:, [column, p + i]] - mean[[column, p + i]]) / total
    return both


@pytest.mark.parametrize("block_rows", [7, 2**14])
@pytest.mark.parametrize("weighted", [False, True])
def test_missing_numbers(weighted, block_rows):
    X, new = drawn(), drawn(1)
    new[3, 0] = np.nan  # where no value was missing in fit
    weight = np.random.default_rng(0).random(N) if weighted else None
    columns = StandardizedColumns(block_rows).fit(X, weight)
    expected, expected_new = by_hand(X, new, weight)
    assert_allclose(columns.transform(X, "float64"), expected, atol=1e-12)
    assert_allclose(columns.transform(new, "float64"), expected_new, atol=1e-12)
    assert columns.n_columns == 6
    assert columns.total_variance == pytest.approx(4)


def test_an_indicator_needs_a_missing_value_with_weight():
    X = drawn()
    weight = np.where(np.isnan(X).any(axis=1), 0.0, 1.0)
    columns = StandardizedColumns().fit(X, weight)
    assert columns.n_columns == 4
    Z = columns.transform(X, "float64")
    assert_array_equal(Z[np.isnan(X)], 0)


def test_a_column_without_any_value_says_nothing():
    X = drawn()
    full = StandardizedColumns().fit(X).transform(X, "float64")
    columns = StandardizedColumns(block_rows=7).fit(np.insert(X, 1, np.nan, axis=1))
    Z = columns.transform(np.insert(X, 1, 5e9, axis=1), "float64")
    assert_array_equal(Z[:, 1], 0)
    assert_allclose(np.delete(Z, 1, axis=1), full, atol=1e-12)
    assert columns.total_variance == pytest.approx(4)


def test_a_single_value_is_told_from_missing_ones():
    X = np.arange(20.0).reshape(10, 2)
    X[1:, 1] = np.nan
    Z = StandardizedColumns().fit(X).transform(X, "float64")
    assert_array_equal(Z[:, 1], 0)
    expected = StandardScaler().fit_transform(np.isnan(X[:, 1:]).astype(float))
    assert_allclose(Z[:, 2:], expected)


@pytest.mark.parametrize("missing", [None, np.nan, "NA"])
def test_missing_strings_are_a_category(missing):
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    words = np.array(["a", "b", None], dtype=object)[rng.integers(3, size=N)]
    filled = words.copy()
    filled[words == None] = pd.NA if missing == "NA" else missing  # noqa: E711
    frame = pd.DataFrame({"word": pd.Series(filled, dtype=object), "x": rng.normal(size=N)})
    Z = StandardizedColumns().fit(frame).transform(frame, "float64")
    one_hot = OneHotEncoder(sparse_output=False).fit_transform(words[:, None])
    centered = one_hot - one_hot.mean(axis=0)
    assert_allclose(Z[:, :3], centered / np.sqrt(centered.var(axis=0).sum()), atol=1e-12)


@pytest.mark.parametrize("seen", [False, True])
def test_missing_ordered_categories(seen):
    pd = pytest.importorskip("pandas")
    codes = np.random.default_rng(0).integers(4, size=N)
    numbers = codes.astype(float)
    if seen:
        codes[::9], numbers[::9] = -1, np.nan
    grades = pd.Categorical.from_codes(codes, list("dcba"), ordered=True)
    columns = StandardizedColumns().fit(pd.DataFrame({"grade": grades}))
    plain = StandardizedColumns().fit(numbers[:, None])
    new = pd.DataFrame({"grade": pd.Categorical([None, "b"], list("dcba"), ordered=True)})
    assert_allclose(
        columns.transform(new, "float64"), plain.transform(np.array([[np.nan], [2.0]]), "float64")
    )
    unknown = pd.DataFrame({"grade": ["c", "e"]})
    with pytest.raises(ValueError, match=r"categories .* in column 'grade', got 'e' in row 1"):
        columns.transform(unknown, "float64")


def test_missing_values_in_new_rows_only():
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=N), "word": rng.choice(list("ab"), N)})
    featurizer = KernelFeaturizer("linear").fit(frame)
    Z = featurizer.transform(pd.DataFrame({"x": [np.nan], "word": [None]}))
    assert Z.shape == (1, 3)
    assert Z[0, 2] == 0
    assert featurizer.__sklearn_tags__().input_tags.allow_nan
