"""FoldedProjection: unbiased, the variance of a count sketch, the same for any blocks."""

import itertools
import math
import pickle

import pytest
import torch

from skdiva.features.network import FoldedProjection


def project(x, n_components, seed, cuts=(), scale=None):
    """Projected rows of x (b, P), from the blocks between the cuts, the last one first."""
    projection = FoldedProjection(x.shape[1], n_components, seed, x.device)
    out = x.new_zeros(len(x), n_components)
    edges = [0, *cuts, x.shape[1]]
    for start, stop in reversed(list(itertools.pairwise(edges))):
        part = None if scale is None else scale[start:stop]
        projection.add(out, start, x[:, start:stop], part)
    return out


def as_matrix(n_columns, n_components, seed):
    return project(torch.eye(n_columns, dtype=torch.float64), n_components, seed)


@pytest.mark.parametrize(("n_columns", "n_components"), [(1000, 64), (70, 64), (64, 64), (50, 7)])
def test_every_column_goes_to_one_place_with_a_sign(n_columns, n_components):
    matrix = as_matrix(n_columns, n_components, 0)
    assert ((matrix != 0).sum(1) == 1).all()
    assert set(matrix[matrix != 0].tolist()) == {-1.0, 1.0}
    for chunk in matrix.split(n_components):
        assert (chunk.abs().sum(0) <= 1).all()  # columns of a chunk do not meet


def test_blocks_do_not_matter(device):
    x = torch.randn(3, 1000, dtype=torch.float64).to(device)
    expected = x @ as_matrix(1000, 64, 5).to(device)
    for cuts in ((), (1,), (63, 64, 65), (500,), (10, 300, 301, 990)):
        torch.testing.assert_close(project(x, 64, 5, cuts), expected)


def test_scale():
    x, scale = torch.randn(3, 200), torch.rand(200)
    torch.testing.assert_close(project(x, 30, 1, (77,), scale), project(x * scale, 30, 1))


def test_a_row_does_not_depend_on_the_others(device):
    x = torch.randn(5, 300).to(device)
    torch.testing.assert_close(project(x, 20, 2)[3:4], project(x[3:4], 20, 2), rtol=0, atol=0)


def test_seed_decides():
    assert torch.equal(as_matrix(300, 20, 3), as_matrix(300, 20, 3))
    assert not torch.equal(as_matrix(300, 20, 3), as_matrix(300, 20, 4))


def test_signs_take_a_byte_each():
    sizes = [len(pickle.dumps(FoldedProjection(n, 64, 0, "cpu"))) for n in (10**5, 2 * 10**5)]
    assert 10**5 <= sizes[1] - sizes[0] <= 1.1 * 10**5


@pytest.mark.parametrize("kind", ["dense", "one column in 64", "same chunk"])
def test_inner_products_are_kept_on_average(kind):
    """Mean within 4 standard errors, variance at most that of the count sketch, within 4 as well.

    "one column in 64" is what a layer with one large input of 64 gives: without shifts, all of
    these columns would be added to each other.
    """
    n_columns, n_components, n_seeds = 640, 64, 3000
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, n_columns, generator=draw, dtype=torch.float64)
    if kind != "dense":
        keep = torch.arange(n_columns) % 64 == 3 if kind != "same chunk" else torch.arange(640) < 64
        x, y = x * keep, y * keep
    products = torch.stack(
        [torch.prod(project(torch.stack([x, y]), n_components, s), 0).sum() for s in range(n_seeds)]
    )
    deviations = products - x @ y
    if kind == "same chunk":
        torch.testing.assert_close(deviations, torch.zeros_like(deviations), atol=1e-12, rtol=0)
        return
    error = float(deviations.std()) / math.sqrt(n_seeds)
    assert abs(float(deviations.mean())) < 4 * error
    variance = deviations.square().mean()
    of_variance = float(deviations.square().std()) / math.sqrt(n_seeds)
    bound = float(((x @ x) * (y @ y) + (x @ y).square()) / n_components)
    assert 0.5 * bound < variance < bound + 4 * of_variance
