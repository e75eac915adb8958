"""Losses, their derivatives and their weighted mean over rows."""

import pytest
import torch

from skdiva.loo import Budget, LogLoss, Problem, SquaredError, ValueTargets, evaluate
from skdiva.loo._losses import ScaledSquaredError, check_loss
from tests.cases import LOSSES, Case
from tests.tolerances import assert_close


def example():
    draw = torch.Generator().manual_seed(0)
    predictions = 3 * torch.randn(6, 4, generator=draw, dtype=torch.float64)
    targets = torch.rand(6, 4, generator=draw, dtype=torch.float64)
    return predictions, targets


@pytest.mark.parametrize("name", LOSSES)
def test_derivative(name):
    predictions, targets = example()
    predictions.requires_grad_()
    (expected,) = torch.autograd.grad(LOSSES[name].value(predictions, targets).sum(), predictions)
    assert_close(LOSSES[name].derivative(predictions.detach(), targets), expected, 1e-14)


def test_derivative_at_a_scale():
    predictions, targets = example()
    predictions.requires_grad_()
    loss = ScaledSquaredError(1.7)
    (expected,) = torch.autograd.grad(loss.value(predictions, targets).sum(), predictions)
    assert_close(loss.derivative(predictions.detach(), targets), expected, 1e-14)
    even = torch.full((6, 4), 0.25, dtype=torch.float64)
    assert_close(loss.value(even, targets), SquaredError().value(even, targets), 1e-14)


@pytest.mark.parametrize("rows", [2**16, 4])
def test_the_best_scale_is_the_best(rows):
    predictions, targets = example()
    weight = torch.linspace(0.5, 2, 6, dtype=torch.float64)
    best = ScaledSquaredError.at_best_scale(
        predictions, ValueTargets(targets), weight, Budget(block_rows=rows)
    )
    assert best.scale > 0

    def total(scale):
        return float(weight @ ScaledSquaredError(scale).value(predictions, targets))

    for other in (0.99, 1.01):
        assert total(best.scale) < total(other * best.scale)


def test_outputs_that_point_the_wrong_way_keep_their_scale():
    predictions, _ = example()
    targets = ValueTargets(0.25 - predictions)
    weight = torch.ones(6, dtype=torch.float64)
    assert ScaledSquaredError.at_best_scale(predictions, targets, weight).scale == 1.0


def test_squared_error_is_summed_over_outputs():
    value = SquaredError().value(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 4.0]]))
    assert value.tolist() == [5.0]


def test_log_loss_is_that_of_torch():
    predictions, _ = example()
    labels = torch.tensor([0, 3, 1, 1, 2, 0])
    one_hot = torch.nn.functional.one_hot(labels, 4).double()
    expected = torch.nn.functional.cross_entropy(predictions, labels, reduction="none")
    assert_close(LogLoss().value(predictions, one_hot), expected, 1e-14)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_log_loss_of_extreme_logits(dtype):
    predictions = torch.tensor([[1e4, -1e4], [-1e4, 1e4]], dtype=dtype)
    one_hot = torch.tensor([[1.0, 0.0], [1.0, 0.0]], dtype=dtype)
    assert LogLoss().value(predictions, one_hot).tolist() == [0.0, 2e4]
    assert LogLoss().derivative(predictions, one_hot).tolist() == [[0.0, 0.0], [-1.0, 1.0]]


@pytest.mark.parametrize("name", LOSSES)
def test_inputs_stay_as_they_are(name):
    predictions, targets = example()
    LOSSES[name].value(predictions, targets)
    LOSSES[name].derivative(predictions, targets)
    assert (predictions == example()[0]).all()
    assert (targets == example()[1]).all()


class WithoutDerivative:
    value = SquaredError.value


@pytest.mark.parametrize(
    ("loss", "missing"),
    [(WithoutDerivative(), "without derivative"), ("log_loss", "without value and derivative")],
)
def test_a_loss_without_its_methods_is_refused(loss, missing):
    with pytest.raises(TypeError, match=missing):
        check_loss(loss)


@pytest.mark.parametrize("loss", LOSSES.values())
def test_a_loss_with_its_methods_is_accepted(loss):
    check_loss(loss)


def test_losses_are_computed_a_block_at_a_time():
    data = Case(20, 4, 3, "log_loss").data()
    sizes = []

    class Recorded(LogLoss):
        def value(self, predictions, targets):
            sizes.append(len(predictions))
            return super().value(predictions, targets)

    whole, parts = (
        evaluate(data.problem(budget=budget, loss=Recorded()), data.sample_weight, data.alpha)
        for budget in (Budget(), Budget(block_rows=7))
    )
    assert sizes == [20, 7, 7, 6]
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
    message = r"MeanLoss.value must return one loss per row, shape \(20,\) on .*got shape \(\) on"
    with pytest.raises(ValueError, match=message):
        evaluate(problem, data.sample_weight, data.alpha)
