"""Curated weights and learned ones: by hand, by refits, and what they do to wrong labels."""

import pytest
import torch
from torch.nn.functional import one_hot

from skdiva.loo import (
    ClassTargets,
    LogLoss,
    Problem,
    brute_force_derivative,
    brute_force_loo,
    curate,
    descend,
    fit_noise_model,
    learn_weights,
)
from skdiva.loo.weights import _curation as curation
from skdiva.loo.weights._descent import CLASS_FLOOR
from tests.tolerances import assert_close

ALPHA = 1.0


class Labelled:
    """Classes that lie apart, some of them given wrong labels, and the calls made with them."""

    def __init__(self, n=90, k=3, wrong=12, spread=0.4, device="cpu", grouped=False, seed=0):
        draw = torch.Generator().manual_seed(seed)
        normal = [torch.randn(n, 4, generator=draw, dtype=torch.float64) for _ in range(2)]
        self.truth = torch.arange(n) % k
        self.features = (3 * one_hot(self.truth, 4) + spread * normal[0]).to(device)
        self.labels = self.truth.clone()
        self.labels[:wrong] = (self.labels[:wrong] + 1 + torch.arange(wrong) % (k - 1)) % k
        self.weight = 0.5 + torch.rand(n, generator=draw, dtype=torch.float64).to(device)
        self.values = one_hot(self.labels, k).double()
        self.labels = self.labels.to(device)
        self.groups = torch.arange(n) // 2 % (n // 3) if grouped else None
        self.k, self.wrong = k, wrong

    def problem(self, **options):
        groups = None if self.groups is None else self.groups.to(self.features.device)
        return Problem(
            self.features,
            ClassTargets(self.labels, self.k),
            loss=LogLoss(),
            groups=groups,
            validation_weight=self.weight,
            **options,
        )

    def arguments(self):
        return self.problem(), self.weight, ALPHA, self.labels

    def refits(self, weight):
        """Leave-one-out outputs at the weights."""
        return brute_force_loo(
            self.features.cpu(), self.values, weight.cpu(), ALPHA, groups=self.groups
        )

    def trust(self, outputs):
        """One minus the probability that a label is wrong, its own class looked up by hand."""
        labels, outputs = self.labels.cpu(), outputs.cpu()
        noise = fit_noise_model(outputs, labels, self.weight.cpu())
        p = torch.softmax(noise.sharpness * (outputs - noise.offset), dim=1)
        joint = torch.stack([p[i] * noise.transition[:, y] for i, y in enumerate(labels)])
        return torch.stack([joint[i, y] / joint[i].sum() for i, y in enumerate(labels)])

    def derivative(self, weight):
        """Of the weighted log loss, by refits."""
        judges = self.weight.cpu() / self.weight.sum().cpu()
        outputs = self.refits(weight)
        gradient = judges[:, None] * (torch.softmax(outputs, dim=1) - self.values)
        return brute_force_derivative(
            self.features.cpu(), self.values, weight, ALPHA, gradient, groups=self.groups
        )


@pytest.mark.parametrize("spread", [0.4, 1.2])
@pytest.mark.parametrize("grouped", [False, True])
def test_curation_is_that_of_refits(grouped, spread, device):
    data = Labelled(grouped=grouped, spread=spread, device=device)
    found = curate(*data.arguments())
    start = data.refits(data.weight)
    assert_close(found.start.loo_predictions, start, 1e-9)
    assert found.start.derivative is not None
    factor = data.trust(start)
    assert factor[: data.wrong].mean() < 0.6 < factor[data.wrong :].mean()
    assert_close(found.factor, factor, 1e-7)
    outputs = data.refits(data.weight.cpu() * factor)
    assert_close(found.final.loo_predictions, outputs, 1e-7)
    assert found.final.derivative is None
    noise = fit_noise_model(outputs, data.labels.cpu(), data.weight.cpu())
    assert_close(found.noise.transition, noise.transition, 1e-6)
    assert found.noise.sharpness == noise.sharpness


def test_the_noise_model_is_fitted_anew():
    data = Labelled(wrong=18, spread=0.8)
    found = curate(*data.arguments())
    first = fit_noise_model(found.start.loo_predictions, data.labels, data.weight)
    assert not torch.allclose(found.noise.transition, first.transition, rtol=1e-3)


