"""The wall between containers and tensors."""

import numpy as np
import pytest
import torch

from skdiva.arrays import (
    all_finite,
    choose_device,
    choose_dtype,
    is_tensor,
    refuse_mixed_devices,
    row_index,
    to_host,
    to_tensor,
    without_graph,
)

CPU = torch.device("cpu")


def test_tensors_come_to_the_host_detached(device):
    tensor = torch.ones(3, requires_grad=True, device=device)
    assert isinstance(to_host(tensor), np.ndarray)
    assert not without_graph(tensor).requires_grad
    assert without_graph(tensor).device == tensor.device


def test_bfloat16_becomes_float32():
    assert to_host(torch.ones(2, dtype=torch.bfloat16)).dtype == np.float32


@pytest.mark.parametrize("other", [[1, 2], np.ones(2), None, "text"])
def test_everything_else_is_left_alone(other):
    assert to_host(other) is other
    assert without_graph(other) is other
    assert not is_tensor(other)


def test_row_index():
    pd = pytest.importorskip("pandas")
    series = pd.Series([1, 2], index=["a", "b"])
    assert row_index(np.ones(2), series) is series.index
    assert row_index(np.ones(2), [1, 2], None) is None


def test_mixed_devices_are_refused_by_name():
    refuse_mixed_devices(X=torch.ones(1), y=np.ones(1), X_val=None)
    with pytest.raises(ValueError, match="got X on cpu, y on meta"):
        refuse_mixed_devices(X=torch.ones(1), y=torch.ones(1, device="meta"))


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
