"""How much memory there is, and which errors say that it does not suffice."""

import os

import numpy as np
import pytest
import torch

from skdiva.loo.rows import free_bytes, is_out_of_memory


def test_free_bytes(device):
    free = free_bytes(torch.device(device))
    assert free > 0
    if device == "cpu":
        assert free < os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_real_lacks_of_memory(device):
    with pytest.raises(RuntimeError) as of_torch:
        torch.empty(10**15, device=device)
    with pytest.raises(MemoryError) as of_numpy:
        np.empty(10**15)
    assert is_out_of_memory(of_torch.value)
    assert is_out_of_memory(of_numpy.value)
    assert is_out_of_memory(RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"))


def test_other_errors():
    with pytest.raises(RuntimeError) as error:
        torch.ones(2, 3) @ torch.ones(2, 3)
    assert not is_out_of_memory(error.value)
    assert not is_out_of_memory(ValueError("not enough memory"))
