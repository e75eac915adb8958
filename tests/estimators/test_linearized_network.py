"""The full linearization of a network, against linearized models retrained without every row."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call, jacrev, vmap

from skdiva import DivaOutlierDetector, DivaReweighter
from skdiva.features import JacobianFeaturizer

N, K, ALPHA = 14, 3, 0.6


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 9), nn.Tanh(), nn.Linear(9, K)).double()


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, 4))
    y = np.arange(N) % K
    return X, y, X[:, :K] ** 2 + rng.normal(size=(N, K))


def jacobians(network, X, names):
    """(n, k, p), parameters in the order of ``names``, from torch.func."""
    parameters = dict(network.named_parameters())

    def outputs(chosen, x):
        return functional_call(network, parameters | chosen, (x[None],))[0]

    chosen = {name: parameters[name] for name in names}
    parts = vmap(jacrev(outputs), (None, 0))(chosen, torch.from_numpy(X))
    return torch.cat([parts[name].flatten(2) for name in names], dim=2).detach()


def retrained(J, F0, targets, weight):
    """Predictions (n, k) of the linearized model trained without each row."""
    n, k, p = J.shape
    design = torch.cat([J, torch.eye(k, dtype=J.dtype).expand(n, k, k)], dim=2)
    penalty = torch.zeros(p + k, dtype=J.dtype)
    penalty[:p] = ALPHA
    out = []
    for row in range(n):
        kept = (weight * (torch.arange(n) != row)).repeat_interleave(k)
        Z, y = design.flatten(0, 1), (targets - F0).flatten()
        coef = torch.linalg.solve(Z.T @ (kept[:, None] * Z) + torch.diag(penalty), Z.T @ (kept * y))
        out.append(F0[row] + design[row] @ coef)
    return torch.stack(out)


NAMES = {"wide": ["0.weight", "0.bias", "2.weight", "2.bias"], "tall": ["2.weight"]}


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("loss", ["squared_error", "log_loss", "regression"])
def test_exact(names, loss, network, data):
    X, y, values = data
    names = NAMES[names]
    J = jacobians(network, X, names)
    F0 = network(torch.from_numpy(X)).detach()
    is_class = loss != "regression"
    targets = torch.eye(K, dtype=J.dtype)[torch.from_numpy(y)] if is_class else torch.tensor(values)

    def mean_loss(weight):
        predictions = retrained(J, F0, targets, weight)
        if loss == "log_loss":
            return nn.functional.cross_entropy(predictions, torch.from_numpy(y))
        return (predictions - targets).square().sum(dim=1).mean()

    weight = torch.ones(N, dtype=J.dtype, requires_grad=True)
    expected = mean_loss(weight)
    derivative = torch.autograd.grad(expected, weight)[0]
    featurizer = JacobianFeaturizer(network, parameters=names, outputs="each", dtype="float64")
    model = DivaReweighter(
        featurizer=featurizer, alpha=ALPHA, loss=loss if is_class else "auto", learning_rate=0.1
    ).fit(X, y if is_class else values)
    assert model.featurizer_.n_columns_ == J.shape[2]
    predictions = retrained(J, F0, targets, weight.detach()).numpy()
    np.testing.assert_allclose(model.loo_predictions_, predictions, rtol=1e-8, atol=1e-10)
    assert model.loo_loss_ == pytest.approx(float(expected.detach()), rel=1e-9)
    np.testing.assert_allclose(model.derivative_, derivative, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_new_rows(names, fit_intercept, network, data):
    """Predictions by the model's own coefficients, through one pass of the network."""
    X, y, _ = data
    names = NAMES[names]
    featurizer = JacobianFeaturizer(network, parameters=names, outputs="each", dtype="float64")
    detector = DivaOutlierDetector(featurizer=featurizer, fit_intercept=fit_intercept).fit(X, y)
    X_new = X + 0.1
    outputs = network(torch.from_numpy(X_new)).detach()
    J = jacobians(network, X_new, names)
    outputs = outputs.numpy() + J.numpy() @ detector.coef_ + detector.intercept_
    assert detector.coef_.shape == (J.shape[2],)
    predicted = detector.classes_[outputs.argmax(axis=1)]
    assert detector.score(X_new, predicted) == 1.0
    scores = detector.score_labels(X_new, y)
    assert scores.shape == (N,)
    assert np.all((scores >= 0) & (scores <= 1))
    # A row of the training set, left out, is predicted as it would be if it were new.
    weight = np.ones(N)
    weight[3] = 1e-9
    detector.fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(
        detector.score_labels(X[3:4], y[3:4]), detector.outlier_scores_[3:4], rtol=1e-5
    )


@pytest.mark.parametrize("names", NAMES)
def test_validation_rows(names, network, data):
    X, y, _ = data
    featurizer = JacobianFeaturizer(
        network, parameters=NAMES[names], outputs="each", dtype="float64"
    )
    detector = DivaOutlierDetector(criterion="derivative", featurizer=featurizer, alpha=ALPHA)
    metadata = {"X_val": X[:5] + 0.2, "y_val": y[:5]}
    detector.fit(X, y, **metadata)
    step, losses = 1e-4, []
    for sign in (-1, 1):
        # Weights are scaled to mean 1: take the penalty along.
        weight = np.ones(N)
        weight[2] += sign * step
        moved = DivaOutlierDetector(
            criterion="derivative", featurizer=featurizer, alpha=ALPHA / weight.mean()
        ).fit(X, y, sample_weight=weight, **metadata)
        losses.append(moved.loo_loss_)
    assert detector.derivative_[2] == pytest.approx((losses[1] - losses[0]) / (2 * step), rel=1e-5)


def test_other_outputs_than_classes(network, data):
    X, y, _ = data
    featurizer = JacobianFeaturizer(network, parameters="all", outputs="each")
    with pytest.raises(ValueError, match="replace_head"):
        DivaOutlierDetector(featurizer=featurizer).fit(X, y % 2)


def test_too_many_rows_for_memory():
    """Inner products of 2 TiB, of a network with more parameters than there are rows."""
    network = nn.Sequential(nn.Linear(4, 50_000), nn.Tanh(), nn.Linear(50_000, K)).double()
    X, y = np.random.default_rng(0).normal(size=(100_000, 4)), np.arange(100_000) % K
    featurizer = JacobianFeaturizer(network, parameters="all", outputs="each")
    with pytest.raises(MemoryError, match=r"inner products of 300000 rows, .* n_components"):
        DivaOutlierDetector(featurizer=featurizer).fit(X, y)
