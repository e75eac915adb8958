"""Feature maps: what an estimator does with X before it reaches the ridge model.

`RawFeatures` is X itself, and `ChosenFeatures` the default, linear or kernel features.
`TransformedFeatures` and `LinearizedFeatures` use a transformer or a network, and
`reduced_features` the singular vectors of sparse X.
"""

from skdiva.estimators.feature_maps._maps import (
    ChosenFeatures,
    FeatureMap,
    LazyFeatures,
    RawFeatures,
)
from skdiva.estimators.feature_maps._transformers import (
    N_COMPONENTS,
    LinearizedFeatures,
    TransformedFeatures,
    reduced_features,
)

__all__ = [
    "N_COMPONENTS",
    "ChosenFeatures",
    "FeatureMap",
    "LazyFeatures",
    "LinearizedFeatures",
    "RawFeatures",
    "TransformedFeatures",
    "reduced_features",
]
