"""Every answer of the primal and the dual smoother against the dense hat matrix."""

import pytest
import torch

from skdiva.loo.ridge import DualSmoother, PrimalSmoother
from tests.cases import Case
from tests.tolerances import assert_close

CASES = {
    "tall": Case(14, 4, 2),
    "wide": Case(9, 15, 2),
    "square, no intercept": Case(10, 10, 3, fit_intercept=False),
    "zero weights": Case(14, 4, 2, zero_weights=True, block_rows=3),
    "zero weights, wide": Case(9, 15, 2, zero_weights=True, block_rows=3),
    "ragged groups": Case(16, 4, 2, grouping="ragged", zero_weights=True),
    "ragged groups, wide": Case(16, 25, 2, grouping="ragged", zero_weights=True, block_rows=5),
    "long groups": Case(15, 2, 3, grouping="long", block_rows=4),
    "a row that determines its own prediction": Case(14, 4, 2, row_scale=1e4),
    "such a row in a group": Case(16, 4, 2, row_scale=1e4, grouping="ragged"),
}


class Dense:
    """The answers by formulas that hold for any H, in the problem's visiting order."""

    def __init__(self, data, problem):
        arrange = problem.layout.arrange
        self.features = arrange(data.features)
        self.values = arrange(data.ridge_values)
        self.weight = arrange(data.sample_weight)
        groups = arrange(
            torch.arange(data.case.n_rows, device=data.features.device)
            if data.groups is None
            else data.groups
        )
        self.groups = groups
        self.same = groups[:, None] == groups
        self.intercept = data.case.fit_intercept
        self.alpha = data.alpha
        self.hat = self.hat_between(self.features, self.features)
        self.left = torch.eye(len(groups), dtype=torch.float64, device=groups.device)
        self.left = self.left - torch.where(self.same, self.hat, 0.0) * self.weight

    def hat_between(self, left, right):
        total = self.weight.sum()
        center = self.weight @ self.features / total if self.intercept else 0.0
        rows = self.features - center
        gram = rows.T @ (self.weight[:, None] * rows)
        gram.diagonal().add_(self.alpha)
        constant = 1 / total if self.intercept else 0.0
        return (left - center) @ torch.linalg.solve(gram, (right - center).T) + constant

    def cross_sums(self, first, second):
        others = self.hat.masked_fill(self.same, 0.0)
        sums = 0.0
        for group in self.groups.unique():
            own = self.groups == group
            left, right = others[:, own] @ first[own], others[:, own] @ second[own]
            sums = sums + (left * right).sum(dim=1)
        return others @ first, sums

    def new_row_derivative(self, features, residuals, first, second):
        hat = self.hat_between(features, self.features)
        total = -((hat @ first) * residuals).sum(dim=1)
        for group in self.groups.unique():
            own = self.groups == group
            total -= ((hat[:, own] @ first[own]) * (hat[:, own] @ second[own])).sum(dim=1)
        return total


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


@pytest.fixture(params=[PrimalSmoother, DualSmoother])
def pair(request, case, device):
    """A smoother, the dense answers, the problem and some other rows."""
    data = case.data(device=device)
    problem = data.problem()
    dense = Dense(data, problem)
    smoother = request.param(
        problem.row_blocks(torch.float64), dense.weight, data.alpha, case.fit_intercept
    )
    return smoother, dense, problem


def normal(like, *shape):
    draw = torch.Generator().manual_seed(5)
    return torch.randn(*shape, generator=draw, dtype=torch.float64).to(like.device)


def test_leverage(pair):
    smoother, dense, _ = pair
    # H is known up to eps / alpha; 1 - leverage of a high-leverage row, better.
    assert_close(smoother.leverage, dense.hat.diagonal().cpu(), 1e-10)
    expected = 1 - dense.weight * dense.hat.diagonal()
    torch.testing.assert_close(smoother.one_minus_leverage, expected, rtol=1e-9, atol=1e-13)


def test_residuals_and_coefficients(pair):
    smoother, dense, problem = pair
    expected = dense.hat @ (dense.weight[:, None] * dense.values) - dense.values
    assert_close(smoother.residuals(problem.targets), expected.cpu(), 1e-10)
    coef, intercept = smoother.coefficients(problem.targets)
    predictions = dense.features @ coef + intercept
    assert_close(predictions, (expected + dense.values).cpu(), 1e-9)


@pytest.mark.parametrize("transposed", [False, True])
def test_solve_left_out(pair, transposed):
    smoother, dense, _ = pair
    expected = normal(dense.hat, len(dense.weight), 3)
    # The product with the answer is well conditioned whatever the leverages.
    question = (dense.left.T if transposed else dense.left) @ expected
    actual = smoother.solve_left_out(question, transposed=transposed)
    assert_close((dense.left.T if transposed else dense.left) @ actual, question.cpu(), 1e-8)


def test_cross_sums(pair):
    smoother, dense, _ = pair
    first, second = (normal(dense.hat, len(dense.weight), k) for k in (4, 4))
    second = second.flip(0)
    actual, expected = smoother.cross_sums(first, second), dense.cross_sums(first, second)
    for ours, theirs in zip(actual, expected, strict=True):
        assert_close(ours, theirs.cpu(), 1e-10)


def test_other_rows(pair):
    smoother, dense, problem = pair
    rows = normal(dense.hat, 7, dense.features.shape[1])
    hat = dense.hat_between(rows, dense.features)
    expected = hat @ (dense.weight[:, None] * dense.values)
    assert_close(smoother.predict(rows, problem.targets), expected.cpu(), 1e-9)
    values = normal(dense.hat, 7, 2)
    assert_close(smoother.adjoint(rows, values), (hat.T @ values).cpu(), 1e-9)


def test_adjoint_form(pair):
    smoother, dense, _ = pair
    others, rows = (normal(dense.hat, m, dense.features.shape[1]) for m in (7, 5))
    values, residuals = normal(dense.hat, 7, 2), normal(dense.hat, 5, 2)
    expected = -((dense.hat_between(rows, others) @ values) * residuals).sum(dim=1)
    actual = smoother.adjoint_form(others, values).derivative(rows, residuals)
    assert_close(actual, expected.cpu(), 1e-9)


def test_new_row_form(pair):
    smoother, dense, _ = pair
    rows = normal(dense.hat, 7, dense.features.shape[1])
    residuals = normal(dense.hat, 7, 3).flip(1)
    first, second = (normal(dense.hat, len(dense.weight), 3) for _ in range(2))
    second = second.flip(0)
    expected = dense.new_row_derivative(rows, residuals, first, second)
    form = smoother.new_row_form(first, second)
    assert_close(form.derivative(rows, residuals), expected.cpu(), 1e-9)
    assert_close(form.second, form.second.T.cpu(), 1e-12)


@pytest.mark.parametrize(
    ("n_rows", "n_columns", "kind"),
    [(10, 4, PrimalSmoother), (10, 10, PrimalSmoother), (10, 11, DualSmoother)],
)
def test_the_smaller_matrix_is_factorized(n_rows, n_columns, kind):
    problem = (data := Case(n_rows, n_columns).data()).problem()
    smoother = problem.smoother(data.sample_weight, data.alpha, torch.float64)
    assert type(smoother) is kind
