"""The noise model of the estimators is that of their adapter, whatever sets the weights."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris

from skdiva import DivaOutlierDetector, DivaReweighter
from skdiva.estimators._adapter import CoreAdapter
from skdiva.loo import LabelPosterior

X, Y = load_iris(return_X_y=True)
N_DISTRUSTED = 20
SOURCES = np.arange(len(Y)) // N_DISTRUSTED


@dataclass(frozen=True)
class Distrust(LabelPosterior):
    """The labels of the first rows are wrong with probability 0.9."""

    name: str = "distrust"

    def class_probabilities(self, outputs, labels, *, hedged=True):
        del hedged
        wrong = torch.where(torch.arange(len(labels)) < N_DISTRUSTED, 0.9, 0.0).double()
        probabilities = (wrong[:, None] / 2).repeat(1, outputs.shape[1])
        return probabilities.scatter(1, labels[:, None], 1 - wrong[:, None])


class DistrustModel:
    def fit(self, outputs, labels, sample_weight=None):
        del outputs, labels, sample_weight
        return Distrust()


ESTIMATORS = {
    "detector": (DivaOutlierDetector, {}),
    "detector with sources": (DivaOutlierDetector, {"sources": SOURCES}),
    "reweighter": (DivaReweighter, {}),
    "reweighter with sources": (DivaReweighter, {"sources": SOURCES}),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_another_noise_model(name, monkeypatch):
    kind, metadata = ESTIMATORS[name]
    usual = kind(featurizer=None).fit(X, Y, **metadata).sample_weight_
    monkeypatch.setattr(CoreAdapter, "noise_model", DistrustModel())
    weight = kind(featurizer=None).fit(X, Y, **metadata).sample_weight_
    share, usual_share = (w[:N_DISTRUSTED].sum() / w.sum() for w in (weight, usual))
    assert share < 0.5 * usual_share
