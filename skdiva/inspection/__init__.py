"""Pictures of what the estimators found; matplotlib is loaded when one is drawn."""

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
