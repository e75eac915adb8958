"""Computations that need more memory than is free: refused before anything is allocated."""

import pytest
import torch

from skdiva.loo import ClassTargets, JointGram, Problem, RowSource, SquaredError
from skdiva.loo.rows import free_bytes, read_all, require_memory

CPU = torch.device("cpu")


def test_more_than_is_free():
    free = free_bytes(CPU)
    require_memory(free // 2, CPU, "Rows", "Use fewer.")
    message = r"Rows need about \d+\.\d GiB on cpu; \d+\.\d GiB are free. Use fewer\."
    with pytest.raises(MemoryError, match=message):
        require_memory(4 * free + 2**30, CPU, "Rows", "Use fewer.")


class HugeRows(RowSource):
    """Rows that must not be read."""

    def read(self, rows):
        raise AssertionError(rows)


@pytest.mark.parametrize("shape", [(10**6, 2 * 10**6), (2 * 10**6, 10**6)], ids=["dual", "primal"])
def test_the_smaller_side_squared(shape):
    """32 TB for four matrices of a million columns or rows."""
    targets = ClassTargets(torch.zeros(shape[0], dtype=torch.int64), 2)
    message = (
        r"The 1000000 x 1000000 matrices of a ridge model of \d+ rows and \d+ columns need about "
        r"29802\.3 GiB on cpu; .* GiB are free\. Reduce the number of columns"
    )
    with pytest.raises(MemoryError, match=message):
        Problem(HugeRows(*shape), targets, loss=SquaredError())


def test_all_rows_of_a_source():
    message = r"All 1000000 rows of a HugeRows with 1000000 columns need .* Pass fewer rows"
    with pytest.raises(MemoryError, match=message):
        read_all(HugeRows(10**6, 10**6))


def test_inner_products():
    """A tile of 2 MB, whose rows have inner products of 8 TB."""
    tile = torch.zeros(500_000, 2, 1, dtype=torch.float32)
    message = r"The inner products of 1000000 rows, one for every sample and output, need about"
    with pytest.raises(MemoryError, match=message):
        JointGram.from_tiles([tile], len(tile), center=False)
