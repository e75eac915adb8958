"""Features for the estimators: from X to the rows of the ridge model."""

from skdiva.features._kernel import KernelFeaturizer

__all__ = ["KernelFeaturizer"]
