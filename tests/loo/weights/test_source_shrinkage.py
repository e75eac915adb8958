"""Standard errors, shrinkage and intervals of weights of sources, on simulated contributions."""

import numpy as np
import pytest
import torch

from skdiva.loo import Problem, SquaredError, ValueTargets
from skdiva.loo.weights._source_shrinkage import SourceNoise, shrink
from skdiva.loo.weights._sources import noise_prior
from tests.cases import Case
from tests.tolerances import assert_close

SIZES = [50, 300, 120, 80, 200, 60]


def simulated(sizes, means=0.0, seed=0):
    """Sources, contributions with these means and unit variance, and log weights."""
    sources = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    draw = torch.Generator().manual_seed(seed)
    rows = torch.randn(len(sources), generator=draw, dtype=torch.float64)
    rows += torch.as_tensor(means, dtype=torch.float64).expand(len(sizes))[sources]
    return sources, rows


def noise_of(sources, sample_weight=None, groups=None):
    n = len(sources)
    targets = ValueTargets(torch.zeros(n, 1, dtype=torch.float64))
    features = torch.ones(n, 1, dtype=torch.float64)
    problem = Problem(features, targets, loss=SquaredError(), groups=groups)
    weight = torch.ones(n, dtype=torch.float64) if sample_weight is None else sample_weight
    return SourceNoise(problem, weight, sources)


def shrunk(sizes, means=0.0, seed=0):
    """Deviations of the log weights from the median before and after shrinkage, and intervals."""
    sources, rows = simulated(sizes, means, seed)
    noise = noise_of(sources)
    log_weight = noise.means.mean(rows)
    result = shrink(noise, log_weight, rows, torch.zeros_like(rows))
    middle = result.log_weight.median()
    return log_weight - middle, result.log_weight - middle, result.interval - middle


def test_the_variance_is_that_of_a_mean_in_many_draws():
    sources, _ = simulated(SIZES)
    noise = noise_of(sources)
    means, variances = [], []
    for seed in range(400):
        _, rows = simulated(SIZES, seed=seed)
        means.append(noise.means.mean(rows))
        variances.append(noise.variances(rows))
    found, expected = torch.stack(variances).mean(dim=0), torch.stack(means).var(dim=0)
    assert_close(found / expected, torch.ones(6).double(), 0.25)  # 400 draws: 3.5 standard errors
    assert_close(found * torch.tensor(SIZES), torch.ones(6).double(), 0.05)


def test_weighted_rows_have_the_variance_of_a_weighted_mean():
    sources, _ = simulated([200, 300])
    weight = torch.linspace(0.1, 4, 500, dtype=torch.float64)
    noise = noise_of(sources, weight)
    found = torch.stack(
        [noise.variances(simulated([200, 300], seed=seed)[1]) for seed in range(100)]
    )
    parts = weight.split([200, 300])
    expected = torch.stack([part.square().sum() / part.sum().square() for part in parts])
    assert_close(found.mean(dim=0) / expected, torch.ones(2).double(), 0.05)


def test_repeated_rows_of_a_group_count_once():
    """Four equal rows per group contain as much information as one of them."""
    sources, rows = simulated([100, 100])
    one = noise_of(sources).variances(rows)
    groups = torch.arange(200).repeat(4)
    four = noise_of(sources.repeat(4), groups=groups).variances(rows.repeat(4))
    assert_close(four, one, 1e-9)
    assert (noise_of(sources.repeat(4)).variances(rows.repeat(4)) < 0.3 * one).all()


def test_the_variance_of_the_prior_of_numbers_is_that_of_a_bootstrap():
    data = Case(400, 4, 1, relative_alpha=0.1).data()
    sources = torch.arange(400) % 3
    squares = np.random.RandomState(0).standard_normal((400, 1)) ** 2
    start = Evaluated(torch.from_numpy(np.sqrt(squares)))
    weight = torch.ones(400, dtype=torch.float64)
    variances = SourceNoise(data.problem(), weight, sources).variances(
        noise_prior(start, weight, sources)
    )
    random = np.random.RandomState(1)
    for source in range(3):
        own = squares[sources.numpy() == source, 0]
        logs = [-np.log(random.choice(own, len(own)).mean()) for _ in range(2000)]
        assert float(variances[source]) == pytest.approx(np.var(logs), rel=0.2)


