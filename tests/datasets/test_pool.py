"""Split into core, pool and test rows, with wrong labels in the pool only."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from skdiva.datasets import split_core_pool

N = 300
TRUTH = np.repeat(["a", "b", "c"], [150, 100, 50])
ROW = np.arange(N)[:, None] * [1.0, 2.0]  # features that identify the row
PARTS = ["", "_pool", "_test"]


def rows(split, part):
    return np.asarray(split[f"X{part}"])[:, 0].astype(int)


def test_parts_are_disjoint_and_stratified_and_wrong_labels_are_marked():
    split = split_core_pool(ROW, TRUTH, n_core=30, test_size=0.3, noise_rate=0.25, random_state=0)
    sizes = [len(rows(split, part)) for part in PARTS]
    assert sizes == [30, 180, 90]
    assert sorted(np.concatenate([rows(split, part) for part in PARTS])) == list(range(N))
    for part, size in zip(PARTS, sizes, strict=True):
        true = TRUTH[rows(split, part)]
        shares = [(true == k).sum() / size for k in "abc"]
        assert shares == pytest.approx([1 / 2, 1 / 3, 1 / 6], abs=1 / size)
        wrong = split[f"y{part}"] != true
        assert np.array_equal(wrong, split.is_wrong if part == "_pool" else np.zeros(size))
    assert split.is_wrong.sum() == 45


@pytest.mark.parametrize("kind", ["pair", "doubt"])
def test_kind(kind):
    split = split_core_pool(ROW, TRUTH, kind=kind, random_state=0)
    true = TRUTH[rows(split, "_pool")]
    assert np.array_equal(split.y_pool != true, split.is_wrong)
    following = {"a": "b", "b": "c", "c": "a"}
    is_next = [following[t] == y for t, y in zip(true, split.y_pool, strict=True)]
    assert np.array_equal(is_next, split.is_wrong) == (kind == "pair")


def test_containers():
    frame = pd.DataFrame(ROW, columns=["r", "s"], index=np.arange(N) + 1000)
    split = split_core_pool(frame, pd.Series(TRUTH), random_state=0)
    for part in PARTS:
        assert isinstance(split[f"X{part}"], pd.DataFrame)
        assert np.array_equal(split[f"X{part}"].index - 1000, rows(split, part))
    split = split_core_pool(sparse.csr_array(ROW), TRUTH, random_state=0)
    assert sparse.issparse(split.X_pool)


def test_seed_decides():
    first, again, other = (split_core_pool(ROW, TRUTH, random_state=s) for s in (0, 0, 1))
    for name in first:
        assert np.array_equal(first[name], again[name])
        assert not np.array_equal(first[name], other[name])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_core": 0}, "n_core must be an int of at least 1, got 0"),
        ({"n_core": 0.5}, "n_core must be an int of at least 1, got 0.5"),
        (
            {"n_core": 2},
            "n_core must be from 3 to 207, .* got 2 for 210 rows .* Pass another",
        ),
        ({"n_core": 208}, "n_core must be from 3 to 207, .* got 208"),
        ({"noise_rate": 2}, r"noise_rate must be a number in \[0, 1\], got 2"),
        ({"kind": "own"}, "kind must be"),
        ({"y": TRUTH[::40]}, "inconsistent numbers of samples"),
    ],
    ids=["no core", "share", "few", "no pool", "rate", "kind", "length"],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        split_core_pool(**{"X": ROW, "y": TRUTH, "random_state": 0, **arguments})
