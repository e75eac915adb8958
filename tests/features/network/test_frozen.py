"""FrozenNetwork: a copy that never changes, its outputs and head, and what is refused."""

import copy
import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from skdiva.features.network import FrozenNetwork
from skdiva.features.network._batch import n_rows, take_rows
from tests.features.networks import NETWORKS, make

DOUBLE = torch.float64


def frozen(module, device="cpu", dtype=DOUBLE):
    return FrozenNetwork(module, device, dtype)


def run(module, batch):
    outputs = module(**batch) if isinstance(batch, dict) else module(batch)
    return getattr(outputs, "logits", outputs)


class Through(nn.Module):
    """A Linear, then whatever a test puts behind."""

    def __init__(self, behind):
        super().__init__()
        self.linear, self.behind = nn.Linear(6, 4), behind

    def forward(self, x):
        return self.behind(self.linear(x))


@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_and_check(name, device):
    module, batch = make(name, device)
    network = frozen(module, device)
    expected = run(module.eval(), batch).detach()
    torch.testing.assert_close(network.outputs(batch), expected)
    assert network.check(take_rows(batch, slice(3))) == expected.shape[1]
    assert network.takes_integers is (name in ("tied embedding", "words"))


def test_rows_of_batches():
    batch = {"a": torch.arange(6).view(3, 2), "b": torch.arange(3)}
    assert n_rows(batch) == n_rows(batch["a"]) == 3
    assert {key: value.tolist() for key, value in take_rows(batch, slice(2, 3)).items()} == {
        "a": [[4, 5]], "b": [2],
    }  # fmt: skip


def test_the_module_is_never_touched():
    """Mode, gradients, buffers and flags stay, also when the copy is used in full."""
    module, batch = make("cnn")
    module.train()
    module[0].bias.requires_grad_(False)
    module[8](torch.ones(1, 32, dtype=DOUBLE)).sum().backward()
    before = copy.deepcopy(module)
    network = frozen(module, dtype=torch.float32)
    network.check(batch.float())
    network.penultimate(batch.float())
    assert module.training
    assert module[0].weight.dtype == DOUBLE
    for old, new in zip(before.parameters(), module.parameters(), strict=True):
        assert torch.equal(old, new)
        assert old.requires_grad == new.requires_grad
    assert (module[8].bias.grad == 1).all()
    assert module[0].weight.grad is None
    for old, new in zip(before.buffers(), module.buffers(), strict=True):
        assert torch.equal(old, new)
    assert not network.module.training
    assert all(p.grad is None and not p.requires_grad for p in network.module.parameters())
    module[0].weight.data.zero_()
    assert network.module[0].weight.abs().sum() > 0


def test_compiled_modules_are_unwrapped():
    module, batch = make("mlp")
    compiled = torch.compile(module, backend="eager")
    network = frozen(compiled)
    assert network.parameter_names(["0"]) == ["0.weight", "0.bias"]
    torch.testing.assert_close(network.outputs(batch), module.eval()(batch).detach())


