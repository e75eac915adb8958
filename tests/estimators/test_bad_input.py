"""Bad input: what the message says, and that nothing is left behind."""

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import FunctionTransformer

from skdiva import DivaOutlierDetector, DivaReweighter
from tests.estimators.data import numbers
from tests.estimators.refusals import ONES, N, X, Y, fails, spoiled

# name: (arguments of fit that differ from good ones, error, part of its message)
ARGUMENTS = {
    "infinity in X": ({"X": spoiled(X, np.inf)}, ValueError, "Input X contains infinity"),
    "sparse with NaN": (
        {"X": sparse.csr_array(spoiled(X, np.nan))},
        ValueError,
        "Input X contains NaN: expected finite numbers, got nan in row",
    ),
    "texts": ({"X": ["a text"] * N}, ValueError, "table of numbers as X, got texts.*Tfidf"),
    "1-d X": ({"X": X[:, 0]}, ValueError, "Expected 2D array, got 1D array"),
    "3-d X": ({"X": X.reshape(N, 2, 3)}, ValueError, "Found array with dim 3"),
    "text in X": ({"X": np.full((N, 2), "a")}, ValueError, "dtype='numeric' is not compatible"),
    "NaN in y": ({"y": spoiled(Y, np.nan)}, ValueError, "Input y contains NaN"),
    "None in y": ({"y": np.array([None, *"a" * 39], object)}, ValueError, "Input y contains None"),
    "mixed y": (
        {"y": np.array([1, *"a" * 39], object)},
        ValueError,
        "one type in y, got a mixture of",
    ),
    "no y": ({"y": None}, ValueError, "requires y to be passed, but the target y is None"),
    "2-d classes": ({"y": np.c_[Y, Y]}, ValueError, "y should be a 1d array"),
    "3-d numbers": ({"y": np.full((N, 2, 2), 0.5)}, ValueError, "Found array with dim 3"),
    "one class": ({"y": np.zeros(N, int)}, ValueError, "at least two classes, got only one class"),
    "one row": ({"X": X[:1], "y": Y[:1]}, ValueError, "minimum of 2 is required"),
    "short y": ({"y": Y[:-1]}, ValueError, "inconsistent numbers of samples"),
    "negative weight": (
        {"sample_weight": spoiled(ONES, -1)},
        ValueError,
        "Negative values in data passed to `sample_weight`",
    ),
    "NaN weight": (
        {"sample_weight": spoiled(ONES, np.nan)},
        ValueError,
        "Input sample_weight contains NaN",
    ),
    "no weight": (
        {"sample_weight": 0 * ONES},
        ValueError,
        "Sample weights must contain at least one non-zero number",
    ),
    "short weight": (
        {"sample_weight": ONES[1:]},
        ValueError,
        "sample_weight must hold one weight per row of X: expected 40, got 39",
    ),
    "class without weight": (
        {"sample_weight": (Y != 1).astype(float)},
        ValueError,
        r"leave every class some weight; class\(es\) \[1\] have none",
    ),
    "one row with weight": (
        {"y": X[:, 0], "sample_weight": np.eye(N)[0]},
        ValueError,
        "positive weight in at least two rows",
    ),
    "one group": ({"groups": np.zeros(N)}, ValueError, "groups puts all rows into one group"),
    "short groups": (
        {"groups": np.arange(N - 1)},
        ValueError,
        "groups must hold one label per row",
    ),
    "NaN in groups": ({"groups": spoiled(ONES, np.nan)}, ValueError, "Input groups contains NaN"),
    "short sources": (
        {"sources": np.arange(N + 1)},
        ValueError,
        "sources must hold one label per row of X: expected 40, got 41",
    ),
    "2-d sources": (
        {"sources": np.ones((N, 2))},
        ValueError,
        "sources must hold one label per row of X: expected 40, got 40 x 2. Pass a 1d array",
    ),
    "None in sources": (
        {"sources": [None, *"ab" * 20][:N]},
        ValueError,
        "Input sources contains None or NaN, first in row 0",
    ),
    "None in groups": (
        {"groups": np.array([*range(N - 1), None])},
        ValueError,
        "Input groups contains None or NaN, first in row 39",
    ),
    "date missing in groups": (
        {"groups": np.array([*range(N - 1), "NaT"], "datetime64[D]")},
        ValueError,
        "Input groups contains None or NaN, first in row 39",
    ),
    "one validation weight": (
        {"validation_weight": 2.0},
        ValueError,
        "validation_weight must hold one weight per row of X: expected 40, got a single one",
    ),
    "text as validation weight": (
        {"validation_weight": ["a"] * N},
        ValueError,
        "validation_weight expects numbers, one per row, got str",
    ),
    "text as weight": (
        {"sample_weight": ["a"] * N},
        ValueError,
        "sample_weight expects numbers, one per row, got str",
    ),
    "complex weight": (
        {"sample_weight": ONES + 1j},
        ValueError,
        "sample_weight expects numbers, one per row, got complex128",
    ),
    "X_val alone": ({"X_val": X}, ValueError, "passed together; y_val is missing"),
    "y_val alone": ({"y_val": Y}, ValueError, "passed together; X_val is missing"),
    "narrow X_val": (
        {"X_val": X[:, 1:], "y_val": Y},
        ValueError,
        "X has 5 features, but Diva.* is expecting 6 features",
    ),
    "short y_val": ({"X_val": X, "y_val": Y[1:]}, ValueError, "same number of rows; got 40 and 39"),
    "unknown y_val": (
        {"X_val": X, "y_val": Y + 7},
        ValueError,
        "y_val holds labels that the training y does not",
    ),
    "two X_val": ({"X_val": (X, X), "y_val": Y}, ValueError, "got a tuple of 2"),
    "two devices": (
        {"X": torch.zeros(N, 2, device="meta"), "y": torch.zeros(N)},
        ValueError,
        "Expected all tensors on one device, got X on meta, y on cpu",
    ),
}

