"""Greedy extension: derivatives, order of choice, when it stops, pools that stream."""

import pytest
import torch

from skdiva.loo import Problem, SquaredError, ValueTargets, extend
from skdiva.loo._brute_force import refit
from tests.cases import Case
from tests.loo.pool.extended_cases import (
    CASES,
    blocks_of,
    core_of,
    differences,
    grown,
    other_rows,
    validation_loss,
)
from tests.oracles import loo_loss
from tests.tolerances import assert_close

N_POOL = 9


def example(name, n_pool=N_POOL):
    return core_of(CASES[name]), other_rows(CASES[name], n_pool)


@pytest.mark.parametrize("name", CASES)
def test_derivatives_are_differences_of_refits(name):
    core, pool = example(name)
    answer = extend(core.problem(), core.alpha, blocks_of(pool), step=2, n_samples=4)
    assert_close(answer.start_derivative, differences(core, pool), 1e-8)
    after = grown(core, pool, answer.chosen)
    assert_close(answer.derivative, differences(after, pool), 1e-8)
    assert answer.loss_path[0] == pytest.approx(loo_loss(core), rel=1e-9)
    assert answer.loss_path[-1] == pytest.approx(loo_loss(after), rel=1e-9)


@pytest.mark.parametrize("name", ["squared error", "classes", "wide", "groups", "no intercept"])
def test_derivatives_of_a_validation_loss(name):
    core, pool = example(name)
    judges = other_rows(CASES[name], 25, seed=5)
    problem = core.problem(validation=(judges.features, judges.targets()))
    answer = extend(problem, core.alpha, blocks_of(pool), n_samples=3)
    loss = validation_loss(judges)
    assert_close(answer.start_derivative, differences(core, pool, loss), 1e-8)
    after = grown(core, pool, answer.chosen)
    assert_close(answer.derivative, differences(after, pool, loss), 1e-8)
    assert answer.loss_path[-1] == pytest.approx(loss(after), rel=1e-9)


def slow_choice(core, pool, step):
    """The same choice with refits only."""
    chosen = []
    while True:
        derivative = differences(grown(core, pool, chosen), pool)
        left = [i for i in range(len(derivative)) if i not in chosen and derivative[i] < -1e-12]
        if not left:
            return chosen
        chosen += sorted(left, key=lambda i: float(derivative[i]))[:step]


@pytest.mark.parametrize("step", [1, 3])
@pytest.mark.parametrize("name", ["squared error", "classes", "groups", "no intercept"])
def test_choice_is_that_of_refits(name, step):
    core, pool = example(name)
    answer = extend(core.problem(), core.alpha, blocks_of(pool), step=step)
    expected = slow_choice(core, pool, step)
    assert answer.chosen.tolist() == expected
    assert len(expected) > 0
    assert sum(answer.n_added) == len(expected)
    assert len(answer.loss_path) == len(answer.n_added) + 1


def test_it_stops_when_nothing_helps():
    core, pool = example("squared error", 40)
    pool.values[::2] += 20
    pool.values[1::4] -= 20
    answer = extend(core.problem(), core.alpha, blocks_of(pool))
    left = torch.ones(40, dtype=bool)
    left[answer.chosen] = False
    assert left.any()
    assert (answer.derivative[left] >= 0).all()


@pytest.mark.parametrize(
    ("n_samples", "step", "batches"),
    [(5, 2, [2, 2, 1]), (3, 3, [3]), (0, 1, []), (9, 0.2, [4, 4, 1]), (12, 0.3, [6, 6])],
)
def test_no_more_rows_than_asked_for(n_samples, step, batches):
    core, pool = example("squared error", 60)
    seen = []
    answer = extend(
        core.problem(),
        core.alpha,
        blocks_of(pool),
        step=step,
        n_samples=n_samples,
        on_batch=lambda *what: seen.append(what),
    )
    assert answer.n_added == batches
    assert [loss for _, loss in seen] == answer.loss_path
    assert [n for n, _ in seen] == [sum(batches[:i]) for i in range(len(batches) + 1)]


