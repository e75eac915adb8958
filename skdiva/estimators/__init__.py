"""Scikit-learn plumbing around the leave-one-out core; no formulas of the core are here."""

from skdiva.estimators._extender import DivaExtender
from skdiva.estimators._outlier_detector import DivaOutlierDetector
from skdiva.estimators._reweighter import DivaReweighter
from skdiva.estimators._sampler import DivaSampler

__all__ = ["DivaExtender", "DivaOutlierDetector", "DivaReweighter", "DivaSampler"]
