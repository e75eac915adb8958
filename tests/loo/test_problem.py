"""What a problem is made of."""

import pytest
import torch

from skdiva.loo import ClassTargets, Problem, ValueTargets
from tests.cases import Case


def test_a_loss_without_its_methods_is_refused():
    with pytest.raises(TypeError, match="without value and derivative"):
        Problem(torch.ones(3, 2), ValueTargets(torch.ones(3, 1)), loss="squared_error")


def test_integer_labels_are_enough():
    data = Case(20, 4, 3, "log_loss").data()
    by_label = data.problem(targets=ClassTargets(data.labels, 3))
    assert by_label.targets.n_outputs == 3
    assert not torch.is_floating_point(by_label.targets.labels)
