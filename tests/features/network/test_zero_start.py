"""Outputs of zero, gradients of a random layer."""

import pytest
import torch
from torch import nn

from skdiva.features import JacobianFeaturizer, replace_head
from skdiva.features.network._frozen import FrozenNetwork
from skdiva.features.network._heads import ZeroStartLinear
from skdiva.features.network.gradients._per_sample import PerSampleGradients


@pytest.mark.parametrize("bias", [False, True])
def test_zero_until_the_weights_change(bias, device):
    layer = ZeroStartLinear(5, 3, bias).to(device)
    x = torch.randn(4, 5, device=device)
    assert torch.equal(layer(x), torch.zeros(4, 3, device=device))
    with torch.no_grad():
        layer.weight.add_(1.0)
    torch.testing.assert_close(layer(x), x.sum(1, keepdim=True).expand(4, 3))


@pytest.mark.parametrize("bias", [False, True])
def test_gradients_are_those_of_the_plain_layer(bias, device):
    layer = ZeroStartLinear(5, 3, bias).to(device)
    plain = nn.Linear(5, 3, bias).to(device)
    plain.load_state_dict({n: v for n, v in layer.state_dict().items() if "start" not in n})
    x = torch.randn(4, 5, device=device, requires_grad=True)
    for tensors in ([x], list(zip(layer.parameters(), plain.parameters(), strict=True))):
        inputs = [t if torch.is_tensor(t) else t[0] for t in tensors]
        others = [t if torch.is_tensor(t) else t[1] for t in tensors]
        gradients = torch.autograd.grad(layer(x)[:, 1].sum(), inputs)
        expected = torch.autograd.grad(plain(x)[:, 1].sum(), others)
        torch.testing.assert_close(gradients, expected)


def test_a_network_with_such_a_head_is_differentiated_by_its_layers():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 9)).double()
    X = torch.randn(5, 4, dtype=torch.float64)
    changed = replace_head(network, 3, X)
    frozen = FrozenNetwork(changed, "cpu", torch.float64)
    gradients = PerSampleGradients(frozen, frozen.parameter_names("all"), X[:3])
    assert set(gradients.kinds.values()) == {"layer"}
    featurizer = JacobianFeaturizer(changed, parameters="all", outputs="each").fit(X)
    assert torch.count_nonzero(torch.as_tensor(featurizer.initial_outputs(X))) == 0
    jacobians = featurizer.transform(X)
    assert (jacobians[..., :24].abs().sum(dim=(1, 2)) > 0).all()  # of the first layer
    coef = torch.randn(jacobians.shape[2], dtype=torch.float64)
    products = torch.as_tensor(featurizer.apply_jacobian(X, coef))
    torch.testing.assert_close(products, jacobians @ coef)
