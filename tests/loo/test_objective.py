"""The judging loss: who judges, read in parts, and what a user's loss object must return."""

import pytest
import torch

from skdiva.loo import LogLoss, Problem, evaluate
from skdiva.loo import _objective as judge
from tests.cases import Case
from tests.tolerances import assert_close


def test_losses_are_read_a_part_at_a_time(monkeypatch):
    data = Case(20, 4, 3, "log_loss").data()
    whole = evaluate(data.problem(), data.sample_weight, data.alpha)
    monkeypatch.setattr(judge, "_LOSS_ROWS", 7)
    parts = evaluate(data.problem(), data.sample_weight, data.alpha)
    assert parts.loss == pytest.approx(whole.loss, rel=1e-14)
    assert_close(parts.derivative, whole.derivative, 1e-13)


class MeanLoss(LogLoss):
    """One loss for all rows, as losses for training networks return."""

    def value(self, predictions, targets):
        return super().value(predictions, targets).mean()


def test_a_loss_that_is_not_per_row():
    data = Case(20, 4, 3, "log_loss").data()
    targets = data.problem().targets
    problem = Problem(data.features, targets, loss=MeanLoss())
    message = r"MeanLoss.value must return one loss per row, shape \(20,\).*got \(\)"
    with pytest.raises(ValueError, match=message):
        evaluate(problem, data.sample_weight, data.alpha)


@pytest.mark.parametrize("grouping", [None, "ragged", "long"])
@pytest.mark.parametrize("batch_size", ["auto", 3])
def test_a_group_is_one_judge(batch_size, grouping):
    data = Case(40, 4, 2, grouping=grouping, batch_size=batch_size).data()
    problem = data.problem()
    weight, units = judge.judges(problem)
    groups = torch.arange(40) if data.groups is None else data.groups
    pairs = set(zip(problem.layout.arrange(groups).tolist(), units.tolist(), strict=True))
    n_groups = len(groups.unique())
    assert len(pairs) == n_groups  # one number per group, and one group per number
    assert sorted(number for _, number in pairs) == list(range(n_groups))
    assert (weight == problem.layout.arrange(data.validation_weight)).all()


def test_validation_rows_judge_alone():
    data, others = Case(20, 4, 3, "log_loss").data(), Case(9, 4, 3, "log_loss", seed=1).data()
    weight, units = judge.judges(data.problem(validation=(others.features, others.targets())))
    assert units.tolist() == list(range(9))
    assert (weight == 1).all()


@pytest.mark.parametrize("validation", [False, True])
def test_losses_of_the_judges_have_the_mean_loss(validation, monkeypatch):
    monkeypatch.setattr(judge, "_LOSS_ROWS", 7)
    how = {"grouping": "ragged", "initial_outputs": True}
    data, others = (Case(20, 4, 3, "log_loss", seed=seed, **how).data() for seed in (0, 1))
    how = {"validation": (others.features, others.targets())} if validation else {}
    problem = data.problem(**how)
    evaluation = evaluate(problem, data.sample_weight, data.alpha)
    predictions, targets = judge.judged_predictions(problem, evaluation)
    losses = judge.row_losses(problem.loss, predictions, targets)
    weight, _ = judge.judges(problem)
    assert float(weight @ losses / weight.sum()) == pytest.approx(evaluation.loss, rel=1e-12)
