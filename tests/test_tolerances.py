"""Helpers that compare arrays fail when they should, and cases have the data that they promise."""

import pytest
import torch

from tests.cases import NAMED, Case
from tests.oracles import loo_loss, reference
from tests.tolerances import TOLERANCES, assert_close, assert_rows_close, tolerances

EXPECTED = torch.tensor([[1e6, 0.0], [0.0, 1.0], [0.0, 0.0]], dtype=torch.float64)
SIZE = EXPECTED.norm(dim=1)


def changed(row, by):
    actual = EXPECTED.clone()
    actual[row] += by
    return actual


def test_rows_close_passes():
    assert_rows_close(EXPECTED, EXPECTED, SIZE, 0.0)
    assert_rows_close(changed(0, 1e-4), EXPECTED, SIZE, 1e-9)
    assert_rows_close(EXPECTED.float(), EXPECTED, SIZE, 1e-6)


@pytest.mark.parametrize(
    "actual",
    [
        changed(1, 1e-8),  # though far below the largest entry
        changed(0, 1e-2),
        changed(2, 1e-100),  # a row of zeros
        changed(1, torch.nan),
        changed(1, torch.inf),
        EXPECTED[:2],
        EXPECTED[:, :1],
    ],
)
def test_rows_close_fails(actual):
    with pytest.raises(AssertionError):
        assert_rows_close(actual, EXPECTED, SIZE, 1e-9)


def test_close_passes():
    assert_close([1.0, 2.0], torch.tensor([1.0, 2.0]) + 1e-6, 1e-6)


@pytest.mark.parametrize("actual", [[1.0, 2.1], [1.0, torch.nan], [1.0], [[1.0, 2.0]]])
def test_close_fails(actual):
    with pytest.raises(AssertionError):
        assert_close(actual, [1.0, 2.0])


def test_close_refuses_expected_values_of_zero():
    with pytest.raises(AssertionError, match="zero everywhere"):
        assert_close([0.0, 0.0], [0.0, 0.0])


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_tolerances_grow_with_the_conditioning_only_beyond_the_promise(dtype):
    assert tolerances(dtype) == TOLERANCES[dtype]
    assert tolerances(dtype, 1e3) == TOLERANCES[dtype]
    assert tolerances(dtype, 1e13).predictions > 100 * TOLERANCES[dtype].predictions


@pytest.mark.parametrize("name", ["tall", "wide", "ragged groups", "zero weights"])
def test_ordinary_cases_are_held_to_the_promise(name):
    assert tolerances(torch.float64, reference(NAMED[name].data()).conditioning).derivative == 1e-9


@pytest.mark.parametrize("name", NAMED)
def test_sizes_are_those_of_the_numbers(name):
    # Not so large that an error would be overlooked; cancellation makes them larger.
    expected = reference(NAMED[name].data())
    assert (expected.derivative_size >= expected.derivative.abs()).all()
    assert expected.derivative_size.median() < 1e3 * expected.derivative.abs().median()
    norms = expected.predictions.norm(dim=1)
    assert (expected.prediction_size >= norms).all()
    assert expected.prediction_size.median() < 20 * norms.median()


def test_conditioning_grows_with_dependent_columns_and_high_leverage():
    def conditioning(**fields):
        return reference(Case(**fields).data()).conditioning

    assert conditioning() < 20
    assert conditioning(row_scale=1e4) > 1e3
    assert conditioning(n_rows=6, n_columns=6, relative_alpha=1e-9) > 1e6


def test_case_promises():
    """The data of a case have the properties that its fields name."""
    data = Case(row_scale=100, zero_weights=True, duplicate_rows=True, constant_column=True).data()
    assert data.sample_weight[0] > 0
    assert (data.sample_weight == 0).sum() == 6
    assert (data.features[:, -1] == data.features[1, -1]).sum() == 29
    assert (data.features[1] == data.features[4]).all()
    assert data.features[0].norm() > 20 * data.features[1:].norm(dim=1).max()
    means = Case(large_means=True).data().features
    assert (means.mean(dim=0).abs() / means.std(dim=0) > 500).all()
    scales = Case(n_columns=30, raw_scales=True).data().features.std(dim=0)
    assert scales.max() / scales.min() > 1e4
    sizes = torch.bincount(Case(n_columns=3, grouping="long").data().groups)
    assert sizes.max() > 3
    assert len(sizes) > 1
    assert len(torch.bincount(Case(grouping="ragged").data().groups).unique()) > 2


def test_reference_depends_on_every_argument():
    base = Case(n_rows=12)
    losses = {
        loo_loss(case.data())
        for case in (
            base,
            Case(n_rows=12, fit_intercept=False),
            Case(n_rows=12, grouping="ragged"),
            Case(n_rows=12, initial_outputs=True),
            Case(n_rows=12, loss="pseudo_huber"),
            Case(n_rows=12, relative_alpha=1.0),
        )
    }
    data = base.data()
    losses.add(loo_loss(data, sample_weight=torch.ones(12, dtype=torch.float64)))
    losses.add(loo_loss(data, alpha=1.0))
    assert len(losses) == 8
