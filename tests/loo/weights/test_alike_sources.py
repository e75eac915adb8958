"""Sources that are alike get nearly equal weights, in many draws; bad ones among them are found."""

from functools import cache

import pytest
import torch

from skdiva.loo import (
    ClassTargets,
    LogLoss,
    Problem,
    SquaredError,
    ValueTargets,
    descend_by_source,
)

N_DRAWS, N_COLUMNS = 12, 6


def made_data(kind, sizes, n_bad, draw):
    """Problem, codes of the sources and class codes; the first sources are bad.

    40 % of their labels are wrong or, if the targets are numbers, their noise is three times as
    large.
    """
    sources = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    n, is_bad = len(sources), sources < n_bad
    features = torch.randn(n, N_COLUMNS, generator=draw, dtype=torch.float64)
    coef = torch.randn(N_COLUMNS, generator=draw, dtype=torch.float64)
    signal = features @ coef / coef.norm()
    noise = torch.randn(n, generator=draw, dtype=torch.float64)
    if kind == "numbers":
        values = signal + torch.where(is_bad, 3.0, 1.0) * noise
        problem = Problem(features, ValueTargets(values[:, None]), loss=SquaredError())
        return problem, sources, None
    labels = (signal + 0.5 * noise > 0).long()
    wrong = is_bad & (torch.rand(n, generator=draw) < 0.4)
    labels = torch.where(wrong, 1 - labels, labels)
    return Problem(features, ClassTargets(labels, 2), loss=LogLoss()), sources, labels


@cache
def learned(kind, n_sources, n_bad=0):
    """Weights and intervals of the sources, in several draws with sources of 50 to 300 rows."""
    weights, intervals = [], []
    for seed in range(N_DRAWS):
        draw = torch.Generator().manual_seed(seed)
        sizes = torch.randint(50, 301, (n_sources,), generator=draw).tolist()
        problem, sources, labels = made_data(kind, sizes, n_bad, draw)
        start = torch.ones(len(sources), dtype=torch.float64)
        descent = descend_by_source(problem, start, 10.0, sources, labels=labels)
        first_rows = torch.tensor([0, *sizes[:-1]]).cumsum(0)
        weights.append(descent.relative_weight[first_rows])
        intervals.append(descent.source_interval)
    return torch.stack(weights), torch.stack(intervals)


@pytest.mark.parametrize("kind", ["classes", "numbers"])
@pytest.mark.parametrize("n_sources", [2, 5, 12])
def test_sources_that_are_alike_differ_by_less_than_a_factor_of_1_5(kind, n_sources):
    weights, _ = learned(kind, n_sources)
    ratios = weights.max(dim=1).values / weights.min(dim=1).values
    assert ratios.median() < 1.1
    assert (ratios < 1.5).double().mean() > 0.9


@pytest.mark.parametrize("kind", ["classes", "numbers"])
def test_their_intervals_contain_one(kind):
    _, interval = learned(kind, 12)
    contained = (interval[..., 0] <= 1) & (interval[..., 1] >= 1)
    assert contained.double().mean() > 0.92
    # The intervals have a size: sources would differ by chance.
    assert (interval[..., 1] > 1.05 * interval[..., 0]).double().mean() > 0.95


@pytest.mark.parametrize(("kind", "largest"), [("classes", 0.8), ("numbers", 0.3)])
@pytest.mark.parametrize(("n_sources", "n_bad"), [(2, 1), (5, 1), (12, 1), (12, 3)])
def test_bad_sources_get_less_weight_than_any_other(kind, largest, n_sources, n_bad):
    weights, interval = learned(kind, n_sources, n_bad)
    bad, good = weights[:, :n_bad], weights[:, n_bad:]
    assert (bad < good.min(dim=1, keepdim=True).values).double().mean() > 0.9
    assert (bad / good.median(dim=1, keepdim=True).values).median() < largest
    assert (interval[:, :n_bad, 1] < 1).double().mean() > 0.8
