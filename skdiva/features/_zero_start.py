"""A random last layer whose outputs start at zero."""

import torch.nn.functional as F
from torch import nn


class ZeroStartLinear(nn.Linear):
    """Linear layer minus what it computed when it was made.

    The outputs are zero until the weights change, while gradients pass through random weights: no
    gradient flows through what is subtracted.

    Parameters
    ----------
    in_features, out_features : int
    bias : bool, default=True
    """

    def __init__(self, in_features, out_features, bias=True):
        super().__init__(in_features, out_features, bias)
        self.register_buffer("start_weight", self.weight.detach().clone())
        start_bias = None if self.bias is None else self.bias.detach().clone()
        self.register_buffer("start_bias", start_bias)

    def forward(self, inputs):
        """Compute the outputs (..., out_features) of inputs (..., in_features)."""
        start = F.linear(inputs.detach(), self.start_weight, self.start_bias)
        return super().forward(inputs) - start
