"""Classes of which some rows have wrong labels, and noise models for them."""

import torch
from torch.nn.functional import one_hot

from skdiva.loo import (
    ClassTargets,
    LogLoss,
    Problem,
    brute_force_derivative,
    brute_force_loo,
    fit_noise_model,
)
from skdiva.loo.noise import LabelPosterior

ALPHA = 1.0


class LabeledData:
    """Classes that lie apart, some of them with wrong labels, and the calls made with them."""

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

    def problem(self, kind=Problem, **options):
        groups = None if self.groups is None else self.groups.to(self.labels.device)
        return kind(
            self.features,
            ClassTargets(self.labels, self.k),
            loss=LogLoss(),
            groups=groups,
            validation_weight=self.weight,
            **options,
        )

    def arguments(self, **options):
        return self.problem(**options), self.weight, ALPHA, self.labels

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
        """Derivative of the weighted log loss, by refits."""
        share = self.weight.cpu() / self.weight.sum().cpu()
        outputs = self.refits(weight)
        gradient = share[:, None] * (torch.softmax(outputs, dim=1) - self.values)
        return brute_force_derivative(
            self.features.cpu(), self.values, weight, ALPHA, gradient, groups=self.groups
        )


class FixedPosterior(LabelPosterior):
    """Labels that are wrong with given probabilities, and then of any other class."""

    def __init__(self, wrong):
        self.wrong = wrong.double()

    def class_probabilities(self, outputs, labels, *, hedged=True):
        assert not hedged, "hedged probabilities take weight from clean rows too"
        n, k = outputs.shape
        others = (self.wrong / (k - 1))[:, None].expand(n, k)
        return others.scatter(1, labels[:, None], 1 - self.wrong[:, None])


class FixedNoise:
    """A noise model of a few lines: it knows how likely every label is wrong.

    ``fitted`` holds the arguments of every fit.
    """

    def __init__(self, *wrong):
        self.wrong, self.fitted = list(wrong), []

    def fit(self, outputs, labels, sample_weight=None):
        self.fitted.append((outputs, labels, sample_weight))
        return FixedPosterior(self.wrong[min(len(self.fitted), len(self.wrong)) - 1])
