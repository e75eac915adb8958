"""Early stopping of the steps: halves of the held-out predictions, their errors, the choice."""

import pytest
import torch

from skdiva.loo import SquaredError, ValueTargets, descend, evaluate
from skdiva.loo.weights import descend_with_early_stopping
from skdiva.loo.weights._early_stopping import (
    choose_n_steps,
    evaluate_halves,
    held_out_errors,
    restricted_to,
)
from tests.cases import Case
from tests.oracles import loo_predictions
from tests.tolerances import assert_close


def numbers(n=60, gross=0, seed=0, **fields):
    """A regression case whose first ``gross`` targets are far off."""
    data = Case(n, 4, 1, seed=seed, relative_alpha=0.1, **fields).data()
    data.values[:gross] += 30
    return data


def wrong_source(n=120, seed=0):
    """Classes of five sources, one of which has wrong labels only."""
    data = Case(n, 4, 3, "log_loss", seed=seed, relative_alpha=0.1).data()
    sources = torch.arange(n) % 5
    labels = torch.where(sources == 0, (data.labels + 1) % 3, data.labels)
    values = torch.nn.functional.one_hot(labels, 3).double()
    return data._replace(labels=labels, values=values), sources


def with_validation(data, n=40, seed=7):
    """Validation rows of the same kind, and a problem with their loss."""
    case = Case(**(vars(data.case) | {"n_rows": n, "seed": seed, "grouping": None}))
    other = case.data()
    return other, data.problem(validation=(other.features, other.targets()))


@pytest.mark.parametrize("grouping", [None, "ragged"])
def test_some_of_the_training_rows(grouping):
    data = Case(30, 4, 2, grouping=grouping).data()
    problem = data.problem()
    rows = torch.arange(30) % 3 == 0  # in visiting order
    part = evaluate(restricted_to(problem, rows), data.sample_weight, data.alpha)
    errors = SquaredError().value(loo_predictions(data), data.values)
    weight = problem.layout.arrange(data.validation_weight) * rows
    expected = float(weight @ problem.layout.arrange(errors) / weight.sum())
    assert part.loss == pytest.approx(expected)
    whole = evaluate(problem, data.sample_weight, data.alpha)
    assert whole.loss != part.loss  # and the problem itself has not changed


def test_some_of_the_validation_rows():
    data = numbers()
    other, problem = with_validation(data)
    rows = torch.arange(40) % 3 == 0
    restricted = restricted_to(problem, rows)
    part = (other.features[rows], ValueTargets(other.values[rows]))
    expected = evaluate(data.problem(validation=part), data.sample_weight, data.alpha)
    actual = evaluate(restricted, data.sample_weight, data.alpha)
    assert actual.loss == expected.loss
    assert (actual.derivative == expected.derivative).all()
    assert problem.validation[1].n_rows == 40


@pytest.mark.parametrize("grouping", [None, "ragged"])
@pytest.mark.parametrize(("loss", "n_outputs"), [("log_loss", 3), ("squared_error", 2)])
def test_errors_are_those_of_refits(loss, n_outputs, grouping):
    data = Case(30, 4, n_outputs, loss, grouping=grouping, initial_outputs=True).data()
    problem = data.problem()
    predictions = loo_predictions(data)
    if loss == "log_loss":
        expected = (predictions.argmax(dim=1) != data.labels).double()
        assert 0 < expected.sum() < 30
    else:
        expected = (predictions - data.values).abs().mean(dim=1)
    errors = held_out_errors(problem, evaluate(problem, data.sample_weight, data.alpha))
    assert_close(problem.layout.restore(errors), expected, 1e-9)


@pytest.mark.parametrize("initial_outputs", [False, True])
@pytest.mark.parametrize(("loss", "n_outputs"), [("log_loss", 3), ("squared_error", 2)])
def test_errors_of_validation_rows(loss, n_outputs, initial_outputs):
    data = Case(30, 4, n_outputs, loss, initial_outputs=initial_outputs).data()
    other, problem = with_validation(data)
    evaluation = evaluate(problem, data.sample_weight, data.alpha)
    predictions = other.features @ evaluation.coef + evaluation.intercept
    if initial_outputs:
        predictions = predictions + other.initial_outputs
    if loss == "log_loss":
        expected = (predictions.argmax(dim=1) != other.labels).double()
    else:
        expected = (predictions - other.values).abs().mean(dim=1)
    assert_close(held_out_errors(problem, evaluation), expected, 1e-9)


