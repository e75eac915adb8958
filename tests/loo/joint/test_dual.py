"""Dual smoother of joint problems: hat matrix, memory and precision."""

import pytest
import torch

from skdiva.loo.ridge import InsufficientPrecisionError
from tests.loo.joint.joint_oracle import JointData
from tests.tolerances import assert_close


def hat_of_refits(data):
    """H (n k, n k): change of every prediction with every target, divided by the weight."""
    n, k, _ = data.features.shape
    columns = []
    for sample in range(n):
        for output in range(k):
            moved = [data.values.clone(), data.values.clone()]
            moved[1][sample, output] += 1
            fits = []
            for data.values in moved:
                coef, intercept = data.fit(torch.where(data.weight > 0, data.weight, 1e-12))
                fits.append((data.features @ coef + intercept).flatten())
            data.values = moved[0]
            weight = max(float(data.weight[sample]), 1e-12)
            columns.append((fits[1] - fits[0]) / weight)
    return torch.stack(columns, dim=1)


@pytest.mark.parametrize("fit_intercept", [False, True])
def test_hat_matrix(fit_intercept):
    data = JointData(7, 2, 30, loss="squared_error", fit_intercept=fit_intercept)
    smoother = data.problem(True).smoother(data.weight, data.alpha, torch.float64)
    hat = smoother.off_diagonal + torch.diag(smoother.leverage)
    assert_close(hat, hat_of_refits(data), 1e-8)
    share = 1 - data.weight.repeat_interleave(2) * smoother.leverage
    assert_close(smoother.one_minus_leverage, share, 1e-10)


def test_rows_of_weight_zero_have_the_hat_of_a_vanishing_weight():
    data = JointData(9, 2, 30, zeros=True)
    smoother, positive = (
        data.problem(True).smoother(weight, data.alpha, torch.float64)
        for weight in (data.weight, torch.where(data.weight > 0, data.weight, 1e-10))
    )
    assert_close(smoother.off_diagonal, positive.off_diagonal, 1e-7)
    assert_close(smoother.leverage, positive.leverage, 1e-7)


def test_the_gram_matrix_is_not_written_to():
    problem = JointData(9, 2, 30).problem(True)
    before = problem.features.clone()
    problem.smoother(torch.ones(9, dtype=torch.float64), 0.5, torch.float64)
    assert torch.equal(problem.features, before)


def test_a_tiny_penalty_asks_for_float64():
    data = JointData(12, 2, 8)
    with pytest.raises(InsufficientPrecisionError, match="condition"):
        data.problem(True, torch.float32).smoother(data.weight.float(), 1e-5, torch.float32)
