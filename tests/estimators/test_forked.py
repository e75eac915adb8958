"""Fits in processes that were forked after torch used its threads, which a fork does not copy."""

import os
import subprocess
import sys

import pytest

CODE = """
import joblib, numpy as np, torch
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.datasets import load_iris
from skdiva import DivaOutlierDetector, DivaReweighter
from skdiva.features import JacobianFeaturizer, KernelFeaturizer

X, y = load_iris(return_X_y=True)
FOLDS = StratifiedKFold(3, shuffle=True, random_state=0)
FITTED = DivaOutlierDetector().fit(X, y)
torch.ones(3000, 3000) @ torch.ones(3000, 300)  # with all threads

def work(name):
    if name == "reweighter":
        return DivaReweighter().fit(X, y).sample_weight_.sum()
    if name == "new rows":
        return FITTED.score_labels(np.repeat(X, 300, axis=0), np.repeat(y, 300)).sum()
    if name == "kernels":
        return KernelFeaturizer().fit(X, y).transform(X).sum()
    features = JacobianFeaturizer(torch.nn.Linear(4, 3)).fit_transform(torch.ones(200_000, 4))
    return features.sum()

if __name__ == "__main__":
    grid = {"contamination": [0.05, 0.1]}
    search = GridSearchCV(DivaOutlierDetector(), grid, cv=FOLDS, n_jobs=2, error_score="raise")
    with joblib.parallel_config(backend="multiprocessing"):
        search.fit(X, y)
        names = ["reweighter", "new rows", "kernels", "network"]
        joblib.Parallel(n_jobs=2)(joblib.delayed(work)(name) for name in names)
    print(torch.get_num_threads())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork processes")
def test_a_search_with_the_multiprocessing_backend_does_not_hang(tmp_path):
    script = tmp_path / "search.py"
    script.write_text(CODE)
    environment = os.environ | {"OMP_NUM_THREADS": "2"}
    process = subprocess.Popen(
        [sys.executable, str(script)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        output, errors = process.communicate(timeout=240)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)  # with its workers, which wait for threads
        process.communicate()
        pytest.fail("the search waits forever")
    assert process.returncode == 0, errors
    assert output.split()[-1] == "2"  # the parent keeps its threads
