"""The confident joint: its rows, its count, and the threshold made from it."""

import torch
from numpy.testing import assert_allclose

from skdiva.loo.confident_joint import confident_joint, wrong_label_threshold


def one_hot_outputs(true, n_classes):
    return torch.nn.functional.one_hot(true, n_classes).double()


def flipped(n_per_class, flips):
    """Labels with ``flips[i, j]`` rows of true class j labelled i; the rest are right."""
    true, given = [], []
    for i, row in enumerate(flips):
        for j, count in enumerate(row):
            true += [j] * count
            given += [i] * count
        rest = n_per_class - sum(row)
        true += [i] * rest
        given += [i] * rest
    return torch.tensor(true), torch.tensor(given)


def test_perfect_outputs_recover_the_planted_confusion():
    flips = [[0, 3, 1], [0, 0, 4], [2, 0, 0]]
    true, given = flipped(50, flips)
    joint = confident_joint(one_hot_outputs(true, 3), given)
    expected = torch.tensor(flips).double()
    expected += torch.diag(50 - expected.sum(dim=1))
    assert_allclose(joint, expected, atol=1e-9)


def test_rows_sum_to_the_count_of_their_label():
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(200, 4, generator=generator)
    labels = torch.randint(0, 4, (200,), generator=generator)
    joint = confident_joint(outputs, labels)
    assert_allclose(joint.sum(dim=1), torch.bincount(labels, minlength=4).double())
    assert (joint >= 0).all()


def test_right_labels_and_perfect_outputs_give_no_error():
    labels = torch.arange(30) % 3
    outputs = one_hot_outputs(labels, 3)
    joint = confident_joint(outputs, labels)
    assert_allclose(joint, torch.diag(torch.full((3,), 10.0, dtype=torch.float64)))
    margins = -torch.ones(30, dtype=torch.float64)
    assert wrong_label_threshold(outputs, labels, margins) == 0


def test_a_class_without_rows_gets_none():
    labels = torch.tensor([0, 0, 1, 1])
    joint = confident_joint(torch.eye(3, dtype=torch.float64)[labels], labels)
    assert_allclose(joint[2], 0)
    assert_allclose(joint[:, 2], 0)


def test_threshold_flags_the_estimated_number():
    true, given = flipped(50, [[0, 5], [3, 0]])
    outputs = one_hot_outputs(true, 2)
    outputs += 0.1 * torch.rand(100, 2, generator=torch.Generator().manual_seed(0)).double()
    own = outputs.gather(1, given[:, None])[:, 0]
    margins = outputs.gather(1, 1 - given[:, None])[:, 0] - own
    threshold = wrong_label_threshold(outputs, given, margins)
    assert ((margins > threshold) == (true != given)).all()


def test_threshold_is_never_below_zero():
    generator = torch.Generator().manual_seed(1)
    outputs = torch.randn(300, 5, generator=generator)
    labels = outputs.argmax(dim=1)  # every label is the best class, however unsure
    own = outputs.gather(1, labels[:, None])
    margins = outputs.scatter(1, labels[:, None], -torch.inf).amax(dim=1) - own[:, 0]
    assert wrong_label_threshold(outputs, labels, margins) == 0
