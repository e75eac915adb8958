"""Simulated annotators: error rates, confusions and votes."""

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from skdiva.datasets import annotate

RATES = [0.0, 0.1, 0.35]
Y = np.repeat(["a", "b", "c", "d"], 600)


@pytest.mark.parametrize("kind", ["own", "uniform", "pair"])
@pytest.mark.parametrize("n_votes", [1, 2, 3])
def test_rates_are_exact_and_wrong_labels_are_marked(kind, n_votes):
    y = Y.copy()
    labels, is_wrong, annotator = annotate(y, RATES, n_votes=n_votes, kind=kind, random_state=0)
    assert labels.shape == is_wrong.shape == annotator.shape == (len(Y) * n_votes,)
    assert np.array_equal(labels != np.repeat(Y, n_votes), is_wrong)
    assert np.array_equal(y, Y)
    assert set(labels) == set(Y)
    for a, rate in enumerate(RATES):
        assert is_wrong[annotator == a].sum() == round(rate * (annotator == a).sum())


def test_every_row_has_its_votes_from_different_annotators():
    _, _, annotator = annotate(Y, [0.1] * 5, n_votes=3, random_state=0)
    votes = np.sort(annotator.reshape(-1, 3), axis=1)
    assert (np.diff(votes, axis=1) > 0).all()
    # Ten teams of three, equally likely: five standard deviations of a count.
    _, counts = np.unique(votes, axis=0, return_counts=True)
    assert len(counts) == 10
    assert np.abs(counts - len(Y) / 10).max() < 5 * np.sqrt(len(Y) / 10 * 0.9)


def confusions(labels, is_wrong, annotator, a):
    """Counts (k, k) of the wrong labels of an annotator, by true and given class."""
    rows = is_wrong & (annotator == a)
    classes, codes = np.unique(Y6, return_inverse=True)
    counts = np.zeros((len(classes),) * 2)
    np.add.at(counts, (codes[rows], np.searchsorted(classes, labels[rows])), 1)
    return counts


Y6 = np.tile(np.arange(6), 4000)


def test_own_confusions_differ_between_annotators_only():
    answer = annotate(Y6, [0.4, 0.4, 0.4], random_state=0)
    counts = [confusions(*answer, a) for a in range(3)]
    # Most errors fall on two other classes; with uniform errors their share would be 40 %.
    for count in counts:
        share = np.sort(count, axis=1)[:, -2:].sum() / count.sum()
        assert 0.6 < share < 1
    # Two annotators differ; a single one is the same in both halves of the rows.
    pair = np.stack([counts[0][0], counts[1][0]])
    assert chi2_contingency(pair[:, pair.any(axis=0)]).pvalue < 1e-6
    half = np.arange(len(Y6)) < len(Y6) // 2
    labels, is_wrong, annotator = answer
    halves = np.stack([confusions(labels, is_wrong & h, annotator, 0)[0] for h in (half, ~half)])
    assert chi2_contingency(halves[:, halves.any(axis=0)]).pvalue > 1e-4


def test_uniform_is_any_other_class():
    count = confusions(*annotate(Y6, [0.4, 0.4], kind="uniform", random_state=0), 0)
    expected = count.sum() / 30
    assert (np.diag(count) == 0).all()
    off = count[~np.eye(6, dtype=bool)]
    assert np.abs(off - expected).max() < 5 * np.sqrt(expected)


def test_pair_is_the_next_class():
    count = confusions(*annotate(Y6, [0.4, 0.4], kind="pair", random_state=0), 1)
    assert (count > 0).sum() == 6
    assert (count[np.arange(6), (np.arange(6) + 1) % 6] > 0).all()


@pytest.mark.parametrize("kind", ["own", "uniform", "pair"])
def test_a_class_that_an_annotator_never_saw(kind):
    """With few rows per annotator, codes still refer to the classes of all rows."""
    y = np.arange(7)
    labels, is_wrong, _ = annotate(y, [1.0] * 5, kind=kind, random_state=0)
    assert is_wrong.all()
    assert (labels != y).all()
    assert set(labels) <= set(y)


def test_two_classes():
    labels, is_wrong, _ = annotate([True, False] * 50, [0.2, 0.4], random_state=0)
    assert np.array_equal(labels[is_wrong], ~np.tile([True, False], 50)[is_wrong])


def test_seed_decides():
    first, again, other = (annotate(Y, RATES, random_state=seed) for seed in (0, 0, 1))
    assert all(np.array_equal(*pair) for pair in zip(first, again, strict=True))
    assert not any(np.array_equal(*pair) for pair in zip(first, other, strict=True))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"noise_rates": [0.1]}, "at least two shares of wrong labels, got .*flip_labels"),
        ({"noise_rates": 0.1}, "at least two shares of wrong labels, got 0.1"),
        ({"noise_rates": None}, "at least two shares .* got None. Pass one share per"),
        (
            {"noise_rates": np.array(0.2)},
            r"two shares of .* got array\(0.2\). Pass one",
        ),
        ({"noise_rates": [0.1, 1.2]}, r"noise_rates\[1\] must be a number in \[0, 1\], got 1.2"),
        ({"n_votes": 3}, "n_votes must be an int from 1 to 2, the number of annotators, got 3"),
        ({"n_votes": 1.0}, "n_votes must be an int from 1 to 2"),
        ({"kind": "doubt"}, "kind must be 'own', 'uniform' or 'pair', got 'doubt'"),
        ({"y": ["a", "a"]}, "at least two classes, got 1"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        annotate(**{"y": ["a", "b"], "noise_rates": [0.1, 0.2], **arguments})
