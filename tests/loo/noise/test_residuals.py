"""Leave-one-out deviations and the robust scale, against numpy, scipy and statsmodels."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.stats import median_abs_deviation

from skdiva.loo import Problem, SquaredError, ValueTargets, predict_leave_one_out
from skdiva.loo.noise import leave_one_out_deviation, robust_center_and_scale


def test_studentized_residuals_are_those_of_statsmodels():
    sm = pytest.importorskip("statsmodels.api")
    generator = np.random.default_rng(0)
    X, noise = generator.normal(size=(40, 3)), generator.normal(size=40)
    y = X @ [1.0, 2.0, 3.0] + noise
    problem = Problem(
        torch.as_tensor(X), ValueTargets(torch.as_tensor(y)[:, None]), loss=SquaredError()
    )
    loo = predict_leave_one_out(problem, torch.ones(40, dtype=torch.float64), 1e-9)
    ours = loo.loo_residuals[:, 0] / leave_one_out_deviation(loo.leverage, loo.one_minus_leverage)
    influence = sm.OLS(y, sm.add_constant(X)).fit().get_influence()
    sigma = np.sqrt(influence.sigma2_not_obsi)
    assert_allclose(ours / torch.as_tensor(sigma), -influence.resid_studentized_external, rtol=1e-6)


@pytest.mark.parametrize("n", [7, 8])
def test_robust_scale_is_the_median_absolute_deviation(n):
    values = np.random.default_rng(0).normal(size=(n, 2))
    assert_allclose(
        robust_center_and_scale(torch.as_tensor(values))[1],
        median_abs_deviation(values, scale=1 / 1.4826),
    )


def test_robust_scale_stays_positive():
    mostly_zero = torch.zeros(9, 1)
    mostly_zero[0] = 9.0
    assert_allclose(robust_center_and_scale(mostly_zero)[1], [1.2533])
    assert_allclose(robust_center_and_scale(torch.zeros(9, 1))[1], [1.0])
