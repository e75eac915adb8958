"""Losses of rows added in a given order: those of refits, of fresh evaluations, of `extend`."""

import pytest
import torch

from skdiva.loo import Problem, SquaredError, ValueTargets, evaluate, extend
from skdiva.loo.pool._loss_path import loss_path
from tests.cases import Case
from tests.loo.pool.extended_cases import (
    CASES,
    blocks_of,
    core_of,
    everything,
    grown,
    other_rows,
    validation_loss,
)
from tests.oracles import loo_loss
from tests.tolerances import assert_close

N_POOL = 9
# Neither all of the pool nor by index; a batch out of several blocks.
BATCHES = [torch.tensor(rows) for rows in ([5, 0, 8], [2], [7, 3])]
ADDED = [torch.cat([torch.empty(0, dtype=torch.long), *BATCHES[:i]]) for i in range(4)]
GROW = {"core": grown, "all": everything}
judges = pytest.mark.parametrize("who", GROW)


def example(name, n_pool=N_POOL, **where):
    case = CASES[name] if isinstance(name, str) else name
    return core_of(case, **where), other_rows(case, n_pool, **where)


def laid_out(pool, size=4):
    """Blocks of a pool, and where they start."""
    n_rows = len(pool.features)
    return blocks_of(pool, size), [*range(0, n_rows, size), n_rows]


def path(core, pool, who, batches=BATCHES, size=4):
    judged = {"pool_judges": who == "all"}
    return loss_path(core.problem(), core.alpha, *laid_out(pool, size), batches, **judged)


@judges
@pytest.mark.parametrize("name", CASES)
def test_losses_are_those_of_refits(name, who):
    core, pool = example(name)
    expected = [loo_loss(GROW[who](core, pool, added)) for added in ADDED]
    assert_close(path(core, pool, who), expected, 1e-9)


@judges
@pytest.mark.parametrize("name", CASES)
def test_losses_are_those_of_fresh_evaluations(name, who):
    core, pool = example(name, 30)
    batches = torch.randperm(30, generator=torch.manual_seed(0)).split([1, 20, 9])
    for n_batches, found in enumerate(path(core, pool, who, batches, 7)):
        data = GROW[who](core, pool, torch.cat([batches[0][:0], *batches[:n_batches]]))
        expected = evaluate(data.problem(), data.sample_weight, core.alpha).loss
        assert found == pytest.approx(expected, rel=1e-9)


@judges
@pytest.mark.parametrize("name", CASES)
def test_the_path_of_an_extension(name, who):
    core, pool = example(name, 30)
    how = {"pool_judges": who == "all", "step": 4, "n_samples": 14}
    answer = extend(core.problem(), core.alpha, blocks_of(pool), **how)
    assert len(answer.n_added) > 1
    found = path(core, pool, who, answer.chosen.split(answer.n_added))
    assert found == pytest.approx(answer.loss_path, rel=1e-9)


@judges
def test_validation_rows_judge_alone(who):
    core, pool = example("classes")
    others = other_rows(CASES["classes"], 25, seed=5)
    problem = core.problem(validation=(others.features, others.targets()))
    found = loss_path(problem, core.alpha, *laid_out(pool), BATCHES, pool_judges=who == "all")
    loss = validation_loss(others)
    assert_close(found, [loss(grown(core, pool, added)) for added in ADDED], 1e-9)


@judges
def test_no_batch(who):
    core, pool = example("classes")
    (found,) = path(core, pool, who, [])
    assert found == pytest.approx(loo_loss(GROW[who](core, pool, [])), rel=1e-9)


@judges
@pytest.mark.parametrize("name", ["squared error", "classes", "groups"])
def test_float32(name, who, device):
    core, pool = example(name, 30, dtype=torch.float32, device=device)
    batches = [batch.to(device) for batch in BATCHES]
    exact = path(core.double(), pool.double(), who, batches)
    assert_close(path(core, pool, who, batches), exact, 1e-4)


@judges
def test_float64_where_float32_falls_short(who):
    core, pool = example(Case(40, 6, 2, relative_alpha=1e-8), dtype=torch.float32)
    core.features[:, 5] = core.features[:, 4] * (1 + 1e-5)
    exact = path(core.double(), pool.double(), who)
    assert_close(path(core, pool, who), exact, 1e-6)


def test_an_added_row_that_decides_its_own_prediction():
    """In float32 too little of 1 - h is left for its vote."""
    core, pool = example("squared error", dtype=torch.float32)
    pool.features[5] *= 1e3
    exact = path(core.double(), pool.double(), "all")
    assert_close(path(core, pool, "all"), exact, 1e-6)


def test_an_alpha_that_is_too_small():
    features = torch.randn(20, 3, generator=torch.manual_seed(0)).double()
    features[:, 2] = features[:, 1]
    targets = ValueTargets(features[:, :1])
    problem = Problem(features, targets, loss=SquaredError())
    with pytest.raises(ValueError, match="too small for these features"):
        loss_path(problem, 1e-300, [(features, targets)], [0, 20], BATCHES)


def test_a_core_of_one_group():
    problem = Problem(
        torch.eye(3), ValueTargets(torch.eye(3)), loss=SquaredError(), groups=torch.zeros(3).long()
    )
    with pytest.raises(ValueError, match="at least two rows"):
        loss_path(problem, 1.0, [], [0], [])
