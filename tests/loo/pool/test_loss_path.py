"""Losses while rows are added in a given order, against refits, `evaluate` and `extend`."""

import pytest
import torch

from skdiva.loo import Problem, SquaredError, ValueTargets, evaluate, extend
from skdiva.loo.pool import loss_path
from tests.cases import Case
from tests.loo.pool.extended_cases import (
    CASES,
    core_of,
    everything,
    grown,
    made_pool_of,
    other_rows,
    pool_of,
    problem_of,
    validation_loss,
)
from tests.oracles import loo_loss
from tests.tolerances import assert_close

N_POOL = 9
# Not all rows of the pool, and not by index; one batch is from several blocks.
BATCHES = [torch.tensor(rows) for rows in ([5, 0, 8], [2], [7, 3])]
ADDED = [torch.cat([torch.empty(0, dtype=torch.long), *BATCHES[:i]]) for i in range(4)]
GROW = {"core": grown, "core and pool": everything}  # rows on which the loss is averaged
in_loss = pytest.mark.parametrize("rows", GROW)


def example(name, n_pool=N_POOL, **where):
    case = CASES[name] if isinstance(name, str) else name
    return core_of(case, **where), other_rows(case, n_pool, **where)


def path(core, pool, rows, batches=BATCHES, size=4):
    include_pool = rows == "core and pool"
    problem = problem_of(core, size)
    return loss_path(problem, core.alpha, pool_of(pool), batches, include_pool=include_pool)


@in_loss
@pytest.mark.parametrize("name", CASES)
def test_losses_are_those_of_refits(name, rows):
    core, pool = example(name)
    expected = [loo_loss(GROW[rows](core, pool, added)) for added in ADDED]
    assert_close(path(core, pool, rows), expected, 1e-9)


@in_loss
@pytest.mark.parametrize("name", CASES)
def test_losses_are_those_of_fresh_evaluations(name, rows):
    core, pool = example(name, 30)
    batches = torch.randperm(30, generator=torch.manual_seed(0)).split([1, 20, 9])
    for n_batches, found in enumerate(path(core, pool, rows, batches, 7)):
        data = GROW[rows](core, pool, torch.cat([batches[0][:0], *batches[:n_batches]]))
        expected = evaluate(data.problem(), data.sample_weight, core.alpha).loss
        assert found == pytest.approx(expected, rel=1e-9)


@in_loss
@pytest.mark.parametrize("name", CASES)
def test_the_path_of_an_extension(name, rows):
    core, pool = example(name, 30)
    how = {"include_pool": rows == "core and pool", "step": 4, "n_samples": 14}
    answer = extend(problem_of(core), core.alpha, pool_of(pool), **how)
    assert len(answer.n_added) > 1
    found = path(core, pool, rows, answer.chosen.split(answer.n_added))
    assert found == pytest.approx(answer.loss_path, rel=1e-9)


@in_loss
def test_a_validation_set_replaces_other_losses(rows):
    core, pool = example("classes")
    others = other_rows(CASES["classes"], 25, seed=5)
    problem = problem_of(core, validation=pool_of(others))
    include_pool = rows == "core and pool"
    found = loss_path(problem, core.alpha, pool_of(pool), BATCHES, include_pool=include_pool)
    loss = validation_loss(others)
    assert_close(found, [loss(grown(core, pool, added)) for added in ADDED], 1e-9)


@in_loss
def test_the_pool_may_be_any_row_source(rows):
    core, pool = example("classes")
    made, source = made_pool_of(pool)
    include_pool = rows == "core and pool"
    found = loss_path(problem_of(core), core.alpha, made, BATCHES, include_pool=include_pool)
    assert found == pytest.approx(path(core, pool, rows), rel=1e-12)
    batches = [part for part in source.read_rows if not isinstance(part, slice)]
    assert [part.tolist() for part in batches] == [part.tolist() for part in BATCHES]
    # Three blocks for every loss, and none if the loss is that of the core.
    assert len(source.read_rows) - len(batches) == len(found) * 3 * include_pool


@in_loss
def test_no_batch(rows):
    core, pool = example("classes")
    (found,) = path(core, pool, rows, [])
    assert found == pytest.approx(loo_loss(GROW[rows](core, pool, [])), rel=1e-9)


@in_loss
@pytest.mark.parametrize("name", ["squared error", "classes", "groups"])
def test_float32(name, rows, device):
    core, pool = example(name, 30, dtype=torch.float32, device=device)
    batches = [batch.to(device) for batch in BATCHES]
    exact = path(core.double(), pool.double(), rows, batches)
    assert_close(path(core, pool, rows, batches), exact, 1e-4)


@in_loss
def test_float64_where_float32_falls_short(rows):
    core, pool = example(Case(40, 6, 2, relative_alpha=1e-8), dtype=torch.float32)
    core.features[:, 5] = core.features[:, 4] * (1 + 1e-5)
    exact = path(core.double(), pool.double(), rows)
    assert_close(path(core, pool, rows), exact, 1e-6)


def test_an_added_row_of_high_leverage():
    """In float32, 1 - h has too few digits for the prediction of this row."""
    core, pool = example("squared error", dtype=torch.float32)
    pool.features[5] *= 1e3
    exact = path(core.double(), pool.double(), "core and pool")
    assert_close(path(core, pool, "core and pool"), exact, 1e-6)


def test_an_alpha_that_is_too_small():
    features = torch.randn(20, 3, generator=torch.manual_seed(0)).double()
    features[:, 2] = features[:, 1]
    targets = ValueTargets(features[:, :1])
    problem = Problem(features, targets, loss=SquaredError())
    with pytest.raises(ValueError, match="too small for these features"):
        loss_path(problem, 1e-300, (features, targets), BATCHES)


def test_a_core_of_one_group():
    problem = Problem(
        torch.eye(3), ValueTargets(torch.eye(3)), loss=SquaredError(), groups=torch.zeros(3).long()
    )
    with pytest.raises(ValueError, match="at least two rows"):
        loss_path(problem, 1.0, (torch.empty(0, 3), ValueTargets(torch.empty(0, 3))), [])
