"""Displays that plot what fitted estimators have learned.

Each display has a constructor that takes arrays, a ``from_estimator`` that reads them from a fitted
estimator, and a ``plot``, as the displays of scikit-learn. Importing this package loads neither
matplotlib nor torch; matplotlib is loaded when a display is drawn.
"""

from skdiva.inspection._derivative import DerivativeDisplay
from skdiva.inspection._extension import ExtensionDisplay
from skdiva.inspection._ranking import RankingDisplay
from skdiva.inspection._sources import SourceDisplay
from skdiva.inspection._weights import WeightsDisplay

__all__ = [
    "DerivativeDisplay",
    "ExtensionDisplay",
    "RankingDisplay",
    "SourceDisplay",
    "WeightsDisplay",
]
