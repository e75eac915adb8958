"""Per-sample gradients of a network's parameters.

For each parameter the fastest method that is right is used: closed forms per layer, torch.func, or
one backward pass per row. Every method is verified against autograd on a probe batch.
"""

from skdiva.features.network.gradients._per_sample import PerSampleGradients

__all__ = ["PerSampleGradients"]
