"""Row sources: rows that are made when they are read give the answers of rows in memory."""

import numpy as np
import pytest
import torch

from skdiva.loo import (
    Budget,
    FittedRidge,
    RowSource,
    choose_penalty,
    curate,
    descend,
    evaluate,
    fit_ridge,
    learn_weights,
    new_row_form,
)
from skdiva.loo.rows import InMemoryRows, as_row_source, read_all
from tests.cases import Case
from tests.loo.rows.made_rows import MadeRows
from tests.tolerances import assert_close

CASES = {
    "tall": Case(30, 4, 3, "log_loss"),
    "wide": Case(14, 30, 3, "log_loss", zero_weights=True),
    "groups": Case(30, 4, 3, "log_loss", grouping="ragged", initial_outputs=True),
    "groups, wide": Case(14, 30, 3, "log_loss", grouping="ragged"),
    "a high-leverage row": Case(30, 4, 3, "log_loss", row_scale=1e4),
}
cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
dtypes = pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
budgets = pytest.mark.parametrize("kept_bytes", [None, 0], ids=["kept", "computed again"])


def sources(data):
    """The rows of a case in memory, and made from the numbers of the rows."""
    features = data.features
    made = MadeRows(lambda rows: features[rows] + 0, len(features), features.dtype, features.device)
    return features, made


def problems(data, kept_bytes=None, **changes):
    budget = Budget(block_rows=7, kept_bytes=kept_bytes)
    how = {"budget": budget} | changes
    return [data._replace(features=rows).problem(**how) for rows in sources(data)]


def validation_set(case, data):
    other = Case(**(vars(case) | {"n_rows": 40, "seed": 9}))
    other = other.data(data.features.dtype, data.features.device)
    return other.features, other.targets()


@budgets
@dtypes
@cases
def test_evaluate(case, dtype, kept_bytes, device):
    data = case.data(dtype, device)
    expected, actual = (
        evaluate(problem, data.sample_weight, data.alpha) for problem in problems(data, kept_bytes)
    )
    assert actual.derivative.dtype == actual.loo_predictions.dtype == dtype
    assert actual.loss == expected.loss
    for ours, theirs in zip(actual[1:], expected[1:], strict=True):
        assert torch.equal(ours, theirs)


@dtypes
@cases
def test_evaluate_by_a_validation_set(case, dtype, device):
    data = case.data(dtype, device)
    expected, actual = (
        evaluate(problem, data.sample_weight, data.alpha)
        for problem in problems(data, validation=validation_set(case, data))
    )
    assert actual.loss == expected.loss
    assert torch.equal(actual.derivative, expected.derivative)


@budgets
@dtypes
@cases
def test_choose_penalty(case, dtype, kept_bytes, device):
    data = case.data(dtype, device)
    for how in ({}, {"validation": validation_set(case, data)}):
        expected, actual = (
            choose_penalty(problem, data.sample_weight)
            for problem in problems(data, kept_bytes, **how)
        )
        assert actual == expected


@dtypes
@cases
def test_curate(case, dtype, device):
    data = case.data(dtype, device)
    labels = data.labels.clone()
    labels[::6] = (labels[::6] + 1) % 3  # wrong labels, of which some are found
    data = data._replace(
        labels=labels, values=torch.nn.functional.one_hot(labels, 3).to(device, dtype)
    )
    for how in ({}, {"validation": validation_set(case, data)}):
        expected, actual = (
            curate(problem, data.sample_weight, data.alpha, labels)
            for problem in problems(data, **how)
        )
        assert torch.equal(actual.relative_weight, expected.relative_weight)
        assert actual.final.loss == expected.final.loss
        assert torch.equal(actual.start.derivative, expected.start.derivative)


@pytest.mark.parametrize("name", ["tall", "wide", "groups"])
def test_every_other_question(name):
    data = CASES[name].data()
    arguments = data.sample_weight, data.alpha
    expected, actual = problems(data)
    for question in (fit_ridge, new_row_form):
        answers = (question(problem, *arguments) for problem in (actual, expected))
        for ours, theirs in zip(*answers, strict=True):
            assert torch.equal(ours, theirs)
    for rule, more in ((descend, ()), (learn_weights, (data.labels,))):
        ours, theirs = (rule(problem, *arguments, *more) for problem in (actual, expected))
        assert torch.equal(ours.relative_weight, theirs.relative_weight)


