"""Property over containers of X: each gives the answer of the plain float64 array."""

import tempfile

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from skdiva import DivaOutlierDetector, DivaReweighter
from tests.strategies import SETTINGS

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")

N, P = 36, 4
Y = np.arange(N) % 3 == 0


def memory_mapped(X):
    with tempfile.NamedTemporaryFile() as file:
        mapped = np.memmap(file.name, dtype=X.dtype, mode="w+", shape=X.shape)
    mapped[:] = X
    mapped.flags.writeable = False
    return mapped


def nullable(X, dtype):
    return pd.DataFrame({f"c{j}": pd.array(with_none(X[:, j]), dtype=dtype) for j in range(P)})


def with_none(column):
    return [None if np.isnan(value) else int(value) for value in column]


def of_mixed_dtypes(X):
    columns = {
        "a": pd.array(with_none(X[:, 0]), dtype="Int16"),
        "b": pd.array(with_none(X[:, 1]), dtype="Float64"),
        "c": pd.Series(with_none(X[:, 2]), dtype=object),
        "d": pd.arrays.SparseArray(X[:, 3]),
    }
    return pd.DataFrame(columns)


CONTAINERS = {
    "Fortran order": np.asfortranarray,
    "every second row": lambda X: np.repeat(X, 2, axis=0)[::2],
    "every second column": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "reversed": lambda X: X[::-1, ::-1].copy()[::-1, ::-1],
    "big endian": lambda X: X.astype(">f8"),
    "memory map": memory_mapped,
    "list": lambda X: X.tolist(),
    "list with None": lambda X: [with_none(row) for row in X],
    "objects": lambda X: X.astype(object),
    "objects with NA": lambda X: np.where(np.isnan(X), pd.NA, X.astype(object)),
    "tensor": torch.tensor,
    "transposed tensor": lambda X: torch.tensor(X.T.copy()).T,
    "tensor with gradient": lambda X: torch.tensor(X, requires_grad=True),
    "dataframe": pd.DataFrame,
    "dataframe of Int8": lambda X: nullable(X, "Int8"),
    "dataframe of Float64": lambda X: nullable(X, "Float64"),
    "dataframe of arrow integers": lambda X: nullable(X, "int32[pyarrow]"),
    "dataframe of mixed dtypes": of_mixed_dtypes,
    "polars floats": pl.DataFrame,
    "polars integers": lambda X: pl.DataFrame(
        {f"c{j}": pl.Series(with_none(X[:, j]), dtype=pl.Int16) for j in range(P)}
    ),
}
WITHOUT_MISSING = {
    "int8": lambda X: X.astype(np.int8),
    "int64": lambda X: X.astype(np.int64),
    "integer tensor": lambda X: torch.tensor(X.astype(np.int32)),
    "list of ints": lambda X: X.astype(int).tolist(),
}
SINGLE = {
    "float32": lambda X: X.astype(np.float32),
    "float16": lambda X: X.astype(np.float16),
    "float32 tensor": lambda X: torch.tensor(X, dtype=torch.float32),
    "dataframe of float32": lambda X: pd.DataFrame(X.astype(np.float32)),
}
NAMES = [
    list("wxyz"),
    range(P),
    [3, 1, 2, 0],
    [("u", 1), ("u", 2), ("v", 1), ("v", 1)],
    ["x"] * P,
    pd.MultiIndex.from_product([["u", "v"], [1, 2]]),
]
INDICES = [range(N), range(N, 0, -1), [0] * N, [f"row {i}" for i in range(N)]]


@st.composite
def tables(draw):
    """Small whole numbers, which all dtypes hold exactly, some of them missing."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    X = rng.integers(-9, 10, size=(N, P)).astype(float)
    X[:, 0] += 4 * Y
    missing = draw(st.sampled_from(["none", "some", "a column", "a column but for one row"]))
    if missing == "some":
        X[rng.random((N, P)) < draw(st.sampled_from([0.02, 0.3]))] = np.nan
    elif missing != "none":
        X[missing == "a column but for one row" :, 2] = np.nan
    if draw(st.booleans()):
        X[:, 3] = 5
    if draw(st.booleans()):
        X[N - 1, 1] = np.nan  # in a row that fit may not see
    return X


def answers(X, estimator, n_fit=N - 6):
    model = estimator.fit(X[:n_fit], Y[:n_fit])
    new = model.score_labels(X[n_fit:], Y[n_fit:]) if hasattr(model, "score_labels") else 0
    return model.derivative_, model.sample_weight_, new


ESTIMATORS = [DivaOutlierDetector(), DivaOutlierDetector(criterion="derivative"), DivaReweighter()]


@settings(SETTINGS, max_examples=80)
@given(X=tables(), estimator=st.sampled_from(ESTIMATORS), data=st.data())
def test_the_container_does_not_matter(X, estimator, data):
    kinds = CONTAINERS | SINGLE | ({} if np.isnan(X).any() else WITHOUT_MISSING)
    kind = data.draw(st.sampled_from(sorted(kinds)))
    given = kinds[kind](X)
    if isinstance(given, pd.DataFrame):
        given.columns = data.draw(st.sampled_from(NAMES))
        given.index = data.draw(st.sampled_from(INDICES))
    tolerance = 1e-3 if kind in SINGLE else 1e-9
    for actual, expected in zip(answers(given, estimator), answers(X, estimator), strict=True):
        assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", CONTAINERS)
def test_the_detector_leaves_x_alone(name):
    X = np.random.default_rng(0).integers(-9, 10, size=(N, P)).astype(float)
    X[::5, 1] = np.nan
    given, untouched = CONTAINERS[name](X), CONTAINERS[name](X)
    DivaOutlierDetector().fit(given, Y)
    if hasattr(given, "equals"):
        assert given.equals(untouched)
    else:  # as text, because missing values are not equal to themselves
        both = (X.tolist() if hasattr(X, "tolist") else X for X in (given, untouched))
        assert len({*map(str, both)}) == 1
