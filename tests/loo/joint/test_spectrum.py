"""Spectrum of joint problems: squared errors of many penalties from one decomposition."""

import pytest
import torch

from skdiva.loo import evaluate
from tests.loo.joint.joint_oracle import JointData


@pytest.mark.parametrize("case", [{}, {"grouped": True, "zeros": True}, {"n_val": 6}], ids=str)
@pytest.mark.parametrize("shape", [(15, 3, 6), (9, 3, 40), (20, 1, 4)])
@pytest.mark.parametrize("gram_only", [False, True])
def test_losses_equal_those_of_one_factorization_each(case, shape, gram_only):
    data = JointData(*shape, loss="squared_error", **case)
    problem = data.problem(gram_only)
    spectrum = problem.spectrum(problem.layout.arrange(data.weight), torch.float64)
    alphas = [0.1, 1.0, 30.0]
    expected = [evaluate(problem, data.weight, alpha).loss for alpha in alphas]
    assert spectrum.losses(alphas) == pytest.approx(expected, rel=1e-9)
