"""Heads: what replace_head changes, and outputs of zero with the gradients of a random layer."""

import copy

import pytest
import torch
from torch import nn

from skdiva.features import JacobianFeaturizer, replace_head
from skdiva.features.network import FrozenNetwork, PerSampleGradients
from skdiva.features.network._heads import ZeroStartLinear
from tests.features.networks import Residual, TiedEmbedding, Words


class HeadFirst(nn.Module):
    """The head is the last that is called, not the last in the list."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(8, 5, bias=False)
        self.body = nn.Linear(4, 8)

    def forward(self, x):
        return self.head(torch.tanh(self.body(x)))


def test_the_last_called_is_replaced_on_a_copy(device):
    network = HeadFirst().to(device).double()
    network.head.eval()
    before = copy.deepcopy(network.state_dict())
    changed = replace_head(network, 3, torch.ones(2, 4))
    assert changed.head.weight.shape == (3, 8)
    assert changed.head.bias is None
    assert changed.head.weight.dtype == torch.float64
    assert changed.head.weight.device.type == device
    assert changed.training
    assert not changed.head.training
    assert changed.head.weight.requires_grad
    torch.testing.assert_close(changed.body.state_dict(), network.body.state_dict())
    assert changed.body.weight is not network.body.weight
    torch.testing.assert_close(network.state_dict(), before, rtol=0, atol=0)


def test_weights_are_those_of_a_new_linear():
    network = HeadFirst()
    state = torch.get_rng_state()
    first, again = (replace_head(network, 500, torch.ones(2, 4)) for _ in range(2))
    other = replace_head(network, 500, torch.ones(2, 4), random_state=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.head.weight, again.head.weight)
    assert not torch.equal(first.head.weight, other.head.weight)
    # nn.Linear draws uniformly within 1 / sqrt(in_features).
    assert 0.99 * 8**-0.5 < first.head.weight.abs().max() <= 8**-0.5
    assert first.head.weight.std().item() == pytest.approx((8 * 3) ** -0.5, rel=0.05)


def test_heads_deep_in_a_network_and_alone():
    nested = nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 2)))
    assert replace_head(nested, 7, torch.ones(2, 2, 3))[1][1].out_features == 7
    assert nested[1][1].out_features == 2
    assert replace_head(nn.Linear(3, 2), 5, torch.ones(2, 3)).out_features == 5
    assert replace_head(Residual, 9, torch.ones(2, 3, 8, 8)).head.out_features == 9


def test_a_head_with_two_names_is_replaced_under_both():
    network = HeadFirst()
    network.alias = network.head
    changed = replace_head(network, 3, torch.ones(2, 4))
    assert changed.alias is changed.head
    assert changed(torch.ones(2, 4)).shape == (2, 3)


def test_rows_from_a_data_set_of_dicts():
    item = {"input_ids": torch.arange(5), "attention_mask": torch.ones(5, dtype=torch.int64)}

    class Items(torch.utils.data.Dataset):
        def __len__(self):
            return 4

        def __getitem__(self, i):
            return item | {"labels": torch.tensor(i)}

    assert replace_head(Words(), 6, Items()).head.out_features == 6


@pytest.mark.parametrize(
    ("network", "X", "message"),
    [
        (nn.Sequential(nn.Linear(3, 2), nn.Softmax(1)), torch.ones(2, 3), "'0', gives something"),
        (nn.Sequential(nn.Conv1d(1, 2, 3), nn.Flatten()), torch.ones(2, 1, 3), "none is called"),
        (TiedEmbedding(), torch.ones(2, 4, dtype=torch.int64), "'mix', gives something else"),
    ],
)
def test_a_network_whose_outputs_are_no_linear_is_refused(network, X, message):
    with pytest.raises(ValueError, match=message):
        replace_head(network, 4, X)


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
    assert set(gradients.methods.values()) == {"layer"}
    featurizer = JacobianFeaturizer(changed, parameters="all", outputs="each").fit(X)
    assert torch.count_nonzero(torch.as_tensor(featurizer.initial_outputs(X))) == 0
    jacobians = featurizer.transform(X)
    assert (jacobians[..., :24].abs().sum(dim=(1, 2)) > 0).all()  # of the first layer
    coef = torch.randn(jacobians.shape[2], dtype=torch.float64)
    products = torch.as_tensor(featurizer.apply_jacobian(X, coef))
    torch.testing.assert_close(products, jacobians @ coef)
