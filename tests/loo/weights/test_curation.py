"""Curated weights: against refits, with other noise models, and for wrong labels."""

import pytest
import torch

from skdiva.loo import FittedRidge, TransitionNoise, curate, evaluate, fit_noise_model
from skdiva.loo.weights import CLASS_FLOOR, SourceMeans, keep_classes
from tests.loo.weights.labeled_data import ALPHA, FixedNoise, LabeledData
from tests.tolerances import assert_close


@pytest.mark.parametrize("spread", [0.4, 1.2])
@pytest.mark.parametrize("grouped", [False, True])
def test_curation_is_that_of_refits(grouped, spread, device):
    data = LabeledData(grouped=grouped, spread=spread, device=device)
    found = curate(*data.arguments())
    start = data.refits(data.weight)
    assert_close(found.start.loo_predictions, start, 1e-9)
    assert found.start.derivative is not None
    trust = data.trust(start)
    assert trust[: data.wrong].mean() < 0.6 < trust[data.wrong :].mean()
    assert_close(found.relative_weight, trust, 1e-7)
    outputs = data.refits(data.weight.cpu() * trust)
    assert_close(found.final.loo_predictions, outputs, 1e-7)
    assert found.final.derivative is None
    noise = fit_noise_model(outputs, data.labels.cpu(), data.weight.cpu())
    assert_close(found.noise.transition, noise.transition, 1e-6)
    assert found.noise.sharpness == noise.sharpness


def test_the_noise_model_is_fitted_anew():
    data = LabeledData(wrong=18, spread=0.8)
    found = curate(*data.arguments())
    first = fit_noise_model(found.start.loo_predictions, data.labels, data.weight)
    assert not torch.allclose(found.noise.transition, first.transition, rtol=1e-3)


def test_results_at_the_start_weights_may_be_given():
    data = LabeledData(spread=0.8)
    problem, weight, alpha, labels = data.arguments()
    start = FittedRidge(problem, weight, alpha).evaluation()
    found = curate(problem, weight, alpha, labels, start=start)
    expected = curate(problem, weight, alpha, labels)
    assert (found.relative_weight == expected.relative_weight).all()
    assert found.start.derivative is start.derivative
    assert (found.final.loo_predictions == expected.final.loo_predictions).all()


@pytest.mark.parametrize("seed", range(4))
def test_wrong_labels_lose_their_weight(seed):
    data = LabeledData(n=200, wrong=40, seed=seed)
    trust = curate(*data.arguments()).relative_weight
    assert trust.min() >= 0
    assert trust.max() <= 1
    assert trust[:40].mean() < 0.1
    assert trust[40:].mean() > 0.9


@pytest.mark.parametrize("grouped", [False, True])
def test_any_noise_model_may_be_given(grouped):
    """The recipe for a new noise model: a class with ``fit``, which returns a posterior."""
    data = LabeledData(grouped=grouped)
    first = torch.linspace(0, 0.5, 90, dtype=torch.float64)
    model = FixedNoise(first, first.flip(0))
    found = curate(*data.arguments(), noise_model=model)
    assert_close(found.relative_weight, 1 - first, 1e-12)
    assert (found.noise.wrong == first.flip(0)).all()
    (outputs, *others), (final_outputs, *final_others) = model.fitted
    start = evaluate(data.problem(), data.weight, ALPHA)
    final = evaluate(data.problem(), data.weight * (1 - first), ALPHA)
    assert_close(outputs, start.loo_predictions, 1e-12)
    assert_close(final_outputs, final.loo_predictions, 1e-12)
    for labels, weight in (others, final_others):
        assert (labels == data.labels).all()
        assert (weight == data.weight).all()


def test_limits_of_the_default_noise_model():
    """A model that is fitted to few rows finds other probabilities."""
    data = LabeledData(n=300, wrong=60, spread=0.9)
    default = curate(*data.arguments()).relative_weight
    same = curate(*data.arguments(), noise_model=TransitionNoise()).relative_weight
    few = curate(*data.arguments(), noise_model=TransitionNoise(max_rows=50)).relative_weight
    assert (default == same).all()
    assert not torch.allclose(default, few, rtol=1e-3)


def test_a_class_without_trust_keeps_its_floor():
    data = LabeledData(n=30, wrong=0)
    own = data.labels == 1
    trust = curate(*data.arguments(), noise_model=FixedNoise(own)).relative_weight
    assert (trust[own] == CLASS_FLOOR).all()
    assert (trust[~own] == 1).all()


def test_nothing_is_taken_where_one_group_would_be_left():
    data = LabeledData(n=12, wrong=0, grouped=True)
    data.groups = torch.arange(12) // 6
    noise = FixedNoise(data.groups == 1)
    assert (curate(*data.arguments(), noise_model=noise).relative_weight == 1).all()


def test_rows_of_a_source_share_the_mean_of_their_trust():
    data = LabeledData(n=120, wrong=12)
    sources = torch.arange(120) // 20
    shared = curate(*data.arguments(), sources=sources).relative_weight
    single = curate(*data.arguments()).relative_weight
    for source in range(6):
        rows = sources == source
        mean = (single * data.weight)[rows].sum() / data.weight[rows].sum()
        assert_close(shared[rows], mean.expand(20))
    assert shared[0] < 0.6 < 0.9 < shared[-1]


def test_means_of_sources():
    sources = torch.tensor([0, 1, 1, 2, 0, 2])
    weight = torch.tensor([1.0, 2.0, 1.0, 0.0, 3.0, 0.0])
    means = SourceMeans(sources, weight)
    assert means.weight.tolist() == [4, 3, 0]
    values = torch.tensor([4.0, 3.0, 6.0, 7.0, 0.0, 7.0])
    assert means.mean(values).tolist() == [1, 4, 0]
    assert means.mean_over_rows(torch.tensor([1.0, 4.0, 100.0])) == pytest.approx(16 / 7)


def test_the_floor_of_a_class():
    """The class of the last two rows, of sources 2 and 3, has lost all of its weight."""
    classes = torch.tensor([0, 0, 1, 1])
    weight = torch.tensor([1.0, 2.0, 1.0, 2.0])
    relative = torch.tensor([1.0, 0.0, 0.0, 0.0])
    floored = [1.0, 0.0, CLASS_FLOOR, CLASS_FLOOR]
    assert_close(keep_classes(relative, classes, weight), floored, 1e-6)
    sources = torch.tensor([0, 1, 2, 3])
    assert_close(keep_classes(relative, classes, weight, sources), floored, 1e-6)
    enough = torch.tensor([1.0, 0.0, 0.0, 0.5])
    assert (keep_classes(enough, classes, weight) == enough).all()