def test_modules_that_cannot_be_used():
    with pytest.raises(ValueError, match=r"whose parameters have shapes.*'0.weight' is still lazy"):
        frozen(nn.Sequential(nn.LazyLinear(3)))
    with pytest.raises(ValueError, match=r"holds its weights.*'weight' on the meta device"):
        frozen(nn.Linear(2, 2, device="meta"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        scripted = torch.jit.script(nn.Linear(2, 2))
    with pytest.raises(ValueError, match=r"Python code; got .* made by torch.jit"):
        frozen(nn.Sequential(scripted))
    graph = nn.Linear(2, 2)
    graph.cached = graph.weight * 2
    with pytest.raises(ValueError, match=r"can be copied; got Linear.*part of a graph"):
        frozen(graph)


@pytest.mark.parametrize(
    ("behind", "came"),
    [
        (lambda x: (x, x), "got tuple for 3 rows"),
        (lambda x: x[:, 0], r"got float64 of shape \(3,\) for 3 rows"),
        (lambda x: x[:, :, None], r"got float64 of shape \(3, 4, 1\)"),
        (lambda x: x.argmax(1, keepdim=True), r"got int64 of shape \(3, 1\)"),
        (lambda x: x[:1], r"got float64 of shape \(1, 4\) for 3 rows"),
    ],
)
def test_outputs_that_are_no_matrix(behind, came):
    with pytest.raises(ValueError, match=came):
        frozen(Through(behind)).outputs(torch.ones(3, 6, dtype=DOUBLE))


@pytest.mark.parametrize(
    ("name", "rows", "said"),
    [
        ("mlp", torch.ones(3, 5), r"first layer takes \(..., 6\); got rows of shape \(5,\)"),
        (
            "cnn",
            torch.ones(3, 8, 8, 3),
            r"takes \(3, height, width\); got .* \(8, 8, 3\)",
        ),
        ("signal", torch.ones(3, 32), r"takes \(2, length\); got rows of shape \(32,\)"),
        ("volume", torch.ones(3, 2, 4, 5, 4), r"takes \(1, depth, height, width\)"),
        ("tied embedding", torch.full((3, 5), 99), r"takes integers below 11; got rows of shape"),
        ("tied embedding", torch.ones(3, 5), r"takes integers below 11"),
        (
            "words",
            {"input_ids": torch.ones(3, 5).long()},
            r"got rows of shape {'input_ids': \(5,\)}",
        ),
    ],
)
def test_rows_of_another_shape(name, rows, said):
    module, _ = make(name, dtype=torch.float32)
    with pytest.raises(ValueError, match=said + r".*input_shape") as caught:
        frozen(module, dtype=torch.float32).outputs(rows)
    assert caught.value.__cause__ is not None


def test_out_of_memory_stays_what_it_is():
    def fail(_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        frozen(Through(fail)).outputs(torch.ones(3, 6, dtype=DOUBLE))


@pytest.mark.parametrize("dropout", [F.dropout, lambda x: F.dropout(x.clone(), inplace=True)])
def test_random_networks(dropout):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        with pytest.raises(ValueError, match=r"random in evaluation mode.*training=self.training"):
            frozen(Through(dropout)).check(torch.ones(3, 6, dtype=DOUBLE))


@pytest.mark.parametrize(
    "behind",
    [
        nn.BatchNorm1d(4, track_running_stats=False),
        lambda x: x - x.mean(0),
        lambda x: x.cumsum(0).flip(0),
    ],
)
def test_rows_that_influence_each_other(behind):
    with pytest.raises(ValueError, match=r"depend on their own row alone.*left out"):
        frozen(Through(behind)).check(torch.randn(3, 6, dtype=DOUBLE))


@pytest.mark.parametrize("name", ["mlp", "cnn", "transformer", "frames", "words"])
def test_penultimate(name, device):
    module, batch = make(name, device)
    network = frozen(module, device)
    head = [m for m in network.module.modules() if isinstance(m, nn.Linear)][-1]
    for _ in range(2):  # the second time, the head is known
        activations, outputs = network.penultimate(batch)
        torch.testing.assert_close(outputs, network.outputs(batch))
        if name != "frames":
            torch.testing.assert_close(head(activations), outputs)


class Backwards(nn.Module):
    """Its last layer is the first of its list."""

    def __init__(self):
        super().__init__()
        self.head, self.body, self.unused = nn.Linear(5, 2), nn.Linear(6, 5), nn.Linear(3, 3)

    def forward(self, x):
        return self.head(input=torch.tanh(self.body(x)))


def test_the_head_is_found_by_running():
    module, x = Backwards().double(), torch.randn(4, 6, dtype=DOUBLE)
    activations, outputs = frozen(module).penultimate(x)
    torch.testing.assert_close(activations, torch.tanh(module.body(x)).detach())
    torch.testing.assert_close(outputs, module(x).detach())


def test_networks_without_a_head():
    convolutional = nn.Sequential(nn.Conv1d(1, 2, 3), nn.AdaptiveAvgPool1d(1), nn.Flatten())
    with pytest.raises(ValueError, match=r"calls an nn.Linear; got Sequential.*parameters=\"all\""):
        frozen(convolutional).penultimate(torch.ones(3, 1, 6, dtype=DOUBLE))
    positions = nn.Sequential(nn.Linear(4, 2), nn.Flatten())
    with pytest.raises(ValueError, match=r"got shape \(3, 5, 4\).*parameters=\"all\""):
        frozen(positions).penultimate(torch.ones(3, 5, 4, dtype=DOUBLE))


def test_parameter_names():
    network = frozen(nn.ModuleDict({"layer1": make("mlp")[0], "layer10": nn.Linear(2, 2)}))
    names = [name for name, _ in network.module.named_parameters()]
    assert network.parameter_names("all") == names
    assert network.parameter_names(["layer10"]) == ["layer10.weight", "layer10.bias"]
    assert network.parameter_names(["layer1"]) == names[:-2]
    mixed = network.parameter_names(["layer10.bias", "layer1.0", "layer1"])
    assert mixed == [*names[:-2], "layer10.bias"]


def test_shared_parameters_are_counted_once():
    network = frozen(make("shared")[0])
    assert "tied.weight" not in network.parameter_names("all")
    assert network.parameter_names(["tied.weight"]) == ["twice.weight"]
    assert network.parameter_names(["tied"]) == ["twice.weight", "tied.bias"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("stem.wieght", r"'stem.wieght', which matches none of .*stem.weight"),
        ("conv", r"'conv', which matches none of .*conv1"),
        ("zzz", r"'zzz'.*stem.weight"),
    ],
)
def test_names_that_match_nothing(asked, said):
    with pytest.raises(ValueError, match=said):
        frozen(make("residual")[0]).parameter_names(["head", asked])


def test_networks_without_parameters():
    with pytest.raises(ValueError, match="with parameters"):
        frozen(nn.Flatten()).parameter_names("all")
    with pytest.raises(ValueError, match="names of some"):
        frozen(make("mlp")[0]).parameter_names([])