def steps_that_help(data, max_iter=3):
    """The same choice by refits: half of the groups make the steps, the others validate them."""
    groups = torch.arange(data.case.n_rows) if data.groups is None else data.groups
    problem = data.problem()
    order = problem.layout.arrange(groups).tolist()
    units = list(dict.fromkeys(order))  # in visiting order
    draw = torch.randperm(len(units), generator=torch.Generator().manual_seed(0))
    first = {unit for unit, place in zip(units, draw, strict=True) if place < len(units) // 2}
    gains = torch.zeros(max_iter, len(units), dtype=torch.float64)
    for makers in (first, set(units) - first):
        makes = torch.tensor([group in makers for group in groups.tolist()])
        halved = data._replace(validation_weight=data.validation_weight * makes).problem()
        errors = []
        for n_steps in range(max_iter + 1):
            how = {"learning_rate": 0.25, "max_iter": n_steps}
            descent = descend(halved, data.sample_weight, data.alpha, **how)
            weight = data.sample_weight * descent.relative_weight
            predictions = loo_predictions(data._replace(sample_weight=weight))
            if data.labels is None:
                errors.append((predictions - data.values).abs().mean(dim=1))
            else:
                errors.append((predictions.argmax(dim=1) != data.labels).double())
        for step in range(max_iter):
            gain = data.validation_weight * (errors[0] - errors[step + 1]) * ~makes
            for place, unit in enumerate(units):
                gains[step, place] += gain[groups == unit].sum()
    best = int(gains.sum(dim=1).argmax())
    error = gains[best].std() * len(units) ** 0.5
    return best + 1 if gains[best].sum() > error else 0


@pytest.mark.parametrize("gross", [0, 6])
@pytest.mark.parametrize("grouping", [None, "ragged"])
@pytest.mark.parametrize("seed", [0, 2, 4])
def test_the_choice_is_that_of_refits(seed, grouping, gross):
    data = numbers(100, gross, seed, grouping=grouping)
    arguments = data.problem(), data.sample_weight, data.alpha
    _, halves = evaluate_halves(*arguments)
    chosen = choose_n_steps(arguments[0], halves, *arguments[1:], max_iter=3)
    assert chosen == steps_that_help(data)
    assert (chosen > 0) == (gross > 0), "choose another seed: both must occur"


@pytest.mark.parametrize("seed", range(4))
def test_no_step_where_none_helps(seed):
    data, seen = numbers(seed=seed), []
    descent = descend_with_early_stopping(
        data.problem(),
        data.sample_weight,
        data.alpha,
        on_step=lambda *reported: seen.append(reported),
    )
    assert (descent.n_iter, descent.n_steps) == (3, 0)
    assert (descent.relative_weight == 1).all()
    assert_close(descent.sample_weight, data.sample_weight / data.sample_weight.mean(), 1e-12)
    start = evaluate(data.problem(), data.sample_weight, data.alpha)
    assert descent.loss_path == [start.loss]
    assert seen == [(0, start.loss)]
    assert (descent.start.derivative == start.derivative).all()


@pytest.mark.parametrize("max_iter", [1, 3])
@pytest.mark.parametrize("seed", range(4))
def test_gross_errors_lose_weight(seed, max_iter):
    data, seen = numbers(100, gross=6, seed=seed), []
    start = (data.problem(), data.sample_weight, data.alpha)
    descent = descend_with_early_stopping(
        *start, max_iter=max_iter, on_step=lambda *reported: seen.append(reported)
    )
    assert 1 <= descent.n_steps <= descent.n_iter == max_iter
    assert descent.relative_weight[:6].mean() < 0.8
    plain = descend(*start, learning_rate=0.25, max_iter=descent.n_steps)
    assert (descent.sample_weight == plain.sample_weight).all()
    assert seen == list(enumerate(plain.loss_path))


def test_clean_validation_rows_lead_to_steps():
    noisy, sources = wrong_source(seed=1)
    clean = Case(120, 4, 3, "log_loss", seed=1).data()
    problem = noisy.problem(validation=(clean.features, clean.targets()))
    descent = descend_with_early_stopping(problem, noisy.sample_weight, noisy.alpha)
    assert descent.n_steps > 0
    assert (
        descent.relative_weight[sources == 0].mean() < descent.relative_weight[sources > 0].mean()
    )
    data = numbers(100, gross=6)
    _, problem = with_validation(data, n=60, seed=0)
    descent = descend_with_early_stopping(problem, data.sample_weight, data.alpha)
    assert descent.n_steps > 0
    assert descent.relative_weight[:6].mean() < 0.8


def test_one_validation_row_cannot_be_halved():
    data = numbers(100, gross=6)
    problem = data.problem(validation=(data.features[:1], ValueTargets(data.values[:1])))
    descent = descend_with_early_stopping(problem, data.sample_weight, data.alpha)
    assert descent.n_steps == 0


def test_steps_that_are_not_possible_change_nothing():
    """Targets that are zero are predicted exactly: the derivative vanishes in either half."""
    data = numbers()
    problem = data._replace(values=torch.zeros_like(data.values)).problem()
    assert descend_with_early_stopping(problem, data.sample_weight, data.alpha).n_steps == 0


def test_the_same_call_gives_the_same_answer():
    data = numbers(100, gross=6)
    descents = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        descents.append(descend_with_early_stopping(data.problem(), data.sample_weight, data.alpha))
    assert descents[0].n_steps > 0
    assert (descents[0].sample_weight == descents[1].sample_weight).all()
