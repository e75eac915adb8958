"""Bad arguments of the methods after `fit`, of the extender and of the sampler."""

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression

from skdiva import DivaExtender, DivaOutlierDetector, DivaReweighter, DivaSampler
from tests.estimators.refusals import ONES, N, X, Y, fails, masked, spoiled, with_object

DETECTOR = DivaOutlierDetector().fit(X, Y)
RESIDUALS = DivaOutlierDetector(criterion="residual").fit(X, X[:, 0] * 2.5)
REWEIGHTER = DivaReweighter(LogisticRegression()).fit(X, Y)
EXTENDER = DivaExtender(LogisticRegression()).fit(X, Y, X_pool=X, y_pool=Y)

WEIGHTS = {
    "negative": (spoiled(ONES, -1), "Negative values in data passed to `sample_weight`.*in row 3"),
    "NaN": (spoiled(ONES, np.nan), "Input sample_weight contains NaN.*in row 3. Use 0"),
    "infinite": (spoiled(ONES, np.inf), "Input sample_weight contains infinity.*in row 3. Use 0"),
    "masked": (masked(ONES), "Input sample_weight contains NaN.*in row 5. Use 0"),
    "short": (ONES[1:], "one weight per row of X: expected 40, got 39. Pass a 1d array"),
    "two columns": (np.ones((N, 2)), "one weight per row of X: expected 40, got 40 x 2"),
    "single": (2.0, "one weight per row of X: expected 40, got a single one"),
    "zero": (0 * ONES, "sample_weight is zero for all rows.*Give some rows"),
    "strings": (["a"] * N, "sample_weight expects numbers, one per row, got str"),
    "complex": (ONES + 1j, "sample_weight expects numbers, one per row, got complex128"),
}


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize("fitted", [DETECTOR, REWEIGHTER, EXTENDER])
def test_weight_of_a_score(fitted, name):
    weight, message = WEIGHTS[name]
    with pytest.raises(ValueError, match=message):
        fitted.score(X, Y, sample_weight=weight)


def test_weight_of_a_score_for_regression():
    with pytest.raises(ValueError, match="Negative values in data passed to `sample_weight`"):
        RESIDUALS.score(X, X[:, 0], sample_weight=spoiled(ONES, -1))


@pytest.mark.parametrize("scale", [1e-320, 1e-300, 1.0, 1e300, 1e307])
def test_weights_of_a_score_of_any_size(scale):
    expected = DETECTOR.score(X, Y, sample_weight=1.0 + Y)
    weight = np.round(scale * (1.0 + Y) / 5e-324) * 5e-324 if scale == 1e-320 else scale * (1 + Y)
    assert DETECTOR.score(X, Y, sample_weight=weight) == pytest.approx(expected, rel=1e-3)


