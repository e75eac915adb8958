"""Recipes of CONTRIBUTING.md: their code runs, in the files that it is meant for."""

import re
from pathlib import Path

import numpy as np
import pytest
import sklearn
import torch
from sklearn.datasets import load_digits
from torch import nn

from skdiva import DivaOutlierDetector
from skdiva.estimators import _label_scores
from skdiva.features.network import FrozenNetwork, PerSampleGradients
from skdiva.features.network.gradients import _layer_rules
from skdiva.loo import FittedRidge, Problem, SquaredError

TEXT = (Path(__file__).resolve().parents[1] / "CONTRIBUTING.md").read_text()


def recipe(title):
    """The code of a recipe."""
    section = re.search(rf"^### {title}\n(.*?)(?=^##)", TEXT, re.M | re.S)[1]
    return "\n".join(re.findall(r"^```python\n(.*?)^```$", section, re.M | re.S))


def test_a_criterion():
    scores = dict(_label_scores.LABEL_SCORES)
    exec(
        recipe("Add a criterion to DivaOutlierDetector"),
        vars(_label_scores) | {"LABEL_SCORES": scores},
    )
    X, y = load_digits(n_class=3, return_X_y=True)
    y[::10] = (y[::10] + 1) % 3
    detector = DivaOutlierDetector(criterion="margin")
    with (
        pytest.MonkeyPatch.context() as patch,
        sklearn.config_context(skip_parameter_validation=True),
    ):
        patch.setitem(_label_scores.LABEL_SCORES, "margin", scores["margin"])
        is_outlier = detector.fit_predict(X, y) == -1
    assert np.flatnonzero(is_outlier)[:5].tolist() == [0, 10, 20, 30, 40]
    new = detector.score_labels(X[:10], [*y[1:10], y[0]])
    assert new.shape == (10,)


def test_a_noise_model():
    exec(recipe("Add a noise model"), {"__name__": __name__})


def test_a_row_source():
    namespace = {}
    exec(recipe("Add a row source"), namespace)
    rows, targets, fit = (namespace[name] for name in ("CosineRows", "targets", "fit"))
    source = rows(namespace["x"], 20)
    in_memory = Problem(source.read(slice(0, 500)), targets, loss=SquaredError())
    expected = FittedRidge(in_memory, torch.ones(500), fit.alpha)
    torch.testing.assert_close(fit.derivative, expected.derivative)


def test_a_layer_rule():
    rules = list(_layer_rules.LAYER_RULES)
    exec(recipe("Add a rule for a layer"), vars(_layer_rules) | {"LAYER_RULES": rules})
    network = FrozenNetwork(
        nn.Sequential(nn.RMSNorm(4), nn.Linear(4, 2)), torch.device("cpu"), torch.float32
    )
    probe = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    methods = [
        PerSampleGradients(network, ["0.weight"], probe, some).methods["0.weight"]
        for some in (_layer_rules.LAYER_RULES, rules)
    ]
    assert methods == ["vmap", "layer"]
