"""Steps that judges kept apart must agree to: who judges, what they see, and when none is taken."""

import pytest
import torch

from skdiva.loo import SquaredError, ValueTargets, descend, evaluate
from skdiva.loo.weights._early_stopping import (
    _choose_n_steps,
    _errors,
    _judged_by,
    descend_if_it_helps,
)
from tests.cases import Case
from tests.oracles import loo_predictions
from tests.tolerances import assert_close

HOW = {"learning_rate": 0.25, "classes": None}


def numbers(n=60, gross=0, seed=0, **fields):
    """A regression case whose first ``gross`` targets are far off."""
    data = Case(n, 4, 1, seed=seed, relative_alpha=0.1, **fields).data()
    data.values[:gross] += 30
    return data


def sources(n=120, seed=0):
    """Classes of five sources, one of which names them all wrong."""
    data = Case(n, 4, 3, "log_loss", seed=seed, relative_alpha=0.1).data()
    ties = torch.arange(n) % 5
    labels = torch.where(ties == 0, (data.labels + 1) % 3, data.labels)
    values = torch.nn.functional.one_hot(labels, 3).double()
    return data._replace(labels=labels, values=values), ties


def judges(data, n=40, seed=7):
    """Validation rows of the same kind, and a problem that they judge."""
    case = Case(**(vars(data.case) | {"n_rows": n, "seed": seed, "grouping": None}))
    other = case.data()
    return other, data.problem(validation=(other.features, other.targets()))


@pytest.mark.parametrize("grouping", [None, "ragged"])
def test_some_of_the_judges(grouping):
    data = Case(30, 4, 2, grouping=grouping).data()
    problem = data.problem()
    rows = torch.arange(30) % 3 == 0  # in visiting order
    judged = evaluate(_judged_by(problem, rows), data.sample_weight, data.alpha)
    errors = SquaredError().value(loo_predictions(data), data.values)
    weight = problem.layout.arrange(data.validation_weight) * rows
    expected = float(weight @ problem.layout.arrange(errors) / weight.sum())
    assert judged.loss == pytest.approx(expected)
    whole = evaluate(problem, data.sample_weight, data.alpha)
    assert whole.loss != judged.loss  # and the problem itself is as it was


def test_some_of_the_validation_rows():
    data = numbers()
    other, problem = judges(data)
    rows = torch.arange(40) % 3 == 0
    judged = _judged_by(problem, rows)
    part = (other.features[rows], ValueTargets(other.values[rows]))
    expected = evaluate(data.problem(validation=part), data.sample_weight, data.alpha)
    actual = evaluate(judged, data.sample_weight, data.alpha)
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
    errors = _errors(problem, evaluate(problem, data.sample_weight, data.alpha))
    assert_close(problem.layout.restore(errors), expected, 1e-9)


@pytest.mark.parametrize("initial_outputs", [False, True])
@pytest.mark.parametrize(("loss", "n_outputs"), [("log_loss", 3), ("squared_error", 2)])
def test_errors_of_validation_rows(loss, n_outputs, initial_outputs):
    data = Case(30, 4, n_outputs, loss, initial_outputs=initial_outputs).data()
    other, problem = judges(data)
    evaluation = evaluate(problem, data.sample_weight, data.alpha)
    predictions = other.features @ evaluation.coef + evaluation.intercept
    if initial_outputs:
        predictions = predictions + other.initial_outputs
    if loss == "log_loss":
        expected = (predictions.argmax(dim=1) != other.labels).double()
    else:
        expected = (predictions - other.values).abs().mean(dim=1)
    assert_close(_errors(problem, evaluation), expected, 1e-9)


