"""Losses of users: what they return is checked, and what they change is not ours."""

import numpy as np
import pytest
import torch

from skdiva import DivaExtender, DivaOutlierDetector, DivaReweighter
from skdiva.loo import LogLoss
from tests.estimators.data import same_fit
from tests.estimators.refusals import X, Y, fails


class UserLoss:
    """Squared error, one method of which may be replaced."""

    def __init__(self, value=None, derivative=None):
        self._value = value or (lambda f, t: (f - t).square().sum(1))
        self._derivative = derivative or (lambda f, t: 2 * (f - t))

    def value(self, predictions, targets):
        return self._value(predictions, targets)

    def derivative(self, predictions, targets):
        return self._derivative(predictions, targets)


KIND = "must return a dense tensor of float32 or float64, got {}.*functions of torch"
ONE_LOSS = r"UserLoss.value must return one loss per row, shape \(40,\) on cpu; got"
FINITE = "UserLoss.{} must return finite numbers, got .*for the predictions .* Limit the loss"
# name: (value, derivative, error, message)
RESULTS = {
    "NaN": (lambda f, _: f[:, 0] * np.nan, None, ValueError, FINITE.format("value")),
    "infinity": (lambda f, _: f[:, 0] / 0, None, ValueError, FINITE.format("value")),
    "NaN in one row": (
        lambda f, _: torch.where(torch.arange(len(f)) == 7, np.nan, f[:, 0]),
        None,
        ValueError,
        FINITE.format("value"),
    ),
    "NaN derivative": (None, lambda f, _: f * np.nan, ValueError, FINITE.format("derivative")),
    "NumPy": (lambda f, t: (f - t)[:, 0].numpy(), None, TypeError, KIND.format("ndarray")),
    "NumPy derivative": (None, lambda f, t: (f - t).numpy(), TypeError, KIND.format("ndarray")),
    "list": (lambda f, _: [0.0] * len(f), None, TypeError, KIND.format("list")),
    "None": (lambda *_: None, None, TypeError, KIND.format("NoneType")),
    "number": (lambda *_: 1.0, None, TypeError, KIND.format("float")),
    "integers": (lambda f, _: f[:, 0].long(), None, TypeError, KIND.format(".torch.int64")),
    "half": (None, lambda f, t: (f - t).half(), TypeError, KIND.format(".torch.float16")),
    "complex": (lambda f, _: f[:, 0] + 0j, None, TypeError, KIND.format(".torch.complex128")),
    "sparse": (None, lambda f, _: f.to_sparse(), TypeError, KIND.format(".*sparse_coo")),
    "mean": (lambda f, _: f.mean(), None, ValueError, ONE_LOSS),
    "loss per output": (lambda f, t: (f - t).square(), None, ValueError, ONE_LOSS),
    "sum over outputs": (
        None,
        lambda f, t: (f - t).sum(1),
        ValueError,
        r"UserLoss.derivative must return one number per row and output, shape \(40, 3\) on cpu",
    ),
    "other device": (lambda f, _: f[:, 0].to("meta"), None, ValueError, ONE_LOSS + ".* on meta"),
}


@pytest.mark.parametrize("name", RESULTS)
def test_result(name):
    value, derivative, error, message = RESULTS[name]
    loss = UserLoss(value, derivative)
    fails(DivaOutlierDetector(criterion="derivative", loss=loss), {}, error, message)


@pytest.mark.parametrize(
    ("estimator", "arguments"),
    [
        (DivaReweighter(), {}),
        (DivaReweighter(), {"sources": Y}),
        (DivaReweighter(), {"X_val": X, "y_val": Y}),
        (DivaExtender(), {"X_pool": X, "y_pool": Y}),
        (DivaExtender(evaluate_on="all"), {"X_pool": X, "y_pool": Y}),
        (DivaOutlierDetector(criterion="derivative"), {"groups": np.arange(40) // 2}),
    ],
)
def test_every_way_to_the_loss_is_checked(estimator, arguments):
    loss = UserLoss(None, lambda f, _: f * np.nan)
    fails(estimator.set_params(loss=loss), arguments, ValueError, FINITE.format("derivative"))


@pytest.mark.parametrize("estimator", [DivaReweighter, DivaOutlierDetector, DivaExtender])
def test_a_class_is_not_a_loss(estimator):
    message = r"got the class LogLoss. Pass an instance, LogLoss\(\)"
    fails(estimator(loss=LogLoss), {}, TypeError, message)


IN_PLACE = {
    "predictions": UserLoss(
        lambda f, t: f.sub_(t).square_().sum(1), lambda f, t: f.sub_(t).mul_(2)
    ),
    "targets": UserLoss(lambda f, t: t.sub_(f).square_().sum(1), lambda f, t: t.sub_(f).mul_(-2)),
    "with a graph": UserLoss(
        lambda f, t: (f.requires_grad_() - t).square().sum(1),
        lambda f, t: 2 * (f.requires_grad_() - t),
    ),
    "by autograd": UserLoss(
        None,
        lambda f, t: torch.autograd.grad((f.requires_grad_() - t).square().sum(), f)[0],
    ),
}


@pytest.mark.parametrize("name", IN_PLACE)
@pytest.mark.parametrize("estimator", [DivaReweighter, DivaOutlierDetector])
def test_a_loss_may_write_to_what_it_gets(estimator, name):
    y = X[:, :2] + np.sin(X[:, 2:4])
    parameters = {"task": "regression", "featurizer": None}
    expected = estimator(loss="squared_error", **parameters).fit(X, y)
    given = y.copy()
    same_fit(estimator(loss=IN_PLACE[name], **parameters).fit(X, given), expected)
    np.testing.assert_array_equal(given, y)


def test_a_pool_is_evaluated_by_a_loss_that_writes():
    arguments = {"X_pool": X + 0.1, "y_pool": np.roll(Y, 1)}
    for evaluate_on in ("core", "all"):
        parameters = {"evaluate_on": evaluate_on, "featurizer": None}
        expected = DivaExtender(loss="squared_error", **parameters).fit(X, Y, **arguments)
        actual = DivaExtender(loss=IN_PLACE["targets"], **parameters).fit(X, Y, **arguments)
        np.testing.assert_array_equal(actual.ranking_, expected.ranking_)
        np.testing.assert_allclose(actual.loo_loss_path_, expected.loo_loss_path_, rtol=1e-12)
