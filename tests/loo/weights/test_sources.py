"""One weight per source: the objective and its gradient by refits, priors, and the steps."""

import math
from functools import partial

import pytest
import torch

from skdiva.loo import Budget, FittedRidge, SquaredError, curate, descend_by_source, evaluate
from skdiva.loo.weights._curation import SourceMeans
from skdiva.loo.weights._source_search import SourceSearch
from skdiva.loo.weights._sources import noise_prior, trust_prior
from tests.cases import Case
from tests.loo.weights.source_objective import (
    differentiable_predictions,
    n_effective,
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


SOURCES = torch.arange(30) % 4
LOG_WEIGHT = torch.tensor([0.4, -0.7, 0.1, 0.3], dtype=torch.float64)
PRIOR = torch.tensor([0.2, 0.1, -0.9, 0.5], dtype=torch.float64)


def noisy_source(noise_rate, n=300, n_sources=4, seed=0):
    """Classes of several sources; the first has this share of wrong labels."""
    data = Case(n, 5, 3, "log_loss", seed=seed, relative_alpha=0.1).data()
    sources = torch.arange(n) % n_sources
    draw = torch.Generator().manual_seed(seed)
    centers = 2 * torch.randn(3, 5, generator=draw, dtype=torch.float64)
    data = data._replace(features=data.features + centers[data.labels])
    wrong = (sources == 0) & (torch.rand(n, generator=draw) < noise_rate)
    shift = torch.randint(1, 3, (n,), generator=draw)
    labels = torch.where(wrong, (data.labels + shift) % 3, data.labels)
    values = torch.nn.functional.one_hot(labels, 3).double()
    return data._replace(labels=labels, values=values), sources


def start(data, sources, **changes):
    return data.problem(**changes), data.sample_weight, data.alpha, sources


def search_of(problem, sample_weight, alpha, sources, prior=None):
    prior = torch.zeros(4, dtype=torch.float64) if prior is None else prior
    fit = FittedRidge(problem, sample_weight, alpha)
    return SourceSearch(fit, sample_weight, sources, prior[sources])


def searched(data, log_weight):
    search = search_of(*start(data, SOURCES), PRIOR)
    return search, search.at(log_weight)


def test_the_objective_is_that_of_refits(data):
    search, point = searched(data, LOG_WEIGHT)
    assert search.n_effective == pytest.approx(n_effective(data, SOURCES), rel=1e-9)
    zero = torch.zeros(4, dtype=torch.float64)
    for log_weight, found in ((zero, search.start), (LOG_WEIGHT, point)):
        expected = float(objective(data, log_weight, SOURCES, PRIOR))
        assert found.objective == pytest.approx(expected, rel=1e-9)


def test_its_gradient_is_that_of_refits(data):
    search, point = searched(data, LOG_WEIGHT)
    steps = 1e-5 * torch.eye(4, dtype=torch.float64)
    at = partial(objective, data, sources=SOURCES, prior=PRIOR)
    expected = [float(at(LOG_WEIGHT + h) - at(LOG_WEIGHT - h)) / 2e-5 for h in steps]
    assert_close(search.gradient(point), torch.tensor(expected), 1e-6)


def test_its_gradient_is_that_of_autograd(data):
    search, point = searched(data, LOG_WEIGHT)
    log_weight = LOG_WEIGHT.clone().requires_grad_()
    value = objective(data, log_weight, SOURCES, PRIOR, differentiable_predictions)
    (expected,) = torch.autograd.grad(value, log_weight)
    assert_close(search.gradient(point), expected, 1e-8)  # lstsq is a little less exact


@pytest.mark.parametrize("max_iter", [1, 3, 8])
def test_steps_go_down(data, max_iter):
    reported = []
    descent = descend_by_source(
        *start(data, SOURCES), max_iter=max_iter, on_step=lambda *step: reported.append(step)
    )
    assert descent.n_steps <= descent.n_iter <= max_iter
    n_tried = len(reported) - 1
    assert [step for step, _ in reported] == list(range(n_tried + 1))
    assert descent.n_steps in (0, n_tried)
    assert reported[: descent.n_steps] == list(enumerate(descent.loss_path[:-1]))[:n_tried]
    assert len(descent.loss_path) == descent.n_steps + 1
    relative = torch.stack([descent.relative_weight[s == SOURCES][0] for s in range(4)])
    assert (descent.relative_weight == relative[SOURCES]).all()
    assert float(shares(data, SOURCES) @ relative) == pytest.approx(1)
    assert_close(descent.sample_weight.mean(), torch.tensor(1.0).double(), 1e-12)
    squares = (loo_predictions(data) - data.values).square().sum(dim=1)
    noise = [torch.sum((data.sample_weight * squares)[s == SOURCES]) for s in range(4)]
    prior = -(torch.stack(noise) / shares(data, SOURCES)).log()
    zero = torch.zeros(4, dtype=torch.float64)
    after, before = (objective(data, x, SOURCES, prior=prior) for x in (relative.log(), zero))
    assert after <= before + 1e-9  # equal, up to rounding, if no step is taken
    final = evaluate(data.problem(), data.sample_weight * descent.relative_weight, data.alpha)
    assert descent.final.loss == descent.loss_path[-1] == pytest.approx(final.loss)
    assert descent.start.derivative is not None


def test_many_steps_end_where_the_gradient_vanishes():
    data, sources = noisy_source(1.0)
    search = search_of(*start(data, sources, validation_weight=(sources > 0).double()))
    *_, last = search.points(50)
    first, last = (search.at(point.log_weight) for point in (search.start, last))
    assert search.gradient(last).norm() < 0.2 * search.gradient(first).norm()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("n_sources", [2, 4])
def test_a_source_with_wrong_labels_gets_less_than_half(n_sources, seed):
    data, sources = noisy_source(0.4, n_sources=n_sources, seed=seed)
    relative = descend_by_source(*start(data, sources), labels=data.labels).relative_weight
    worst = relative[sources == 0][0]
    assert all(worst < 0.5 * relative[sources == s][0] for s in range(1, n_sources))


@pytest.mark.parametrize("held_out", ["row", "validation row"])
def test_a_single_held_out_prediction_moves_no_weight(held_out):
    data, sources = noisy_source(0.4)
    one = (torch.arange(300) == 7).double()
    changes = {"validation_weight": one}
    if held_out == "validation row":
        rows = torch.tensor([7])
        changes = {"validation": (data.features[rows], data.targets().select(rows))}
    descent = descend_by_source(*start(data, sources, **changes), labels=data.labels)
    assert (descent.n_steps, len(descent.loss_path)) == (0, 1)
    assert (descent.relative_weight == 1).all()


def test_the_prior_is_the_trust_in_labels_of_a_source():
    """Relative to the trust in labels of the same classes: some classes are hard in any source."""
    data, sources = noisy_source(0.4, n=600)
    sources = torch.where((sources > 0) & (data.labels == 0), 4, sources)  # a source of one class
    problem = data.problem(validation_weight=data.sample_weight)
    arguments = problem, data.sample_weight, data.alpha
    curation = curate(*arguments, data.labels)
    rows = trust_prior(problem, curation, data.sample_weight, sources, data.labels)
    log_ratio = SourceMeans(sources, data.sample_weight).mean(rows)
    wrong = curation.noise.wrong_probability(
        curation.final.loo_predictions, data.labels, hedged=False
    )
    weight, trust = data.sample_weight, (1 - wrong).clamp(min=1e-3)
    by_class = [(weight * trust)[data.labels == c].sum() for c in range(3)]
    by_class = torch.stack(by_class) / torch.stack(
        [weight[data.labels == c].sum() for c in range(3)]
    )
    for source in range(5):
        rows = sources == source
        ratio = (weight * trust)[rows].sum() / (weight * by_class[data.labels])[rows].sum()
        assert float(log_ratio[source]) == pytest.approx(2 * math.log(ratio), rel=1e-9)
    assert log_ratio[0] < -0.3
    # Trust differs between classes, but sources that are the classes do not differ from them.
    rows = trust_prior(problem, curation, data.sample_weight, data.labels, data.labels)
    of_classes = SourceMeans(data.labels, data.sample_weight).mean(rows)
    assert of_classes.abs().max() < 1e-12


def prior_of_classes(data, problem):
    curation = curate(problem, data.sample_weight, data.alpha, data.labels)
    rows = trust_prior(problem, curation, data.sample_weight, data.labels, data.labels)
    return SourceMeans(data.labels, data.sample_weight).mean(rows)


def test_the_prior_contains_the_shares_of_the_classes():
    """Those in validation over those in training, here for sources that are classes."""
    data, _ = noisy_source(0.0)
    weight, validation_weight = data.sample_weight, data.validation_weight * (data.labels + 1.0)
    in_training, in_validation = (
        torch.zeros(3, dtype=torch.float64).index_add_(0, data.labels, x) / x.sum()
        for x in (weight, validation_weight)
    )
    prior = prior_of_classes(data, data.problem(validation_weight=validation_weight))
    assert_close(prior, (in_validation / in_training).log(), 1e-9)
    validation = data.features, data.targets()
    same = prior_of_classes(data, data.problem(validation=validation))
    shares_of_rows = data.labels.bincount() / 300
    assert_close(same, (shares_of_rows / in_training).log(), 1e-6)


def test_the_prior_of_numbers_is_one_over_the_noise():
    data = CASES["numbers"].data()
    squares = (loo_predictions(data) - data.values).square().sum(dim=1)
    weight = data.sample_weight
    means = torch.stack(
        [(weight * squares)[s == SOURCES].sum() / weight[s == SOURCES].sum() for s in range(4)]
    )
    rows = noise_prior(evaluate(*start(data, SOURCES)[:3]), weight, SOURCES)
    found = SourceMeans(SOURCES, weight).mean(rows)
    mean = (weight * squares).sum() / weight.sum()
    assert_close(found, -(means / mean).log(), 1e-9)


def test_only_rows_in_validation_count():
    """A source with wrong labels: they predict its own rows well, and those of others badly."""
    data, sources = noisy_source(0.0)
    labels = torch.where(sources == 0, (data.labels + 1) % 3, data.labels)
    data = data._replace(labels=labels, values=torch.nn.functional.one_hot(labels, 3).double())
    validation_weight = {
        "all": None,
        "others": (sources > 0).double(),
        "itself": (sources == 0).double(),
    }
    weight = {}
    for name, rows in validation_weight.items():
        descent = descend_by_source(*start(data, sources, validation_weight=rows))
        weight[name] = float(descent.relative_weight[0])
    assert weight["others"] < 0.5 * weight["all"] < weight["all"] <= 1 < 2 < weight["itself"]


def test_a_validation_set_replaces_the_leave_one_out_loss():
    data, sources = noisy_source(0.4)
    clean, _ = noisy_source(0.0)
    validation = (clean.features[:100], clean.targets().select(torch.arange(100)))
    problem = data.problem(validation=validation)
    found = descend_by_source(problem, data.sample_weight, data.alpha, sources)
    assert found.relative_weight[0] < 0.5 * found.relative_weight[1]
    assert_close(found.start.loss, evaluate(problem, data.sample_weight, data.alpha).loss, 1e-12)


def test_a_source_without_weight_changes_nothing():
    data, sources = noisy_source(0.4)
    weight = data.sample_weight.masked_fill(sources == 3, 0.0)
    descent = descend_by_source(data.problem(), weight, data.alpha, sources)
    assert descent.relative_weight[sources == 3].tolist() == [1.0] * 75
    assert (descent.sample_weight[sources == 3] == 0).all()
    assert float(weight @ descent.relative_weight / weight.sum()) == pytest.approx(1)


def test_the_loss_of_the_problem_falls():
    data, sources = noisy_source(0.4)
    problem = data.problem(loss=SquaredError())
    how = (problem, data.sample_weight, data.alpha, sources)
    path = descend_by_source(*how, labels=data.labels).loss_path
    assert len(path) > 1
    assert max(path[1:]) < path[0]


def test_one_source_keeps_its_weight():
    data, _ = noisy_source(0.4)
    descent = descend_by_source(*start(data, torch.zeros(300, dtype=torch.int64)))
    assert descent.n_steps == 0
    assert (descent.relative_weight == 1).all()


def test_targets_that_are_predicted_exactly_leave_nothing_to_do():
    data = Case(30, 4, 1).data()
    data = data._replace(values=torch.zeros_like(data.values))
    descent = descend_by_source(*start(data, SOURCES))
    assert (descent.n_steps, descent.loss_path) == (0, [0.0])
    assert (descent.relative_weight == 1).all()


def test_relative_weights_are_bounded():
    data, sources = noisy_source(1.0)
    search = search_of(*start(data, sources, validation_weight=(sources > 0).double()))
    far = search.at(torch.tensor([-50.0, 50.0, 0.0, 0.0], dtype=torch.float64)).log_weight
    assert float(far.max() - far.min()) == pytest.approx(2 * math.log(100))


def test_losses_are_computed_in_blocks_of_rows():
    data, sources = noisy_source(0.4)
    whole = descend_by_source(*start(data, sources)).relative_weight
    parts = start(data, sources, budget=Budget(block_rows=7))
    assert_close(descend_by_source(*parts).relative_weight, whole, 1e-9)
