"""Rules that set weights factorize a problem once for every set of weights, and keep few of them.

A factorization may be as large as the features, so that those that are kept determine the memory.
"""

import gc
from collections import Counter
from weakref import WeakSet

import pytest
import torch

from skdiva.loo import (
    Budget,
    FittedRidge,
    Problem,
    curate,
    descend,
    descend_by_source,
    evaluate,
    learn_weights,
)
from skdiva.loo.weights import descend_with_early_stopping
from tests.cases import Case
from tests.loo.weights.labeled_data import ALPHA, FixedNoise, LabeledData
from tests.tolerances import assert_close


class CountedProblem(Problem):
    """A problem that counts its factorizations, for every set of weights and dtype.

    ``n_kept`` lists, for every factorization, how many there are in memory after it.
    """

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.counts, self.kept, self.n_kept = Counter(), WeakSet(), []

    def smoother(self, sample_weight, alpha, dtype):
        # Digits that rounding may change do not make another set of weights.
        weight = tuple(f"{w:.10g}" for w in sample_weight.tolist())
        self.counts[weight, alpha, dtype] += 1
        smoother = super().smoother(sample_weight, alpha, dtype)
        self.kept.add(smoother)
        self.n_kept.append(len(self.kept))
        return smoother


def counted(data, **changes):
    """The problem of a `Case`, counted."""
    options = {"validation_weight": data.validation_weight, "groups": data.groups} | changes
    return CountedProblem(data.features, data.targets(), loss=data.loss, **options)


def validation_rows(case):
    other = Case(**(vars(case) | {"n_rows": 40, "seed": 7, "grouping": None})).data()
    return other.features, other.targets()


def assert_once(problem, n_least, n_kept=1):
    """Assert that there were several sets of weights, none of them factorized twice.

    No more than ``n_kept`` factorizations may have been in memory at the same time.
    """
    assert set(problem.counts.values()) == {1}
    assert problem.counts.total() >= n_least
    assert max(problem.n_kept) <= n_kept


def test_repeated_factorizations_are_counted():
    data = Case().data()
    problem = counted(data)
    halved = problem.replace(validation_weight=0.5 * data.validation_weight)
    for changed in (problem, halved):
        evaluate(changed, data.sample_weight, data.alpha)
    evaluate(problem, 2 * data.sample_weight, data.alpha)
    assert sorted(problem.counts.values()) == [1, 2]
    fits = [FittedRidge(problem, data.sample_weight, alpha) for alpha in (1, 2)]
    assert problem.n_kept == [1, 1, 1, 1, 2]
    assert len(fits) == len(problem.kept) == 2


@pytest.mark.parametrize("grouped", [False, True])
def test_curate(grouped):
    problem, *arguments = LabeledData(grouped=grouped).arguments(kind=CountedProblem)
    curate(problem, *arguments)
    assert_once(problem, 2)
    assert problem.counts.total() == 2


@pytest.mark.parametrize("max_iter", [1, 2])
@pytest.mark.parametrize("grouped", [False, True])
def test_learn_weights(grouped, max_iter):
    data = LabeledData(grouped=grouped, spread=0.9)
    problem, *arguments = data.arguments(kind=CountedProblem)
    learned = learn_weights(problem, *arguments, max_iter=max_iter)
    assert learned.n_steps == max_iter
    assert_once(problem, 2)
    assert problem.counts.total() == 2 + max_iter


def test_learn_weights_without_a_step():
    problem, *arguments = LabeledData(wrong=0, spread=0.2).arguments(kind=CountedProblem)
    assert learn_weights(problem, *arguments).n_steps == 0
    assert_once(problem, 1)


@pytest.mark.parametrize("rule", [curate, learn_weights])
def test_labels_without_any_doubt(rule):
    """Curated weights are the start weights, which are not factorized again."""
    problem, *arguments = LabeledData().arguments(kind=CountedProblem)
    found = rule(problem, *arguments, noise_model=FixedNoise(torch.zeros(90)))
    assert (found.relative_weight == 1).all()
    assert found.start.derivative is not None
    assert (found.final.loo_predictions == found.start.loo_predictions).all()
    assert_once(problem, 1)