class Evaluated:
    """The part of an Evaluation that the prior of numbers depends on."""

    def __init__(self, loo_residuals):
        self.loo_residuals = loo_residuals


@pytest.mark.parametrize(("n_sources", "share"), [(2, 0.95), (6, 0.974), (40, 0.997)])
def test_intervals_contain_the_common_weight_of_sources_that_are_alike(n_sources, share):
    """c is 1.96, which 95 % of normal draws do not exceed, 2.23 and 2.96."""
    sizes = (SIZES * 7)[:n_sources]
    contained = []
    for seed in range(2000 // n_sources):
        _, log_weight, interval = shrunk(sizes, seed=seed)
        common = log_weight.mode().values if n_sources > 2 else log_weight.mean()
        contained.append(((interval[:, 0] <= common) & (common <= interval[:, 1])).double().mean())
    assert float(torch.stack(contained).mean()) == pytest.approx(share, abs=0.015)


@pytest.mark.parametrize("seed", range(5))
def test_sources_that_are_alike_get_the_same_weight(seed):
    before, after, _ = shrunk(SIZES * 2, seed=seed)
    assert before.max() - before.min() > 0.2
    assert after.max() - after.min() < 0.1


@pytest.mark.parametrize("bad", [[1], [0, 3], [0, 3, 5], [0, 2, 4, 5]])
def test_bad_sources_keep_their_weight_and_do_not_move_the_others(bad):
    """Even most of the sources, as long as they have less than half of the rows."""
    means = torch.zeros(6)
    means[bad] = -3.0
    sizes = SIZES if len(bad) < 4 else [50, 300, 60, 290, 70, 60]
    before, after, interval = shrunk(sizes, means)
    good = torch.ones(6, dtype=torch.bool)
    good[bad] = False
    assert after[good].max() - after[good].min() < 0.1
    assert ((after - before)[bad].abs() < 0.2).all()
    assert (interval[bad, 1] < after[good].min()).all()


def test_intervals_contain_the_weights():
    for seed in range(20):
        means = torch.linspace(-0.5, 0.5, 6)
        _, after, interval = shrunk(SIZES, means, seed)
        assert (interval[:, 0] <= after + 1e-12).all()
        assert (after <= interval[:, 1] + 1e-12).all()


def test_sources_of_single_rows_differ_if_they_are_outliers():
    """No source has a variance of its own, and they are compared with all of them."""
    sources, rows = simulated([1] * 60)
    rows[7] = -12.0
    noise = noise_of(sources)
    after = shrink(noise, noise.means.mean(rows), rows, torch.zeros_like(rows)).log_weight
    others = torch.arange(60) != 7
    assert after[others].max() - after[others].min() < 0.5
    assert after[7] < after[others].min() - 5


def test_a_significant_prior_reduces_the_shrinkage():
    sources, rows = simulated([100] * 4, [-0.15, 0.0, 0.0, 0.0])
    noise = noise_of(sources)
    log_weight = torch.tensor([-0.15, 0.0, 0.0, 0.0]).double()
    known = torch.tensor([-1.0, 0.0, 0.0, 0.0]).double()[sources] + 0.1 * rows
    alone = shrink(noise, log_weight, rows, torch.zeros_like(rows)).log_weight
    assert alone.max() - alone.min() < 1e-9
    agreed, opposed = (shrink(noise, log_weight, rows, x).log_weight for x in (known, -known))
    assert agreed[1] - agreed[0] > 0.14
    assert_close(opposed, alone, 1e-9)


def test_a_source_without_weight_changes_nothing():
    sources, rows = simulated([100, 100, 50])
    rows[sources == 1] += 3.0
    weight = (sources < 2).double()
    noise = noise_of(sources, weight)
    result = shrink(noise, noise.means.mean(rows), rows, torch.zeros_like(rows))
    without = noise_of(sources[:200])
    expected = shrink(without, without.means.mean(rows[:200]), rows[:200], 0 * rows[:200])
    assert_close(result.log_weight[:2], expected.log_weight, 1e-9)
    assert torch.isfinite(result.interval).all()
