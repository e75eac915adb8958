"""Replacement of the head of a network by a random layer whose initial outputs are zero."""

import copy
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from skdiva.features.network._backbone import build_module, draw_seed, floating_dtype, seeded
from skdiva.features.network._batches import Batches
from skdiva.features.network._frozen import FrozenNetwork
from skdiva.features.network._row_sources import read_rows


def replace_head(
    backbone: nn.Module | Callable[[], nn.Module],
    n_outputs: int,
    X: Any,
    *,
    random_state: Any = None,
) -> nn.Module:
    """Copy a network and give it a random head with another number of outputs.

    The weights of the new head are drawn at random, as `torch.nn.Linear` draws them. With weights
    of zero, the derivatives with respect to all layers before the head would vanish. The outputs of
    the new head are nevertheless zero: the outputs that these weights give are subtracted, and no
    gradient flows through the subtracted outputs. With random initial outputs, the model would have
    to compensate for this noise. A head fitted to the labels is not suitable either: it depends on
    the label of the row that is left out, so the leave-one-out errors of the linearized model would
    be too small.

    Parameters
    ----------
    backbone : nn.Module or callable
        The network, or a function without arguments that makes one. It is not changed.
    n_outputs : int
        Number of outputs, for instance of classes.
    X : array-like, tensor, Dataset or DataLoader
        A few rows. The head is the last Linear that is called for them.
    random_state : int, RandomState instance or None, default=None
        Determines the weights. None is the same as 0. Torch's global random number generators are
        left as they are.

    Returns
    -------
    nn.Module
        The copy.

    Raises
    ------
    ValueError
        If no Linear is called, or its outputs are not the outputs of the network.

    See Also
    --------
    JacobianFeaturizer : Features from such a network.

    Examples
    --------
    >>> import torch
    >>> from skdiva.features import replace_head
    >>> network = torch.nn.Sequential(
    ...     torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 10)
    ... )
    >>> replace_head(network, 3, torch.ones(2, 4))[2]
    ZeroStartLinear(in_features=8, out_features=3, bias=True)
    """
    seed = draw_seed(random_state)
    module = build_module(backbone, seed)
    path = _path_of_head(module, read_rows(X).probe())
    changed = copy.deepcopy(getattr(module, "_orig_mod", module))  # of torch.compile
    head: Any = changed.get_submodule(path)
    with seeded(seed):
        new = ZeroStartLinear(head.in_features, n_outputs, bias=head.bias is not None)
    new = new.to(head.weight).train(head.training)
    if head is changed:
        return new
    for name, part in list(changed.named_modules(remove_duplicate=False)):
        if part is head:
            changed.set_submodule(name, new)
    return changed


class ZeroStartLinear(nn.Linear):
    """Linear layer minus the outputs that it had when it was made.

    The outputs are zero until the weights change. Gradients still flow through the random weights,
    but not through the subtracted outputs.

    Parameters
    ----------
    in_features, out_features : int
    bias : bool, default=True
    """

    start_weight: torch.Tensor
    start_bias: torch.Tensor | None

    def __init__(self, in_features: int, out_features: int, bias: bool = True):
        super().__init__(in_features, out_features, bias)
        self.register_buffer("start_weight", self.weight.detach().clone())
        start_bias = None if self.bias is None else self.bias.detach().clone()
        self.register_buffer("start_bias", start_bias)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Compute the outputs (..., out_features) of inputs (..., in_features)."""
        start = F.linear(inputs.detach(), self.start_weight, self.start_bias)
        return super().forward(inputs) - start


def _path_of_head(module: nn.Module, probe: Any) -> str:
    """Return the path of the last Linear that is called; raise unless it gives the outputs."""
    weight = next(module.parameters(), torch.empty(0))
    dtype = getattr(torch, floating_dtype(module))
    network = FrozenNetwork(module, weight.device, dtype)
    calls: list[tuple[str, torch.Tensor]] = []
    paths = {part: path for path, part in network.module.named_modules()}
    hooks = [
        part.register_forward_hook(lambda part, _, output: calls.append((paths[part], output)))
        for part in paths
        if isinstance(part, nn.Linear)
    ]
    batches = Batches(weight.device, dtype, network.takes_integers, size=1)
    try:
        with torch.no_grad():
            outputs = network.outputs(batches.convert(probe))
    finally:
        for hook in hooks:
            hook.remove()
    if calls:
        path, given = calls[-1]
        if given.shape == outputs.shape and torch.equal(given, outputs):
            return path
    found = f"the last one, {calls[-1][0]!r}, gives something else" if calls else "none is called"
    raise ValueError(
        "replace_head expects a network whose outputs are those of an nn.Linear; got "
        f"{type(module).__name__}, where {found}. Pass a network with a Linear as its last layer."
    )
