"""Numbers of rows that come in blocks."""

import torch

from skdiva.loo.rows._collector import RowCollector


def test_all_that_was_appended():
    collector, parts = RowCollector(torch.empty(0, dtype=torch.float64)), []
    for size in (3, 0, 70_000, 1, 300_000):
        parts.append(torch.randn(size, generator=torch.manual_seed(size), dtype=torch.float64))
        collector.append(parts[-1])
    assert torch.equal(collector.joined(), torch.cat(parts))
    assert collector.n_rows == 370_004


def test_nothing():
    assert RowCollector(torch.empty(0)).joined().shape == (0,)
