"""Chosen penalty against refits at every penalty of the same grid."""

import pytest
import torch

from skdiva.loo import choose_penalty
from skdiva.loo._brute_force import refit
from tests.cases import Case
from tests.oracles import loo_loss, loo_predictions

CASES = {
    "tall": Case(40, 5, 2),
    "wide": Case(14, 40, 2),
    "square": Case(14, 14, 2, seed=3),
    "no intercept": Case(40, 5, 2, fit_intercept=False),
    "ragged groups": Case(40, 5, 2, grouping="ragged"),
    "ragged groups, wide": Case(14, 40, 2, grouping="ragged"),
    "long groups": Case(40, 3, 2, grouping="long"),
    "zero weights": Case(40, 5, 2, zero_weights=True),
    "zero weights, wide": Case(14, 40, 2, zero_weights=True, seed=4),
    "raw scales": Case(40, 5, 2, raw_scales=True, seed=1),
    "means of 1000": Case(40, 5, 2, large_means=True),
    "initial outputs, blocks": Case(40, 5, 2, initial_outputs=True, block_rows=7),
}
DEFAULT_GRID = (-4, 2)
WHOLE_GRID = (-9, 6)


def mean_eigenvalue(data):
    return data.alpha / data.case.relative_alpha


def best_exponent(loss, data, first, last):
    """Exponent of the penalty, in mean eigenvalues, with the smallest loss; the last if equal."""
    exponents = torch.arange(2 * first, 2 * last + 1) / 2
    losses = torch.tensor(
        [loss(mean_eigenvalue(data) * 10 ** float(x)) for x in exponents], dtype=torch.float64
    )
    return float(exponents[losses <= losses.min() * (1 + 1e-9)].max())


def chosen_exponent(data, **changes):
    alpha = choose_penalty(data.problem(**changes), data.sample_weight).alpha
    return torch.tensor(alpha / mean_eigenvalue(data)).log10().item()


@pytest.mark.parametrize("name", CASES)
def test_smallest_leave_one_out_loss(name, device):
    data = CASES[name].data(device=device)
    here = CASES[name].data()
    expected = best_exponent(lambda alpha: loo_loss(here, alpha=alpha), here, *WHOLE_GRID)
    assert DEFAULT_GRID[0] < expected < DEFAULT_GRID[1], "at an edge: choose another case"
    assert chosen_exponent(data) == pytest.approx(expected, abs=1e-6)


def squared_error(data, alpha):
    """Mean leave-one-out squared error by refits, whatever the loss of the case."""
    errors = (loo_predictions(data._replace(alpha=alpha)) - data.values).square().sum(dim=1)
    return float(data.validation_weight @ errors / data.validation_weight.sum())


@pytest.mark.parametrize("name", CASES)
def test_the_loss_is_that_of_refits_at_the_penalty(name, device):
    data = CASES[name].data(device=device)
    penalty = choose_penalty(data.problem(), data.sample_weight)
    assert penalty.loss == pytest.approx(squared_error(CASES[name].data(), penalty.alpha), rel=1e-6)


@pytest.mark.parametrize("name", ["tall", "wide", "ragged groups", "long groups"])
def test_float32(name, device):
    single, double = (CASES[name].data(dtype, device) for dtype in (torch.float32, torch.float64))
    assert chosen_exponent(single) == pytest.approx(chosen_exponent(double), abs=1e-4)


@pytest.mark.parametrize("name", ["tall", "wide"])
def test_by_squared_error_whatever_the_loss(name):
    data = CASES[name].data()
    assert chosen_exponent(data, loss=NotAsked()) == chosen_exponent(data)


class NotAsked:
    """A loss whose methods must not be called."""

    value = derivative = staticmethod(lambda *_: pytest.fail("the loss was asked"))


@pytest.mark.parametrize("name", ["tall", "wide", "no intercept"])
def test_smallest_validation_loss(name):
    case = CASES[name]
    data = case.data()
    others = Case(**(vars(case) | {"n_rows": 40, "seed": 9, "initial_outputs": True})).data()

    def loss(alpha):
        model = refit(data.features, data.values, data.sample_weight, alpha, case.fit_intercept)
        predictions = model.predict(others.features)
        return float((predictions - others.ridge_values).square().sum(dim=1).mean())

    # It may lie at an edge of the grid.
    expected = best_exponent(loss, data, *WHOLE_GRID)
    actual = chosen_exponent(data, validation=(others.features, others.targets()))
    assert actual == pytest.approx(expected, abs=1e-6)


def exactly_linear(case):
    """Targets that the features explain in full: the smaller the penalty, the better."""
    data = case.data()
    coef = torch.linspace(1, 2, case.n_columns, dtype=torch.float64)
    return data._replace(values=(data.features @ coef + 3)[:, None])


def all_noise(case):
    """Targets that nothing explains: the larger the penalty, the better."""
    data = case.data()
    draw = torch.Generator().manual_seed(case.seed)
    return data._replace(values=torch.randn(data.values.shape, generator=draw).double())


@pytest.mark.parametrize("grouping", [None, "ragged"])
def test_beyond_the_lower_edge(grouping):
    data = exactly_linear(Case(40, 5, 1, grouping=grouping))
    # Below 1e-9 mean eigenvalues there is nothing to gain.
    assert chosen_exponent(data) == pytest.approx(WHOLE_GRID[0], abs=1e-6)


def test_beyond_the_lower_edge_in_float32():
    data = exactly_linear(Case(40, 5, 1))
    data = data._replace(
        **{
            name: getattr(data, name).float()
            for name in ("features", "values", "sample_weight", "validation_weight")
        }
    )
    assert -9.01 < chosen_exponent(data) < -4.5


@pytest.mark.parametrize("seed", [0, 3, 6])
def test_beyond_the_upper_edge(seed):
    data = all_noise(Case(40, 12, 2, seed=seed))
    expected = best_exponent(lambda alpha: loo_loss(data, alpha=alpha), data, *WHOLE_GRID)
    assert expected > DEFAULT_GRID[1], "within the grid: choose another seed"
    assert chosen_exponent(data) == pytest.approx(expected, abs=1e-6)


def test_of_equal_losses_the_larger_penalty_wins():
    data = Case(40, 5, 1).data()
    data = data._replace(values=torch.zeros_like(data.values))
    assert chosen_exponent(data) == pytest.approx(WHOLE_GRID[1], abs=1e-6)


@pytest.mark.parametrize("n_rows", [7, 20, 33])
def test_constant_features_leave_nothing_to_choose(n_rows):
    data = Case(n_rows, 3, 1).data()
    data = data._replace(features=torch.full_like(data.features, 3.7))
    penalty = choose_penalty(data.problem(), data.sample_weight)
    assert penalty.alpha > 1e-12
    assert penalty.loss == pytest.approx(squared_error(data, penalty.alpha), rel=1e-6)


def test_a_row_that_determines_its_prediction_at_every_penalty():
    data = Case(20, 3, 1).data()
    weight = torch.full_like(data.sample_weight, 1e-15)
    weight[0] = 1.0
    with pytest.raises(ValueError, match=r"alpha='auto' found no ridge penalty.*Give alpha"):
        choose_penalty(data.problem(), weight)


def test_scale_of_features_and_weights_does_not_matter():
    data = Case(40, 5, 2).data()
    base = choose_penalty(data.problem(), data.sample_weight)
    larger = choose_penalty(
        data._replace(features=data.features * 1e3).problem(), data.sample_weight
    )
    heavier = choose_penalty(data.problem(), data.sample_weight * 100)
    assert larger.alpha == pytest.approx(1e6 * base.alpha)
    assert heavier.alpha == pytest.approx(100 * base.alpha)
    assert larger.loss == pytest.approx(base.loss) == pytest.approx(heavier.loss)
