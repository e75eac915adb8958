"""Weights to train with: trust in the labels and a step, against refits and for wrong labels."""

import pytest
import torch

from skdiva.loo import descend, learn_weights
from tests.loo.weights.labeled_data import ALPHA, FixedNoise, LabeledData
from tests.tolerances import assert_close


@pytest.mark.parametrize("max_iter", [1, 2, 3])
def test_learned_weights_are_trust_squared_times_a_step(max_iter, device):
    data = LabeledData(spread=0.9, device=device)
    seen = []
    learned = learn_weights(
        *data.arguments(), max_iter=max_iter, on_step=lambda *reported: seen.append(reported)
    )
    start = data.weight.cpu()
    trust = data.trust(data.refits(start * data.trust(data.refits(start))))
    trusted = start * trust.square()
    trusted = trusted / trusted.mean()
    step = torch.ones_like(start)
    if max_iter > 1:
        rate = float((1 - trust) @ start / start.sum())
        assert 0 < rate < 0.2, "choose another case: this step is the largest"
        slope = data.derivative(trusted)
        scale = (trusted * slope.abs()).sum() / trusted.sum()
        step = (1 - 0.5 * rate / 0.2 * slope / scale).clamp(0, 2)
    expected = start * trust.square() * step
    assert_close(learned.relative_weight, trust.square() * step, 1e-6)
    assert_close(learned.sample_weight, expected / expected.mean(), 1e-6)
    assert learned.sample_weight.mean().item() == pytest.approx(1)
    assert learned.n_iter == learned.n_steps == min(max_iter, 2)
    assert seen == list(enumerate(learned.loss_path))
    assert len(seen) == learned.n_steps + 1
    assert learned.final.loss == learned.loss_path[-1] < learned.loss_path[0]
    assert_close(learned.start.loo_predictions, data.refits(start), 1e-9)


def test_more_noise_than_a_fifth_takes_the_largest_step():
    data = LabeledData(n=150, wrong=60)
    learned = learn_weights(*data.arguments())
    trust = learn_weights(*data.arguments(), max_iter=1)
    step = learned.relative_weight / trust.relative_weight
    held = trust.sample_weight > 0.5
    slope = data.derivative(trust.sample_weight)
    scale = (trust.sample_weight * slope.abs()).sum() / trust.sample_weight.sum()
    assert_close(step[held], (1 - 0.5 * slope / scale).clamp(0, 2)[held], 1e-6)


def test_clean_labels_keep_their_weight():
    data = LabeledData(wrong=0, spread=0.2)
    seen = []
    learned = learn_weights(*data.arguments(), on_step=lambda *reported: seen.append(reported))
    assert (learned.relative_weight == 1).all()
    assert_close(learned.sample_weight, data.weight / data.weight.mean(), 1e-12)
    assert (learned.n_iter, learned.n_steps) == (2, 0)
    assert seen == [(0, learned.start.loss)]
    assert learned.loss_path == [learned.start.loss]
    assert learned.final is learned.start


@pytest.mark.parametrize("seed", range(4))
def test_wrong_labels_lose_their_weight(seed):
    data = LabeledData(n=200, wrong=40, seed=seed)
    weight = learn_weights(*data.arguments()).sample_weight
    assert weight[:40].mean() < 0.02
    assert weight[40:].mean() > 1.2


def test_any_noise_model_may_be_given():
    """Trust is that of the second fit, to the outputs at curated weights."""
    data = LabeledData()
    wrong = torch.linspace(0, 0.3, 90, dtype=torch.float64)
    model = FixedNoise(wrong, wrong.flip(0))
    learned = learn_weights(*data.arguments(), max_iter=1, noise_model=model)
    assert len(model.fitted) == 2
    assert_close(learned.relative_weight, (1 - wrong.flip(0)).square(), 1e-12)


def test_a_class_keeps_half_of_its_weight_without_evidence():
    """The noise model distrusts all labels of a class, but the outputs say that they are right."""
    data = LabeledData(n=30, wrong=0)
    noise = FixedNoise(data.labels == 1)
    learned = learn_weights(*data.arguments(), max_iter=1, noise_model=noise)
    expected = torch.where(data.labels == 1, 0.5, 1.0)
    assert_close(learned.relative_weight, expected, 1e-12)


def test_a_class_loses_more_with_evidence():
    """Labels are wrong at random: most rows of the rare class have no reason to be in it."""
    data = LabeledData(n=400, k=2, wrong=0, seed=1)
    rare = torch.zeros(400, dtype=torch.bool)
    rare[:20] = rare[100:200] = True
    data.features[~rare | (torch.arange(400) >= 100)] = data.features[0].clone()
    data.features += 0.4 * torch.randn(400, 4, generator=torch.Generator().manual_seed(2))
    data.features[:20, 1] += 6
    data.labels = rare.long()
    learned = learn_weights(*data.arguments(), max_iter=1)
    assert learned.relative_weight[rare].mean() < 0.4
    assert learned.relative_weight[:20].min() > 0.9
    assert learned.relative_weight[100:200].max() < 0.1


def test_the_step_is_omitted_if_a_class_would_lose_more_than_half():
    data = LabeledData(n=60, wrong=0)
    data.labels[:2], data.k = 3, 4  # a class of two rows, which lie in classes 0 and 1
    noise = FixedNoise(torch.full((60,), 0.2, dtype=torch.float64))
    learned = learn_weights(*data.arguments(), noise_model=noise)
    trusted = data.weight / data.weight.mean()
    step = descend(data.problem(), trusted, ALPHA, learning_rate=0.5, max_iter=1)
    assert (step.relative_weight[:2] == 0).all(), "choose another case: the step takes less"
    assert learned.n_steps == 1
    assert_close(learned.relative_weight, torch.full((60,), 0.8**2, dtype=torch.float64))


def test_no_weight_is_taken_if_the_outputs_say_nothing():
    data = LabeledData(n=120, wrong=0)
    data.labels = data.labels[torch.randperm(120, generator=torch.Generator().manual_seed(0))]
    learned = learn_weights(*data.arguments())
    assert learned.n_steps == 0
    assert (learned.relative_weight == 1).all()
