"""Steps on the weights: their size, their limits, sources, and the floor of a class."""

import pytest
import torch

from skdiva.loo import SquaredError, descend, evaluate
from skdiva.loo.weights import CLASS_FLOOR, LARGEST_RELATIVE_WEIGHT
from tests.cases import Case
from tests.tolerances import assert_close


@pytest.fixture
def data(device):
    return Case(30, 4, 3, "log_loss").data(device=device)


def one_step(data, learning_rate, start=None, **options):
    start = data.sample_weight if start is None else start
    return descend(
        data.problem(), start, data.alpha, learning_rate=learning_rate, max_iter=1, **options
    )


@pytest.mark.parametrize("learning_rate", [0.1, 0.5, 3.0])
def test_one_step(data, learning_rate):
    descent = one_step(data, learning_rate)
    slope = evaluate(data.problem(), data.sample_weight, data.alpha).derivative
    scale = (data.sample_weight * slope.abs()).sum() / data.sample_weight.sum()
    expected = (1 - learning_rate * slope / scale).clamp(0, 2)
    assert_close(descent.relative_weight, expected.cpu(), 1e-12)
    assert_close(
        descent.sample_weight * (data.sample_weight * expected).mean(),
        (data.sample_weight * expected).cpu(),
        1e-12,
    )
    assert (descent.n_iter, descent.n_steps, len(descent.loss_path)) == (1, 1, 2)


def test_steps_go_on_from_where_the_last_one_ended(data):
    first = one_step(data, 0.5)
    second = descend(data.problem(), data.sample_weight, data.alpha, max_iter=2)
    weight = data.sample_weight * first.relative_weight
    slope = evaluate(data.problem(), weight, data.alpha).derivative
    scale = (data.sample_weight * slope.abs()).sum() / data.sample_weight.sum()
    expected = (first.relative_weight - 0.5 * slope / scale).clamp(0, 2)
    assert_close(second.relative_weight, expected.cpu(), 1e-12)
    assert second.loss_path[:2] == pytest.approx(first.loss_path, rel=1e-12)
    final = evaluate(data.problem(), data.sample_weight * second.relative_weight, data.alpha)
    assert second.loss_path[2] == second.final.loss == pytest.approx(final.loss, rel=1e-12)
    assert second.start.loss == second.loss_path[0]


def test_start_without_derivative(data):
    arguments = data.problem(), data.sample_weight, data.alpha
    known = evaluate(*arguments)
    found, expected = descend(*arguments, start=known), descend(*arguments)
    assert torch.equal(found.relative_weight, expected.relative_weight)
    assert found.n_steps == 3
    with pytest.raises(ValueError, match=r"with the derivative, got start\.derivative=None"):
        descend(*arguments, start=known._replace(derivative=None))


def test_a_small_step_lowers_the_loss_by_its_first_order(data):
    descent = one_step(data, 1e-4)
    slope = descent.start.derivative * data.sample_weight
    predicted = float(slope @ (descent.relative_weight - 1))
    before, after = descent.loss_path
    assert predicted < 0
    assert after - before == pytest.approx(predicted, rel=1e-2)


def test_relative_weights_stay_between_zero_and_the_largest(data):
    descent = descend(data.problem(), data.sample_weight, data.alpha, learning_rate=2.0)
    assert descent.relative_weight.min() == 0
    assert descent.relative_weight.max() == LARGEST_RELATIVE_WEIGHT == 2
    assert descent.sample_weight.mean().item() == pytest.approx(1.0)
    assert ((descent.sample_weight == 0) == (descent.relative_weight == 0)).all()


def test_rows_that_start_at_zero_stay_there(data):
    start = data.sample_weight.clone()
    start[:5] = 0
    descent = one_step(data, 0.5, start)
    assert (descent.sample_weight[:5] == 0).all()
    assert (descent.sample_weight[5:] > 0).any()


def test_scale_of_the_start_weights_does_not_matter(data):
    base = one_step(data, 0.5)
    scaled = descend(
        data.problem(), 10 * data.sample_weight, 10 * data.alpha, learning_rate=0.5, max_iter=1
    )
    assert_close(scaled.relative_weight, base.relative_weight.cpu(), 1e-9)
    assert_close(scaled.sample_weight, base.sample_weight.cpu(), 1e-9)


