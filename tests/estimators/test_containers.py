"""The same data in another container give the same fit."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression

from skdiva import DivaOutlierDetector, DivaReweighter
from tests.estimators.data import classes, numbers, same_fit


def pandas_frame(X):
    return pytest.importorskip("pandas").DataFrame(X).add_prefix("x")


def pandas_series(values):
    return pytest.importorskip("pandas").Series(values)


def polars_frame(X):
    return pytest.importorskip("polars").DataFrame(X, schema=[f"x{i}" for i in range(X.shape[1])])


def polars_series(values):
    return pytest.importorskip("polars").Series(values)


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def graph_leaf(array):
    return torch.tensor(array, requires_grad=array.dtype.kind == "f")


CONTAINERS = {
    "list": (list, list),
    "fortran": (np.asfortranarray, np.array),
    "reversed view": (lambda X: X[::-1].copy()[::-1], np.array),
    "big endian": (lambda X: X.astype(">f8"), lambda y: y.astype(f">{y.dtype.str[1:]}")),
    "read-only": (read_only, read_only),
    "pandas": (pandas_frame, pandas_series),
    "polars": (polars_frame, polars_series),
    "torch": (torch.from_numpy, torch.from_numpy),
    "torch with a graph": (graph_leaf, graph_leaf),
    "torch and numpy": (torch.from_numpy, np.array),
}


@pytest.mark.parametrize("featurizer", ["auto", None])
@pytest.mark.parametrize("container", CONTAINERS)
def test_container(container, featurizer):
    table, column = CONTAINERS[container]
    X, y, _ = classes()
    weight, groups = np.linspace(1, 2, 80), np.arange(80) // 2
    plain = DivaReweighter(LogisticRegression(), featurizer=featurizer)
    plain.fit(X, y, weight, groups=groups, sources=y, X_val=X[:40], y_val=y[:40])
    other = DivaReweighter(LogisticRegression(), featurizer=featurizer).fit(
        table(X),
        column(y),
        column(weight),
        groups=column(groups),
        sources=column(y),
        X_val=table(X[:40]),
        y_val=column(y[:40]),
    )
    same_fit(other, plain)
    assert_array_equal(other.predict(table(X)), plain.predict(X))
    assert other.score(table(X), column(y)) == plain.score(X, y)
    assert isinstance(other.transform(table(X)), np.ndarray)
    assert_array_equal(other.transform(table(X)), X)


@pytest.mark.parametrize("container", CONTAINERS)
def test_detector_container(container):
    table, column = CONTAINERS[container]
    X, y = numbers()
    plain, other = DivaOutlierDetector().fit(X, y), DivaOutlierDetector()
    assert_array_equal(other.fit_predict(table(X), column(y)), plain.fit_predict(X, y))
    assert_allclose(other.outlier_scores_, plain.outlier_scores_)
    assert_allclose(other.score_labels(table(X), column(y)), plain.score_labels(X, y))
    assert_allclose(other.score(table(X), column(y)), plain.score(X, y))


@pytest.mark.parametrize(
    ("given", "used"),
    [
        (np.float64, "float64"),
        (np.float32, "float32"),
        (np.float16, "float32"),
        (np.int64, "float64"),
        (np.uint8, "float64"),
        (bool, "float64"),
    ],
)
def test_dtype_follows_the_data(given, used):
    X, y, _ = classes()
    X = np.abs(X * 5).round().astype(given)
    for featurizer in ("auto", None):
        model = DivaReweighter(featurizer=featurizer).fit(X, y)
        assert model.derivative_.dtype == used
        assert model.transform(X).dtype == given
        double = DivaReweighter(featurizer=featurizer).fit(X.astype(float), y)
        same_fit(model, double, atol=1e-5 if used == "float32" else 1e-10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_asked_for(dtype):
    X, y, _ = classes()
    model = DivaReweighter(dtype=dtype).fit(X.astype(np.float32), y)
    assert model.derivative_.dtype == model.loo_predictions_.dtype == dtype
    assert model.sample_weight_.dtype == np.float64


def test_bfloat16_is_read():
    X, y, _ = classes()
    X = torch.from_numpy(X).bfloat16()
    model = DivaReweighter().fit(X, y)
    assert model.derivative_.dtype == np.float32
    same_fit(model, DivaReweighter().fit(X.float().numpy(), y))


def test_float32_agrees_with_float64_on_raw_scales():
    X, y, _ = classes()
    X = X * [1e-3, 1, 10, 100, 1e3, 1e4] + [0, 1e3, 1e3, 0, 0, 0]
    single = DivaReweighter(alpha=1.0).fit(X.astype(np.float32), y)
    double = DivaReweighter(alpha=1.0).fit(X.astype(np.float32).astype(float), y)
    scale = np.abs(double.derivative_).max()
    assert_allclose(single.derivative_, double.derivative_, atol=1e-3 * scale)
    assert_allclose(single.loo_predictions_, double.loo_predictions_, atol=1e-4)


def test_batches_give_the_same(device):
    X, y, _ = classes()
    same_fit(
        DivaReweighter(batch_size=7, device=device).fit(X, y),
        DivaReweighter(device="cpu").fit(X, y),
    )


def test_tensors_on_the_device(device):
    X, y, _ = classes()
    there = DivaReweighter(LogisticRegression(), dtype="float64", device=device)
    there.fit(torch.from_numpy(X).to(device), torch.from_numpy(y).to(device))
    here = DivaReweighter(LogisticRegression(), device="cpu").fit(X, y)
    same_fit(there, here)
    assert isinstance(there.derivative_, np.ndarray)
    assert_array_equal(there.predict(torch.from_numpy(X).to(device)), here.predict(X))


def test_the_users_arrays_are_not_written_to():
    X, y = numbers(targets=2)
    before = X.copy(), y.copy()
    for featurizer in ("auto", None):
        for dtype in (None, "float32"):
            DivaReweighter(featurizer=featurizer, dtype=dtype).fit(X, y)
            DivaOutlierDetector(featurizer=featurizer, dtype=dtype).fit(X, y)
    assert_array_equal(X, before[0])
    assert_array_equal(y, before[1])


def test_names_are_imported_without_torch():
    code = (
        "import sys, skdiva; from skdiva import DivaReweighter, DivaOutlierDetector; "
        "DivaReweighter(); assert 'torch' not in sys.modules; assert dir(skdiva)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_public_name():
    import skdiva

    with pytest.raises(AttributeError, match="no attribute 'Diva'"):
        skdiva.Diva  # noqa: B018
