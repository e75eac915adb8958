"""Stored modules: nothing lost, no weight copied, the same hash on every device and process."""

import copy
import pickle
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from torch import nn

from skdiva.features.network._module_state import restore, share_arrays, store
from tests.features.networks import Residual, Shared, Transformer
from tests.features.storable import Everything

ROOT = Path(__file__).resolve().parents[3]


def places(module):
    tensors = dict(module.named_parameters(remove_duplicate=False))
    return tensors | dict(module.named_buffers()) | {"plain": module.plain}


def test_round_trip_through_a_pickle():
    module = Everything()
    restored = restore(pickle.loads(pickle.dumps(store(module))))
    expected, found = places(module), places(restored)
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name
        assert found[name].dtype == tensor.dtype
        assert found[name].stride() == tensor.stride()
        assert found[name].requires_grad == tensor.requires_grad
        assert type(found[name]) is type(tensor)
    assert restored.tied.weight is restored.layer.weight
    assert restored.nothing is None
    assert "first" not in restored.state_dict()
    assert (restored.training, restored.layer.training) == (False, True)


def test_no_weight_is_copied_and_none_changes():
    module = Everything()
    before = copy.deepcopy(places(module))
    stored = store(module)
    for name in ("layer.weight", "frozen", "in_brain", "first"):
        tensor = places(module)[name]
        assert stored.arrays[name].__array_interface__["data"][0] == tensor.data_ptr()
    assert "tied.weight" not in stored.arrays
    assert all(p.is_meta for p in stored.skeleton.parameters())
    assert not any(p.is_meta for p in module.parameters())
    for name, tensor in before.items():
        assert torch.equal(places(module)[name], tensor)


def test_restored_weights_are_their_own():
    module = nn.Linear(2, 2)
    restored = restore(store(module))
    with torch.no_grad():
        restored.weight.zero_()
    assert not torch.equal(restored.weight, module.weight)


def test_a_module_on_any_device_gives_the_same(device):
    module = Everything()
    pickled = pickle.dumps(store(copy.deepcopy(module).to(device)))
    assert b"cuda" not in pickled
    assert joblib.hash(store(restore(pickle.loads(pickled)))) == joblib.hash(store(module))


def test_the_hash_is_that_of_the_content():
    module = Everything()
    expected = joblib.hash(store(module))
    assert joblib.hash(store(Everything())) == expected
    assert joblib.hash(store(copy.deepcopy(module))) == expected
    assert joblib.hash(store(restore(pickle.loads(pickle.dumps(store(module)))))) == expected
    with torch.no_grad():
        module.in_brain[0] += 1
    assert joblib.hash(store(module)) != expected
    module = Everything()
    module.second += 1
    assert joblib.hash(store(module)) != expected


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_the_hash_is_the_same_in_other_processes(hash_seed):
    code = (
        "import joblib; from skdiva.features.network._module_state import store; "
        "from tests.features.storable import Everything; print(joblib.hash(store(Everything())))"
    )
    environment = {"PYTHONHASHSEED": hash_seed, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env=environment
    )
    assert done.stdout.split() == [joblib.hash(store(Everything()))], done.stderr


@pytest.mark.parametrize("network", [Residual, Shared, Transformer])
def test_networks_compute_as_before(network):
    rows = {Residual: (2, 3, 8, 8), Shared: (2, 6), Transformer: (2, 6, 5)}[network]
    torch.manual_seed(0)
    module, x = network().eval(), torch.randn(rows)
    assert torch.equal(restore(pickle.loads(pickle.dumps(store(module))))(x), module(x))


def test_read_only_arrays_are_taken():
    module = nn.Linear(2, 2)
    stored = store(module)
    for array in stored.arrays.values():
        array.flags.writeable = False
    assert torch.equal(restore(stored).weight, module.weight)


def test_equal_arrays_are_shared():
    module = nn.Sequential(nn.Linear(50, 50), nn.Linear(50, 50))
    twin = copy.deepcopy(module)
    with torch.no_grad():
        twin[1].weight[0, 0] += 1
    stored, other = store(module), store(twin)
    shared = share_arrays(stored, other)
    assert shared.arrays["0.weight"] is other.arrays["0.weight"]
    assert shared.arrays["1.weight"] is stored.arrays["1.weight"]
    double = share_arrays(store(twin.double()), stored)
    assert all(array.dtype == np.float64 for array in double.arrays.values())


def test_lazy_modules_survive():
    lazy = restore(pickle.loads(pickle.dumps(store(nn.LazyLinear(2)))))
    assert lazy(torch.ones(1, 3)).shape == (1, 2)


def test_parametrized_modules_are_refused():
    module = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(2, 2)))
    with pytest.raises(ValueError, match=r"'0' is parametrized.*remove_parametrizations"):
        store(module)
