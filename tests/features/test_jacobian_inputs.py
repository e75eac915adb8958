"""JacobianFeaturizer: containers of X, networks, and errors for everything else."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from skdiva.features import JacobianFeaturizer
from tests.features.networks import make

X = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)


def mlp():
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))


def images(n=9, dtype=torch.float32):
    network, rows = make("cnn", dtype=dtype, n=n)
    return network, rows.numpy()


@pytest.mark.parametrize("parameters", ["last", "all"])
def test_tensors_give_tensors_where_they_are(parameters, device):
    network, rows = make("cnn", device, torch.float32)
    featurizer = JacobianFeaturizer(network, parameters=parameters).fit(rows)
    Z = featurizer.transform(rows)
    assert isinstance(Z, torch.Tensor)
    assert (Z.device, Z.dtype, Z.requires_grad) == (rows.device, torch.float32, False)
    on_host = featurizer.transform(rows.cpu())
    assert on_host.device.type == "cpu"
    assert_allclose(Z.cpu().numpy(), on_host.numpy(), rtol=1e-4, atol=1e-5)
    array = featurizer.transform(rows.cpu().numpy())
    assert isinstance(array, np.ndarray)
    assert_allclose(array, Z.cpu().numpy(), rtol=1e-4, atol=1e-5)


def test_the_device_parameter_decides(device):
    network = mlp()
    featurizer = JacobianFeaturizer(network, parameters="all", outputs="each", device=device)
    featurizer.fit(X)
    assert {tile.device.type for tile in featurizer.jacobian_tiles(X, 2**20)} == {device}
    assert next(network.parameters()).device.type == "cpu"
    with pytest.raises(ValueError, match="device must be None, 'cpu', 'cuda'"):
        JacobianFeaturizer(network, device="abacus").fit(X)


def test_two_dimensions_with_a_shape_stand_in_a_pipeline():
    network, rows = images(n=30)
    flat = rows.reshape(30, -1)
    expected = JacobianFeaturizer(network).fit_transform(rows)
    for shape in ((3, 8, 8), [3, 8, 8]):
        featurizer = JacobianFeaturizer(network, input_shape=shape).fit(flat)
        assert_array_equal(featurizer.transform(flat), expected)
        assert_array_equal(featurizer.transform(torch.from_numpy(flat)), expected)
        assert featurizer.n_features_in_ == 192
    assert_array_equal(featurizer.fit(rows).transform(rows), expected)
    assert not hasattr(featurizer, "n_features_in_")
    pipeline = make_pipeline(StandardScaler(), featurizer, LogisticRegression())
    assert len(cross_val_score(pipeline, flat, np.arange(30) % 2, cv=3, error_score="raise")) == 3


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_dataframes(library):
    frames = pytest.importorskip(library)
    frame = frames.DataFrame({name: X[:, i] for i, name in enumerate("abcd")})
    featurizer = JacobianFeaturizer(mlp(), parameters="all").fit(frame)
    Z = featurizer.transform(frame)
    assert_array_equal(featurizer.transform(frame), featurizer.fit(X).transform(X))
    assert isinstance(Z, np.ndarray)
    featurizer.fit(frame).set_output(transform=library)
    assert list(featurizer.feature_names_in_) == list("abcd")
    named = featurizer.transform(frame)
    assert isinstance(named, frames.DataFrame)
    assert list(named.columns) == list(featurizer.get_feature_names_out())
    assert named.columns[1] == "jacobianfeaturizer1"
    assert_array_equal(named.to_numpy(), Z)
    featurizer = JacobianFeaturizer(mlp(), parameters="all", outputs="each").fit(frame)
    with pytest.raises(ValueError, match="features with two dimensions; got outputs='each'"):
        featurizer.set_output(transform=library).transform(frame)


@pytest.mark.parametrize("parameters", ["last", "all"])
def test_data_sets_and_loaders(parameters, device):
    network, rows = images()
    tensors = torch.from_numpy(rows)
    featurizer = JacobianFeaturizer(network, parameters=parameters, device=device, batch_size=4)
    expected = featurizer.fit(rows).transform(rows)
    for data in (
        TensorDataset(tensors, torch.arange(9)),
        TensorDataset(tensors),
        DataLoader(TensorDataset(tensors), batch_size=2),
        DataLoader(tensors, batch_size=5),
    ):
        for fitted in (featurizer.fit(rows), featurizer.fit(data)):
            Z = fitted.transform(data)
            assert isinstance(Z, np.ndarray)
            assert_allclose(Z, expected, rtol=1e-4, atol=1e-5)
    assert not hasattr(featurizer, "n_features_in_")


@pytest.mark.parametrize("parameters", ["last", "all"])
def test_batches_of_dicts(parameters, device):
    network, rows = make("words", device, torch.float32, n=7)
    items = [{key: value[i].cpu() for key, value in rows.items()} | {"labels": i} for i in range(7)]
    featurizer = JacobianFeaturizer(network, parameters=parameters, device=device)
    Z = featurizer.fit(DataLoader(items, batch_size=3)).transform(DataLoader(items, batch_size=2))
    if parameters == "last":
        outputs = Z @ network.head.weight.detach().cpu().numpy().T
        outputs += network.head.bias.detach().cpu().numpy()
        expected = network.eval()(**rows).logits.detach().cpu()
        assert_allclose(outputs, expected, rtol=1e-4, atol=1e-4)
    assert Z.shape == (7, featurizer.n_columns_)
    assert_allclose(featurizer.transform(DataLoader(items)), Z, rtol=1e-4, atol=1e-5)


def test_integers_are_token_ids_where_there_is_an_embedding(device):
    network, ids = make("tied embedding", device)
    featurizer = JacobianFeaturizer(network, parameters="all")
    Z = featurizer.fit_transform(ids)
    for other in (ids.cpu().numpy(), ids.cpu().numpy().astype(np.int16), ids.to(torch.uint8)):
        assert_allclose(np.asarray(featurizer.transform(other)), Z.cpu(), rtol=1e-10, atol=1e-12)
    pixels = (X * 10).astype(np.uint8)
    as_floats = JacobianFeaturizer(mlp()).fit(pixels)
    assert_array_equal(as_floats.transform(pixels), as_floats.transform(pixels.astype(float)))


def test_dtypes():
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        featurizer = JacobianFeaturizer(mlp().to(dtype)).fit(X.astype(np.float64))
        assert featurizer.transform(X).dtype == np.float32
        assert featurizer.transform(torch.from_numpy(X).to(dtype)).dtype == torch.float32
    assert JacobianFeaturizer(mlp().double()).fit(X).transform(X).dtype == np.float64
    assert JacobianFeaturizer(mlp(), dtype="float64").fit(X).transform(X).dtype == np.float64


def test_one_row():
    featurizer = JacobianFeaturizer(mlp(), parameters="all").fit(X)
    assert_allclose(featurizer.transform(X[:1]), featurizer.transform(X)[:1], rtol=1e-5, atol=1e-6)


def test_a_bar_with_verbose(capsys):
    JacobianFeaturizer(mlp(), verbose=1).fit(X).transform(X)
    assert "JacobianFeaturizer: 100%" in capsys.readouterr().err


def bad(values, position):
    values = values.copy()
    values[position] = np.nan
    return values


class Noise(nn.Module):
    """Random in evaluation mode."""

    def forward(self, x):
        return F.dropout(x, 0.5)


class Inverse(nn.Module):
    """NaN for some rows."""

    def forward(self, x):
        return x.sqrt()


CNN, PIXELS = images()
WRONG_X = [
    (mlp(), {}, X[:, :3], r"takes \(\.\.\., 4\); got rows of shape \(3,\).*input_shape"),
    (CNN, {}, PIXELS[:, :1], r"takes \(3, height, width\); got rows of shape \(1, 8, 8\)"),
    (CNN, {"input_shape": (3, 8, 8)}, X, r"input_shape=\(3, 8, 8\) expects .* shape \(4,\)"),
    (CNN, {"input_shape": (3, 8, 8)}, PIXELS[:, :2], r"or of that shape; got .* \(2, 8, 8\)"),
    (mlp(), {}, X[:, None, None, None], r"2 to 4 dimensions; got shape \(9, 1, 1, 1, 4\)"),
    (mlp(), {}, torch.ones(4), r"2 to 4 dimensions and at least 2 rows; got shape \(4,\)"),
    (mlp(), {}, X[:1], "minimum of 2 is required"),
    (mlp(), {}, bad(X, (5, 1)), "Input X contains NaN"),
    (mlp(), {}, torch.from_numpy(bad(X, (5, 1))), "Input X contains NaN or infinity"),
    (mlp(), {}, X.astype(str), "could not convert string|Unable to convert|dtype='numeric'"),
]


@pytest.mark.parametrize(("network", "options", "rows", "message"), WRONG_X)
def test_wrong_rows(network, options, rows, message):
    with pytest.raises(ValueError, match=message):
        JacobianFeaturizer(network, **options).fit(rows)


def test_rows_unlike_those_of_fit():
    featurizer = JacobianFeaturizer(CNN).fit(PIXELS)
    with pytest.raises(ValueError, match=r"shape \(3, 8, 8\), as in fit; got .* \(3, 9, 9\)"):
        featurizer.transform(np.ones((2, 3, 9, 9)))
    featurizer = JacobianFeaturizer(mlp()).fit(X)
    for rows in (X[:, :3], torch.from_numpy(X[:, :3])):
        with pytest.raises(ValueError, match=r"X has 3 features, but .* expecting 4"):
            featurizer.transform(rows)


WRONG_NETWORKS = [
    ({"backbone": nn.Sequential(nn.Linear(4, 2), Noise())}, "training=True"),
    ({"backbone": nn.Unflatten(1, (2, 2))}, r"got float32 of shape \(3, 2, 2\) for 3 rows"),
    ({"backbone": nn.LazyLinear(3)}, "is still lazy"),
    ({"backbone": nn.Linear(4, 2, device="meta")}, "meta device"),
    ({"backbone": nn.Tanh()}, 'calls an nn.Linear; got Tanh.*parameters="all"'),
    ({"parameters": ["bias", "2.weigth"]}, r"got 'bias', which matches none.*0\.bias"),
    ({"parameters": ["0", "2.weigth"]}, r"got '2.weigth', which matches none.*2\.weight"),
    ({"n_components": 7}, "n_components=7 expects .* got 6"),
    ({"parameters": "all", "n_components": 52}, "n_components=52 expects .* got 51"),
    ({"activation_slope": 0.1}, "got Sequential, which calls none"),
    ({"backbone": nn.Linear(4, 2), "parameters": "all", "input_shape": (5,)}, "expects rows of 5"),
]


@pytest.mark.parametrize(("options", "message"), WRONG_NETWORKS)
def test_wrong_networks(options, message):
    with pytest.raises(ValueError, match=message):
        JacobianFeaturizer(**{"backbone": mlp()} | options).fit(X)


def test_derivatives_that_all_vanish():
    network = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    nn.init.zeros_(network[1].weight)
    featurizer = JacobianFeaturizer(network, parameters=["0"], precondition="fisher")
    with pytest.raises(ValueError, match=r"all zero.*replace_head"):
        featurizer.fit(X)


@pytest.mark.parametrize("parameters", ["last", "all"])
def test_nan_of_the_network_names_the_first_row(parameters):
    network = nn.Sequential(nn.Linear(4, 4, bias=False), Inverse(), nn.Linear(4, 2))
    nn.init.eye_(network[0].weight)
    rows = np.abs(X) + 1
    rows[[5, 7], 2] = -1
    featurizer = JacobianFeaturizer(network, parameters=parameters, batch_size=2).fit(rows)
    for given in (rows, torch.from_numpy(rows), DataLoader(rows, batch_size=3)):
        with pytest.raises(ValueError, match="NaN or infinity, first for row 5 of X"):
            featurizer.transform(given)
    with pytest.raises(ValueError, match="derivatives; got NaN"):
        featurizer.set_params(precondition="fisher").fit(rows)


def test_features_larger_than_the_memory():
    featurizer = JacobianFeaturizer(mlp(), parameters="all", outputs="each").fit(X)
    rows = DataLoader(TensorDataset(torch.ones(1, 4)), sampler=range(2**40))
    with pytest.raises(MemoryError, match=r"shape \(1099511627776, 3, 51\).*Set n_components="):
        featurizer.transform(rows)


def test_tiles_of_a_data_set_without_a_length():
    featurizer = JacobianFeaturizer(mlp(), parameters="all", outputs="each").fit(X)
    rows = DataLoader(torch.from_numpy(X), batch_size=4, drop_last=True)
    with pytest.raises(ValueError, match=r"known number of rows; got .* without a length"):
        next(featurizer.jacobian_tiles(rows, 2**20))


@pytest.mark.parametrize("backbone", [None, 3, "resnet"])
def test_what_is_no_network(backbone):
    with pytest.raises(TypeError, match="'backbone' parameter of JacobianFeaturizer must be"):
        JacobianFeaturizer(backbone).fit(X)


def test_a_callable_that_gives_no_network():
    with pytest.raises(TypeError, match="that returns one; got int from"):
        JacobianFeaturizer(lambda: 3).fit(X)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("parameters", "head"), ("outputs", "mean"), ("n_components", 0), ("activation_slope", 2),
        ("precondition", "kfac"), ("input_shape", 8), ("batch_size", 0), ("dtype", "float16"),
        ("memory", 3), ("verbose", "yes"),
    ],
)  # fmt: skip
def test_parameters_are_checked(parameter, value):
    with pytest.raises(ValueError, match=f"The '{parameter}' parameter of JacobianFeaturizer must"):
        JacobianFeaturizer(mlp(), **{parameter: value}).fit(X)
