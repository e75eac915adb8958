"""One weight per source: the objective and its gradient by refits, and what is found and left."""

import math
from functools import partial

import pytest
import torch

from skdiva.loo import SquaredError, curate, evaluate
from skdiva.loo import _objective as judge
from skdiva.loo.weights._sources import _prior, _Search, descend_by_source
from tests.cases import Case
from tests.loo.weights.source_objective import (
    differentiable_predictions,
    n_judges,
    objective,
    shares,
)
from tests.oracles import loo_predictions
from tests.tolerances import assert_close

CASES = {
    "classes": Case(30, 4, 3, "log_loss", relative_alpha=0.1),
    "groups": Case(30, 4, 3, "log_loss", relative_alpha=0.1, grouping="ragged"),
    "zero weights": Case(30, 4, 3, "log_loss", relative_alpha=0.1, zero_weights=True),
    "numbers": Case(30, 4, 2, relative_alpha=0.1),
    "a network": Case(30, 4, 3, "log_loss", relative_alpha=0.1, initial_outputs=True),
}


@pytest.fixture(params=CASES)
def data(request):
    return CASES[request.param].data()


TIES = torch.arange(30) % 4
LOG_FACTOR = torch.tensor([0.4, -0.7, 0.1, 0.3], dtype=torch.float64)
PRIOR = torch.tensor([0.2, 0.1, -0.9, 0.5], dtype=torch.float64)


def sources(noise_rate, n=300, n_sources=4, seed=0):
    """Classes of sources of which the first has this share of wrong labels."""
    data = Case(n, 5, 3, "log_loss", seed=seed, relative_alpha=0.1).data()
    ties = torch.arange(n) % n_sources
    draw = torch.Generator().manual_seed(seed)
    centers = 2 * torch.randn(3, 5, generator=draw, dtype=torch.float64)
    data = data._replace(features=data.features + centers[data.labels])
    wrong = (ties == 0) & (torch.rand(n, generator=draw) < noise_rate)
    shift = torch.randint(1, 3, (n,), generator=draw)
    labels = torch.where(wrong, (data.labels + shift) % 3, data.labels)
    values = torch.nn.functional.one_hot(labels, 3).double()
    return data._replace(labels=labels, values=values), ties


def start(data, ties, **changes):
    return data.problem(**changes), data.sample_weight, data.alpha, ties


def searched(data, log_factor):
    search = _Search(*start(data, TIES), evaluate(*start(data, TIES)[:3]), PRIOR)
    return search, search._at(log_factor)


def test_the_objective_is_that_of_refits(data):
    search, point = searched(data, LOG_FACTOR)
    assert search.n_judges == pytest.approx(n_judges(data, TIES), rel=1e-9)
    zero = torch.zeros(4, dtype=torch.float64)
    for log_factor, found in ((zero, search.start), (LOG_FACTOR, point)):
        expected = float(objective(data, log_factor, TIES, PRIOR))
        assert found.objective == pytest.approx(expected, rel=1e-9)


def test_its_gradient_is_that_of_refits(data):
    search, point = searched(data, LOG_FACTOR)
    steps = 1e-5 * torch.eye(4, dtype=torch.float64)
    at = partial(objective, data, ties=TIES, prior=PRIOR)
    expected = [float(at(LOG_FACTOR + h) - at(LOG_FACTOR - h)) / 2e-5 for h in steps]
    assert_close(search._gradient(point), torch.tensor(expected), 1e-6)


def test_its_gradient_is_that_of_autograd(data):
    search, point = searched(data, LOG_FACTOR)
    log_factor = LOG_FACTOR.clone().requires_grad_()
    value = objective(data, log_factor, TIES, PRIOR, differentiable_predictions)
    (expected,) = torch.autograd.grad(value, log_factor)
    assert_close(search._gradient(point), expected, 1e-8)  # lstsq is a little less exact


