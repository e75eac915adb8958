"""Validation of sparse arrays, and the rows that are made dense when they are read."""

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.base import BaseEstimator

from skdiva.arrays import Compute, SparseRows, check_sparse

X = np.random.default_rng(0).normal(size=(7, 5)) * (np.arange(35).reshape(7, 5) % 3 == 0)
X[2] = 0  # an empty row
COMPUTE = Compute(torch.device("cpu"), "float64")
FORMATS = [
    *(sparse.csr_array, sparse.csc_array, sparse.coo_array, sparse.lil_array, sparse.dok_array),
    *(sparse.bsr_array, sparse.dia_array, sparse.csr_matrix, sparse.csc_matrix, sparse.coo_matrix),
    *(sparse.lil_matrix, sparse.dok_matrix, sparse.bsr_matrix, sparse.dia_matrix),
]


def check(X, reset=True):
    return check_sparse(BaseEstimator(), X, reset=reset)


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.__name__)
@pytest.mark.filterwarnings("ignore::scipy.sparse.SparseEfficiencyWarning")
def test_every_format(form):
    checked = check(form(X))
    assert checked.format == "csr"
    np.testing.assert_array_equal(checked.toarray(), X)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.int64, np.uint16, np.longdouble])
def test_other_numbers_become_float64(dtype):
    given = sparse.csr_array((X != 0).astype(dtype))
    checked = check(given)
    assert checked.dtype == np.float64
    np.testing.assert_array_equal(checked.toarray(), X != 0)
    assert given.dtype == dtype


def test_single_precision_is_kept():
    assert check(sparse.csr_array(X.astype(np.float32))).dtype == np.float32


def test_duplicates_zeros_and_unsorted_indices():
    """Rows [3, 0, 0] and [0, 2, 0], from entries 1 + 2 and 0, and 5 - 3 after a zero."""
    data, columns = np.array([1.0, 0, 2, 5, 0, -3]), np.array([0, 2, 0, 1, 2, 1])
    parts = data.copy(), columns.copy(), np.array([0, 3, 6])
    given = sparse.csr_array(parts, shape=(2, 3))
    triplets = sparse.coo_array((data, (np.repeat([0, 1], 3), columns)), shape=(2, 3))
    for container in (given, triplets):
        checked = check(container)
        assert checked.has_canonical_format
        np.testing.assert_array_equal(checked.toarray(), [[3, 0, 0], [0, 2, 0]])
    np.testing.assert_array_equal(given.data, data)  # the array of the user is not modified
    np.testing.assert_array_equal(given.indices, columns)


def test_long_indices():
    given = sparse.csr_array(X)
    given.indices, given.indptr = given.indices.astype(np.int64), given.indptr.astype(np.int64)
    np.testing.assert_array_equal(check(given).toarray(), X)


@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (np.inf, "infinity")])
@pytest.mark.parametrize("form", [sparse.csr_array, sparse.csc_array, sparse.coo_array])
def test_the_place_of_a_bad_value_is_named(form, value, word):
    spoiled = X.copy()
    spoiled[4, 1] = spoiled[6, 3] = value
    given = form(spoiled)
    with pytest.raises(ValueError, match=f"contains {word}.* got {value} in row 4, column 1"):
        check(given)


def test_complex_numbers_and_single_rows():
    with pytest.raises(ValueError, match="Complex data not supported"):
        check(sparse.csr_array(X * 1j))
    with pytest.raises(ValueError, match=r"1 sample\(s\).*minimum of 2"):
        check(sparse.csr_array(X[:1]))
    assert check(sparse.csr_array(X[:1]), reset=False).shape == (1, 5)


@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csr_matrix])
def test_rows_are_read_by_slice_and_position(kind):
    rows = SparseRows(kind(X), COMPUTE)
    assert rows.shape == X.shape
    np.testing.assert_array_equal(rows.read(slice(1, 4)).numpy(), X[1:4])
    np.testing.assert_array_equal(rows.read(torch.tensor([6, 0, 6])).numpy(), X[[6, 0, 6]])
    first, second = rows.split([3])
    np.testing.assert_array_equal(first.read(slice(0, 3)).numpy(), X[:3])
    np.testing.assert_array_equal(second.read(slice(0, 4)).numpy(), X[3:])


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_rows_have_the_dtype_of_the_computation():
    integers = sparse.csr_array((X != 0).astype(np.int64))
    rows = SparseRows(integers, Compute(torch.device("cpu"), "float32"))
    assert rows.dtype == rows.read(slice(0, 2)).dtype == torch.float32
    large = SparseRows(sparse.csr_array(X * 1e100), Compute(torch.device("cpu"), "float32"))
    with pytest.raises(ValueError, match="too large for float32"):
        large.read(slice(0, 2))


def test_memory():
    SparseRows(sparse.csr_array(X), COMPUTE).require_memory()
    for shape in ((600_000, 500_000), (500_000, 600_000)):
        with pytest.raises(MemoryError, match=r"with \d+ columns needs .* \d{4}\.\d GiB;.*auto"):
            SparseRows(sparse.csr_array(shape), COMPUTE).require_memory()
    rows = SparseRows(sparse.csr_array((2**20, 2**15)), COMPUTE)
    with pytest.raises(MemoryError, match="needs dense matrices"):
        rows.require_memory(sparse.csr_array((2**26, 2**15)))
