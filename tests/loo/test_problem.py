"""Ridge problems: their arguments, and other objectives of the same model."""

import pytest
import torch

from skdiva.loo import (
    ClassTargets,
    JointProblem,
    LogLoss,
    Problem,
    SquaredError,
    ValueTargets,
    evaluate,
)
from tests.cases import Case
from tests.loo.rows.made_rows import MadeRows


def test_a_loss_without_its_methods_is_refused():
    with pytest.raises(TypeError, match="without value and derivative"):
        Problem(torch.ones(3, 2), ValueTargets(torch.ones(3, 1)), loss="squared_error")


def test_integer_labels_are_enough():
    data = Case(20, 4, 3, "log_loss").data()
    by_label = data.problem(targets=ClassTargets(data.labels, 3))
    assert by_label.targets.n_outputs == 3
    assert not torch.is_floating_point(by_label.targets.labels)


@pytest.mark.parametrize("n_targets", [0, 9, 11])
@pytest.mark.parametrize("groups", [None, torch.arange(10) // 2])
def test_targets_of_another_length_are_refused(groups, n_targets):
    features = torch.ones(10, 2)
    message = rf"one target for each of the 10 rows of features, got {n_targets} targets\. Pass"
    for targets in (
        ValueTargets(torch.ones(n_targets, 1)),
        ClassTargets(torch.zeros(n_targets, dtype=torch.int64), 2),
    ):
        with pytest.raises(ValueError, match=message):
            Problem(features, targets, loss=SquaredError(), groups=groups)
        with pytest.raises(ValueError, match=message):
            JointProblem(
                features[:, None].expand(10, targets.n_outputs, 2),
                targets,
                loss=SquaredError(),
                groups=groups,
            )


def test_other_kinds_of_features_are_refused():
    with pytest.raises(TypeError, match=r"got a tensor of shape \(3, 2\) and dtype torch\.int64"):
        Problem(torch.ones(3, 2).long(), ValueTargets(torch.ones(3, 1)), loss=SquaredError())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_attributes(dtype, device):
    data = Case(10, 4, 2).data(dtype, device)
    made = MadeRows(lambda rows: data.features[rows], 10, dtype, device)
    for features in (data.features, made):
        problem = data._replace(features=features).problem()
        assert (problem.n_rows, problem.rows.n_columns, problem.dtype) == (10, 4, dtype)
        assert problem.device.type == torch.device(device).type
        assert not problem.gram_only
        assert problem.row_targets is problem.targets
    assert problem.rows is made


@pytest.mark.parametrize("grouping", [None, "ragged"])
def test_replace(grouping):
    case = Case(20, 4, 3, "log_loss", grouping=grouping)
    data = case.data()
    other = Case(9, 4, 3, "log_loss", seed=3).data()
    problem = data.problem()
    changes = {
        "loss": SquaredError(),
        "validation_weight": data.validation_weight.flip(0),
        "validation": (other.features, other.targets()),
    }
    for name, value in changes.items():
        changed, fresh = problem.replace(**{name: value}), data.problem(**{name: value})
        assert type(changed) is Problem
        ours, theirs = (evaluate(p, data.sample_weight, data.alpha) for p in (changed, fresh))
        assert ours.loss == theirs.loss
        assert torch.equal(ours.derivative, theirs.derivative)
        # The model is shared, and the problem itself stays as it is.
        assert changed.rows is problem.rows
        assert changed.layout is problem.layout
    assert isinstance(problem.loss, LogLoss)
    assert problem.validation is None
    assert torch.equal(problem.layout.restore(problem.validation_weight), data.validation_weight)
    same = problem.replace()
    assert (same.loss, same.validation) == (problem.loss, None)
    assert same.validation_weight is problem.validation_weight


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_refused(dtype):
    """Nothing can be factorized in it."""
    features = torch.zeros(4, 2, dtype=dtype)
    targets = ClassTargets(torch.tensor([0, 1, 0, 1]), 2)
    with pytest.raises(TypeError, match="float32 or float64, got torch"):
        Problem(features, targets, loss=LogLoss())