@pytest.mark.parametrize("max_iter", [1, 3, 8])
def test_steps_go_down(data, max_iter):
    told = []
    descent = descend_by_source(
        *start(data, TIES), max_iter=max_iter, on_step=lambda *step: told.append(step)
    )
    assert descent.n_steps <= descent.n_iter <= max_iter
    assert told == list(enumerate(descent.loss_path))
    assert len(descent.loss_path) == descent.n_steps + 1
    factor = torch.stack([descent.factor[t == TIES][0] for t in range(4)])
    assert (descent.factor == factor[TIES]).all()
    assert float(shares(data, TIES) @ factor) == pytest.approx(1)
    assert_close(descent.sample_weight.mean(), torch.tensor(1.0).double(), 1e-12)
    squares = (loo_predictions(data) - data.values).square().sum(dim=1)
    noise = [torch.sum((data.sample_weight * squares)[t == TIES]) for t in range(4)]
    prior = -(torch.stack(noise) / shares(data, TIES)).log()
    zero = torch.zeros(4, dtype=torch.float64)
    after, before = (objective(data, x, TIES, prior=prior) for x in (factor.log(), zero))
    assert after <= before
    final = evaluate(data.problem(), data.sample_weight * descent.factor, data.alpha)
    assert descent.final.loss == descent.loss_path[-1] == pytest.approx(final.loss)
    assert descent.start.derivative is not None


def test_many_steps_end_where_the_gradient_vanishes():
    data, ties = sources(1.0)
    arguments = start(data, ties, validation_weight=(ties > 0).double())
    search = _Search(*arguments, evaluate(*arguments[:3]), torch.zeros(4, dtype=torch.float64))
    *_, last = search.points(50)
    assert search._gradient(last).norm() < 0.2 * search._gradient(search.start).norm()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("n_sources", [2, 4])
def test_a_source_with_wrong_labels_gets_less_than_half(n_sources, seed):
    data, ties = sources(0.4, n_sources=n_sources, seed=seed)
    factor = descend_by_source(*start(data, ties), labels=data.labels).factor
    worst = factor[ties == 0][0]
    assert all(worst < 0.5 * factor[ties == t][0] for t in range(1, n_sources))


@pytest.mark.parametrize("seed", range(4))
def test_sources_that_are_equal_stay_nearly_so(seed):
    data, ties = sources(0.0, seed=seed)
    factor = descend_by_source(*start(data, ties), labels=data.labels).factor
    assert 0.6 < factor.min() <= factor.max() < 1.6


@pytest.mark.parametrize("judged", ["row", "validation row"])
def test_a_single_judge_moves_no_weight(judged):
    data, ties = sources(0.4)
    one = (torch.arange(300) == 7).double()
    changes = {"validation_weight": one}
    if judged == "validation row":
        rows = torch.tensor([7])
        changes = {"validation": (data.features[rows], data.targets().select(rows))}
    descent = descend_by_source(*start(data, ties, **changes), labels=data.labels)
    assert (descent.n_steps, len(descent.loss_path)) == (0, 1)
    assert (descent.factor == 1).all()


def test_the_prior_is_the_trust_in_labels_of_a_source():
    """Over the trust in labels of the same classes, so that a hard class is no bad source."""
    data, ties = sources(0.4, n=600)
    ties = torch.where((ties > 0) & (data.labels == 0), 4, ties)  # a source of one class
    problem = data.problem(validation_weight=data.sample_weight)
    arguments = problem, data.sample_weight, data.alpha
    _, log_ratio = _prior(*arguments, ties, data.labels)
    curation = curate(*arguments, data.labels)
    wrong = curation.noise.wrong_probability(
        curation.final.loo_predictions, data.labels, hedged=False
    )
    weight, trust = data.sample_weight, (1 - wrong).clamp(min=1e-3)
    by_class = [(weight * trust)[data.labels == c].sum() for c in range(3)]
    by_class = torch.stack(by_class) / torch.stack(
        [weight[data.labels == c].sum() for c in range(3)]
    )
    for tie in range(5):
        rows = ties == tie
        ratio = (weight * trust)[rows].sum() / (weight * by_class[data.labels])[rows].sum()
        assert float(log_ratio[tie]) == pytest.approx(2 * math.log(ratio), rel=1e-9)
    assert log_ratio[0] < -0.3
    # Classes differ in trust, but not from themselves: sources=y says nothing about labels.
    _, of_classes = _prior(*arguments, data.labels, data.labels)
    assert of_classes.abs().max() < 1e-12


