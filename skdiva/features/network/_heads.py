"""A network with a new, random head, for other classes than it was trained on."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

from skdiva.features.network._backbone import build_module, draw_seed, floating_dtype, seeded
from skdiva.features.network._batches import Batches
from skdiva.features.network._frozen import FrozenNetwork
from skdiva.features.network._row_sources import read_rows


def replace_head(backbone, n_outputs, X, *, random_state=None):
    """Copy a network and give it a random head with another number of outputs.

    The weights of the head are random, as `torch.nn.Linear` draws them, so that the derivatives
    with respect to the layers before it do not vanish, as behind weights of zero. Its outputs are
    zero all the same: it subtracts what these weights give, through which no derivative is taken.
    Random outputs would be noise to be learned away. A head fitted to the labels has read them:
    leave-one-out errors of a model linearised around it would be too small.

    Parameters
    ----------
    backbone : nn.Module or callable
        The network, or a function without arguments that makes one. It is not changed.
    n_outputs : int
        Number of outputs, for instance of classes.
    X : array-like, tensor, Dataset or DataLoader
        A few rows: the head is the last Linear that is called for them.
    random_state : int, RandomState instance or None, default=None
        Decides the weights. None is 0. Torch's global generators are left as they are.

    Returns
    -------
    nn.Module
        The copy.

    Raises
    ------
    ValueError
        If no Linear is called, or it does not give the outputs of the network.

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
    with seeded(seed):
        module = build_module(backbone)
    rows, _ = read_rows(X)
    path = _path_of_head(module, rows.probe())
    changed = copy.deepcopy(getattr(module, "_orig_mod", module))  # of torch.compile
    head = changed.get_submodule(path)
    with seeded(seed):
        new = ZeroStartLinear(head.in_features, n_outputs, bias=head.bias is not None)
    new = new.to(head.weight).train(head.training)
    if head is changed:
        return new
    for name, part in list(changed.named_modules(remove_duplicate=False)):
        if part is head:
            changed.set_submodule(name, new)
    return changed


def _path_of_head(module, probe):
    """Path of the last Linear that is called; raise unless it gives the outputs."""
    weight = next(module.parameters(), torch.empty(0))
    dtype = getattr(torch, floating_dtype(module))
    network = FrozenNetwork(module, weight.device, dtype)
    calls = []
    paths = {part: path for path, part in network.module.named_modules()}
    hooks = [
        part.register_forward_hook(lambda part, _, output: calls.append((paths[part], output)))
        for part in paths
        if isinstance(part, nn.Linear)
    ]
    batches = Batches(weight.device, dtype, network.takes_integers, size=None)
    try:
        with torch.no_grad():
            outputs = network.outputs(batches.convert(probe))
    finally:
        for hook in hooks:
            hook.remove()
    path, given = calls[-1] if calls else (None, None)
    if given is None or given.shape != outputs.shape or not torch.equal(given, outputs):
        raise ValueError(
            "replace_head expects a network whose outputs are those of an nn.Linear; got "
            f"{type(module).__name__}, where {'the last, ' + repr(path) if calls else 'none'} "
            f"{'gives something else' if calls else 'is called'}. Give it a Linear as last layer."
        )
    return path


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
