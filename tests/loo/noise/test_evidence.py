"""Evidence against labels: whether outputs say anything, and how many rows a class may lose."""

import numpy as np
import pytest
import torch

from skdiva.loo.noise import LabelSignal, class_cuts, label_signal, lower_to_cuts, random_labels
from tests.tolerances import assert_close

STRONG = LabelSignal(significance=10.0, error=0.5, error_of_shares=1.0)


def drawn(n=200, k=3, related=0.5, seed=0, weighted=True):
    """Outputs that are class shares plus a bit of the one-hot labels, labels and weights."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(k, size=n)
    outputs = 1 / k + related * (np.eye(k)[labels] - 1 / k) + rng.normal(0, 0.1, (n, k))
    weight = rng.uniform(0.2, 2, n) if weighted else np.ones(n)
    return outputs, labels, weight / weight.mean()


def measured(outputs, labels, weight):
    return label_signal(*map(torch.from_numpy, (outputs, labels, weight)))


@pytest.mark.parametrize("k", [2, 5])
@pytest.mark.parametrize("weighted", [False, True])
def test_signal_is_that_of_one_hot_columns(k, weighted):
    outputs, labels, weight = drawn(k=k, weighted=weighted)
    one_hot, n = np.eye(k)[labels], len(labels)
    chance = np.array(
        [
            np.average(np.delete(one_hot, i, 0), axis=0, weights=np.delete(weight, i))
            for i in range(n)
        ]
    )
    found = measured(outputs, labels, weight)
    assert_close(found.error, np.average(((one_hot - outputs) ** 2).sum(axis=1), weights=weight))
    assert_close(
        found.error_of_shares, np.average(((one_hot - chance) ** 2).sum(axis=1), weights=weight)
    )
    deviation = outputs - chance
    covariance = np.cov(one_hot.T, aweights=weight, bias=True)
    variance = sum(w**2 * d @ covariance @ d for w, d in zip(weight, deviation, strict=True))
    total = (weight[:, None] * (one_hot - chance) * deviation).sum()
    assert_close(found.significance, total / np.sqrt(variance), 1e-9)


def test_significance_is_that_of_permuted_labels():
    """The standard error is the standard deviation over permutations of the labels."""
    outputs, labels, _ = drawn(n=300, related=0.05, weighted=False)
    rng, k = np.random.default_rng(1), 3
    one_hot = np.eye(k)[labels]
    chance = (one_hot.sum(axis=0) - one_hot) / (len(labels) - 1)
    centered = outputs - one_hot.mean(axis=0)
    totals = [(one_hot[rng.permutation(len(labels))] * centered).sum() for _ in range(2000)]
    total = ((one_hot - chance) * (outputs - chance)).sum()
    found = measured(outputs, labels, np.ones(len(labels)))
    assert found.significance > 4
    assert abs(found.significance / (total / np.std(totals)) - 1) < 0.1


@pytest.mark.parametrize("outputs", ["shares", "constant", "unrelated", "contrary"])
def test_outputs_without_signal(outputs):
    _, labels, weight = drawn(n=120, weighted=False)
    one_hot = np.eye(3)[labels]
    made = {
        "shares": (one_hot.sum(axis=0) - one_hot) / 119,
        "constant": np.zeros((120, 3)),
        "unrelated": np.random.default_rng(2).normal(1 / 3, 0.02, (120, 3)),
        "contrary": 1 - one_hot,
    }[outputs]
    found = measured(made, labels, weight)
    assert found.significance < 2
    assert np.isfinite(found).all()


def classes(n_rare=100, n=2000, at_random=0.0, overlap=0.0, seed=0):
    """Outputs and labels of two classes: of the rare one, some rows look like the other class."""
    rng = np.random.default_rng(seed)
    truth = np.arange(n) < n_rare
    look = np.where(truth, 0.8, 0.1) + rng.normal(0, 0.05, n)
    look[: int(overlap * n_rare)] = rng.uniform(0.2, 0.5, int(overlap * n_rare))
    labels = np.where(rng.random(n) < at_random, ~truth, truth).astype(int)
    outputs = np.column_stack([1 - look, look])
    return torch.from_numpy(outputs), torch.from_numpy(labels)


def test_labels_given_at_random_are_counted():
    outputs, labels = classes(at_random=0.1)
    wrong = int(labels[100:].sum())
    found = random_labels(outputs, labels, 1, STRONG)
    assert wrong < found < 3 * wrong
    assert random_labels(outputs, labels, 1, LabelSignal(2.9, 0.5, 1.0)) == 0
    clean = classes(overlap=0.6)
    assert random_labels(*clean, 1, STRONG) == 0


def flagged(probability, labels, cuts, threshold):
    lowered = lower_to_cuts(probability, labels, threshold, cuts)
    above = probability > threshold
    assert (lowered[~above] == probability[~above]).all()
    order = probability[above].argsort()
    assert (lowered[above][order].diff() >= 0).all()
    return (lowered > threshold).numpy()


def test_few_rows_of_a_rare_class_are_flagged():
    """60 of 100 rows look like the other class; a probability of 0.2 for each makes 12."""
    outputs, labels = classes(overlap=0.6)
    rng = np.random.default_rng(3)
    probability = torch.from_numpy(np.where(np.arange(2000) < 60, 0.2, 0.0))
    probability += torch.from_numpy(rng.uniform(0, 1e-4, 2000))
    cuts = class_cuts(probability, outputs, labels, 0.1, STRONG)
    assert cuts[0] == 0.1
    flags = flagged(probability, labels, cuts, 0.1)
    assert flags.sum() == 12
    most_probable = np.argsort(-probability.numpy())[:12]
    assert set(np.flatnonzero(flags)) == set(most_probable)


def test_a_rare_class_is_flagged_with_evidence():
    outputs, labels = classes(at_random=0.1)
    wrong = (labels == 1) & (torch.arange(2000) >= 100)
    probability = torch.where(wrong, 0.2, 0.0).double()
    assert wrong.sum() > 150
    cuts = class_cuts(probability, outputs, labels, 0.1, STRONG)
    assert (cuts == 0.1).all()
    cuts = class_cuts(probability, outputs, labels, 0.1, LabelSignal(2.5, 0.99, 1.0))
    assert flagged(probability, labels, cuts, 0.1).sum() < 0.7 * wrong.sum()


@pytest.mark.parametrize(("reduction", "multiple"), [(0.02, 3), (0.1, 4), (0.5, 5)])
def test_a_large_class_loses_a_multiple_of_the_expected_number(reduction, multiple):
    """The clearer the outputs are, the more rows may be flagged."""
    n, signal = 1000, LabelSignal(10.0, 1 - reduction, 1.0)
    labels = torch.arange(n) % 2
    outputs = torch.stack([1.0 - labels, labels * 1.0], dim=1)
    probability = torch.full((n,), 0.12, dtype=torch.float64) + torch.linspace(0, 1e-3, n)
    cuts = class_cuts(probability, outputs, labels, 0.1, signal)
    flags = flagged(probability, labels, cuts, 0.1)
    for code in range(2):
        assert flags[labels == code].mean() == pytest.approx(0.1205 * multiple, abs=0.004)


def test_nothing_is_flagged_without_signal():
    probability = torch.linspace(0, 1, 40, dtype=torch.float64)
    labels = torch.arange(40) % 2
    cuts = class_cuts(probability, torch.zeros(40, 2), labels, 0.1, LabelSignal(1.9, 0.5, 1.0))
    assert not flagged(probability, labels, cuts, 0.1).any()


def test_ties_at_the_limit_are_not_flagged():
    labels = torch.arange(40) % 2
    outputs = torch.zeros(40, 2, dtype=torch.float64)
    probability = torch.where(labels == 1, 0.15, 0.0).double()
    cuts = class_cuts(probability, outputs, labels, 0.1, STRONG)
    assert flagged(probability, labels, cuts, 0.1).sum() == 0
