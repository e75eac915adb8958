"""The judging loss: read in parts, and what a user's loss object must return."""

import pytest

from skdiva.loo import LogLoss, Problem, evaluate, judge
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
