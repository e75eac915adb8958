"""A pool that judges: answers are those of refits, and of one problem with all rows."""

import pytest
import torch

from skdiva.loo import evaluate, extend
from tests.loo.pool.extended_cases import (
    _FORWARD,
    _STEP,
    CASES,
    blocks_of,
    core_of,
    everything,
    other_rows,
)
from tests.oracles import loo_loss
from tests.tolerances import assert_close

N_POOL = 7


def differences(data, first):
    """Derivative of the leave-one-out loss by the weights of the rows from ``first``, by refits."""
    derivative = []
    for row in range(first, len(data.features)):
        losses = []
        for i in range(len(_FORWARD)):
            weight = data.sample_weight.clone()
            weight[row] += _STEP * i
            losses.append(loo_loss(data._replace(sample_weight=weight)))
        derivative.append(sum(c * x for c, x in zip(_FORWARD, losses, strict=True)) / _STEP)
    return torch.tensor(derivative, dtype=torch.float64)


def example(name, n_pool=N_POOL, **where):
    return core_of(CASES[name], **where), other_rows(CASES[name], n_pool, **where)


@pytest.mark.parametrize("name", ["squared error", "classes", "initial outputs", "wide", "groups"])
def test_derivatives_are_differences_of_refits(name):
    core, pool = example(name)
    how = {"pool_judges": True, "step": 2, "n_samples": 4}
    answer = extend(core.problem(), core.alpha, blocks_of(pool), **how)
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
    how = {"pool_judges": True, "step": 3, "n_samples": 15}
    answer = extend(core.problem(), core.alpha, blocks_of(pool, 7), **how)
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
    answer = extend(core.problem(), core.alpha, blocks_of(pool), pool_judges=True, step=step)
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


def test_validation_rows_judge_alone():
    core, pool = example("classes")
    judges = other_rows(CASES["classes"], 25, seed=5)
    problem = core.problem(validation=(judges.features, judges.targets()))
    answers = [
        extend(problem, core.alpha, blocks_of(pool), pool_judges=judged, n_samples=3)
        for judged in (True, False)
    ]
    assert answers[0].loss_path == answers[1].loss_path
    assert_close(answers[0].start_derivative, answers[1].start_derivative, 0)


def test_float32(device):
    core, pool = example("classes", 30, dtype=torch.float32, device=device)
    how = {"pool_judges": True, "step": 3, "n_samples": 9}
    answer = extend(core.problem(), core.alpha, blocks_of(pool), **how)
    exact = extend(core.double().problem(), core.alpha, blocks_of(pool.double()), **how)
    assert answer.chosen.tolist() == exact.chosen.tolist()
    assert_close(answer.derivative, exact.derivative, 1e-3)
