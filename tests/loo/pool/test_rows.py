"""Rows picked out of blocks are those of the whole, in the order asked for."""

import pytest
import torch

from skdiva.loo._targets import ClassTargets, ValueTargets
from skdiva.loo.pool._rows import pick_rows

FEATURES = torch.arange(22.0).reshape(11, 2)
INITIAL = torch.arange(33.0).reshape(11, 3)
LABELS = torch.arange(11) % 3
TARGETS = {
    "classes": ClassTargets(LABELS, 3),
    "classes with initial outputs": ClassTargets(LABELS, 3, INITIAL),
    "numbers": ValueTargets(FEATURES.double() ** 2),
    "numbers with initial outputs": ValueTargets(INITIAL.double(), INITIAL),
}
ROWS = torch.tensor([9, 0, 4, 3, 10])


@pytest.mark.parametrize("size", [1, 4, 11])
@pytest.mark.parametrize("name", TARGETS)
def test_rows_are_those_of_the_whole(name, size):
    numbers = torch.arange(11).split(size)
    pool = [(FEATURES[part], TARGETS[name].select(part)) for part in numbers]
    features, targets = pick_rows(pool, [*range(0, 11, size), 11], ROWS)
    torch.testing.assert_close(features, FEATURES[ROWS])
    expected = TARGETS[name].select(ROWS)
    for found, wanted in (
        (targets.block(slice(None), torch.float64), expected.block(slice(None), torch.float64)),
        (targets.initial_outputs, expected.initial_outputs),
    ):
        assert wanted is found if wanted is None else torch.equal(found, wanted)