def test_the_prior_knows_which_classes_judge():
    """Shares of the classes in judging over those in training, where sources are classes."""
    data, _ = sources(0.0)
    weight, judging = data.sample_weight, data.validation_weight * (data.labels + 1.0)
    in_training, in_judging = (
        torch.zeros(3, dtype=torch.float64).index_add_(0, data.labels, x) / x.sum()
        for x in (weight, judging)
    )
    how = data.problem(validation_weight=judging), weight, data.alpha
    _, prior = _prior(*how, data.labels, data.labels)
    assert_close(prior, (in_judging / in_training).log(), 1e-9)
    _, same = _prior(
        data.problem(validation=(data.features, data.targets())),
        weight,
        data.alpha,
        data.labels,
        data.labels,
    )
    shares_of_rows = data.labels.bincount() / 300
    assert_close(same, (shares_of_rows / in_training).log(), 1e-6)


def test_rows_that_do_not_judge_do_not_vote():
    """A source of its own mind: its rows would vote for it, those of the others against it."""
    data, ties = sources(0.0)
    labels = torch.where(ties == 0, (data.labels + 1) % 3, data.labels)
    data = data._replace(labels=labels, values=torch.nn.functional.one_hot(labels, 3).double())
    judging = {"all": None, "others": (ties > 0).double(), "itself": (ties == 0).double()}
    weight = {
        name: float(descend_by_source(*start(data, ties, validation_weight=judges)).factor[0])
        for name, judges in judging.items()
    }
    assert weight["others"] < 0.5 * weight["all"] < weight["all"] <= 1 < 2 < weight["itself"]


def test_validation_rows_judge_alone():
    data, ties = sources(0.4)
    clean, _ = sources(0.0)
    judges = (clean.features[:100], clean.targets().select(torch.arange(100)))
    problem = data.problem(validation=judges)
    found = descend_by_source(problem, data.sample_weight, data.alpha, ties)
    assert found.factor[0] < 0.5 * found.factor[1]
    assert_close(found.start.loss, evaluate(problem, data.sample_weight, data.alpha).loss, 1e-12)


def test_a_source_without_weight_has_no_say():
    data, ties = sources(0.4)
    weight = data.sample_weight.masked_fill(ties == 3, 0.0)
    descent = descend_by_source(data.problem(), weight, data.alpha, ties)
    assert descent.factor[ties == 3].tolist() == [1.0] * 75
    assert (descent.sample_weight[ties == 3] == 0).all()
    assert float(weight @ descent.factor / weight.sum()) == pytest.approx(1)


def test_the_loss_asked_for_is_the_one_that_falls():
    data, ties = sources(0.4)
    problem = data.problem(loss=SquaredError())
    how = (problem, data.sample_weight, data.alpha, ties)
    path = descend_by_source(*how, labels=data.labels).loss_path
    assert len(path) > 1
    assert max(path[1:]) < path[0]


def test_one_source_keeps_its_weight():
    data, _ = sources(0.4)
    descent = descend_by_source(*start(data, torch.zeros(300, dtype=torch.int64)))
    assert descent.n_steps == 0
    assert (descent.factor == 1).all()


def test_targets_that_are_predicted_exactly_leave_nothing_to_do():
    data = Case(30, 4, 1).data()
    data = data._replace(values=torch.zeros_like(data.values))
    descent = descend_by_source(*start(data, TIES))
    assert (descent.n_steps, descent.loss_path) == (0, [0.0])
    assert (descent.factor == 1).all()


def test_factors_are_bounded():
    data, ties = sources(1.0)
    judges = (ties > 0).double()
    how = {"validation_weight": judges}
    arguments = start(data, ties, **how)
    search = _Search(*arguments, evaluate(*arguments[:3]), torch.zeros(4, dtype=torch.float64))
    far = search._at(torch.tensor([-50.0, 50.0, 0.0, 0.0], dtype=torch.float64)).log_factor
    assert float(far.max() - far.min()) == pytest.approx(2 * math.log(100))


def test_losses_are_read_a_part_at_a_time(monkeypatch):
    data, ties = sources(0.4)
    whole = descend_by_source(*start(data, ties)).factor
    monkeypatch.setattr(judge, "_LOSS_ROWS", 7)
    monkeypatch.setattr("skdiva.loo._losses._SCALE_ROWS", 7)
    assert_close(descend_by_source(*start(data, ties)).factor, whole, 1e-9)
