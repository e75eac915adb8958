"""Outputs of functions of users, as arrays or tensors of finite numbers."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

from skdiva.arrays import read_output

X = np.arange(6.0).reshape(3, 2)


@pytest.mark.parametrize(
    "output", [X, X.tolist(), X.astype(int), X.astype(object), pd.DataFrame(X), np.ma.array(X)]
)
def test_arrays(output):
    read = read_output(output, "f")
    assert type(read) is np.ndarray
    np.testing.assert_array_equal(read, X)


def test_a_tensor_stays_where_it_is(device):
    tensor = torch.tensor(X, device=device, requires_grad=True)
    read = read_output(tensor, "f")
    assert read.device == tensor.device
    assert not read.requires_grad
    assert read.data_ptr() == tensor.data_ptr()


def test_large_numbers_are_finite():
    for large in (np.full((9, 9), 1e308), torch.full((9, 9), 1e308, dtype=torch.float64)):
        assert read_output(large, "f") is not None


@pytest.mark.parametrize("convert", [np.array, torch.tensor, sparse.csr_array, sparse.coo_array])
def test_the_row_is_named(convert):
    wrong = X.copy()
    wrong[2, 1] = np.inf
    with pytest.raises(ValueError, match=r"f must return finite numbers, got inf in row 2. Impute"):
        read_output(convert(wrong), "f", accept_sparse=True)


def test_sparse_output_if_it_is_wanted():
    assert read_output(sparse.csr_array(X), "f", accept_sparse="csr").shape == (3, 2)
    with pytest.raises(TypeError, match=r"f must return numbers.* got csr_array"):
        read_output(sparse.csr_array(X), "f")