@pytest.mark.parametrize("validated", [False, True])
@pytest.mark.parametrize("grouping", [None, "ragged"])
def test_descend(grouping, validated):
    data = Case(30, 4, 3, "log_loss", grouping=grouping).data()
    problem = counted(data, **{"validation": validation_rows(data.case)} if validated else {})
    descent = descend(problem, data.sample_weight, data.alpha)
    assert descent.n_steps == 3
    assert_once(problem, 4)
    assert problem.counts.total() == 4


@pytest.mark.parametrize("n_columns", [4, 40])
@pytest.mark.parametrize("kept_bytes", [None, 0])
def test_factorizations_are_freed_at_once(n_columns, kept_bytes):
    """Also if their rows are computed again at every visit, and without the garbage collector."""
    data = Case(30, n_columns, 2).data()
    problem = counted(data, budget=Budget(kept_bytes=kept_bytes))
    gc.disable()
    try:
        descend(problem, data.sample_weight, data.alpha)
    finally:
        gc.enable()
    assert problem.n_kept == [1, 1, 1, 1]


@pytest.mark.parametrize("validated", [False, True])
@pytest.mark.parametrize("gross", [0, 6])
def test_descend_with_early_stopping(gross, validated):
    data = Case(100, 4, 1, relative_alpha=0.1).data()
    data.values[:gross] += 30
    problem = counted(data, **{"validation": validation_rows(data.case)} if validated else {})
    descent = descend_with_early_stopping(problem, data.sample_weight, data.alpha)
    if not validated:
        assert (descent.n_steps > 0) == (gross > 0)
    assert_once(problem, 7)
    # The start, three steps for either half, and the steps that are taken.
    assert problem.counts.total() == 7 + descent.n_steps


@pytest.mark.parametrize("validated", [False, True])
@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
def test_descend_by_source(loss, validated):
    data = Case(120, 4, 3, loss, relative_alpha=0.1).data()
    sources = torch.arange(120) % 4
    wrong = sources == 0
    if data.labels is None:
        data.values[wrong] += torch.randn(30, 3, generator=torch.manual_seed(0)).double()
    else:
        data.labels[wrong] = (data.labels[wrong] + 1) % 3
    problem = counted(data, **{"validation": validation_rows(data.case)} if validated else {})
    descent = descend_by_source(
        problem, data.sample_weight, data.alpha, sources, labels=data.labels, max_iter=5
    )
    assert descent.n_steps > 0
    assert_once(problem, 3, n_kept=2)


def test_descend_by_source_where_the_prior_is_the_start():
    """One source, or sources that are trusted alike: the start is not factorized again."""
    data = Case(30, 4, 2).data()
    problem = counted(data)
    source = torch.zeros(30, dtype=torch.int64)
    assert descend_by_source(problem, data.sample_weight, data.alpha, source).n_steps == 0
    assert_once(problem, 1)
    clean = LabeledData(wrong=0, spread=0.2)
    clean.weight = torch.ones(90, dtype=torch.float64)
    problem, *arguments = clean.arguments(kind=CountedProblem)
    sources = torch.arange(90) // 3 % 2
    descend_by_source(problem, *arguments[:2], sources, labels=clean.labels)
    assert_once(problem, 2, n_kept=2)


def test_float64_where_float32_falls_short():
    """Once in float32, which is found not to suffice, and once in float64."""
    data = LabeledData()
    data.features[:, 3] = data.features[:, 2] * (1 + 1e-5)
    exact = descend_with_early_stopping(data.problem(), data.weight, 1e-4)
    data.features, data.weight = data.features.float(), data.weight.float()
    problem = data.problem(CountedProblem)
    descent = descend_with_early_stopping(problem, data.weight, 1e-4)
    assert {dtype for _, _, dtype in problem.counts} == {torch.float32, torch.float64}
    assert_once(problem, 14)
    assert descent.n_steps == exact.n_steps
    assert_close(descent.final.loss, exact.final.loss, 1e-3)


@pytest.mark.parametrize("rule", [descend, descend_with_early_stopping])
def test_a_group_that_needs_float64(rule):
    """That 1 - leverage of a group has too few digits is found by the first answer of a fit."""
    data = LabeledData(n=30, wrong=0, grouped=True)
    data.features[:, 3] = 0
    data.features[:2, 3] = 100
    data.features, data.weight = data.features.float(), data.weight.float()
    problem = data.problem(CountedProblem)
    rule(problem, data.weight, ALPHA)
    assert {dtype for _, _, dtype in problem.counts} == {torch.float32, torch.float64}
    assert_once(problem, 8, n_kept=2)
