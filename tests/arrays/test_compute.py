"""Choice of device and dtype, and conversion of arrays to tensors."""

import numpy as np
import pytest
import torch

from skdiva.arrays import (
    Compute,
    all_finite,
    choose_device,
    choose_dtype,
    to_host,
    to_tensor,
)

CPU = torch.device("cpu")


def test_choice_of_the_device(device):
    there = torch.ones(1, device=device)
    assert choose_device("cpu", there) == CPU
    best = "cuda" if torch.cuda.is_available() else "cpu"
    assert choose_device(None, np.ones(1)).type == best
    assert choose_device(device).type == device
    if there.is_cuda:
        assert choose_device(None, there) == there.device


def test_choice_of_the_dtype(device):
    assert choose_dtype("float64", np.ones(1, np.float32)) == "float64"
    assert choose_dtype(None, np.ones(1, np.float32)) == "float32"
    assert choose_dtype(None, np.ones(1, np.float16)) == "float32"
    assert choose_dtype(None, np.ones(1, int)) == "float64"
    assert choose_dtype(None, torch.ones(1, dtype=torch.bfloat16)) == "float32"
    given = torch.ones(1, dtype=torch.float64, device=device)
    assert choose_dtype(None, np.ones(1), given) == ("float32" if given.is_cuda else "float64")


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_round_trip(dtype, device):
    array = np.arange(6).reshape(2, 3).astype(dtype)
    tensor = to_tensor(array, torch.device(device), dtype)
    assert tensor.device.type == device
    np.testing.assert_array_equal(to_host(tensor), array)
    assert to_host(tensor).dtype == array.dtype


def test_memory_is_shared_where_it_can_be():
    array = np.ones((4, 3))
    array.flags.writeable = False
    assert np.shares_memory(to_host(to_tensor(array, CPU, "float64")), array)
    assert np.shares_memory(to_host(to_tensor(array.T, CPU, "float64")), array)
    backwards = to_tensor(np.arange(3.0)[::-1], CPU, "float64")
    assert backwards.tolist() == [2, 1, 0]


def test_finite():
    large = torch.full((5, 2), 3e38)
    assert all_finite(large)
    assert all_finite(torch.tensor([[1e308, 1e308], [1e308, 1e308]], dtype=torch.float64))
    large[4, 1] = torch.inf
    assert not all_finite(large)
    assert not all_finite(torch.tensor([[torch.nan]]))


@pytest.mark.parametrize("name", ["float32", "float64"])
def test_the_dtype_follows_the_features(name):
    compute = Compute.choose("cpu", None, np.ones(3), [1, 2, 3])
    assert (compute.device, compute.dtype) == (CPU, "float64")
    assert compute.following(np.ones(3, name)) == Compute(CPU, name, follows_features=True)
    given = Compute.choose("cpu", "float64", np.ones(3))
    assert given.following(np.ones(3, name)) == given


def test_the_dtype_on_a_gpu_follows_no_features(device):
    compute = Compute.choose(None, None, torch.ones(3, dtype=torch.float64, device=device))
    expected = "float32" if device == "cuda" else "float64"
    assert compute.following(np.ones(3)).dtype == expected
    assert compute.tensor([1, 2]).device.type == compute.device.type
    assert compute.tensor([1, 2], "float64").dtype == torch.float64
    assert compute.tensor([1, 2], "int64").dtype == torch.int64


@pytest.mark.parametrize(
    ("dtype", "remedy"), [("float32", "or use dtype='float64'"), ("float64", "Scale them.")]
)
def test_features_that_are_not_finite(dtype, remedy):
    compute = Compute(CPU, dtype)
    assert compute.finite_tensor([[1, 2]]).tolist() == [[1, 2]]
    large = np.array([1e39 if dtype == "float32" else np.inf])
    with (
        np.errstate(over="ignore"),
        pytest.raises(ValueError, match=f"too large for {dtype}.*{remedy}"),
    ):
        compute.finite_tensor(large)
    with pytest.raises(ValueError, match=r"contain NaN\. Remove rows .*impute"):
        compute.finite_tensor([np.inf, np.nan, 1.0])
