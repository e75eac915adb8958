"""Greedy extension: derivatives, order of choice, stopping, and pools that are any row source."""

import pytest
import torch

from skdiva.loo import Problem, SquaredError, ValueTargets, extend
from skdiva.loo._brute_force import refit
from tests.cases import Case
from tests.loo.pool.extended_cases import (
    CASES,
    core_of,
    differences,
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


def example(name, n_pool=N_POOL):
    return core_of(CASES[name]), other_rows(CASES[name], n_pool)


@pytest.mark.parametrize("name", CASES)
def test_derivatives_are_differences_of_refits(name):
    core, pool = example(name)
    answer = extend(problem_of(core), core.alpha, pool_of(pool), step=2, n_samples=4)
    assert_close(answer.start_derivative, differences(core, pool), 1e-8)
    after = grown(core, pool, answer.chosen)
    assert_close(answer.derivative, differences(after, pool), 1e-8)
    assert answer.loss_path[0] == pytest.approx(loo_loss(core), rel=1e-9)
    assert answer.loss_path[-1] == pytest.approx(loo_loss(after), rel=1e-9)


@pytest.mark.parametrize("name", ["squared error", "classes", "wide", "groups", "no intercept"])
def test_derivatives_of_a_validation_loss(name):
    core, pool = example(name)
    validation = other_rows(CASES[name], 25, seed=5)
    problem = problem_of(core, validation=pool_of(validation))
    answer = extend(problem, core.alpha, pool_of(pool), n_samples=3)
    loss = validation_loss(validation)
    assert_close(answer.start_derivative, differences(core, pool, loss), 1e-8)
    after = grown(core, pool, answer.chosen)
    assert_close(answer.derivative, differences(after, pool, loss), 1e-8)
    assert answer.loss_path[-1] == pytest.approx(loss(after), rel=1e-9)


def slow_choice(core, pool, step):
    """Make the same choice with refits only."""
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
    answer = extend(problem_of(core), core.alpha, pool_of(pool), step=step)
    expected = slow_choice(core, pool, step)
    assert answer.chosen.tolist() == expected
    assert len(expected) > 0
    assert sum(answer.n_added) == len(expected)
    assert len(answer.loss_path) == len(answer.n_added) + 1


def test_it_stops_when_nothing_helps():
    core, pool = example("squared error", 40)
    pool.values[::2] += 20
    pool.values[1::4] -= 20
    answer = extend(problem_of(core), core.alpha, pool_of(pool))
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
        problem_of(core),
        core.alpha,
        pool_of(pool),
        step=step,
        n_samples=n_samples,
        on_batch=lambda *reported: seen.append(reported),
    )
    assert answer.n_added == batches
    assert [loss for _, loss in seen] == answer.loss_path
    assert [n for n, _ in seen] == [sum(batches[:i]) for i in range(len(batches) + 1)]


def test_equal_rows_are_chosen_by_index():
    core, pool = example("squared error", 12)
    best = int(extend(problem_of(core), core.alpha, pool_of(pool), n_samples=1).chosen)
    rows = torch.full((40,), best)
    rows[0] = best - 1
    twins = pool._replace(features=pool.features[rows], values=pool.values[rows])
    for size in (3, 7, 40):
        answer = extend(problem_of(core, size), core.alpha, pool_of(twins), step=3, n_samples=3)
        assert answer.chosen.tolist() == [1, 2, 3]


@pytest.mark.parametrize("name", ["squared error", "classes", "initial outputs"])
def test_blocks_do_not_change_the_answer(name):
    core, pool = example(name, 30)
    whole = extend(problem_of(core, 30), core.alpha, pool_of(pool), step=4, n_samples=12)
    for size in (1, 7):
        parts = extend(problem_of(core, size), core.alpha, pool_of(pool), step=4, n_samples=12)
        assert parts.chosen.tolist() == whole.chosen.tolist()
        assert_close(parts.start_derivative, whole.start_derivative, 1e-12)
        assert_close(parts.derivative, whole.derivative, 1e-12)
        assert parts.loss_path == pytest.approx(whole.loss_path, rel=1e-12)


