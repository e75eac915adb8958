"""Types that a type checker finds in the code of a user."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy", reason="mypy comes with the extra 'test'")

ROOT = Path(__file__).parents[1]
TYPES = {
    "detector": "skdiva.DivaOutlierDetector",
    "detector.outlier_scores_": "np.ndarray",
    "detector.threshold_": "float",
    "detector.loo_loss_": "float",
    "detector.score_labels(X, y)": "np.ndarray",
    "reweighter": "skdiva.DivaReweighter",
    "reweighter.sample_weight_": "np.ndarray",
    "reweighter.n_steps_": "int",
    "reweighter.predict(X)": "np.ndarray",
    "reweighter.score(X, y)": "float",
    "extender": "skdiva.DivaExtender",
    "extender.ranking_": "np.ndarray",
    "extender.predict_proba(X)": "np.ndarray",
    "sampler": "skdiva.DivaSampler",
    "sampler.sample_indices_": "np.ndarray",
    "sampler.fit_resample(X, y)": "tuple[Any, Any]",
    "kernel": "skdiva.KernelFeaturizer",
    "kernel.gamma_": "float | None",
    "jacobian": "skdiva.JacobianFeaturizer",
    "jacobian.n_columns_": "int",
    "jacobian.initial_outputs(X)": "np.ndarray | torch.Tensor",
}
SCRIPT = """
from typing import Any, assert_type

import numpy as np
import torch

import skdiva

X: Any
y: Any
detector = skdiva.DivaOutlierDetector().fit(X, y)
reweighter = skdiva.DivaReweighter().fit(X, y)
extender = skdiva.DivaExtender().fit(X, y)
sampler = skdiva.DivaSampler().fit(X, y)
kernel = skdiva.KernelFeaturizer().fit(X, y)
jacobian = skdiva.JacobianFeaturizer(X).fit(X, y)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Folder outside the repository, shared because a check without a cache takes seconds."""
    return tmp_path_factory.mktemp("types")


def check(folder, lines):
    """Exit status and output of a strict check of a script in the folder."""
    (folder / "script.py").write_text(SCRIPT + "\n".join(lines) + "\n")
    # The modules that the script imports are not the user's: nothing is reported on them.
    options = ["--strict", "--follow-imports=silent", "--config-file=", "--cache-dir=cache"]
    options.append("--allow-any-generics")  # before NumPy 2.2, `np.ndarray` is one
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "script.py"],
        cwd=folder,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


def test_users_get_types(folder):
    lines = [f"assert_type({expression}, {expected})" for expression, expected in TYPES.items()]
    status, output = check(folder, lines)
    assert status == 0, output


def test_mistakes_of_users_are_found(folder):
    mistakes = [
        "detector.fit(X)",
        "reweighter.predict()",
        "kernel.fit(X, y, group=y)",
        "assert_type(detector.threshold_, Any)",
    ]
    status, output = check(folder, mistakes)
    assert status == 1, output
    assert output.count("error:") == len(mistakes), output


def test_annotations_set_no_attributes():
    code = (
        "from skdiva import *\n"
        "for estimator in DivaOutlierDetector, DivaReweighter, DivaExtender, DivaSampler, "
        "KernelFeaturizer, JacobianFeaturizer:\n"
        "    print(*[name for name in dir(estimator) if name.endswith('_') and name[0] != '_'])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr
