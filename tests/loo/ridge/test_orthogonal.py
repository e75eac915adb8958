"""The orthogonal smoother agrees with the others where these are precise enough."""

import pytest
import torch

from skdiva.loo import FittedRidge, evaluate
from skdiva.loo._problem import Problem
from skdiva.loo.ridge import OrthogonalSmoother
from tests.cases import NAMED, Case
from tests.tolerances import assert_close

FIELDS = ["derivative", "loo_predictions", "leverage", "one_minus_leverage", "coef", "intercept"]


def orthogonal_fit(problem, data):
    weight = problem.layout.arrange(data.sample_weight)
    smoother = OrthogonalSmoother(
        problem.row_blocks(torch.float64), weight, data.alpha, data.case.fit_intercept
    )
    return FittedRidge.from_smoother(problem, smoother, data.alpha)


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("validated", [False, True])
def test_equal_to_other_smoothers(name, validated):
    data = NAMED[name].data()
    others = Case(**(vars(NAMED[name]) | {"seed": 3})).data()
    validation = (others.features, others.targets()) if validated else None
    problem = data.problem(validation=validation)
    expected = FittedRidge(problem, data.sample_weight, data.alpha)
    actual = orthogonal_fit(problem, data)
    one, two = (fit.evaluation() for fit in (actual, expected))
    for field in FIELDS:
        assert_close(getattr(one, field) + 1, getattr(two, field) + 1, 1e-8)
    features, residuals = others.features[:4], others.values[:4]
    new = [fit.new_row_form().derivative(features, residuals) for fit in (actual, expected)]
    assert_close(*new, 1e-8)


def test_a_problem_that_needs_it():
    """Two columns that differ by 1e-9: too close for the square of their condition number."""
    data = Case(12, 12, row_scale=1e4).data()
    data.features[:, 1] = data.features[:, 0] + 1e-9 * data.features[:, 1]
    fit = FittedRidge(data.problem(), data.sample_weight, 1e-12)
    assert isinstance(fit.smoother, OrthogonalSmoother)
    assert torch.isfinite(fit.derivative).all()


def test_more_rows_than_it_accepts(monkeypatch):
    data = Case(12, 12, row_scale=1e4).data()
    data.features[:, 1] = data.features[:, 0] + 1e-9 * data.features[:, 1]
    monkeypatch.setattr(Problem, "precise_smoother", lambda *_: None)
    with pytest.raises(ValueError, match="Use a larger alpha"):
        evaluate(data.problem(), data.sample_weight, 1e-12)


def test_the_primal_smoother_decomposes_its_rows():
    """More rows than an orthogonal smoother accepts, and columns with a mean of a million."""
    draw = torch.Generator().manual_seed(0)
    features = torch.randn(5000, 3, generator=draw, dtype=torch.float64) + 1e6
    case = Case(5000, 3, fit_intercept=False)
    data = case.data()._replace(features=features, alpha=1e-5)
    actual = evaluate(data.problem(), data.sample_weight, data.alpha)
    # The same model with other columns: a rotation leaves the penalty as it is.
    rotation = torch.linalg.qr(torch.ones(3, 1, dtype=torch.float64), mode="complete").Q
    turned = data._replace(features=features @ rotation)
    expected = evaluate(turned.problem(), data.sample_weight, data.alpha)
    assert_close(actual.loo_predictions, expected.loo_predictions, 1e-8)
    assert_close(actual.derivative, expected.derivative, 1e-8)
