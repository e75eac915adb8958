"""Whitened rows: H = T T'."""

import pytest
import torch

from skdiva.loo.ridge._precision import InsufficientPrecisionError
from skdiva.loo.ridge._whitening import Whitening
from tests.cases import Case
from tests.tolerances import assert_close


@pytest.fixture(params=[True, False], ids=["intercept", "no intercept"])
def example(request, device):
    case = Case(30, 5, 2, fit_intercept=request.param, zero_weights=True, batch_size=7)
    data = case.data(device=device)
    rows = data.problem().rows(torch.float64)
    return data, Whitening(rows, data.sample_weight, data.alpha, request.param)


def dense_hat(data):
    features, weight = data.features, data.sample_weight
    if data.case.fit_intercept:
        features = torch.cat([features, torch.ones_like(features[:, :1])], dim=1)
    penalty = torch.full_like(features[0], data.alpha)
    penalty[5:] = 0
    gram = features.T @ (weight[:, None] * features) + torch.diag(penalty)
    return features @ torch.linalg.solve(gram, features.T)


def test_products_of_whitened_rows(example):
    data, whitening = example
    whitened = whitening(data.features)
    assert whitened.shape == (30, whitening.width)
    assert_close(whitened @ whitened.T, dense_hat(data).cpu(), 1e-12)


def test_written_into_some_columns(example):
    data, whitening = example
    out = torch.full(
        (30, whitening.width + 2), 7.0, dtype=torch.float64, device=data.features.device
    )
    whitening.write(data.features, out[:, : whitening.width])
    assert (out[:, : whitening.width] == whitening(data.features)).all()
    assert (out[:, whitening.width :] == 7).all()


def test_coefficients_predict_the_same(example):
    data, whitening = example
    draw = torch.Generator().manual_seed(0)
    coef = torch.randn(whitening.width, 3, generator=draw, dtype=torch.float64)
    coef = coef.to(data.features.device)
    plain, intercept = whitening.unwhiten(coef)
    predictions = whitening(data.features) @ coef
    assert_close(data.features @ plain + intercept, predictions.cpu(), 1e-12)


def test_affine(example):
    data, whitening = example
    projection, offset = whitening.as_affine()
    actual = (data.features - whitening.center) @ projection + offset
    assert_close(actual, whitening(data.features).cpu(), 1e-13)


def test_columns_that_depend_on_each_other_are_refused(device):
    data = Case(30, 5, 2).data(device=device)
    data.features[:, 1] = data.features[:, 0]
    rows = data.problem().rows(torch.float64)
    with pytest.raises(InsufficientPrecisionError):
        Whitening(rows, data.sample_weight, 1e-18, fit_intercept=True)
