"""Memory budget: rows per block, results that are kept, and free memory."""

import os

import numpy as np
import pytest
import torch

from skdiva.loo import Budget, choose_penalty, evaluate
from skdiva.loo.rows import free_bytes, is_out_of_memory
from tests.cases import Case
from tests.tolerances import assert_close

CASES = {
    "rows": Case(40, 4, 3, "log_loss"),
    "groups": Case(40, 4, 2, grouping="ragged"),
    "a high-leverage row": Case(40, 4, 2, row_scale=1e4),
    "such a row in a group": Case(40, 4, 2, row_scale=1e4, grouping="ragged"),
}


@pytest.mark.parametrize("n_columns", [0, 1, 100, 10**7])
def test_rows_per_block(n_columns, device):
    device = torch.device(device)
    most = 2**20 if device.type == "cpu" else 0.03 * free_bytes(device) / 4
    size = Budget().rows(n_columns, device)
    assert size >= 256
    assert size * n_columns <= max(most, 256 * n_columns)


def test_rows_per_block_on_a_cpu():
    cpu = torch.device("cpu")
    assert Budget().rows(2**10, cpu) == 2**10
    assert Budget(block_elements=2**18).rows(2**9, cpu) == 2**9
    assert Budget().rows(1, cpu) == 2**16  # the most
    assert Budget().rows(10**9, cpu) == 2**8  # the least
    assert Budget(block_rows=7).rows(10**9, cpu) == 7


@pytest.mark.parametrize(
    "limits",
    [
        {"block_rows": 0},
        {"block_rows": 2.5},
        {"block_rows": True},
        {"block_elements": 0},
        {"block_elements": 1e6},
        {"block_elements": None},
        {"block_elements": True},
        {"kept_bytes": -1},
        {"kept_bytes": 0.5},
        {"kept_bytes": False},
        {"kept_bytes": "1 GB"},
    ],
    ids=str,
)
def test_limits_that_make_no_sense_are_refused(limits):
    ((name, value),) = limits.items()
    with pytest.raises(ValueError, match=f"^{name} must be .*an int of at least.*got {value!r}"):
        Budget(**limits)


def test_limits_may_be_numpy_ints():
    budget = Budget(block_rows=np.int64(7), kept_bytes=np.int32(0))
    assert budget.rows(3, torch.device("cpu")) == 7
    assert not budget.keeps(1, torch.device("cpu"))


@pytest.mark.parametrize("n_rows", [0, 1, 7, 20, 2**16, 2**17 + 1])
@pytest.mark.parametrize("block_rows", [None, 7])
def test_slices(block_rows, n_rows):
    slices = list(Budget(block_rows=block_rows).slices(n_rows))
    step = block_rows or 2**16
    assert [s.start for s in slices] == list(range(0, n_rows, step))
    assert [*(s.start for s in slices), n_rows] == [0, *(s.stop for s in slices)]


def test_keeps(device):
    device = torch.device(device)
    assert Budget().keeps(2**20, device)
    assert not Budget().keeps(10**15, device)
    assert Budget(kept_bytes=100).keeps(100, device)
    assert not Budget(kept_bytes=100).keeps(101, device)
    assert not Budget(kept_bytes=0).keeps(1, device)


def test_keeps_on_a_cpu():
    cpu = torch.device("cpu")
    assert Budget().keeps(2**29, cpu)
    assert not Budget().keeps(2**29 + 1, cpu)


@pytest.mark.parametrize("name", CASES)
def test_answers_do_not_depend_on_the_budget(name, device):
    data = CASES[name].data(device=device)
    kept, computed, small = (
        data.problem(budget=budget)
        for budget in (Budget(), Budget(kept_bytes=0), Budget(block_rows=3, kept_bytes=0))
    )
    expected = evaluate(kept, data.sample_weight, data.alpha)
    penalty = choose_penalty(kept, data.sample_weight)
    for problem in (computed, small):
        answer = evaluate(problem, data.sample_weight, data.alpha)
        assert answer.loss == pytest.approx(expected.loss, rel=1e-11)
        assert_close(answer.derivative, expected.derivative.cpu(), 1e-11)
        assert_close(answer.loo_predictions, expected.loo_predictions.cpu(), 1e-11)
        chosen = choose_penalty(problem, data.sample_weight)
        assert chosen.alpha == pytest.approx(penalty.alpha, rel=1e-11)
        assert chosen.loss == pytest.approx(penalty.loss, rel=1e-9)


@pytest.mark.parametrize("kept_bytes", [None, 0])
def test_rows_of_the_penalty_search_are_kept_by_the_budget(kept_bytes):
    data = Case(40, 4, 2).data()
    problem = data.problem(budget=Budget(kept_bytes=kept_bytes))
    spectrum = problem.spectrum(data.sample_weight, torch.float64)
    assert spectrum.rows.kept == (kept_bytes is None)


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
