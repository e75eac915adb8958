"""JacobianFeaturizer as scikit-learn's tools use it: common checks, copies, searches, caches."""

import copy
import os
import pickle
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import estimator_checks_generator
from torch import nn

from skdiva.features import JacobianFeaturizer
from tests.features.networks import make
from tests.features.storable import Counting, batches_computed
from tests.test_common import ONLY_IN_SCIKIT_LEARNS_SUITE, check_id, without_skips

ROOT = Path(__file__).resolve().parents[2]
rng = np.random.default_rng(0)
X = rng.normal(size=(60, 4)).astype(np.float32)
y = (X[:, 0] * X[:, 1] > 0).astype(int)


class AnyWidth(nn.Sequential):
    """A network for rows of any width: a class, whose name is the same in every process."""

    def __init__(self):
        super().__init__(
            nn.Unflatten(1, (1, -1)), nn.Conv1d(1, 4, 3, padding=1), nn.Tanh(),
            nn.AdaptiveAvgPool1d(3), nn.Flatten(), nn.Linear(12, 2),
        )  # fmt: skip


CONFIGURATIONS = [
    JacobianFeaturizer(AnyWidth, dtype="float64"),
    JacobianFeaturizer(AnyWidth(), parameters="all", n_components=7, dtype="float64"),
    JacobianFeaturizer(AnyWidth, parameters=["1"], precondition="fisher", dtype="float64"),
]
# The check compares joblib's hashes of the network itself, which for equal tensors differ.
EXPECTED_FAILURES = {"check_estimators_overwrite_params": "Equal tensors have different hashes."}
CHECKS = [
    pair
    for e in CONFIGURATIONS
    for pair in estimator_checks_generator(
        e,
        expected_failed_checks=EXPECTED_FAILURES if isinstance(e.backbone, nn.Module) else {},
        mark="xfail",
    )
]


@pytest.mark.parametrize(("estimator", "check"), CHECKS, ids=check_id)
def test_scikit_learn_check(estimator, check):
    without_skips(check, estimator)


def test_checks_were_generated():
    assert len(CHECKS) >= 45 * len(CONFIGURATIONS)


@pytest.mark.filterwarnings("ignore:X (does not have|has) .*feature names:UserWarning")
@pytest.mark.parametrize("estimator", CONFIGURATIONS, ids=check_id)
@pytest.mark.parametrize("name", ONLY_IN_SCIKIT_LEARNS_SUITE)
def test_check_outside_the_generator(name, estimator):
    check = getattr(estimator_checks, name)
    without_skips(check, type(estimator).__name__, clone(estimator))


def test_clones_share_the_network():
    network = nn.Linear(4, 2)
    featurizer = JacobianFeaturizer(network, parameters=["weight"], memory="a", verbose=1)
    featurizer.set_output(transform="pandas").set_params(batch_size=3)
    twin = clone(featurizer.fit(X))
    assert twin.backbone is network
    assert featurizer.backbone is network
    assert not hasattr(twin, "n_columns_")
    params = {k: v for k, v in featurizer.get_params().items() if k != "backbone"}
    assert {k: v for k, v in twin.get_params().items() if k != "backbone"} == params
    assert twin.parameters is not featurizer.parameters
    pd = pytest.importorskip("pandas")
    assert isinstance(twin.set_params(memory=None).fit_transform(X), pd.DataFrame)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"parameters": "all", "n_components": 5},
        {"parameters": "all", "outputs": "each", "precondition": "fisher"},
        {"activation_slope": 0.1, "dtype": "float32"},
    ],
)
@pytest.mark.parametrize("name", ["cnn", "words"])
def test_pickles_know_no_device(name, options, device):
    if name == "words" and "activation_slope" in options:
        options = {}  # it has no ReLU
    network, rows = make(name, device)
    if isinstance(rows, dict):
        items = [{key: value[i].cpu() for key, value in rows.items()} for i in range(5)]
        rows = torch.utils.data.DataLoader(items, batch_size=2)
    featurizer = JacobianFeaturizer(network, device=device, **options).fit(rows)
    expected = np.asarray(featurizer.transform(rows))
    featurizer.device = None
    pickled = pickle.dumps(featurizer)
    assert b"cuda" not in pickled
    for loaded in (pickle.loads(pickled), copy.deepcopy(featurizer)):
        assert all(p.device.type == "cpu" for p in loaded.backbone.parameters())
        assert_array_equal(loaded.set_params(device=device).transform(rows), expected)
        assert loaded.n_columns_ == featurizer.n_columns_


def test_a_pickle_holds_the_weights_once():
    network = nn.Sequential(nn.Linear(4, 20000), nn.Linear(20000, 1))
    weights = sum(p.numel() * 4 for p in network.parameters())
    fresh = len(pickle.dumps(JacobianFeaturizer(network)))
    fitted = len(pickle.dumps(JacobianFeaturizer(network).fit(X)))
    assert weights < fresh < fitted < 1.1 * weights