DENSE = "Expected a dense tensor that holds numbers as X"
# name: (call, error, message)
CALLS = {
    "columns": (lambda: DETECTOR.score_labels(X[:, 1:], Y), ValueError, "X has 5 features"),
    "rows": (lambda: DETECTOR.score_labels(X, Y[1:]), ValueError, "inconsistent numbers"),
    "NaN label": (
        lambda: DETECTOR.score_labels(X, spoiled(Y, np.nan)),
        ValueError,
        "Input y contains NaN, first in row 3",
    ),
    "unknown label": (
        lambda: DETECTOR.score_labels(X, Y + 9),
        ValueError,
        r"labels that the training y does not: \[10, 11, 9\]. Expected labels out of",
    ),
    "no labels": (lambda: DETECTOR.score_labels(X, None), ValueError, "Expected labels in y, got"),
    "a label": (lambda: DETECTOR.score_labels(X, 1), TypeError, "one label per row in y, got a"),
    "no rows": (lambda: DETECTOR.score_labels(X[:0], Y[:0]), ValueError, r"0 sample\(s\)"),
    "infinity": (
        lambda: DETECTOR.score_labels(spoiled(X, np.inf), Y),
        ValueError,
        "Input X contains infinity.*column 3, row 0",
    ),
    "date": (
        lambda: DETECTOR.score_labels(with_object(np.datetime64("2000")), Y),
        TypeError,
        "Expected a number in column 2, got .* in row 1",
    ),
    "dates": (
        lambda: DETECTOR.score_labels(X.astype("datetime64[D]"), Y),
        ValueError,
        "Expected numbers in X, got dates",
    ),
    "NaN target": (
        lambda: RESIDUALS.score_labels(X, spoiled(X[:, 0], np.nan)),
        ValueError,
        "Input y contains NaN, first in row 3",
    ),
    "two targets": (
        lambda: RESIDUALS.score_labels(X, X[:, :2]),
        ValueError,
        r"y has 2 target\(s\) per row, but the training y has 1",
    ),
    "string targets": (
        lambda: RESIDUALS.score_labels(X, Y.astype(str)),
        ValueError,
        "Expected numbers in y for regression, got strings",
    ),
    "masked y of a score": (
        lambda: DETECTOR.score(X, masked(Y)),
        ValueError,
        "Input y contains NaN, first in row 5",
    ),
    "masked rows to predict": (
        lambda: REWEIGHTER.predict(masked(X)),
        ValueError,
        "Input X contains NaN",
    ),
    "sparse tensor to predict": (
        lambda: REWEIGHTER.predict(torch.tensor(X).to_sparse()),
        TypeError,
        DENSE,
    ),
    "meta tensor to predict": (
        lambda: EXTENDER.predict(torch.zeros(N, 6, device="meta")),
        TypeError,
        DENSE,
    ),
    "NaN to transform": (
        lambda: REWEIGHTER.transform(spoiled(X, np.nan)),
        ValueError,
        "Input X contains NaN.*column 3, row 0",
    ),
    "negative number to select": (
        lambda: EXTENDER.select(-1),
        ValueError,
        "n must be an int between 0 and .* 40; got -1",
    ),
    "fraction to select": (lambda: EXTENDER.select(1.5), ValueError, "n must be an int between"),
    "too many to select": (lambda: EXTENDER.select(99), ValueError, "n must be an int between"),
    "NaN label of a row": (
        lambda: EXTENDER.score_rows(X, spoiled(Y, np.nan)),
        ValueError,
        "Input y contains NaN, first in row 3",
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_call(name):
    call, error, message = CALLS[name]
    with pytest.raises(error, match=message):
        call()


POOLS = {
    "no labels": ({"X_pool": X}, "passed together; y_pool is missing"),
    "no rows": ({"X_pool": X[:0], "y_pool": Y[:0]}, r"X_pool must hold.* 0 sample\(s\)"),
    "columns": ({"X_pool": X[:, 1:], "y_pool": Y}, "X_pool must hold.* X has 5 features"),
    "rows": ({"X_pool": X, "y_pool": Y[1:]}, "same number of rows; got 40 and 39"),
    "unknown label": ({"X_pool": X, "y_pool": Y + 9}, "y_pool holds labels that the training y"),
    "masked label": ({"X_pool": X, "y_pool": masked(Y)}, "Input y_pool contains NaN.* row 5"),
    "infinity": ({"X_pool": spoiled(X, np.inf), "y_pool": Y}, "Input X contains infinity"),
    "dates": ({"X_pool": X.astype("datetime64[D]"), "y_pool": Y}, "X_pool must hold.* got dates"),
    "digits": ({"X_pool": with_object("1"), "y_pool": Y}, "X_pool must hold.* got '1' in row 1"),
    "masked groups": (
        {"X_pool": X, "y_pool": Y, "groups": masked(np.arange(N) // 2)},
        "Input groups contains NaN, first in row 5",
    ),
}


@pytest.mark.parametrize("name", POOLS)
def test_pool(name):
    arguments, message = POOLS[name]
    fails(DivaExtender(), arguments, ValueError, message)


class Decides(BaseEstimator):
    """Detector that returns given decisions."""

    def __init__(self, decisions=None):
        self.decisions = decisions

    def fit_predict(self, X, y):  # noqa: ARG002
        return self.decisions


DECISIONS = {
    "NaN": (ONES * np.nan, r"got values \[nan, nan, nan\]"),
    "zeros and ones": (np.arange(N) % 2, r"got values \[0, 0, 0\]"),
    "strings": (np.array(["a"] * N), r"got values \['a', 'a', 'a'\]"),
    "short": (ONES[1:], r"got shape \(39,\)"),
    "two columns": (np.ones((N, 2)), r"got shape \(40, 2\)"),
    "none": (None, r"got shape \(\)"),
}


@pytest.mark.parametrize("name", DECISIONS)
def test_decisions_of_a_detector(name):
    decisions, message = DECISIONS[name]
    sampler = DivaSampler(Decides(decisions))
    expected = r"Decides.fit_predict must return 1 for rows to keep and -1 .*shape \(40,\); "
    with pytest.raises(ValueError, match=expected + message + ". Wrap the detector"):
        sampler.fit(X, Y)
    assert set(vars(sampler)) == {"detector", "task"}


SAMPLES = {
    "masked y": (X, masked(Y), ValueError, "Input y contains NaN, first in row 5"),
    "no y": (X, None, ValueError, "requires y to be passed"),
    "set": (X, {0, 1}, TypeError, "one label per row in y, got a single set"),
    "sparse tensor": (X, torch.tensor(Y).to_sparse(), TypeError, "holds numbers as y"),
    "short y": (X, Y[1:], ValueError, "inconsistent numbers of samples"),
    "one class": (X, 0 * Y, ValueError, "at least two classes, got only one class"),
    "infinity": (spoiled(X, np.inf), Y, ValueError, "Input X contains infinity"),
    "dates": (X.astype("datetime64[D]"), Y, ValueError, "Expected numbers in X, got dates"),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_rows_of_a_sampler(name):
    rows, labels, error, message = SAMPLES[name]
    sampler = DivaSampler()
    with pytest.raises(error, match=message):
        sampler.fit_resample(rows, labels)
    assert set(vars(sampler)) == {"detector", "task"}
