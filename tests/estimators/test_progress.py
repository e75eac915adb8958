"""Progress bars: who shows one, that it ends at 100 %, and that there is none by default."""

import re
import subprocess
import sys

import numpy as np
import pytest
import torch

from skdiva import DivaExtender, DivaOutlierDetector, DivaReweighter, DivaSampler
from skdiva.features import JacobianFeaturizer, KernelFeaturizer
from tests.estimators.data import classes, numbers

X, Y, TRUTH = classes(wrong=8)
NETWORK = torch.nn.Linear(6, 3)
SHOWN = {"verbose": 1}
FITS = {
    "detector": lambda: DivaOutlierDetector(**SHOWN).fit(X, Y),
    "detector of numbers": lambda: DivaOutlierDetector(**SHOWN).fit(*numbers()),
    "derivative": lambda: DivaOutlierDetector(criterion="derivative", **SHOWN).fit(X, Y),
    "sampler": lambda: DivaSampler(DivaOutlierDetector(**SHOWN)).fit_resample(X, Y),
    "learned weights": lambda: DivaReweighter(**SHOWN).fit(X, Y),
    "no step is taken": lambda: DivaReweighter(**SHOWN).fit(X, TRUTH),
    "early stopping": lambda: DivaReweighter(**SHOWN).fit(X, Y, X_val=X[:30], y_val=TRUTH[:30]),
    "sources": lambda: DivaReweighter(**SHOWN).fit(X, Y, sources=np.arange(80) // 8),
    "numbers": lambda: DivaReweighter(**SHOWN).fit(*numbers()),
    "fixed steps": lambda: DivaReweighter(learning_rate=0.1, **SHOWN).fit(X, Y),
    "extender": lambda: DivaExtender(n_samples_to_select=30, **SHOWN).fit(
        X[:40], Y[:40], X_pool=X[40:], y_pool=Y[40:]
    ),
    "kernels": lambda: KernelFeaturizer(**SHOWN).fit(X, Y),
    "network": lambda: JacobianFeaturizer(NETWORK, **SHOWN).fit(X).transform(X),
}


@pytest.mark.parametrize("name", FITS)
def test_every_bar_ends_at_one_hundred_percent(name, capsys):
    FITS[name]()
    last = {}
    for line in re.split(r"[\r\n]", capsys.readouterr().err):
        found = re.search(r"(\w+): +(\d+)%.* (\d+)/(\d+) ", line)
        if found:
            last[found[1]] = found.groups()[1:]
    assert last
    for share, done, total in last.values():
        assert share == "100"
        assert done == total
        assert int(done) > 0


def test_what_the_bars_count(capsys):
    FITS["detector"]()
    shown = capsys.readouterr().err
    assert "KernelFeaturizer: 100%" in shown
    assert "8/8" in shown
    assert re.search(r"DivaOutlierDetector: 100%.* 3/3 ", shown)


def test_a_fit_that_fails_does_not_end_at_one_hundred_percent(capsys):
    with pytest.raises(ValueError, match="log_loss"):
        DivaOutlierDetector(featurizer=None, loss="log_loss", **SHOWN).fit(*numbers())
    assert "100%" not in capsys.readouterr().err


def test_without_verbose_nothing_is_shown_and_tqdm_is_not_imported():
    """In a notebook without widgets, the import of tqdm.auto warns."""
    code = """
import sys, numpy as np, torch
from skdiva import DivaExtender, DivaOutlierDetector, DivaReweighter
from skdiva.features import JacobianFeaturizer
X = np.random.default_rng(0).normal(size=(40, 3))
y = (X[:, 0] > 0).astype(int)
DivaOutlierDetector().fit(X, y)
DivaReweighter().fit(X, y)
DivaExtender(n_samples_to_select=3).fit(X[:20], y[:20], X_pool=X[20:], y_pool=y[20:])
JacobianFeaturizer(torch.nn.Linear(3, 2)).fit(X).transform(X)
print("tqdm.auto" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "False", "")