@pytest.mark.parametrize("include_pool", [False, True])
@pytest.mark.parametrize("name", ["squared error", "classes", "initial outputs"])
def test_the_pool_may_be_any_row_source(name, include_pool):
    core, pool = example(name, 30)
    how = {"step": 4, "n_samples": 12, "include_pool": include_pool}
    whole = extend(problem_of(core, 30), core.alpha, pool_of(pool), **how)
    made, source = made_pool_of(pool)
    parts = extend(problem_of(core, 7), core.alpha, made, **how)
    assert parts.chosen.tolist() == whole.chosen.tolist()
    assert_close(parts.derivative, whole.derivative, 1e-12)
    # Five blocks for every derivative, twice if the pool is in the loss, and the rows of a batch.
    blocks = [rows for rows in source.read_rows if isinstance(rows, slice)]
    batches = [rows for rows in source.read_rows if not isinstance(rows, slice)]
    assert len(blocks) == (len(parts.n_added) + 1) * 5 * (1 + include_pool)
    assert [len(rows) for rows in batches] == parts.n_added
    assert torch.equal(torch.cat(batches), parts.chosen)


def test_an_empty_pool():
    core, pool = example("squared error")
    empty = pool.features[:0], pool.targets().select(slice(0, 0))
    for include_pool in (False, True):
        answer = extend(problem_of(core), core.alpha, empty, include_pool=include_pool)
        assert answer.chosen.shape == answer.derivative.shape == (0,)
        assert answer.loss_path == pytest.approx([loo_loss(core)], rel=1e-9)
        assert answer.n_added == []


def test_a_pool_with_targets_of_other_rows():
    core, pool = example("squared error")
    with pytest.raises(ValueError, match="rows of the pool"):
        extend(problem_of(core), core.alpha, (pool.features[1:], pool.targets()))


def test_start_form_and_model_score_other_rows():
    core, pool = example("classes")
    answer = extend(problem_of(core), core.alpha, pool_of(pool))
    model = refit(core.features, core.ridge_values, core.sample_weight, core.alpha)
    residuals = model.predict(pool.features) - pool.ridge_values
    assert_close(pool.features @ answer.coef + answer.intercept - pool.values, residuals, 1e-9)
    derivative = answer.start_form.derivative(pool.features, residuals)
    assert_close(derivative, answer.start_derivative, 1e-9)


def test_one_far_row_does_not_hide_the_others():
    core, pool = example("squared error", 20)
    plain = extend(problem_of(core), core.alpha, pool_of(pool), n_samples=3)
    worst = int(pool.values.norm(dim=1).argmax())
    pool.values[worst] *= -1e12
    answer = extend(problem_of(core), core.alpha, pool_of(pool), n_samples=3)
    assert answer.start_derivative[worst].abs() > 1e9
    assert len(answer.chosen) == len(plain.chosen)


@pytest.mark.parametrize("name", ["squared error", "classes", "groups", "wide"])
def test_float32(name, device):
    where = {"dtype": torch.float32, "device": device}
    core, pool = core_of(CASES[name], **where), other_rows(CASES[name], 30, **where)
    answer = extend(problem_of(core), core.alpha, pool_of(pool), step=3, n_samples=9)
    assert answer.chosen.device.type == torch.device(device).type
    double = core.double()
    exact = extend(problem_of(double), core.alpha, pool_of(pool.double()), step=3, n_samples=9)
    assert answer.chosen.tolist() == exact.chosen.tolist()
    assert_close(answer.derivative, exact.derivative, 1e-3)


def test_float64_where_float32_falls_short():
    case = Case(40, 6, 2, relative_alpha=1e-8)
    core, pool = core_of(case, dtype=torch.float32), other_rows(case, 10, dtype=torch.float32)
    core.features[:, 5] = core.features[:, 4] * (1 + 1e-5)
    exact = extend(problem_of(core.double()), core.alpha, pool_of(pool.double()), n_samples=2)
    answer = extend(problem_of(core), core.alpha, pool_of(pool), n_samples=2)
    assert answer.chosen.tolist() == exact.chosen.tolist()
    assert_close(answer.start_derivative, exact.start_derivative, 1e-3)


def test_an_alpha_that_is_too_small():
    features = torch.randn(20, 3, generator=torch.manual_seed(0)).double()
    features[:, 2] = features[:, 1]
    targets = ValueTargets(features[:, :1])
    problem = Problem(features, targets, loss=SquaredError())
    with pytest.raises(ValueError, match="too small for these features"):
        extend(problem, 1e-300, (features, targets))


def test_a_core_of_one_group():
    problem = Problem(
        torch.eye(3), ValueTargets(torch.eye(3)), loss=SquaredError(), groups=torch.zeros(3).long()
    )
    with pytest.raises(ValueError, match="at least two rows"):
        extend(problem, 1.0, (torch.empty(0, 3), ValueTargets(torch.empty(0, 3))))
