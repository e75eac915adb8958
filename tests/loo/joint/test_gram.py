"""Gram matrix of joint problems, summed over tiles."""

import pytest
import torch

from skdiva.loo import JointGram
from skdiva.loo.joint._gram import center_gram
from tests.tolerances import assert_close


@pytest.mark.parametrize("widths", [[50], [7, 20, 23]])
@pytest.mark.parametrize("n_val", [0, 3])
@pytest.mark.parametrize("center", [False, True])
def test_tiles_add_up(widths, n_val, center, device):
    # More rows than a block of the mirroring, and than a leaf of the symmetric product.
    n, k = 360, 3
    features = torch.randn(n + n_val, k, sum(widths), dtype=torch.float64, device=device) + 2
    gram = JointGram.from_tiles(features.split(widths, dim=2), n, center=center)
    centered = features - features[:n].mean(dim=0) if center else features
    train, others = centered[:n].flatten(0, 1), centered[n:].flatten(0, 1)
    assert_close(gram.train.flatten(0, 1), train @ train.T, 1e-12)
    if n_val:
        assert_close(gram.validation.flatten(0, 1), others @ train.T, 1e-12)
    else:
        assert gram.validation is None


def test_weighted_centering_equals_that_of_the_rows(device):
    features = torch.randn(8, 2, 5, dtype=torch.float64, device=device)
    weight = torch.rand(8, dtype=torch.float64, device=device)
    weight /= weight.sum()
    rows = features.flatten(0, 1)
    centered = (features - torch.einsum("n,nkp->kp", weight, features)).flatten(0, 1)
    assert_close(center_gram(rows @ rows.T, weight, 2), centered @ centered.T, 1e-12)
