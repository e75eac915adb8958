"""Nystroem features: their inner products are the kernels of scikit-learn."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.spatial.distance import cdist
from sklearn.kernel_approximation import Nystroem
from sklearn.metrics.pairwise import laplacian_kernel, rbf_kernel

from skdiva.features import _kernel_selection
from skdiva.features._kernel_selection import distances, nystroem_features, whitening

KERNELS = {"rbf": rbf_kernel, "laplacian": laplacian_kernel}
METRICS = {"rbf": "sqeuclidean", "laplacian": "cityblock"}


def rows(n=40, p=4, seed=0):
    return torch.randn(n, p, generator=torch.Generator().manual_seed(seed)).double()


def features(kernel, gamma, X, landmarks):
    projection = whitening(distances(kernel, landmarks, landmarks), gamma)
    out = X.new_full((len(X), projection.shape[1]), torch.nan)
    nystroem_features(kernel, gamma, X, landmarks, projection, out=out)
    return out


@pytest.mark.parametrize("kernel", KERNELS)
def test_distances(kernel, device):
    X, landmarks = rows(), rows(7, seed=1)
    apart = distances(kernel, X.to(device), landmarks.to(device))
    assert_allclose(apart.cpu(), cdist(X, landmarks, METRICS[kernel]), atol=1e-12)
    own = distances(kernel, 1e4 + X, 1e4 + X)
    assert own.min() >= 0


@pytest.mark.parametrize("gamma", [0.05, 1.0])
@pytest.mark.parametrize("kernel", KERNELS)
def test_with_all_rows_as_landmarks_inner_products_are_the_kernel(kernel, gamma, device):
    X = rows().to(device)
    Z = features(kernel, gamma, X, X).cpu()
    assert_allclose(Z @ Z.T, KERNELS[kernel](X.cpu(), gamma=gamma), atol=1e-6)


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_kernel_of_fewer_landmarks_is_that_of_scikit_learn(kernel):
    X, new = rows(60), rows(9, seed=1)
    theirs = Nystroem(kernel, gamma=0.2, n_components=15, random_state=0).fit(X)
    landmarks = X[torch.from_numpy(theirs.component_indices_)]
    ours = features(kernel, 0.2, torch.cat([X, new]), landmarks)
    expected = np.vstack([theirs.transform(X), theirs.transform(new)])
    assert ours.shape == (69, 15)
    assert_allclose(ours @ ours.T, expected @ expected.T, atol=1e-9)
    exact = KERNELS[kernel](X, gamma=0.2)
    assert not np.allclose(ours[:60] @ ours[:60].T, exact, atol=1e-2)


@pytest.mark.parametrize("kernel", KERNELS)
def test_rows_are_visited_in_blocks(kernel, monkeypatch):
    X, landmarks = rows(50), rows(7, seed=1)
    whole = features(kernel, 0.3, X, landmarks)
    for elements in (1, 20, 7 * 50, 7 * 50 - 1):
        monkeypatch.setattr(_kernel_selection, "_BLOCK_ELEMENTS", elements)
        assert_allclose(features(kernel, 0.3, X, landmarks), whole, atol=1e-13)


@pytest.mark.parametrize("kernel", KERNELS)
def test_landmarks_that_repeat_others_add_no_features(kernel):
    X = rows(20)
    once, twice = features(kernel, 0.3, X, X[:8]), features(kernel, 0.3, X, X[:8].repeat(2, 1))
    assert twice.shape == once.shape == (20, 8)
    assert_allclose(twice @ twice.T, once @ once.T, atol=1e-9)


@pytest.mark.parametrize("kernel", KERNELS)
def test_single_precision(kernel):
    """Eigenvalues are found in double precision: small ones would be rounding errors."""
    X = rows(150)
    Z = features(kernel, 0.05, X.float(), X.float())
    assert Z.dtype == torch.float32
    assert_allclose(Z @ Z.T, KERNELS[kernel](X, gamma=0.05), atol=1e-5)