def test_rows_of_a_source_share_one_relative_weight(data):
    sources = torch.arange(30, device=data.features.device) % 4
    descent = one_step(data, 0.5, sources=sources)
    weight = data.sample_weight
    slope = descent.start.derivative
    means = torch.stack(
        [(weight * slope)[sources == s].sum() / weight[sources == s].sum() for s in range(4)]
    )
    scale = (weight * means[sources].abs()).sum() / weight.sum()
    assert_close(
        descent.relative_weight, (1 - 0.5 * means / scale).clamp(0, 2)[sources].cpu(), 1e-12
    )


def test_the_derivative_of_a_source_is_that_of_its_common_weight(data):
    """Weights of all its rows times 1 + h: the loss changes by h times sum of a_j dL/da_j."""
    inside = (torch.arange(30, device=data.features.device) % 4 == 1).double()
    slope = evaluate(data.problem(), data.sample_weight, data.alpha).derivative
    up, down = (
        evaluate(data.problem(), data.sample_weight * (1 + h * inside), data.alpha).loss
        for h in (1e-5, -1e-5)
    )
    expected = float(inside @ (data.sample_weight * slope))
    assert (up - down) / 2e-5 == pytest.approx(expected, rel=1e-6)


def test_sources_without_start_weight_have_no_derivative(data):
    sources = torch.arange(30, device=data.features.device) // 10
    start = data.sample_weight.clone()
    start[:10] = 0
    descent = one_step(data, 0.5, start, sources=sources)
    assert (descent.relative_weight[:10] == 1).all()
    assert (descent.sample_weight[:10] == 0).all()


def test_a_class_keeps_some_weight(device):
    data = Case(30, 4, 4, "log_loss", seed=12).data(device=device)

    def share_left(classes):
        descent = descend(
            data.problem(), data.sample_weight, data.alpha, learning_rate=3.0, classes=classes
        )
        before, after = (
            torch.zeros(4, dtype=torch.float64, device=device).index_add_(0, data.labels, x)
            for x in (data.sample_weight, data.sample_weight * descent.relative_weight)
        )
        return (after / before).min().item()

    assert share_left(None) == 0, "choose another case: all classes keep weight anyway"
    assert share_left(data.labels) == pytest.approx(CLASS_FLOOR)


def test_classes_that_keep_weight_are_left_alone(data):
    free, floored = (one_step(data, 0.3, classes=classes) for classes in (None, data.labels))
    assert (free.relative_weight == floored.relative_weight).all()


def test_no_step_where_the_derivative_vanishes(device):
    """Targets that are the same everywhere are predicted exactly, whatever the weights."""
    case = Case(20, 4, 1)
    data = case.data(device=device)
    data = data._replace(values=torch.zeros_like(data.values))
    descent = descend(data.problem(), data.sample_weight, data.alpha)
    assert (descent.n_iter, descent.n_steps) == (1, 0)
    assert descent.loss_path == [0.0]
    assert (descent.relative_weight == 1).all()
    assert descent.sample_weight.mean().item() == pytest.approx(1.0)


def test_every_evaluation_is_reported(data):
    seen = []
    descent = descend(
        data.problem(),
        data.sample_weight,
        data.alpha,
        on_step=lambda *reported: seen.append(reported),
    )
    assert seen == list(enumerate(descent.loss_path))
    assert len(seen) == 4


def test_groups_and_validation_are_used(device):
    data = Case(30, 4, 2, grouping="ragged").data(device=device)
    validation = Case(10, 4, 2, seed=1).data(device=device)
    problem = data.problem(
        loss=SquaredError(), validation=(validation.features, validation.targets())
    )
    descent = descend(problem, data.sample_weight, data.alpha, max_iter=1)
    expected = evaluate(problem, data.sample_weight, data.alpha)
    assert descent.start.loss == expected.loss
    assert (descent.start.derivative == expected.derivative).all()
    assert descent.final.derivative is None


def test_a_step_that_would_leave_one_row_is_not_taken(device):
    data = Case(4, 1, 1, seed=54, relative_alpha=1.0).data(device=device)
    descent = descend(data.problem(), data.sample_weight, data.alpha)
    assert descent.n_steps < descent.n_iter
    assert (descent.sample_weight > 0).sum() >= 2