def test_equal_rows_come_by_index():
    core, pool = example("squared error", 12)
    best = int(extend(core.problem(), core.alpha, blocks_of(pool), n_samples=1).chosen)
    rows = torch.full((40,), best)
    rows[0] = best - 1
    twins = pool._replace(features=pool.features[rows], values=pool.values[rows])
    for size in (3, 7, 40):
        answer = extend(core.problem(), core.alpha, blocks_of(twins, size), step=3, n_samples=3)
        assert answer.chosen.tolist() == [1, 2, 3]


class Lazy:
    """Blocks made when asked for."""

    def __init__(self, blocks):
        self.blocks, self.made = blocks, []

    def __len__(self):
        return len(self.blocks)

    def __getitem__(self, number):
        block = self.blocks[number]
        self.made.append(number)
        return block


@pytest.mark.parametrize("name", ["squared error", "classes", "initial outputs"])
def test_blocks_do_not_change_the_answer(name):
    core, pool = example(name, 30)
    whole = extend(core.problem(), core.alpha, blocks_of(pool, 30), step=4, n_samples=12)
    lazy = Lazy(blocks_of(pool, 7))
    parts = extend(core.problem(), core.alpha, lazy, step=4, n_samples=12)
    assert parts.chosen.tolist() == whole.chosen.tolist()
    assert_close(parts.derivative, whole.derivative, 1e-12)
    n_batches = len(parts.n_added)
    assert len(lazy.made) <= (n_batches + 1) * 5 + n_batches * 4


def test_start_form_and_model_score_other_rows():
    core, pool = example("classes")
    answer = extend(core.problem(), core.alpha, blocks_of(pool))
    model = refit(core.features, core.ridge_values, core.sample_weight, core.alpha)
    residuals = model.predict(pool.features) - pool.ridge_values
    assert_close(pool.features @ answer.coef + answer.intercept - pool.values, residuals, 1e-9)
    derivative = answer.start_form.derivative(pool.features, residuals)
    assert_close(derivative, answer.start_derivative, 1e-9)


def test_one_far_row_does_not_hide_the_others():
    core, pool = example("squared error", 20)
    plain = extend(core.problem(), core.alpha, blocks_of(pool), n_samples=3)
    worst = int(pool.values.norm(dim=1).argmax())
    pool.values[worst] *= -1e12
    answer = extend(core.problem(), core.alpha, blocks_of(pool), n_samples=3)
    assert answer.start_derivative[worst].abs() > 1e9
    assert len(answer.chosen) == len(plain.chosen)


@pytest.mark.parametrize("name", ["squared error", "classes", "groups", "wide"])
def test_float32(name, device):
    where = {"dtype": torch.float32, "device": device}
    core, pool = core_of(CASES[name], **where), other_rows(CASES[name], 30, **where)
    answer = extend(core.problem(), core.alpha, blocks_of(pool), step=3, n_samples=9)
    assert answer.chosen.device.type == torch.device(device).type
    double = core.double()
    exact = extend(double.problem(), core.alpha, blocks_of(pool.double()), step=3, n_samples=9)
    assert answer.chosen.tolist() == exact.chosen.tolist()
    assert_close(answer.derivative, exact.derivative, 1e-3)


def test_float64_where_float32_falls_short():
    case = Case(40, 6, 2, relative_alpha=1e-8)
    core, pool = core_of(case, dtype=torch.float32), other_rows(case, 10, dtype=torch.float32)
    core.features[:, 5] = core.features[:, 4] * (1 + 1e-5)
    exact = extend(core.double().problem(), core.alpha, blocks_of(pool.double()), n_samples=2)
    answer = extend(core.problem(), core.alpha, blocks_of(pool), n_samples=2)
    assert answer.chosen.tolist() == exact.chosen.tolist()
    assert_close(answer.start_derivative, exact.start_derivative, 1e-3)


def test_an_alpha_that_is_too_small():
    features = torch.randn(20, 3, generator=torch.manual_seed(0)).double()
    features[:, 2] = features[:, 1]
    targets = ValueTargets(features[:, :1])
    problem = Problem(features, targets, loss=SquaredError())
    with pytest.raises(ValueError, match="too small for these features"):
        extend(problem, 1e-300, [(features, targets)])


def test_a_core_of_one_group():
    problem = Problem(
        torch.eye(3), ValueTargets(torch.eye(3)), loss=SquaredError(), groups=torch.zeros(3).long()
    )
    with pytest.raises(ValueError, match="at least two rows"):
        extend(problem, 1.0, [])
