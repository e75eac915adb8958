"""Weighted centring, where a mean a thousand times the spread must cost nothing."""

import pytest
import torch

from skdiva.loo import ValueTargets
from skdiva.loo.ridge._centering import (
    center_rows,
    centered_targets,
    weighted_center,
    weighted_gram,
    weighted_target_mean,
)
from tests.cases import Case
from tests.tolerances import assert_close


def rows_and_weight(dtype, device="cpu", **fields):
    data = Case(50, 6, 2, batch_size=7, **fields).data(dtype, device)
    return data.problem().rows(dtype), data.sample_weight, data.features.double()


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
    assert (center_rows(rows.features, center) == rows.features).all()


def test_a_center_that_float32_cannot_hold():
    """Subtracted in two parts; the nearest float32 alone would be off by 3e-5."""
    features = torch.tensor([[1000.5], [999.25]])
    center = torch.tensor([1000 + 1e-5], dtype=torch.float64)
    expected = torch.tensor([[0.5 - 1e-5], [-0.75 - 1e-5]], dtype=torch.float64)
    assert_close(center_rows(features, center), expected, 1e-7)
    assert center.float().item() == 1000.0


def test_centring_leaves_the_features_as_they_are():
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


@pytest.mark.parametrize("initial_outputs", [False, True])
def test_targets(initial_outputs, monkeypatch):
    monkeypatch.setattr("skdiva.loo.ridge._centering._ROWS", 7)
    data = Case(50, 6, 2, initial_outputs=initial_outputs).data()
    mean = weighted_target_mean(data.targets(), data.sample_weight, fit_intercept=True)
    expected = data.sample_weight @ data.ridge_values / data.sample_weight.sum()
    assert_close(mean, expected, 1e-14)
    centered = centered_targets(data.targets(), mean, slice(3, 9), torch.float64)
    assert_close(centered, (data.ridge_values - expected)[3:9], 1e-14)
    zero = weighted_target_mean(data.targets(), data.sample_weight, fit_intercept=False)
    assert zero.tolist() == [0.0, 0.0]


def test_a_large_mean_of_the_targets_costs_float32_nothing():
    values = torch.tensor([[1e6 + 0.125], [1e6 - 0.375]], dtype=torch.float64)
    mean = weighted_target_mean(ValueTargets(values), torch.ones(2), fit_intercept=True)
    centered = centered_targets(ValueTargets(values), mean, slice(None), torch.float32)
    assert centered.dtype == torch.float32
    assert centered.tolist() == [[0.25], [-0.25]]