PARAMETERS = {
    "zero alpha": ({"alpha": 0.0}, ValueError, "The 'alpha' parameter of Diva.* must be"),
    "negative alpha": ({"alpha": -1.0}, ValueError, "The 'alpha' parameter of Diva.* must be"),
    "tiny alpha": (
        {"alpha": 1e-30, "featurizer": FunctionTransformer(lambda X: np.hstack([X, X]))},
        ValueError,
        "alpha=1e-30 is too small for these features, even in dtype=float64",
    ),
    "unknown device": ({"device": "abacus"}, ValueError, "device must be None, 'cpu', 'cuda'"),
    "other device": ({"device": "meta"}, ValueError, "device must be None, 'cpu', 'cuda'"),
    "absent device": ({"device": "cuda:99"}, ValueError, r"sees \d CUDA device\(s\)"),
    "unknown loss": ({"loss": "hinge"}, ValueError, "The 'loss' parameter"),
    "loss without derivative": ({"loss": object()}, ValueError, "The 'loss' parameter"),
    "no features": (
        {"featurizer": FunctionTransformer(lambda X: X[:, 0])},
        ValueError,
        r"must turn X into one row of features per row, shape \(40, p\), .*got shape \(40,\)",
    ),
    "infinite features": (
        {"featurizer": FunctionTransformer(lambda X: X * np.inf)},
        ValueError,
        "FunctionTransformer.transform must return finite numbers, got (inf|nan) in row 0",
    ),
    "too large for float32": (
        {"featurizer": FunctionTransformer(lambda X: X * 1e100), "dtype": "float32"},
        ValueError,
        "too large for float32",
    ),
}

ESTIMATORS = [DivaReweighter, DivaOutlierDetector]


@pytest.mark.parametrize("name", ARGUMENTS)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_argument(estimator, name):
    fails(estimator(), *ARGUMENTS[name])


@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning")
@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_parameter(estimator, name):
    parameters, error, message = PARAMETERS[name]
    fails(estimator(**parameters), {}, error, message)


@pytest.mark.skipif(torch.cuda.is_available(), reason="asks for a GPU where there is none")
def test_cuda_asked_for_and_absent():
    fails(DivaReweighter(device="cuda"), {}, ValueError, "device='cuda' was asked for, but torch")


@pytest.mark.parametrize("inner", [KNeighborsClassifier(), FrozenEstimator(LogisticRegression())])
def test_inner_estimator_that_takes_no_weights(inner):
    message = "Expected an estimator whose fit takes sample_weight, got .* Use apply='drop'"
    fails(DivaReweighter(inner), {}, ValueError, message)


def test_inner_estimator_that_fails():
    class Broken(LogisticRegression):
        def fit(self, X, y, sample_weight=None):  # noqa: ARG002
            raise RuntimeError("broken")

    fails(DivaReweighter(Broken()), {}, RuntimeError, "broken")


def test_log_loss_needs_classes():
    features, y = numbers()
    with pytest.raises(ValueError, match="loss='log_loss' expects y with classes"):
        DivaReweighter(loss="log_loss").fit(features, y)


def test_initial_outputs_of_another_width():
    class Pretrained(FunctionTransformer):
        def initial_outputs(self, X):
            return X[:, :2]

    message = r"one column per class or target, shape \(40, 3\); got shape \(40, 2\)"
    fails(DivaReweighter(featurizer=Pretrained()), {}, ValueError, message)


def test_one_row_for_a_transformer():
    estimator = DivaReweighter(featurizer=FunctionTransformer())
    fails(estimator, {"X": X[:1], "y": Y[:1]}, ValueError, "minimum of 2 is required")


def test_a_failed_second_fit_keeps_the_first():
    estimator = DivaReweighter().fit(X, Y)
    weight = estimator.sample_weight_
    with pytest.raises(ValueError, match="infinity"):
        estimator.fit(spoiled(X, np.inf)[:, 1:], Y)
    assert estimator.sample_weight_ is weight
    assert estimator.n_features_in_ == 6


def test_one_weight_for_all_rows():
    unweighted, weighted = DivaReweighter().fit(X, Y), DivaReweighter().fit(X, Y, sample_weight=2.0)
    np.testing.assert_allclose(weighted.sample_weight_, unweighted.sample_weight_, rtol=1e-9)


def test_two_rows_are_enough():
    for estimator in ESTIMATORS:
        assert estimator().fit(X[:2], ["a", "b"]).derivative_.shape == (2,)