def test_a_parametrized_network_works_but_is_not_pickled():
    network, rows = make("parametrized")
    featurizer = JacobianFeaturizer(network).fit(rows)
    assert featurizer.transform(rows).shape == (5, 8)
    with pytest.raises(ValueError, match="'0' is parametrized"):
        pickle.dumps(featurizer)


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_the_hash_is_the_same_in_other_processes(tmp_path, hash_seed):
    network = Counting(tmp_path / "calls")
    code = (
        "import sys, joblib; from skdiva.features import JacobianFeaturizer; "
        "from tests.features.storable import Counting; "
        "print(joblib.hash(JacobianFeaturizer(Counting(sys.argv[1]), parameters=['head'])))"
    )
    environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code, network.path],
        cwd=ROOT, capture_output=True, text=True, env=environment,
    )  # fmt: skip
    expected = joblib.hash(JacobianFeaturizer(copy.deepcopy(network), parameters=["head"]))
    assert done.stdout.split() == [expected], done.stderr


def test_results_are_cached(tmp_path):
    network = Counting(tmp_path / "calls")
    memory = str(tmp_path / "cache")
    featurizer = JacobianFeaturizer(network, memory=memory).fit(X)
    Z = featurizer.transform(X)
    assert batches_computed(network) == [60]
    for other in (
        featurizer,
        pickle.loads(pickle.dumps(featurizer)),
        clone(featurizer).fit(X),
        JacobianFeaturizer(Counting(network.path), memory=joblib.Memory(memory, verbose=0)).fit(X),
        clone(featurizer).set_params(batch_size=7, verbose=1, device="cpu").fit(X),
    ):
        assert_array_equal(other.transform(X.copy()), Z)
        tensor = other.transform(torch.from_numpy(X))
        assert isinstance(tensor, torch.Tensor)
        assert_array_equal(tensor, Z)
    assert batches_computed(network) == [60]
    # Whatever changes the result is computed.
    assert len(featurizer.transform(X[:50])) == 50
    clone(featurizer).set_params(n_components=2).fit(X).transform(X)
    clone(featurizer).set_params(parameters="all", outputs="each").fit(X).initial_outputs(X)
    with torch.no_grad():
        network.body.bias[0] += 1
    assert not np.allclose(clone(featurizer).fit(X).transform(X), Z)
    assert batches_computed(network) == [60, 50, 60, 60, 60]


def test_preconditioning_and_outputs_are_cached(tmp_path):
    network = Counting(tmp_path / "calls")
    featurizer = JacobianFeaturizer(
        network, parameters="all", outputs="each", precondition="fisher", memory=str(tmp_path / "c")
    )
    results = []
    for _ in range(2):
        fitted = clone(featurizer).fit(X)
        results.append((fitted.transform(X), fitted.initial_outputs(X), fitted.scale_))
    assert batches_computed(network) == [60, 60, 60]
    for first, second in zip(*results, strict=True):
        assert_array_equal(first, second)


def test_a_network_that_no_cache_can_know_is_refused(tmp_path):
    class Local(nn.Linear):
        pass

    featurizer = JacobianFeaturizer(Local(4, 2), memory=str(tmp_path)).fit(X)
    with pytest.raises(ValueError, match=r"memory= expects a network that can be pickled"):
        featurizer.transform(X)


def test_a_pipelines_memory_is_hit(tmp_path):
    network = Counting(tmp_path / "calls")
    for C in (0.1, 1.0, 10.0):
        pipeline = make_pipeline(
            StandardScaler(), JacobianFeaturizer(network), LogisticRegression(C=C),
            memory=str(tmp_path / "cache"),
        )  # fmt: skip
        pipeline.fit(X, y)
    assert batches_computed(network) == [60]


def test_a_search_in_two_processes_computes_every_fold_once(tmp_path):
    network = Counting(tmp_path / "calls")
    featurizer = JacobianFeaturizer(network, memory=str(tmp_path / "cache"))
    pipeline = make_pipeline(featurizer, LogisticRegression())
    grid = {"logisticregression__C": [0.1, 1.0, 10.0]}
    search = GridSearchCV(pipeline, grid, cv=3, n_jobs=1, error_score="raise").fit(X, y)
    # Three folds for training, three for testing, and all rows in the end.
    expected = sorted([40] * 3 + [20] * 3 + [60])
    assert sorted(batches_computed(network)) == expected
    again = GridSearchCV(pipeline, grid, cv=3, n_jobs=2, error_score="raise").fit(X, y)
    # Each new process may compute one result anew: in a folder where joblib has not written down
    # yet which function the results are of, as it does only once per process, it trusts none.
    assert len(batches_computed(network)) <= len(expected) + 2
    assert_array_equal(again.cv_results_["mean_test_score"], search.cv_results_["mean_test_score"])


def test_workers_share_a_cache(tmp_path):
    network = Counting(tmp_path / "calls")
    featurizer = JacobianFeaturizer(network, memory=str(tmp_path / "cache"))
    pipeline = make_pipeline(featurizer, LogisticRegression())
    grid = {"logisticregression__C": [0.1, 1.0, 10.0, 100.0]}
    GridSearchCV(pipeline, grid, cv=2, n_jobs=2, error_score="raise").fit(X, y)
    # Of two halves, each is a fold to train on and one to test on. Both workers may start on the
    # same one at the same time; without a cache there would be 16.
    sizes = batches_computed(network)
    assert sizes.count(60) == 1
    assert 2 <= sizes.count(30) <= 4
