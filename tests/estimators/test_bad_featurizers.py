"""Outputs of featurizers, and initial outputs: finite numbers for every row, or refused by name."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import FunctionTransformer

from skdiva import DivaExtender, DivaOutlierDetector, DivaReweighter
from tests.estimators.data import same_fit
from tests.estimators.refusals import N, X, Y, fails, masked

ESTIMATORS = [DivaReweighter, DivaOutlierDetector, DivaExtender]
FEATURES = "FunctionTransformer.transform"
SHAPE = r"one row of features per row, shape \(40, p\), .*"
# name: (function of X, error, message)
OUTPUTS = {
    "NaN": (lambda X: X * np.nan, ValueError, FEATURES + " must return finite numbers, got nan"),
    "NaN in a tensor": (
        lambda X: torch.tensor(X * np.nan),
        ValueError,
        FEATURES + " must return finite numbers, got nan in row 0. Impute",
    ),
    "masked": (masked, ValueError, FEATURES + " must return finite numbers, got nan in row 5"),
    "strings": (lambda X: X.astype(str), ValueError, FEATURES + " must return numbers"),
    "complex": (lambda X: X + 1j, ValueError, FEATURES + " must return numbers.*Complex data"),
    "complex tensor": (
        lambda X: torch.tensor(X + 1j),
        ValueError,
        FEATURES + " must return real numbers, got dtype torch.complex128. Convert them",
    ),
    "dates": (
        lambda X: X.astype("datetime64[D]"),
        ValueError,
        FEATURES + r" must return real numbers, got dtype datetime64\[D\]. Convert them",
    ),
    "None": (lambda _: None, TypeError, FEATURES + " must return numbers.*got NoneType"),
    "dict": (lambda X: {"a": X}, TypeError, FEATURES + " must return numbers.*got dict"),
    "ragged": (
        lambda _: [[1]] * (N - 1) + [[1, 2]],
        ValueError,
        FEATURES + " must return numbers.*got list",
    ),
    "no columns": (lambda X: X[:, :0], ValueError, FEATURES + r".*Found array with 0 feature\(s\)"),
    "sparse tensor": (
        lambda X: torch.tensor(X).to_sparse(),
        TypeError,
        "a dense tensor that holds numbers as the result of " + FEATURES,
    ),
    "too few rows": (lambda X: X[1:], ValueError, SHAPE + r"; got shape \(39, 6\)"),
    "one dimension": (lambda X: X[:, 0], ValueError, SHAPE + r"; got shape \(40,\)"),
    "tuple": (lambda X: (X, X), ValueError, SHAPE + r"; got shape \(2, 40, 6\)"),
}


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_output(estimator, name):
    function, error, message = OUTPUTS[name]
    fails(estimator(featurizer=FunctionTransformer(function)), {}, error, message)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_featurizers_that_are_none(estimator):
    message = r"featurizer must be an instance, FunctionTransformer\(\), got the class"
    with pytest.raises(TypeError, match=message):
        estimator(featurizer=FunctionTransformer).fit(X, Y)
    for wrong in ("raw", 3, LogisticRegression(), lambda X: X):
        fails(estimator(featurizer=wrong), {}, ValueError, "The 'featurizer' parameter of Diva")


def test_containers_of_features():
    expected = DivaReweighter(featurizer=None).fit(X, Y)
    for convert in (
        np.ndarray.tolist,
        torch.tensor,
        pd.DataFrame,
        lambda X: X.astype(object),
        lambda X: torch.tensor(X, requires_grad=True),
        lambda X: np.ma.array(X),
        lambda X: pd.DataFrame(X).astype("Float64"),
    ):
        same_fit(DivaReweighter(featurizer=FunctionTransformer(convert)).fit(X, Y), expected)


class OnlyTraining(BaseEstimator):
    """X as a tensor, with NaN in all rows but those of `fit`."""

    def fit(self, X, y=None):  # noqa: ARG002
        return self

    def transform(self, X):
        return torch.tensor(X if len(X) == N else X * np.nan)


@pytest.mark.parametrize("criterion", ["probability", "derivative"])
def test_features_of_new_rows_are_checked(criterion):
    detector = DivaOutlierDetector(criterion=criterion, featurizer=OnlyTraining()).fit(X, Y)
    with pytest.raises(ValueError, match=r"OnlyTraining\.transform must return finite numbers"):
        detector.score_labels(X[:5], Y[:5])


class Pretrained(BaseEstimator):
    """X, and initial outputs."""

    def __init__(self, function=None):
        self.function = function

    def fit(self, X, y=None):  # noqa: ARG002
        return self

    def transform(self, X):
        return X

    def initial_outputs(self, X):
        return self.function(np.tanh(X[:, :3]))


def with_value(outputs, value):
    outputs[3, 1] = value
    return outputs


INITIAL = "Pretrained.initial_outputs"
SHAPE_OF_INITIAL = r"one column per class or target, shape \(40, 3\); got shape \(\s*{}"
INITIAL_OUTPUTS = {
    "NaN": (lambda f: with_value(f, np.nan), ValueError, INITIAL + ".*finite.*got nan in row 3"),
    "infinity": (lambda f: f + np.inf, ValueError, INITIAL + ".*finite numbers, got inf in row 0"),
    "NaN in a tensor": (
        lambda f: torch.tensor(with_value(f, np.nan)),
        ValueError,
        INITIAL + ".*finite numbers, got nan in row 3",
    ),
    "masked": (masked, ValueError, INITIAL + ".*finite numbers, got nan in row 5"),
    "strings": (lambda f: f.astype(str), ValueError, INITIAL + " must return numbers"),
    "sparse": (sparse.csr_array, TypeError, INITIAL + " must return numbers.*got csr_array"),
    "None": (lambda _: None, TypeError, INITIAL + " must return numbers.*got NoneType"),
    "number": (lambda _: 0.0, TypeError, INITIAL + " must return numbers.*got float"),
    "too few rows": (lambda f: f[1:], ValueError, SHAPE_OF_INITIAL.format("39, 3")),
    "too few columns": (lambda f: f[:, 1:], ValueError, SHAPE_OF_INITIAL.format("40, 2")),
    "one dimension": (lambda f: f[:, 0], ValueError, SHAPE_OF_INITIAL.format("40,")),
}


@pytest.mark.parametrize("name", INITIAL_OUTPUTS)
@pytest.mark.parametrize("alpha", ["auto", 1.0])
def test_initial_outputs(name, alpha):
    function, error, message = INITIAL_OUTPUTS[name]
    for estimator in (
        DivaReweighter(),
        DivaOutlierDetector(),
        DivaOutlierDetector(criterion="derivative"),
    ):
        estimator.set_params(featurizer=Pretrained(function), alpha=alpha)
        fails(estimator, {}, error, message)


def test_initial_outputs_of_new_rows_are_checked():
    def of_training_rows(outputs):
        return outputs if len(outputs) == N else outputs * np.nan

    for criterion in ("probability", "derivative"):
        detector = DivaOutlierDetector(criterion=criterion, featurizer=Pretrained(of_training_rows))
        detector.fit(X, Y)
        with pytest.raises(ValueError, match=INITIAL + ".*finite numbers, got nan in row 0"):
            detector.score_labels(X[:5], Y[:5])


def test_containers_of_initial_outputs():
    detector = DivaOutlierDetector(alpha=1.0)
    expected = clone(detector).set_params(featurizer=Pretrained(np.copy)).fit(X, Y)
    for convert in (
        np.ndarray.tolist,
        torch.tensor,
        pd.DataFrame,
        np.asfortranarray,
        lambda f: torch.tensor(f, requires_grad=True),
        lambda f: f.astype(object),
    ):
        actual = clone(detector).set_params(featurizer=Pretrained(convert)).fit(X, Y)
        same_fit(actual, expected)
        np.testing.assert_allclose(actual.score_labels(X, Y), expected.score_labels(X, Y))