@pytest.mark.parametrize("max_iter", [1, 2, 3])
def test_learned_weights_are_trust_squared_times_a_step(max_iter, device):
    data = Labelled(spread=0.9, device=device)
    seen = []
    learned = learn_weights(
        *data.arguments(), max_iter=max_iter, on_step=lambda *told: seen.append(told)
    )
    start = data.weight.cpu()
    trust = data.trust(data.refits(start * data.trust(data.refits(start))))
    trusted = start * trust.square()
    trusted = trusted / trusted.mean()
    step = torch.ones_like(start)
    if max_iter > 1:
        rate = float((1 - trust) @ start / start.sum())
        assert 0 < rate < 0.2, "choose another case: this step is the largest"
        slope = data.derivative(trusted)
        scale = (trusted * slope.abs()).sum() / trusted.sum()
        step = (1 - 0.5 * rate / 0.2 * slope / scale).clamp(0, 2)
    expected = start * trust.square() * step
    assert_close(learned.factor, trust.square() * step, 1e-6)
    assert_close(learned.sample_weight, expected / expected.mean(), 1e-6)
    assert learned.sample_weight.mean().item() == pytest.approx(1)
    assert learned.n_iter == learned.n_steps == min(max_iter, 2)
    assert seen == list(enumerate(learned.loss_path))
    assert len(seen) == learned.n_steps + 1
    assert learned.final.loss == learned.loss_path[-1] < learned.loss_path[0]
    assert_close(learned.start.loo_predictions, data.refits(start), 1e-9)


def test_more_noise_than_a_fifth_takes_the_largest_step():
    data = Labelled(n=150, wrong=60)
    learned = learn_weights(*data.arguments())
    trust = learn_weights(*data.arguments(), max_iter=1)
    step = learned.factor / trust.factor
    held = trust.sample_weight > 0.5
    slope = data.derivative(trust.sample_weight)
    scale = (trust.sample_weight * slope.abs()).sum() / trust.sample_weight.sum()
    assert_close(step[held], (1 - 0.5 * slope / scale).clamp(0, 2)[held], 1e-6)


def test_clean_labels_keep_their_weight():
    data = Labelled(wrong=0, spread=0.2)
    seen = []
    learned = learn_weights(*data.arguments(), on_step=lambda *told: seen.append(told))
    assert (learned.factor == 1).all()
    assert_close(learned.sample_weight, data.weight / data.weight.mean(), 1e-12)
    assert (learned.n_iter, learned.n_steps) == (2, 0)
    assert seen == [(0, learned.start.loss)]
    assert learned.loss_path == [learned.start.loss]
    assert learned.final is learned.start


@pytest.mark.parametrize("seed", range(4))
def test_wrong_labels_lose_their_weight(seed):
    data = Labelled(n=200, wrong=40, seed=seed)
    factor = curate(*data.arguments()).factor
    assert factor.min() >= 0
    assert factor.max() <= 1
    assert factor[:40].mean() < 0.1
    assert factor[40:].mean() > 0.9
    weight = learn_weights(*data.arguments()).sample_weight
    assert weight[:40].mean() < 0.02
    assert weight[40:].mean() > 1.2


class Distrust:
    """A noise model that takes the labels of some rows for wrong beyond doubt."""

    def __init__(self, wrong):
        self.wrong = wrong

    def wrong_probability(self, _outputs, _labels, *, hedged):
        assert not hedged, "hedged probabilities take weight from clean rows too"
        return self.wrong.double()


def test_a_class_that_nobody_trusts_keeps_its_floor(monkeypatch):
    data = Labelled(n=30, wrong=0)
    own = data.labels == 1
    monkeypatch.setattr(curation, "fit_noise_model", lambda *_: Distrust(own))
    factor = curate(*data.arguments()).factor
    assert (factor[own] == CLASS_FLOOR).all()
    assert (factor[~own] == 1).all()
    assert_close(learn_weights(*data.arguments(), max_iter=1).factor, factor)


def test_nothing_is_taken_where_one_group_would_be_left(monkeypatch):
    data = Labelled(n=12, wrong=0, grouped=True)
    data.groups = torch.arange(12) // 6
    monkeypatch.setattr(curation, "fit_noise_model", lambda *_: Distrust(data.groups == 1))
    assert (curate(*data.arguments()).factor == 1).all()


def test_rows_of_a_source_share_the_mean_of_their_trust():
    data = Labelled(n=120, wrong=12)
    sources = torch.arange(120) // 20
    shared = curate(*data.arguments(), ties=sources).factor
    single = curate(*data.arguments()).factor
    for source in range(6):
        rows = sources == source
        mean = (single * data.weight)[rows].sum() / data.weight[rows].sum()
        assert_close(shared[rows], mean.expand(20))
    assert shared[0] < 0.6 < 0.9 < shared[-1]


def test_the_step_is_told_of_the_classes(monkeypatch):
    """So that it leaves each of them some weight, as `descend` does."""
    data, told = Labelled(), []

    def spy(*arguments, classes, **options):
        told.append(classes)
        return descend(*arguments, classes=classes, **options)

    monkeypatch.setattr(curation, "descend", spy)
    learn_weights(*data.arguments())
    assert told == [data.labels]
