"""Per-sample gradients of the outputs of a network with respect to its parameters.

Each parameter is assigned the fastest method that gives the right result: a closed form for its
layer, torch.func, or one backward pass per row. The methods are verified against autograd on a
probe batch. To support another kind of layer, add a rule to ``_layer_rules.py``.
"""

from skdiva.features.network.gradients._per_sample import PerSampleGradients

__all__ = ["PerSampleGradients"]
