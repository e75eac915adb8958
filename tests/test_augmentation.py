"""Transformed copies: contents, role in validation, and detection of harmful transforms."""

import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from numpy.testing import assert_array_equal
from scipy import sparse
from scipy.ndimage import rotate
from sklearn.datasets import load_digits

from skdiva import DivaReweighter, augment
from tests.estimators.data import classes

X = np.arange(12.0).reshape(6, 2)
y = np.array(["a", "b"] * 3)


def doubled(X):
    return 2 * X


def negated(X):
    return -X


TRANSFORMS = {"doubled": doubled, "negated": negated}


def test_copies_follow_the_originals():
    X_all, y_all, fit_params = augment(X, y, TRANSFORMS)
    assert_array_equal(X_all, np.concatenate([X, 2 * X, -X]))
    assert_array_equal(y_all, np.concatenate([y, y, y]))
    assert set(fit_params) == {"groups", "sources", "validation_weight"}
    assert_array_equal(fit_params["groups"], list(range(6)) * 3)
    assert_array_equal(fit_params["sources"], np.repeat(["original", "doubled", "negated"], 6))
    assert_array_equal(fit_params["validation_weight"], [1.0] * 6 + [0.0] * 12)


def test_groups_and_weights_of_the_originals_are_kept():
    groups, weight = ["p", "p", "q", "q", "r", "r"], [1, 2, 3, 4, 5, 6]
    *_, fit_params = augment(X, y, TRANSFORMS, groups=groups, sample_weight=weight)
    assert_array_equal(fit_params["groups"], groups * 3)
    assert_array_equal(fit_params["sample_weight"], weight * 3)
    assert_array_equal(fit_params["validation_weight"], weight + [0] * 12)


@pytest.mark.parametrize("shape", [(6, 4, 5), (6, 4, 5, 3)], ids=["gray", "color"])
def test_images(shape):
    images = np.random.RandomState(0).rand(*shape).astype(np.float32)
    X_all, _, _ = augment(images, y, {"mirrored": lambda images: images[:, :, ::-1]})
    assert X_all.shape == (12, *shape[1:])
    assert X_all.dtype == np.float32
    assert_array_equal(X_all[6:], images[:, :, ::-1])


def test_tensors():
    X_all, y_all, _ = augment(torch.from_numpy(X), torch.arange(6), TRANSFORMS)
    assert torch.is_tensor(X_all)
    assert_array_equal(y_all, np.tile(np.arange(6), 3))
    assert X_all.shape == (18, 2)


def test_dataframes_keep_columns_and_dtypes():
    frame = pd.DataFrame({"size": X[:, 0], "kind": pd.Categorical(list("uvuvuv"))})
    larger = {"larger": lambda frame: frame.assign(size=frame["size"] + 1)}
    X_all, y_all, _ = augment(frame, pd.Series(y), larger)
    assert (X_all.dtypes == frame.dtypes).all()
    assert_array_equal(X_all["size"], np.r_[X[:, 0], X[:, 0] + 1])
    assert_array_equal(y_all, np.tile(y, 2))


def test_polars():
    frame = pl.DataFrame({"a": X[:, 0], "b": X[:, 1]})
    X_all, _, _ = augment(frame, y, {"larger": lambda frame: frame.with_columns(pl.col("a") + 1)})
    assert isinstance(X_all, pl.DataFrame)
    assert X_all.shape == (12, 2)


def test_tensors_of_a_graph():
    leaf = torch.ones(6, 2, requires_grad=True)
    X_all, _, _ = augment(2 * leaf, y, {"shifted": lambda X: X + leaf})
    assert not X_all.requires_grad
    assert_array_equal(X_all, np.repeat([2.0, 3.0], 6)[:, None] * np.ones(2))


def test_weights_and_groups_as_tensors():
    given = torch.arange(6)
    *_, fit_params = augment(X, y, TRANSFORMS, groups=given, sample_weight=given)
    assert_array_equal(fit_params["groups"], list(range(6)) * 3)
    assert_array_equal(fit_params["sample_weight"], list(range(6)) * 3)


TEXT = list("abcdef")