def steps_that_help(data, max_iter=3):
    """The choice once more, by refits: half of the groups make the steps, the others judge."""
    groups = torch.arange(data.case.n_rows) if data.groups is None else data.groups
    problem = data.problem()
    order = problem.layout.arrange(groups).tolist()
    judges = list(dict.fromkeys(order))  # in visiting order
    draw = torch.randperm(len(judges), generator=torch.Generator().manual_seed(0))
    first = {judge for judge, place in zip(judges, draw, strict=True) if place < len(judges) // 2}
    gains = torch.zeros(max_iter, len(judges), dtype=torch.float64)
    for is_maker in (lambda judge: judge in first, lambda judge: judge not in first):
        makes = torch.tensor([is_maker(group) for group in groups.tolist()])
        halved = data._replace(validation_weight=data.validation_weight * makes).problem()
        errors = []
        for n_steps in range(max_iter + 1):
            how = {"learning_rate": 0.25, "max_iter": n_steps}
            weight = (
                data.sample_weight * descend(halved, data.sample_weight, data.alpha, **how).factor
            )
            predictions = loo_predictions(data._replace(sample_weight=weight))
            if data.labels is None:
                errors.append((predictions - data.values).abs().mean(dim=1))
            else:
                errors.append((predictions.argmax(dim=1) != data.labels).double())
        for step in range(max_iter):
            gain = data.validation_weight * (errors[0] - errors[step + 1]) * ~makes
            for place, judge in enumerate(judges):
                gains[step, place] += gain[groups == judge].sum()
    best = int(gains.sum(dim=1).argmax())
    error = gains[best].std() * len(judges) ** 0.5
    return best + 1 if gains[best].sum() > error else 0


@pytest.mark.parametrize("gross", [0, 6])
@pytest.mark.parametrize("grouping", [None, "ragged"])
@pytest.mark.parametrize("seed", [0, 2, 4])
def test_the_choice_is_that_of_refits(seed, grouping, gross):
    data = numbers(100, gross, seed, grouping=grouping)
    chosen = _choose_n_steps(data.problem(), data.sample_weight, data.alpha, 3, HOW)
    assert chosen == steps_that_help(data)
    assert (chosen > 0) == (gross > 0), "choose another seed: both must occur"


@pytest.mark.parametrize("seed", range(4))
def test_no_step_where_none_helps(seed):
    data, seen = numbers(seed=seed), []
    descent = descend_if_it_helps(
        data.problem(), data.sample_weight, data.alpha, on_step=lambda *told: seen.append(told)
    )
    assert (descent.n_iter, descent.n_steps) == (3, 0)
    assert (descent.factor == 1).all()
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
    descent = descend_if_it_helps(
        *start, max_iter=max_iter, on_step=lambda *told: seen.append(told)
    )
    assert 1 <= descent.n_steps <= descent.n_iter == max_iter
    assert descent.factor[:6].mean() < 0.8
    plain = descend(*start, learning_rate=0.25, max_iter=descent.n_steps)
    assert (descent.sample_weight == plain.sample_weight).all()
    assert seen == list(enumerate(plain.loss_path))


def test_clean_validation_rows_ask_for_steps():
    noisy, ties = sources(seed=1)
    clean = Case(120, 4, 3, "log_loss", seed=1).data()
    problem = noisy.problem(validation=(clean.features, clean.targets()))
    descent = descend_if_it_helps(problem, noisy.sample_weight, noisy.alpha)
    assert descent.n_steps > 0
    assert descent.factor[ties == 0].mean() < descent.factor[ties > 0].mean()
    data = numbers(100, gross=6)
    _, problem = judges(data, n=60, seed=0)
    descent = descend_if_it_helps(problem, data.sample_weight, data.alpha)
    assert descent.n_steps > 0
    assert descent.factor[:6].mean() < 0.8


def test_one_validation_row_cannot_be_halved():
    data = numbers(100, gross=6)
    problem = data.problem(validation=(data.features[:1], ValueTargets(data.values[:1])))
    descent = descend_if_it_helps(problem, data.sample_weight, data.alpha)
    assert descent.n_steps == 0


def test_steps_that_are_not_possible_change_nothing():
    """Targets that are zero are predicted exactly: the derivative vanishes in either half."""
    data = numbers()
    problem = data._replace(values=torch.zeros_like(data.values)).problem()
    assert descend_if_it_helps(problem, data.sample_weight, data.alpha).n_steps == 0


def test_the_same_call_gives_the_same_answer():
    data = numbers(100, gross=6)
    descents = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        descents.append(descend_if_it_helps(data.problem(), data.sample_weight, data.alpha))
    assert descents[0].n_steps > 0
    assert (descents[0].sample_weight == descents[1].sample_weight).all()
