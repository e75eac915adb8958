"""Bad arguments of the core: tensors of another kind, shape or range."""

import numpy as np
import pytest
import torch

from skdiva.loo import (
    ClassTargets,
    LogLoss,
    Problem,
    SquaredError,
    ValueTargets,
    brute_force_loo,
    choose_penalty,
    descend,
    evaluate,
    expected_f1_threshold,
    extend,
    fit_noise_model,
    fit_ridge,
)

N, P, K = 20, 4, 3
F = torch.randn(N, P, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LABELS = torch.arange(N) % K
T = ClassTargets(LABELS, K)
W = torch.ones(N, dtype=torch.float64)
NAN, INF = float("nan"), float("inf")


def problem(features=F, targets=T, loss=None, **arguments):
    return Problem(features, targets, loss=loss or SquaredError(), **arguments)


def spoiled(tensor, value):
    tensor = tensor.clone()
    tensor.view(-1)[3] = value
    return tensor


FINITE = "Expected finite numbers as {}, got NaN or infinity in row {}. Impute"
WEIGHT = "Expected finite weights that are not negative as {}, got {} in row 3. Use 0"
FEATURES = r"Expected features as a floating tensor of shape \(n, p\)"
# name: (call, error, message)
CALLS = {
    # features
    "NaN": (lambda: problem(spoiled(F, NAN)), ValueError, FINITE.format("features", 0)),
    "infinity": (lambda: problem(spoiled(F, INF)), ValueError, FINITE.format("features", 0)),
    "integers": (lambda: problem(F.long()), TypeError, FEATURES),
    "complex": (lambda: problem(F + 0j), TypeError, FEATURES),
    "NumPy": (lambda: problem(F.numpy()), TypeError, FEATURES + ".*got ndarray"),
    "one column": (lambda: problem(F[:, 0]), TypeError, FEATURES),
    "sparse": (lambda: problem(F.to_sparse()), TypeError, FEATURES + ".*sparse_coo"),
    "meta": (lambda: problem(F.to("meta")), TypeError, FEATURES + ".*on meta"),
    "half": (lambda: problem(F.half()), TypeError, "float32 or float64, got torch.float16"),
    # targets
    "codes too large": (
        lambda: problem(targets=ClassTargets(LABELS, 2)),
        ValueError,
        "labels as codes from 0 to 1, got codes from 0 to 2. Number the classes",
    ),
    "negative codes": (
        lambda: problem(targets=ClassTargets(LABELS - 1, K)),
        ValueError,
        "labels as codes from 0 to 2, got codes from -1 to 1. Number the classes",
    ),
    "float codes": (lambda: ClassTargets(LABELS.double(), K), TypeError, "of int64 codes"),
    "NumPy codes": (lambda: ClassTargets(LABELS.numpy(), K), TypeError, "got ndarray"),
    "two columns of codes": (
        lambda: ClassTargets(LABELS[:, None], K),
        TypeError,
        r"with 1 dimension\(s\), got one of shape \(20, 1\)",
    ),
    "one dimension of values": (
        lambda: ValueTargets(F[:, 0]),
        TypeError,
        r"Expected values as a dense tensor of numbers with 2 dimension\(s\)",
    ),
    "complex values": (lambda: ValueTargets(F + 0j), TypeError, "got one of .*complex128"),
    "NaN values": (
        lambda: problem(targets=ValueTargets(spoiled(F, NAN))),
        ValueError,
        FINITE.format("values of the targets", 0),
    ),
    "NaN initial outputs": (
        lambda: problem(targets=ClassTargets(LABELS, K, spoiled(F[:, :K].contiguous(), NAN))),
        ValueError,
        FINITE.format("initial_outputs", 1),
    ),
    "columns of initial outputs": (
        lambda: ClassTargets(LABELS, K, F[:, :2]),
        ValueError,
        r"Expected initial_outputs of shape \(20, 3\), got \(20, 2\)",
    ),
    "rows of initial outputs": (
        lambda: ValueTargets(F, F[1:]),
        ValueError,
        r"Expected initial_outputs of shape \(20, 4\), got \(19, 4\)",
    ),
    "number of targets": (
        lambda: problem(targets=ClassTargets(LABELS[1:], K)),
        ValueError,
        "one target for each of the 20 rows",
    ),
    "class of a loss": (
        lambda: problem(loss=LogLoss),
        TypeError,
        r"got the class LogLoss. Pass an instance, LogLoss\(\)",
    ),
    # weights and groups
    "NaN weight": (
        lambda: evaluate(problem(), spoiled(W, NAN), 1.0),
        ValueError,
        WEIGHT.format("sample_weight", "nan"),
    ),
    "negative weight": (
        lambda: evaluate(problem(), spoiled(W, -1), 1.0),
        ValueError,
        WEIGHT.format("sample_weight", "-1.0"),
    ),
    "infinite weight": (
        lambda: choose_penalty(problem(), spoiled(W, INF)),
        ValueError,
        WEIGHT.format("sample_weight", "inf"),
    ),
    "short weight": (
        lambda: evaluate(problem(), W[1:], 1.0),
        ValueError,
        r"one sample_weight for each of the 20 rows, got shape \(19,\)",
    ),
    "column of weights": (
        lambda: fit_ridge(problem(), W[:, None], 1.0),
        ValueError,
        r"one sample_weight for each of the 20 rows, got shape \(20, 1\)",
    ),
    "NumPy weight": (
        lambda: evaluate(problem(), W.numpy(), 1.0),
        TypeError,
        r"sample_weight as a dense tensor of shape \(20,\), got a ndarray",
    ),
    "meta weight": (lambda: evaluate(problem(), W.to("meta"), 1.0), ValueError, "on meta"),
    "NaN validation weight": (
        lambda: problem(validation_weight=spoiled(W, NAN)),
        ValueError,
        WEIGHT.format("validation_weight", "nan"),
    ),
    "negative validation weight": (
        lambda: problem().replace(validation_weight=spoiled(W, -1)),
        ValueError,
        WEIGHT.format("validation_weight", "-1.0"),
    ),
    "no validation weight": (
        lambda: problem(validation_weight=0 * W),
        ValueError,
        "validation_weight is zero for all rows, so that there is no loss",
    ),
    "float groups": (lambda: problem(groups=W), TypeError, "int64 tensor of codes, got torch.fl"),
    "NumPy groups": (lambda: problem(groups=LABELS.numpy()), TypeError, "codes, got ndarray"),
    "short groups": (
        lambda: problem(groups=LABELS[1:]),
        ValueError,
        r"for each of the 20 rows in groups, got shape \(19,\)",
    ),
    "negative groups": (
        lambda: problem(groups=LABELS - 1),
        ValueError,
        r"not negative .* in groups, got shape \(20,\) and the code -1. Number the groups",
    ),
    # the penalty
    "zero alpha": (lambda: evaluate(problem(), W, 0.0), ValueError, "alpha as a positive, finite"),
    "negative alpha": (lambda: evaluate(problem(), W, -1.0), ValueError, "got -1.0"),
    "NaN alpha": (lambda: evaluate(problem(), W, NAN), ValueError, "got nan"),
    "infinite alpha": (lambda: extend(problem(), INF, (F, T)), ValueError, "got inf"),
    "text as alpha": (lambda: evaluate(problem(), W, "auto"), TypeError, "got 'auto'"),
    "no alpha": (lambda: evaluate(problem(), W, None), TypeError, "Use choose_penalty"),
    # a validation set and a pool
    "columns of a validation set": (
        lambda: problem(validation=(F[:, 1:], T)),
        ValueError,
        r"validation features of shape \(20, 4\), got \(20, 3\)",
    ),
    "rows of a validation set": (
        lambda: problem().replace(validation=(F[1:], T)),
        ValueError,
        r"validation features of shape \(20, 4\), got \(19, 4\)",
    ),
    "NaN in a validation set": (
        lambda: problem(validation=(spoiled(F, NAN), T)),
        ValueError,
        FINITE.format("features", 0),
    ),
    "outputs of a validation set": (
        lambda: problem(validation=(F, ClassTargets(LABELS, 4))),
        ValueError,
        "validation set with 3 outputs and at least one row, got 4 outputs",
    ),
    "empty validation set": (
        lambda: problem(validation=(F[:0], ClassTargets(LABELS[:0], K))),
        ValueError,
        "at least one row, got 3 outputs and 0 rows",
    ),
    "NaN in a pool": (
        lambda: extend(problem(), 1.0, (spoiled(F, NAN), T)),
        ValueError,
        FINITE.format("features", 0),
    ),
    "codes of a pool": (
        lambda: extend(problem(), 1.0, (F, ClassTargets(LABELS + 1, K))),
        ValueError,
        "codes from 0 to 2, got codes from 1 to 3",
    ),
    # other functions
    "NaN step": (
        lambda: descend(problem(), W, 1.0, learning_rate=NAN),
        ValueError,
        "learning_rate must be a positive, finite number, got nan",
    ),
    "negative step": (
        lambda: descend(problem(), W, 1.0, learning_rate=-1.0),
        ValueError,
        "learning_rate must be a positive, finite number, got -1.0",
    ),
    "NaN outputs of a noise model": (
        lambda: fit_noise_model(spoiled(F[:, :K].contiguous(), NAN), LABELS),
        ValueError,
        FINITE.format("outputs", 1),
    ),
    "labels of a noise model": (
        lambda: fit_noise_model(F[:, :2], LABELS),
        ValueError,
        "codes from 0 to 1, got codes from 0 to 2",
    ),
    "weight of a noise model": (
        lambda: fit_noise_model(F[:, :K], LABELS, spoiled(W, -1)),
        ValueError,
        WEIGHT.format("sample_weight", "-1.0"),
    ),
    "NaN probability": (
        lambda: expected_f1_threshold(spoiled(W, NAN)),
        ValueError,
        "Expected probabilities from 0 to 1, got numbers from nan to nan",
    ),
    "large probability": (
        lambda: expected_f1_threshold(spoiled(W, 7)),
        ValueError,
        "Expected probabilities from 0 to 1, got numbers from 1 to 7",
    ),
    "NaN in the reference": (
        lambda: brute_force_loo(spoiled(F, NAN), F, W, 1.0),
        ValueError,
        FINITE.format("features", 0),
    ),
    "alpha of the reference": (
        lambda: brute_force_loo(F, F, W, -1.0),
        ValueError,
        "a positive, finite alpha, got 20 rows of values and alpha=-1.0",
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_call(name):
    call, error, message = CALLS[name]
    with pytest.raises(error, match=message):
        call()


def test_graphs_are_left_behind():
    expected = evaluate(problem(), W, 1.0)
    for features, weight in ((F.clone().requires_grad_(), W), (F, W.clone().requires_grad_())):
        result = evaluate(problem(features), weight, torch.tensor(1.0))
        assert not result.derivative.requires_grad
        torch.testing.assert_close(result.derivative, expected.derivative, rtol=0, atol=0)


def test_large_features_are_finite():
    """Their sum overflows, and they are looked at one by one."""
    large = torch.full((4, 2), 3e38)
    assert torch.isinf(large.sum())
    assert problem(large, ClassTargets(LABELS[:4], K)).n_rows == 4


def test_numbers_of_any_kind_are_accepted():
    expected = evaluate(problem(), W, 1.0).loss
    for weight in (W.float(), W.long(), W.bool()):
        assert evaluate(problem(), weight, np.float64(1)).loss == pytest.approx(expected)
