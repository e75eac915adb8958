"""Posteriors of labels, and the threshold of largest expected F1 against all possible flags."""

import numpy as np
import pytest
import torch

from skdiva.loo import expected_f1_threshold
from skdiva.loo.noise import LabelPosterior


class Given(LabelPosterior):
    """A posterior that does not look at the outputs; hedged, all classes are equally likely."""

    def __init__(self, probabilities):
        self.probabilities = probabilities

    def class_probabilities(self, outputs, labels, *, hedged=True):
        del outputs, labels
        if hedged:
            return torch.full_like(self.probabilities, 1 / self.probabilities.shape[1])
        return self.probabilities


def test_a_label_is_wrong_if_another_class_is_right():
    probabilities = torch.tensor([[0.7, 0.2, 0.1], [0.7, 0.2, 0.1]], dtype=torch.float64)
    labels = torch.tensor([0, 2])
    posterior = Given(probabilities)
    wrong = posterior.wrong_probability(torch.zeros(2, 3), labels, hedged=False)
    np.testing.assert_allclose(wrong, [0.3, 0.9])
    np.testing.assert_allclose(posterior.wrong_probability(torch.zeros(2, 3), labels), 2 / 3)
    assert (probabilities > 0).all()  # the probabilities are not overwritten


def test_small_probabilities_are_summed_and_not_subtracted_from_one():
    posterior = Given(torch.tensor([[1.0, 1e-30]], dtype=torch.float64))
    wrong = posterior.wrong_probability(torch.zeros(1, 2), torch.tensor([0]), hedged=False)
    np.testing.assert_allclose(wrong, 1e-30, rtol=1e-12)


def test_no_label_is_more_than_certainly_wrong():
    rounded = torch.tensor([[0.0, 0.7, 0.3 + 3e-16]], dtype=torch.float64)
    assert rounded.sum() > 1
    assert Given(rounded).wrong_probability(rounded, torch.tensor([0]), hedged=False) == 1


def test_a_posterior_must_be_complete():
    method = "class_probabilities"
    incomplete = type("Incomplete", (Given,), {method: getattr(LabelPosterior, method)})
    with pytest.raises(TypeError, match=method):
        incomplete(torch.zeros(1, 2))


def best_flags(probability):
    """Flags of the number of rows with the largest expected F1; none at or below 0.1."""
    order = np.argsort(-probability, kind="stable")
    f1 = [
        2 * sum(probability[i] for i in order[:n]) / (n + probability.sum())
        for n in range(1, len(order) + 1)
    ]
    flags = np.zeros(len(probability), dtype=bool)
    flags[order[: np.argmax(f1) + 1]] = True
    return flags & (probability > 0.1)


def flags(probability):
    return probability > expected_f1_threshold(torch.tensor(probability))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("shape", [(0.2, 0.2), (0.05, 1.0), (2.0, 5.0), (5.0, 1.0)])
def test_every_number_of_rows_was_tried(shape, seed):
    probability = np.random.default_rng(seed).beta(*shape, size=60)
    np.testing.assert_array_equal(flags(probability), best_flags(probability))


def test_it_is_close_to_the_expectation_over_all_outcomes():
    """No other threshold has a much larger F1, averaged over draws of the wrong labels."""
    draw = np.random.default_rng(0)
    probability = draw.beta(0.3, 1.0, size=200)
    wrong = draw.uniform(size=(2000, 200)) < probability

    def mean_f1(flagged):
        return np.mean(2 * (wrong & flagged).sum(axis=1) / (flagged.sum() + wrong.sum(axis=1)))

    others = [mean_f1(probability > t) for t in np.linspace(0.05, 0.9, 40)]
    assert mean_f1(flags(probability)) > max(others) - 0.005


def test_nothing_below_a_tenth_is_flagged():
    assert expected_f1_threshold(torch.full((50,), 0.09)) == pytest.approx(0.1)
    assert not flags(np.full(50, 0.09)).any()
    assert not flags(np.zeros(5)).any()
    assert flags(np.full(50, 0.11)).all()
    assert flags(np.array([0.11, 0.09, 0.11])).tolist() == [True, False, True]


@pytest.mark.parametrize("tied", [0.2, 0.5, 0.7])
def test_ties_are_flagged_all_or_none(tied):
    probability = np.array([tied] * 10 + [0.95] * 6 + [0.01] * 20)
    flagged = flags(probability)
    assert len(set(flagged[:10])) == 1
    assert flagged[10:16].all()
    np.testing.assert_array_equal(flagged, best_flags(probability))


def test_rows_tied_at_the_threshold_are_not_above_it():
    probability = torch.tensor([0.9, 0.9, 0.2, 0.2, 0.2])
    threshold = expected_f1_threshold(probability)
    assert threshold == pytest.approx(0.2)
    assert (probability > threshold).tolist() == [True, True, False, False, False]


def test_order_and_dtype_do_not_matter():
    probability = torch.rand(40, generator=torch.Generator().manual_seed(0))
    threshold = expected_f1_threshold(probability)
    assert isinstance(threshold, float)
    assert expected_f1_threshold(probability.flip(0)) == threshold
    assert expected_f1_threshold(probability.double()) == threshold
    assert expected_f1_threshold(torch.tensor([0.7])) == pytest.approx(0.1)
