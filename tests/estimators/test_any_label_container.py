"""Property over containers and types of y, weights and groups: same answer as for plain arrays."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skdiva import DivaExtender, DivaOutlierDetector, DivaReweighter, DivaSampler
from tests.strategies import SETTINGS

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")

N, P = 48, 4
INDICES = [range(N), range(N, 0, -1), [0] * N, [f"row {i}" for i in range(N)]]

# Types of labels: functions of integer codes that keep their order.
LABELS = {
    "int8": lambda codes: codes.astype(np.int8),
    "uint64": lambda codes: codes.astype(np.uint64),
    "floats": lambda codes: codes.astype(float),
    "big endian": lambda codes: codes.astype(">i8"),
    "from -1": lambda codes: codes - 1,
    "strings": lambda codes: np.array(["ant", "bee", "cow"])[codes],
    "objects": lambda codes: np.array(["ant", "bee", "cow"], object)[codes],
    "bytes": lambda codes: np.array([b"ant", b"bee", b"cow"])[codes],
}
# Containers of an array (n,).
CONTAINERS = {
    "array": lambda array, _: array,
    "list": lambda array, _: array.tolist(),
    "tuple": lambda array, _: tuple(array.tolist()),
    "every second entry": lambda array, _: np.repeat(array, 2)[::2],
    "reversed": lambda array, _: array[::-1].copy()[::-1],
    "column": lambda array, _: array[:, None],
    "masked": lambda array, _: np.ma.array(array),
    "objects": lambda array, _: array.astype(object),
    "series": lambda array, index: pd.Series(array, index=index[: len(array)]),
    "frame": lambda array, index: pd.DataFrame({"y": array}, index=index[: len(array)]),
    "polars": lambda array, _: pl.Series(array.tolist()),
    "tensor": lambda array, _: torch.tensor(array.astype(array.dtype.newbyteorder("="))),
    "read-only": lambda array, _: np.frombuffer(array.tobytes(), array.dtype),
}
FOR_NUMBERS = {"tensor"}  # which hold no strings
ONLY_FIXED = {"read-only"}
WEIGHTS = {
    "float32": lambda weight: weight.astype(np.float32),
    "float16": lambda weight: weight.astype(np.float16),
    "int": lambda weight: (4 * weight).astype(int),
    "a multiple": lambda weight: weight * 1e300,
    "a fraction": lambda weight: weight * 1e-300,
    "floats": lambda weight: weight,
}


@st.composite
def contained(draw, array):
    """An array (n,) in some container."""
    kinds = set(CONTAINERS)
    if array.dtype.kind not in "bif":
        kinds -= FOR_NUMBERS
    if array.dtype.kind == "O":
        kinds -= ONLY_FIXED
    kind = draw(st.sampled_from(sorted(kinds)))
    return CONTAINERS[kind](array, draw(st.sampled_from(INDICES)))


@st.composite
def problems(draw):
    """X, codes of three classes, and other arguments of `fit` as plain arrays."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    codes = np.arange(N) % 3
    X = rng.normal(size=(N, P)) + 2 * np.eye(3, P)[codes]
    codes = np.where(np.arange(N) < 5, (codes + 1) % 3, codes)
    arguments = {}
    if draw(st.booleans()):
        arguments["sample_weight"] = rng.integers(1, 9, N) / 4
    if draw(st.booleans()):
        arguments["groups"] = rng.permutation(N) // 2
    return X, codes, arguments


def answers(estimator, X, y, arguments):
    model = estimator.fit(X, y, **arguments)
    names = "derivative_", "sample_weight_", "pool_derivative_", "loo_loss_", "alpha_"
    return [getattr(model, name) for name in names if hasattr(model, name)]


ESTIMATORS = [DivaOutlierDetector(), DivaOutlierDetector(criterion="derivative"), DivaReweighter()]


@pytest.mark.filterwarnings("ignore:A column-vector y was passed")
@settings(SETTINGS, max_examples=60)
@given(problem=problems(), estimator=st.sampled_from(ESTIMATORS), data=st.data())
def test_the_kind_of_labels_does_not_matter(problem, estimator, data):
    X, codes, arguments = problem
    labels = LABELS[data.draw(st.sampled_from(sorted(LABELS)))](codes)
    given = dict(arguments)
    if "sample_weight" in given:
        weight = WEIGHTS[data.draw(st.sampled_from(sorted(WEIGHTS)))](given["sample_weight"])
        given["sample_weight"] = data.draw(contained(weight))
    if "groups" in given:
        groups = given["groups"]
        if data.draw(st.booleans()):
            groups = np.char.add("patient ", groups.astype(str))
        given["groups"] = data.draw(contained(groups))
    y = data.draw(contained(labels))
    actual = answers(estimator, X, y, given)
    for a, b in zip(actual, answers(estimator, X, codes, arguments), strict=True):
        assert_allclose(a, b, rtol=1e-9, atol=1e-9)
    assert_array_equal(estimator.fit(X, y).classes_, np.unique(labels))


@pytest.mark.filterwarnings("ignore:A column-vector y was passed")
@settings(SETTINGS, max_examples=40)
@given(problem=problems(), data=st.data())
def test_regression_targets(problem, data):
    X, codes, arguments = problem
    y = np.round(4 * X[:, 0] + codes) / 4
    given = {name: data.draw(contained(array)) for name, array in arguments.items()}
    model = DivaReweighter(task="regression")
    actual = answers(model, X, data.draw(contained(y)), given)
    for a, b in zip(actual, answers(model, X, y, arguments), strict=True):
        assert_allclose(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.filterwarnings("ignore:A column-vector y was passed")
@settings(SETTINGS, max_examples=30)
@given(problem=problems(), data=st.data())
def test_pools_and_samples(problem, data):
    X, codes, _ = problem
    labels = LABELS[data.draw(st.sampled_from(sorted(LABELS)))](codes)
    half = N // 2
    pool = data.draw(contained(labels[half:]))
    pool = (pool,) if isinstance(pool, tuple) else pool  # as a parameter search needs it
    extender = DivaExtender()
    expected = extender.fit(X[:half], codes[:half], X_pool=X[half:], y_pool=codes[half:])
    expected = expected.pool_derivative_
    actual = extender.fit(X[:half], labels[:half], X_pool=X[half:], y_pool=pool).pool_derivative_
    assert_allclose(actual, expected, rtol=1e-9, atol=1e-9)
    sampler = DivaSampler()
    rows = sampler.fit(X, codes).sample_indices_
    assert_array_equal(sampler.fit(X, data.draw(contained(labels))).sample_indices_, rows)