def test_rows_without_features_in_memory(device):
    """Rows that are a function of their position: the features are never stored."""

    def function(rows):
        return torch.stack([(rows * step % 17).double().sin() for step in (1, 3, 7)], dim=1)

    features = function(torch.arange(50, device=device))
    data = Case(50, 3, 2).data(device=device)
    made = data._replace(features=MadeRows(function, 50, device=device))
    stored = data._replace(features=features)
    budget = Budget(block_rows=8, kept_bytes=0)
    actual, expected = (
        FittedRidge(d.problem(budget=budget), d.sample_weight, 1.0) for d in (made, stored)
    )
    assert_close(actual.derivative, expected.derivative.cpu(), 1e-12)


@pytest.mark.parametrize("kept_bytes", [None, 0])
def test_no_more_rows_than_a_block_are_read_at_a_time(kept_bytes):
    data = Case(50, 3, 2).data()
    sizes = []

    def function(rows):
        sizes.append(len(rows))
        return data.features[rows]

    made = data._replace(features=MadeRows(function, 50))
    problem = made.problem(budget=Budget(block_rows=8, kept_bytes=kept_bytes))
    evaluate(problem, data.sample_weight, data.alpha)
    choose_penalty(problem, data.sample_weight)
    assert max(sizes) == 8


def test_a_subclass_without_read_cannot_be_made():
    class NoRead(RowSource):
        """A source that does not define it."""

    with pytest.raises(TypeError, match="read"):
        NoRead(3, 2)


def test_attributes_of_a_source(device):
    source = MadeRows(lambda rows: rows[:, None].double(), 5, torch.float32, device)
    assert (source.n_rows, source.n_columns, source.dtype) == (5, 1, torch.float32)
    assert source.device.type == torch.device(device).type
    stored = InMemoryRows(torch.zeros(4, 3, device=device))
    assert (stored.n_rows, stored.n_columns, stored.dtype) == (4, 3, torch.float32)
    assert stored.read(torch.tensor([1, 1, 0], device=device)).shape == (3, 3)


def test_all_rows_are_read_in_blocks():
    sizes = []

    def function(rows):
        sizes.append(len(rows))
        return rows[:, None].double()

    source = MadeRows(function, 70_000, torch.float32)
    sizes.clear()
    rows = read_all(source)
    assert rows.dtype == torch.float32
    assert rows[:, 0].tolist() == list(range(70_000))
    assert sizes == [2**16, 70_000 - 2**16]
    assert read_all(MadeRows(function, 0)).shape == (0, 1)


def test_a_source_is_not_an_array():
    source = MadeRows(lambda rows: rows[:, None].double(), 5)
    for question in (lambda: source[:2], lambda: source[[0, 1]], lambda: np.asarray(source)):
        with pytest.raises(TypeError, match=r"MadeRows, which can be neither.*slice\(0, 5\)"):
            question()


def test_as_row_source():
    made = MadeRows(lambda rows: rows[:, None].double(), 5)
    assert as_row_source(made) is made
    features = torch.zeros(4, 3)
    assert as_row_source(features).features is features


@pytest.mark.parametrize(
    ("features", "found"),
    [
        ([[1.0, 2.0]], "list"),
        (None, "NoneType"),
        (torch.zeros(4), r"shape \(4,\)"),
        (torch.zeros(4, 3, 2), r"shape \(4, 3, 2\)"),
        (torch.zeros(4, 3, dtype=torch.int64), "torch.int64"),
        (MadeRows(lambda rows: rows[:, None], 5, torch.int64), "a MadeRows of dtype torch.int64"),
    ],
    ids=["list", "None", "one dimension", "three dimensions", "integers", "source of integers"],
)
def test_other_kinds_of_features_are_refused(features, found):
    with pytest.raises(TypeError, match=f"(?s)floating.*got .*{found}.*RowSource"):
        as_row_source(features)
