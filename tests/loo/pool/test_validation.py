"""Loss that includes the pool: answers of refits, and of one problem with all rows."""

import pytest
import torch

from skdiva.loo import FittedRidge, evaluate, extend
from skdiva.loo.pool import UpdatedSmoother
from skdiva.loo.pool._blocks import PoolBlocks
from skdiva.loo.pool._validation import pool_loss, pool_objective
from skdiva.loo.ridge import PrimalSmoother
from tests.loo.pool.extended_cases import (
    CASES,
    core_of,
    everything,
    other_rows,
    pool_of,
    problem_of,
    slope_at_zero,
)
from tests.oracles import loo_loss, loo_predictions
from tests.tolerances import assert_close

N_POOL = 7


def differences(data, first):
    """Derivative of the leave-one-out loss by the weights of the rows from ``first``, by refits."""

    def loss(row, weight):
        return loo_loss(data, data.sample_weight.index_fill(0, torch.tensor(row), weight))

    derivative = [
        slope_at_zero(lambda more, row=row: loss(row, float(data.sample_weight[row]) + more))
        for row in range(first, len(data.features))
    ]
    return torch.tensor(derivative, dtype=torch.float64)


def example(name, n_pool=N_POOL, **where):
    return core_of(CASES[name], **where), other_rows(CASES[name], n_pool, **where)


@pytest.mark.parametrize("name", ["squared error", "classes", "initial outputs", "wide", "groups"])
def test_derivatives_are_differences_of_refits(name):
    core, pool = example(name)
    how = {"include_pool": True, "step": 2, "n_samples": 4}
    answer = extend(problem_of(core), core.alpha, pool_of(pool), **how)
    n_core = len(core.features)
    start = everything(core, pool, [])
    assert_close(answer.start_derivative, differences(start, n_core), 1e-8)
    assert answer.loss_path[0] == pytest.approx(loo_loss(start), rel=1e-9)
    after = everything(core, pool, answer.chosen)
    assert len(answer.chosen) > 0
    assert_close(answer.derivative, differences(after, n_core), 1e-8)
    assert answer.loss_path[-1] == pytest.approx(loo_loss(after), rel=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_it_is_one_problem_with_weights_of_zero_and_one(name):
    core, pool = example(name, 30)
    how = {"include_pool": True, "step": 3, "n_samples": 15}
    answer = extend(problem_of(core, 7), core.alpha, pool_of(pool), **how)
    for chosen, derivative, loss in (
        ([], answer.start_derivative, answer.loss_path[0]),
        (answer.chosen, answer.derivative, answer.loss_path[-1]),
    ):
        data = everything(core, pool, chosen)
        expected = evaluate(data.problem(), data.sample_weight, core.alpha)
        assert_close(derivative, expected.derivative[len(core.features) :], 1e-9)
        assert loss == pytest.approx(expected.loss, rel=1e-9)


@pytest.mark.parametrize("step", [1, 3])
@pytest.mark.parametrize("name", ["squared error", "classes", "groups"])
def test_choice_is_that_of_fresh_evaluations(name, step):
    core, pool = example(name, 20)
    answer = extend(problem_of(core), core.alpha, pool_of(pool), include_pool=True, step=step)
    chosen = []
    while True:
        data = everything(core, pool, chosen)
        found = evaluate(data.problem(), data.sample_weight, core.alpha).derivative
        found = found[len(core.features) :]
        left = [i for i in range(20) if i not in chosen and found[i] < -1e-12]
        if not left:
            break
        chosen += sorted(left, key=lambda i: float(found[i]))[:step]
    assert answer.chosen.tolist() == chosen
    assert len(chosen) > step


def test_a_validation_set_replaces_other_losses():
    core, pool = example("classes")
    validation = other_rows(CASES["classes"], 25, seed=5)
    problem = problem_of(core, validation=pool_of(validation))
    answers = [
        extend(problem, core.alpha, pool_of(pool), include_pool=include_pool, n_samples=3)
        for include_pool in (True, False)
    ]
    assert answers[0].loss_path == answers[1].loss_path
    assert_close(answers[0].start_derivative, answers[1].start_derivative, 0)


@pytest.mark.parametrize("name", ["squared error", "classes", "initial outputs", "groups"])
def test_the_loss_of_a_pool_is_that_of_its_objective(name):
    core, pool = example(name, 30)
    problem = problem_of(core, 7)
    fit = PrimalSmoother(
        problem.row_blocks(torch.float64), core.sample_weight, core.alpha, problem.fit_intercept
    )
    smoother = UpdatedSmoother(fit, problem.targets)
    blocks = PoolBlocks(*pool_of(pool), problem.budget)
    added = torch.zeros(30, dtype=torch.bool)
    for batch in (torch.tensor([3, 20, 8]), torch.tensor([7])):
        form = FittedRidge.from_smoother(problem, smoother, core.alpha).new_row_form()
        objective = pool_objective(blocks, core.loss, smoother, form, added)
        found = pool_loss(blocks, core.loss, smoother, added)
        assert found == pytest.approx(objective.loss, rel=1e-12)
        data = everything(core, pool, torch.nonzero(added)[:, 0])
        losses = core.loss.value(loo_predictions(data), data.values)
        assert found == pytest.approx(float(losses[len(core.features) :].sum()), rel=1e-9)
        smoother.add(*blocks.select(batch))
        added[batch] = True


def test_float32(device):
    core, pool = example("classes", 30, dtype=torch.float32, device=device)
    how = {"include_pool": True, "step": 3, "n_samples": 9}
    answer = extend(problem_of(core), core.alpha, pool_of(pool), **how)
    exact = extend(problem_of(core.double()), core.alpha, pool_of(pool.double()), **how)
    assert answer.chosen.tolist() == exact.chosen.tolist()
    assert_close(answer.derivative, exact.derivative, 1e-3)
