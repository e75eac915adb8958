"""Weighted means and moments of centered rows, and products that use symmetry or a triangle."""

import pytest
import torch

from skdiva.loo import Budget, ValueTargets
from skdiva.loo.ridge import (
    add_symmetric_product,
    center_rows,
    mirror_upper,
    weighted_center,
    weighted_gram,
    weighted_moment,
    weighted_target_mean,
)
from skdiva.loo.ridge._products import LEAF, multiply_upper, quadratic_form, triangular_half
from tests.cases import Case
from tests.tolerances import assert_close

SIZES = [1, 2, LEAF - 1, LEAF, LEAF + 1, 2 * LEAF, 2 * LEAF + 1, 3 * LEAF + 7]
sizes = pytest.mark.parametrize("size", SIZES)


def normal(*shape, device="cpu"):
    draw = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=draw, dtype=torch.float64).to(device)


def symmetric(size, device):
    matrix = normal(size, size, device=device)
    return matrix + matrix.T


@sizes
def test_add_symmetric_product(size, device):
    rows = normal(9, size, device=device)
    scaled = normal(9, 1, device=device) * rows
    start = symmetric(size, device)
    total = add_symmetric_product(start.clone(), rows, scaled)
    assert_close(mirror_upper(total), (start + rows.T @ scaled).cpu(), 1e-13)


def test_mirror_upper():
    matrix = torch.tensor([[1.0, 2.0], [9.0, 3.0]])
    assert mirror_upper(matrix).tolist() == [[1.0, 2.0], [2.0, 3.0]]


@sizes
def test_multiply_upper(size, device):
    rows, matrix = normal(9, size, device=device), normal(size, size, device=device)
    upper = matrix.triu()
    # Written into some columns of a wider array, as whitening does.
    wide = torch.full((9, size + 1), 7.0, dtype=torch.float64, device=device)
    multiply_upper(rows, upper, wide[:, :size])
    assert_close(wide[:, :size], (rows @ upper).cpu(), 1e-13)
    assert (wide[:, size] == 7).all()


@sizes
def test_multiply_upper_by_a_transposed_triangle(size, device):
    rows, lower = normal(9, size, device=device), normal(size, size, device=device).tril()
    out = torch.empty_like(rows)
    multiply_upper(rows, lower.T, out)
    assert_close(out, (rows @ lower.T).cpu(), 1e-13)


@sizes
def test_quadratic_form(size, device):
    rows, matrix = normal(9, size, device=device), symmetric(size, device)
    half = triangular_half(matrix)
    assert (half == half.triu()).all()
    expected = ((rows @ matrix) * rows).sum(dim=1)
    assert_close(quadratic_form(rows, half), expected.cpu(), 1e-12)


def rows_and_weight(dtype, device="cpu", **fields):
    data = Case(50, 6, 2, block_rows=7, **fields).data(dtype, device)
    return data.problem().row_blocks(dtype), data.sample_weight, data.features.double()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_center(dtype, device):
    rows, weight, features = rows_and_weight(dtype, device, large_means=True)
    center = weighted_center(rows, weight, fit_intercept=True)
    expected = weight.double() @ features / weight.double().sum()
    assert center.dtype == torch.float64
    assert_close(center, expected.cpu(), 1e-14)


def test_no_center_without_an_intercept(device):
    rows, weight, _ = rows_and_weight(torch.float32, device)
    center = weighted_center(rows, weight, fit_intercept=False)
    assert center.shape == (6,)
    assert not center.any()
    features = rows.source.features
    assert (center_rows(features, center) == features).all()


def test_a_center_that_float32_cannot_hold():
    """Subtracted in two parts; the nearest float32 alone would be off by 3e-5."""
    features = torch.tensor([[1000.5], [999.25]])
    center = torch.tensor([1000 + 1e-5], dtype=torch.float64)
    expected = torch.tensor([[0.5 - 1e-5], [-0.75 - 1e-5]], dtype=torch.float64)
    assert_close(center_rows(features, center), expected, 1e-7)
    assert center.float().item() == 1000.0


def test_centering_leaves_the_features_as_they_are():
    features = torch.ones(3, 2, dtype=torch.float64)
    center_rows(features, torch.ones(2, dtype=torch.float64))
    assert (features == 1).all()


@pytest.mark.parametrize("large_means", [False, True])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_gram(dtype, large_means, device):
    rows, weight, features = rows_and_weight(dtype, device, large_means=large_means)
    center = weighted_center(rows, weight, fit_intercept=True)
    gram = weighted_gram(rows, weight, center)
    centered = features - weight.double() @ features / weight.double().sum()
    expected = centered.T @ (weight.double()[:, None] * centered)
    assert gram.dtype == dtype
    assert (gram == gram.T).all()
    assert_close(gram, expected.cpu(), 1e-12 if dtype == torch.float64 else 1e-6)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_moment(fit_intercept, device):
    data = Case(50, 6, 2, initial_outputs=True, block_rows=7).data(device=device)
    targets, weight = data.targets(), data.sample_weight
    mean = weighted_target_mean(targets, weight, fit_intercept)
    moment = weighted_moment(data.problem().row_blocks(torch.float64), weight, targets, mean)
    expected = data.features.T @ (weight[:, None] * (data.ridge_values - mean))
    assert_close(moment, expected.cpu(), 1e-13)


@pytest.mark.parametrize("initial_outputs", [False, True])
def test_target_mean(initial_outputs):
    data = Case(50, 6, 2, initial_outputs=initial_outputs).data()
    budget = Budget(block_rows=7)
    mean = weighted_target_mean(data.targets(), data.sample_weight, True, budget)
    expected = data.sample_weight @ data.ridge_values / data.sample_weight.sum()
    assert_close(mean, expected, 1e-14)
    centered = data.targets().ridge_values(slice(3, 9), torch.float64, mean)
    assert_close(centered, (data.ridge_values - expected)[3:9], 1e-14)
    zero = weighted_target_mean(data.targets(), data.sample_weight, False, budget)
    assert zero.tolist() == [0.0, 0.0]


def test_a_large_mean_of_the_targets_costs_float32_nothing():
    values = torch.tensor([[1e6 + 0.125], [1e6 - 0.375]], dtype=torch.float64)
    mean = weighted_target_mean(ValueTargets(values), torch.ones(2), fit_intercept=True)
    centered = ValueTargets(values).ridge_values(slice(None), torch.float32, mean)
    assert centered.dtype == torch.float32
    assert centered.tolist() == [[0.25], [-0.25]]
