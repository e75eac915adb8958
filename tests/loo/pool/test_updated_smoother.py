"""A factorisation that rows were added to, beside one that is made from scratch."""

import pytest
import torch

from skdiva.loo import evaluate, fit_ridge, new_row_form
from skdiva.loo._evaluation import judged_new_row_form
from skdiva.loo._leave_one_out import leave_one_out
from skdiva.loo.pool._updated_smoother import ExtendedSmoother
from skdiva.loo.ridge._primal import PrimalSmoother
from skdiva.loo.rows import _source as row_blocks
from tests.cases import Case
from tests.loo.pool.extended_cases import CASES, blocks_of, core_of, grown, other_rows
from tests.oracles import loo_predictions
from tests.tolerances import assert_close


def extended(core, pool, size):
    """The core's problem, and its factorisation with the pool added ``size`` rows at a time."""
    problem = core.problem()
    rows = problem.rows(problem.dtype)
    smoother = PrimalSmoother(rows, core.sample_weight, core.alpha, core.case.fit_intercept)
    smoother = ExtendedSmoother(smoother, problem.targets)
    for features, targets in blocks_of(pool, size):
        smoother.add(features, targets)
    return problem, smoother


def compare(core, pool, size, tolerance=1e-9):
    """Compare all answers with those of a problem that holds all rows from the start."""
    problem, smoother = extended(core, pool, size)
    n = len(core.features)
    all_rows = grown(core, pool, range(len(pool.features)))
    fresh = evaluate(all_rows.problem(), all_rows.sample_weight, core.alpha)
    loo = leave_one_out(smoother, problem.targets)
    restored = {
        name: problem.layout.restore(getattr(loo, name))
        for name in ("loo_predictions", "leverage", "one_minus_leverage", "loo_residuals")
    }
    for name, answer in restored.items():
        assert_close(answer, getattr(fresh, name)[:n], tolerance)
    features = other_rows(core.case, 9, seed=5).features
    coef, intercept = fit_ridge(all_rows.problem(), all_rows.sample_weight, core.alpha)
    assert_close(smoother.predict(features), features @ coef + intercept, tolerance)
    loss, form = judged_new_row_form(problem, smoother)
    assert loss == pytest.approx(fresh.loss, rel=tolerance)
    expected = new_row_form(all_rows.problem(), all_rows.sample_weight, core.alpha)
    values = torch.randn(9, core.case.n_outputs, generator=torch.manual_seed(0)).double()
    assert_close(
        form.derivative(features, values), expected.derivative(features, values), tolerance
    )
    return smoother


@pytest.mark.parametrize("size", [1, 5])
@pytest.mark.parametrize("name", CASES)
def test_one_that_is_made_from_scratch(name, size):
    compare(core_of(CASES[name]), other_rows(CASES[name], 13), size)


@pytest.mark.parametrize("name", CASES)
def test_refits(name):
    core, pool = core_of(CASES[name]), other_rows(CASES[name], 6)
    problem, smoother = extended(core, pool, 3)
    predictions = leave_one_out(smoother, problem.targets).loo_predictions
    expected = loo_predictions(grown(core, pool, range(6)))[: len(core.features)]
    assert_close(problem.layout.restore(predictions), expected, 1e-8)


@pytest.mark.parametrize("grouping", [None, "ragged", "long"])
def test_a_thousand_updates(grouping):
    case = Case(60, 12, 2, relative_alpha=1e-4, grouping=grouping)
    compare(core_of(case), other_rows(case, 1000), 1)


def test_rows_far_out_in_the_pool():
    case = Case(60, 6, 2)
    pool = other_rows(case, 80)
    pool.features[::7] *= 1e4
    compare(core_of(case), pool, 2)


@pytest.mark.parametrize("name", CASES)
def test_whitened_rows_that_are_not_kept(name, monkeypatch):
    monkeypatch.setattr(row_blocks, "_KEEP_BYTES", 0)
    compare(core_of(CASES[name]), other_rows(CASES[name], 13), 4)


def test_a_pool_in_directions_that_the_core_lacks():
    """Whitened rows of the pool are huge: they decide what the core leaves open."""
    case = Case(40, 8, 2, relative_alpha=1e-7)
    core, pool = core_of(case), other_rows(case, 300)
    core.features[:, 4:] *= 1e-6
    compare(core, pool, 2, 1e-7)


# Where rows all but decide their predictions, `extend` turns to float64.
@pytest.mark.parametrize("name", [name for name in CASES if "wide" not in name])
def test_float32(name, device):
    where = {"dtype": torch.float32, "device": device}
    case = Case(**(vars(CASES[name]) | {"row_scale": 1.0}))
    core, pool = core_of(case, **where), other_rows(case, 13, **where)
    problem, smoother = extended(core, pool, 4)
    predictions = leave_one_out(smoother, problem.targets).loo_predictions
    expected = loo_predictions(grown(core.double(), pool.double(), range(13)))
    assert_close(problem.layout.restore(predictions), expected[: len(core.features)], 1e-4)
