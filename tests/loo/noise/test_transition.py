"""Transition noise model, on labels drawn from it and against Bayes' rule in numpy."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax

from skdiva.loo import TransitionNoise, fit_noise_model
from skdiva.loo.noise import TransitionPosterior
from skdiva.loo.noise._transition import sample_rows
from tests.loo.noise.simulated_noise import even, pairs, simulated

GRID_STEP = 400 ** (1 / 23)  # of sharpness


def bayes(model, outputs, labels):
    """Posterior of the classes, a row at a time."""
    posterior = []
    for f, label in zip(outputs.numpy(), labels.tolist(), strict=True):
        weights = np.exp(model.sharpness * (f - model.offset.numpy()))
        joint = weights / weights.sum() * model.transition.numpy()[:, label]
        posterior.append(joint / joint.sum())
    return np.array(posterior)


def moderate():
    """A posterior of four classes, with outputs and labels."""
    draw = np.random.default_rng(1)
    transition = draw.dirichlet(np.ones(4), size=4)
    offset = draw.normal(size=4)
    model = TransitionPosterior(3.0, torch.from_numpy(offset), torch.from_numpy(transition), 2.0)
    labels = torch.from_numpy(draw.integers(4, size=20))
    return model, torch.from_numpy(draw.normal(size=(20, 4))), labels


def test_class_probabilities_are_those_of_bayes_rule():
    model, outputs, labels = moderate()
    probabilities = model.class_probabilities(outputs, labels, hedged=False)
    assert_allclose(probabilities, bayes(model, outputs, labels))
    assert_allclose(probabilities.sum(dim=1), 1)
    own = probabilities[torch.arange(20), labels]
    assert_allclose(model.wrong_probability(outputs, labels, hedged=False), 1 - own)


def test_the_hedge_is_a_fifth_of_a_softmax_without_noise():
    model, outputs, labels = moderate()
    plain = softmax(2.0 * outputs.numpy(), axis=1)
    expected = 0.8 * bayes(model, outputs, labels) + 0.2 * plain
    assert_allclose(model.class_probabilities(outputs, labels), expected)
    own = expected[np.arange(20), labels]
    assert_allclose(model.wrong_probability(outputs, labels), 1 - own)


def test_arguments_are_not_modified():
    model, outputs, labels = moderate()
    before = outputs.clone(), labels.clone()
    fit_noise_model(outputs, labels)
    model.wrong_probability(outputs, labels)
    assert (outputs == before[0]).all()
    assert (labels == before[1]).all()


def test_small_probabilities_are_not_rounded_to_zero():
    model = TransitionPosterior(200.0, torch.zeros(2), torch.eye(2).double(), 200.0)
    wrong = model.wrong_probability(torch.tensor([[1.0, 0.0]]), torch.tensor([0]))
    assert_allclose(wrong, 0.2 * np.exp(-200.0), rtol=1e-12)


@pytest.mark.parametrize("k", [2, 5])
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.3])
def test_the_noise_rate_is_found(rate, k, device):
    outputs, labels, classes = simulated(even(rate, k))
    outputs, labels = outputs.to(device), labels.to(device)
    model = fit_noise_model(outputs, labels)
    assert_allclose(model.transition.cpu(), even(rate, k), atol=0.025)
    if rate < 0.3:  # much noise between two classes passes for a soft softmax, and the reverse
        assert_allclose(model.sharpness, 8, rtol=GRID_STEP - 1)
    wrong = model.wrong_probability(outputs, labels, hedged=False).cpu()
    assert_allclose(wrong.mean(), (labels.cpu().numpy() != classes).mean(), atol=0.02)


@pytest.mark.parametrize("seed", range(3))
def test_labels_of_even_noise_get_even_noise(seed):
    outputs, labels, _ = simulated(even(0.2, 4), seed=seed)
    transition = fit_noise_model(outputs, labels).transition
    assert_allclose(transition, even(1 - float(transition[0, 0]), 4))


@pytest.mark.parametrize("seed", range(3))
def test_noise_between_pairs_is_found_as_such(seed):
    outputs, labels, classes = simulated(pairs(0.3, 4), sharpness=15.0, seed=seed)
    model = fit_noise_model(outputs, labels)
    # Half of the way from even noise: the prior counts as much as the rows.
    assert_allclose(model.transition, (pairs(0.3, 4) + even(0.2, 4)) / 2, atol=0.03)
    wrong = model.wrong_probability(outputs, labels, hedged=False)
    assert wrong[labels.numpy() != classes].mean() > 0.8
    assert wrong[labels.numpy() == classes].mean() < 0.1


def test_probabilities_are_calibrated():
    outputs, labels, classes = simulated(even(0.2, 3), n=20_000, sharpness=5.0)
    wrong = fit_noise_model(outputs, labels).wrong_probability(outputs, labels, hedged=False)
    is_wrong = torch.from_numpy(labels.numpy() != classes).double()
    for low in np.arange(0, 1, 0.1):
        bin_ = (wrong >= low) & (wrong < low + 0.1)
        if bin_.sum() > 200:
            assert_allclose(is_wrong[bin_].mean(), wrong[bin_].mean(), atol=0.06)


def same(one, other, rtol=1e-9):
    assert one.sharpness == other.sharpness
    assert one.ambiguity_sharpness == other.ambiguity_sharpness
    assert_allclose(one.offset, other.offset, rtol=rtol, atol=1e-12)
    assert_allclose(one.transition, other.transition, rtol=rtol, atol=1e-12)


@pytest.mark.parametrize("transition", [even(0.2, 3), pairs(0.3, 3)], ids=["even", "pairs"])
def test_rows_of_weight_zero_do_not_count(transition):
    outputs, labels, _ = simulated(transition, n=600, sharpness=15.0)
    weight = torch.linspace(0.5, 1.5, 600, dtype=torch.float64)
    weight[::3] = 0
    held = weight > 0
    spoiled = torch.where(held, labels, (labels + 1) % 3)
    model = fit_noise_model(outputs, spoiled, weight)
    same(model, fit_noise_model(outputs[held], labels[held], weight[held]))


def test_rows_of_weight_zero_are_no_evidence():
    """Rows without weight do not add to the evidence against even noise."""
    outputs, labels, _ = simulated(pairs(0.3, 3), n=80, sharpness=15.0)
    model = fit_noise_model(outputs, labels)
    assert_allclose(model.transition, even(1 - float(model.transition[0, 0]), 3))
    weight = torch.cat([torch.ones(80), torch.zeros(720)])
    same(fit_noise_model(outputs.repeat(10, 1), labels.repeat(10), weight), model)
    repeated = fit_noise_model(outputs.repeat(10, 1), labels.repeat(10)).transition
    assert not np.allclose(repeated, even(1 - float(repeated[0, 0]), 3))


@pytest.mark.parametrize("transition", [even(0.2, 3), pairs(0.3, 3)], ids=["even", "pairs"])
def test_integer_weights_are_repeated_rows(transition):
    outputs, labels, _ = simulated(transition, n=1500, sharpness=15.0)
    weight = torch.arange(1500) % 3 + 1
    weighted = fit_noise_model(outputs, labels, weight.double())
    repeated = fit_noise_model(
        outputs.repeat_interleave(weight, 0), labels.repeat_interleave(weight)
    )
    same(weighted, repeated)
    plain = fit_noise_model(outputs, labels)
    assert not np.allclose(weighted.transition, plain.transition, rtol=1e-3)


def test_the_scale_of_the_weights_does_not_matter():
    outputs, labels, _ = simulated(even(0.2, 3), n=300)
    weight = torch.linspace(0.5, 1.5, 300, dtype=torch.float64)
    same(fit_noise_model(outputs, labels, weight), fit_noise_model(outputs, labels, 1e3 * weight))


def test_more_rows_than_needed_are_sampled_the_same_way_every_time():
    outputs, labels, _ = simulated(even(0.2, 3), n=12_000)
    models = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        models.append(fit_noise_model(outputs, labels))
    same(*models)
    assert_allclose(models[0].transition, even(0.2, 3), atol=0.02)
    whole = TransitionNoise(max_rows=20_000).fit(outputs, labels)
    assert not np.array_equal(whole.transition, models[0].transition)
    assert_allclose(whole.transition, models[0].transition, atol=0.02)


def test_the_default_model_is_the_one_that_is_fitted():
    outputs, labels, _ = simulated(even(0.2, 3), n=300)
    same(TransitionNoise().fit(outputs, labels), fit_noise_model(outputs, labels))
    assert TransitionNoise() == TransitionNoise(max_rows=8_000, max_elements=800_000)


def test_many_classes_are_fitted_to_fewer_rows():
    outputs, labels, _ = simulated(even(0.2, 4), n=500)
    sampled = sample_rows(outputs, labels, torch.ones(500), 8_000, 800_000)
    assert len(sampled.labels) == 500
    fewer = sample_rows(outputs, labels, torch.ones(500), 8_000, 400)
    assert fewer.outputs.shape == (100, 4)
    assert_array_equal(fewer.log_shares, sampled.log_shares)
    by_elements = TransitionNoise(max_elements=400).fit(outputs, labels)
    same(by_elements, TransitionNoise(max_rows=100).fit(outputs, labels))
    assert not np.array_equal(by_elements.transition, fit_noise_model(outputs, labels).transition)


def test_rare_classes_may_have_an_offset():
    """Outputs of a rare class are too small; the offset compensates for its share."""
    draw = np.random.default_rng(0)
    classes = np.repeat([0, 1], [1800, 200])
    outputs = np.eye(2)[classes] + draw.normal(0, 0.35, (2000, 2))
    outputs[:, 1] -= 0.4
    outputs[:, 0] += 0.4
    model = fit_noise_model(torch.from_numpy(outputs), torch.from_numpy(classes))
    shift = model.offset.numpy() / np.log([0.9, 0.1])
    assert_allclose(shift[0], shift[1])
    assert shift[0] in (0.05, 0.1, 0.15, 0.2, 0.3)
    assert model.offset[0] > model.offset[1]


def test_a_class_without_rows():
    outputs, labels, _ = simulated(even(0.2, 3), n=600)
    held = labels != 2
    outputs, labels = outputs[held], labels[held]
    model = fit_noise_model(outputs, labels)
    probabilities = model.class_probabilities(outputs, labels)
    assert torch.isfinite(probabilities).all()
    assert_allclose(probabilities.sum(dim=1), 1)
    assert_allclose(model.transition.sum(dim=1), 1)


@pytest.mark.parametrize("transition", [even(0.2, 4), pairs(0.3, 4)], ids=["even", "pairs"])
def test_the_order_of_the_classes_does_not_matter(transition):
    outputs, labels, _ = simulated(transition, n=1000, sharpness=15.0)
    order = torch.tensor([2, 0, 3, 1])
    place = order.argsort()
    model = fit_noise_model(outputs, labels)
    permuted = fit_noise_model(outputs[:, order], place[labels])
    assert_allclose(permuted.transition, model.transition[order][:, order])
    assert_allclose(
        permuted.class_probabilities(outputs[:, order], place[labels]),
        model.class_probabilities(outputs, labels)[:, order],
        rtol=1e-6,
    )


def test_outputs_in_single_precision():
    outputs, labels, _ = simulated(even(0.2, 3), n=600)
    single = fit_noise_model(outputs.float(), labels)
    assert single.transition.dtype == torch.float64
    assert_allclose(single.transition, fit_noise_model(outputs, labels).transition, rtol=1e-4)