@pytest.mark.parametrize("container", [list, np.array, pd.Series], ids=lambda kind: kind.__name__)
def test_text(container):
    longer = {"longer": lambda X: container([text + "!" for text in X])}
    X_all, _, _ = augment(container(TEXT), y, longer)
    assert type(X_all) is type(container(TEXT))
    assert list(X_all) == TEXT + [text + "!" for text in TEXT]


def test_sparse_rows():
    X_all, _, _ = augment(sparse.csr_array(X), y, TRANSFORMS)
    assert_array_equal(X_all.toarray(), np.concatenate([X, 2 * X, -X]))


def test_originals_are_not_changed_by_transforms_that_work_in_place():
    def clear(X):
        X[:] = 0
        return X

    before = X.copy()
    X_all, _, _ = augment(X, y, {"cleared": clear})
    assert_array_equal(X, before)
    assert_array_equal(X_all, np.r_[before, 0 * before])


def with_nan(X):
    return np.where(X > 3, np.nan, X)


FRAME = pd.DataFrame({"a": [1, 2], "b": [3.0, 4.0]})
BAD = {
    "no transform": (X, {}, ValueError, "at least one transform, got an empty dict"),
    "a list": (X, [doubled], TypeError, "dict of functions by name, got list"),
    "no function": (X, {"doubled": 2}, TypeError, "functions of X, got 'doubled': 2"),
    "a number as name": (X, {1: doubled}, TypeError, "got 1:"),
    "name of the originals": (X, {"original": doubled}, ValueError, "Use another name"),
    "fewer columns": (
        X,
        {"cut": lambda X: X[:, :1]},
        ValueError,
        r"'cut'.*ndarray of shape \(6, 2\); got ndarray of shape \(6, 1\)",
    ),
    "fewer rows": (X, {"cut": lambda X: X[:3]}, ValueError, r"got ndarray of shape \(3, 2\)"),
    "another container": (FRAME, {"x": np.asarray}, ValueError, "got ndarray of shape"),
    "another dtype": (
        FRAME,
        {"x": lambda frame: frame + 0.5},
        ValueError,
        r"keep the dtypes of X, .*int64.*got \[dtype\('float64'\), dtype\('float64'\)\]",
    ),
    "other columns": (
        FRAME,
        {"x": lambda frame: frame.rename(columns={"a": "c"})},
        ValueError,
        r"keep the columns of X, \['a', 'b'\]; got \['c', 'b'\]",
    ),
    "NaN": (
        X,
        {"with gaps": with_nan},
        ValueError,
        "'with gaps' must not introduce NaN.* has 0 .* its copies 8",
    ),
    "NaN in a frame": (FRAME, {"x": lambda frame: frame.where(frame > 1.5)}, ValueError, "dtypes"),
    "integers to fractions": (
        X.astype("uint8"),
        {"x": lambda X: X / 255},
        ValueError,
        r"keep the dtypes of X, \[dtype\('uint8'\)\]; got .*float64.* or convert X first",
    ),
    "complex": (X, {"x": lambda X: X + 1j}, ValueError, "got .*complex128"),
    "tensor of another dtype": (
        torch.arange(12).reshape(6, 2),
        {"x": lambda X: X.float()},
        ValueError,
        r"\[torch.int64\]; got \[torch.float32\]",
    ),
    "list of another dtype": (
        X.astype(int).tolist(),
        {"x": lambda X: [[value / 2 for value in row] for row in X]},
        ValueError,
        "keep the dtypes",
    ),
    "NaN in sparse rows": (
        sparse.csr_array(X),
        {"x": lambda X: X * np.nan},
        ValueError,
        "has 0 such values, its copies 11",
    ),
    "NaN among objects": (
        X.astype(object),
        {"x": lambda X: X * np.nan},
        ValueError,
        "has 0 such values, its copies 12",
    ),
    "missing in a column": (
        pd.Series(TEXT),
        {"x": lambda X: X.where(X > "b")},
        ValueError,
        "has 0 such values, its copies 2",
    ),
    "null in polars": (
        pl.DataFrame({"a": [1, 2], "b": ["u", "v"]}),
        {"x": lambda X: X.with_columns(a=pl.lit(None, pl.Int64))},
        ValueError,
        "has 0 such values, its copies 2",
    ),
    "infinity in a frame": (
        FRAME,
        {"x": lambda frame: frame.assign(b=np.inf)},
        ValueError,
        "has 0 such values, its copies 2",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input(what):
    data, transforms, error, message = BAD[what]
    with pytest.raises(error, match=message):
        augment(data, y[: np.shape(data)[0]], transforms)


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        augment(X, y[:5], TRANSFORMS)
    with pytest.raises(ValueError, match="groups must hold one label per row of X"):
        augment(X, y, TRANSFORMS, groups=np.arange(5))


def test_missing_values_of_the_originals_are_allowed():
    X_all, _, _ = augment(with_nan(X), y, {"doubled": doubled})
    assert np.isnan(X_all).sum() == 16


def test_originals_are_predicted_without_their_copies():
    """Otherwise an identical copy would reveal the label."""
    points, labels, _ = classes()
    X_all, y_all, fit_params = augment(points, labels, {"same": np.copy})
    model = DivaReweighter(alpha=1.0, featurizer=None).fit(X_all, y_all, **fit_params)
    doubled = DivaReweighter(alpha=0.5, featurizer=None).fit(points, labels)
    np.testing.assert_allclose(model.loo_predictions_[:80], doubled.loo_predictions_, rtol=1e-9)
    assert model.loo_loss_ == pytest.approx(doubled.loo_loss_)


HARMLESS = {
    "shifted": lambda images: np.roll(images, 1, axis=2),
    "turned": lambda images: rotate(images, 10, axes=(1, 2), reshape=False, order=1),
}


@pytest.mark.parametrize("harmless", HARMLESS)
def test_a_transform_that_breaks_labels_gets_less_than_a_harmless_one(harmless):
    """With 250 rows, the difference is not always significant; then both get about the same."""
    digits, ratios = load_digits(), []
    transforms = {harmless: HARMLESS[harmless], "upside down": lambda images: images[:, ::-1]}
    for seed in range(3):
        rows = np.random.RandomState(seed).permutation(len(digits.target))[:250]
        X_all, y_all, fit_params = augment(digits.images[rows], digits.target[rows], transforms)
        model = DivaReweighter().fit(X_all.reshape(-1, 64), y_all, **fit_params)
        probability = dict(zip(model.sources_, model.source_probability_, strict=True))
        ratios.append(probability["upside down"] / probability[harmless])
    assert max(ratios) < 1.01
    assert min(ratios) < 0.2


def test_importing_it_is_cheap():
    code = (
        "import sys; from skdiva import augment; print(*{'torch', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def with_value(value):
    return np.where(np.arange(6) == 2, value, 1.0)


BAD_ROWS = {
    "NaN weight": ({"sample_weight": with_value(np.nan)}, "Input sample_weight contains NaN"),
    "negative weight": ({"sample_weight": with_value(-1)}, "Negative values in data passed"),
    "strings as weight": ({"sample_weight": ["a"] * len(y)}, "sample_weight expects numbers"),
    "NaN in groups": ({"groups": with_value(np.nan)}, "Input groups contains NaN.* row 2"),
    "mixed groups": ({"groups": [1, "a"] * (len(y) // 2)}, "one type in groups, got a mixture"),
    "NaN in y": ({"y": with_value(np.nan)}, "Input y contains NaN, first in row 2"),
    "no y": ({"y": None}, "Expected labels in y, got None"),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_rows_that_are_wrong(name):
    arguments, message = BAD_ROWS[name]
    with pytest.raises(ValueError, match=message):
        augment(**{"X": X, "y": y, "transforms": TRANSFORMS, **arguments})


def test_masked_entries_are_missing():
    hidden = np.ma.array(X, mask=np.arange(X.size).reshape(X.shape) == 3)
    X_all, _, _ = augment(hidden, y, {"same": np.copy})
    assert isinstance(X_all, np.ndarray)
    assert np.isnan(X_all).sum() == 2
