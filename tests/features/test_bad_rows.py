"""Bad arguments of the featurizers, which are used without an estimator."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from scipy import sparse

from skdiva.features import JacobianFeaturizer, KernelFeaturizer
from tests.estimators.refusals import ONES, N, X, Y, masked, spoiled, with_object

SINGLE = X.astype(np.float32)
NETWORK = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3))
NOT_A_NUMBER = "Expected a number in column 2, got .* in row 1"
DATES = "Expected numbers in X, got dates, times or durations"
DENSE = "Expected a dense tensor that holds numbers as X"


def kernel(X=X, y=Y, **arguments):
    return KernelFeaturizer().fit(X, y, **arguments)


def jacobian(X=SINGLE, network=NETWORK, **parameters):
    return JacobianFeaturizer(network, **parameters).fit(X)


def spoiled_network():
    network = deepcopy(NETWORK)
    with torch.no_grad():
        network[0].weight[0, 0] = torch.nan
    return network


# name: (call, error, message)
CALLS = {
    "gamma of 0": (lambda: KernelFeaturizer(gamma=0).fit(X, Y), ValueError, "'gamma' parameter"),
    "NaN gamma": (lambda: KernelFeaturizer(gamma=np.nan).fit(X, Y), ValueError, "'gamma' param"),
    "no landmarks": (
        lambda: KernelFeaturizer(n_components=0).fit(X, Y),
        ValueError,
        "'n_components' parameter of KernelFeaturizer must be",
    ),
    "unknown kernel": (lambda: KernelFeaturizer("poly").fit(X, Y), ValueError, "'kernel' param"),
    "no y": (lambda: kernel(y=None), ValueError, "requires y to be passed"),
    "NaN in y": (lambda: kernel(y=spoiled(Y, np.nan)), ValueError, "Input y contains NaN.*row 3"),
    "masked y": (lambda: kernel(y=masked(Y)), ValueError, "Input y contains NaN.*row 5"),
    "short y": (lambda: kernel(y=Y[1:]), ValueError, "inconsistent numbers of samples"),
    "NaN in groups": (
        lambda: kernel(groups=spoiled(ONES, np.nan)),
        ValueError,
        "Input groups contains NaN, first in row 3",
    ),
    "short groups": (
        lambda: kernel(groups=ONES[1:]),
        ValueError,
        "groups must hold one label per row of X: expected 40, got 39",
    ),
    "mixed groups": (lambda: kernel(groups=[1, "a"] * 20), ValueError, "one type in groups, got"),
    "one group": (lambda: kernel(groups=ONES), ValueError, "two groups"),
    "negative weight": (
        lambda: kernel(sample_weight=spoiled(ONES, -1)),
        ValueError,
        "Negative values in data passed to `sample_weight`.*in row 3",
    ),
    "no weight": (lambda: kernel(sample_weight=0 * ONES), ValueError, "zero for all rows"),
    "dates": (lambda: kernel(X.astype("datetime64[D]")), ValueError, DATES),
    "date": (lambda: kernel(with_object(np.datetime64("2000"))), TypeError, NOT_A_NUMBER),
    "digits": (lambda: kernel(with_object("1")), ValueError, NOT_A_NUMBER),
    "sparse": (lambda: kernel(sparse.csr_array(X)), TypeError, "Sparse data|sparse"),
    "sparse tensor": (lambda: kernel(torch.tensor(X).to_sparse()), TypeError, DENSE),
    "new columns": (lambda: kernel().transform(X[:, 1:]), ValueError, "X has 5 features"),
    "new infinity": (
        lambda: kernel().transform(spoiled(X, np.inf)),
        ValueError,
        "Input X contains infinity.*column 3, row 0",
    ),
    "network: NaN": (lambda: jacobian(spoiled(SINGLE, np.nan)), ValueError, "contains NaN"),
    "network: masked": (lambda: jacobian(masked(SINGLE)), ValueError, "Input X contains NaN"),
    "network: dates": (lambda: jacobian(X.astype("datetime64[D]")), ValueError, DATES),
    "network: complex": (lambda: jacobian(X + 1j), ValueError, "Complex data not supported"),
    "network: complex tensor": (
        lambda: jacobian(torch.tensor(X + 1j)),
        ValueError,
        "expected a tensor of real numbers; got torch.complex128. Convert it",
    ),
    "network: object": (lambda: jacobian(with_object(1j)), TypeError, NOT_A_NUMBER),
    "network: digits": (lambda: jacobian(with_object("1")), ValueError, NOT_A_NUMBER),
    "network: sparse tensor": (
        lambda: jacobian(torch.tensor(SINGLE).to_sparse()),
        TypeError,
        DENSE,
    ),
    "network: meta": (lambda: jacobian(torch.zeros(N, 6, device="meta")), TypeError, DENSE),
    "network: one row": (lambda: jacobian(SINGLE[:1]), ValueError, "minimum of 2 is required"),
    "network: generator": (lambda: jacobian(iter(SINGLE)), ValueError, "Expected 2D array, got s"),
    "network: none": (lambda: jacobian(network=None), ValueError, "'backbone' parameter"),
    "network: its name": (lambda: jacobian(network="resnet"), ValueError, "'backbone' parameter"),
    "network: NaN weights": (
        lambda: jacobian(network=spoiled_network()).transform(SINGLE),
        ValueError,
        "a network that computes finite numbers; got NaN or infinity",
    ),
    "network: no components": (
        lambda: jacobian(n_components=0),
        ValueError,
        "'n_components' parameter of JacobianFeaturizer must be",
    ),
    "network: new NaN": (
        lambda: jacobian().transform(spoiled(SINGLE, np.nan)),
        ValueError,
        "contains NaN",
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_call(name):
    call, error, message = CALLS[name]
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("scale", [1e-300, 1e307])
def test_the_scale_of_weights_does_not_matter(scale):
    weight = 1.0 + np.arange(N) % 3
    expected, actual = kernel(sample_weight=weight), kernel(sample_weight=scale * weight)
    assert actual.kernel_ == expected.kernel_
    np.testing.assert_allclose(actual.transform(X), expected.transform(X), rtol=1e-9, atol=1e-9)
