"""asv: time and memory of the core and of the estimators."""

import torch

from skdiva import DivaOutlierDetector
from skdiva.loo import ClassTargets, LogLoss, Problem, choose_penalty, evaluate


def _data(n, p, k):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(n, p, generator=generator)
    truth = torch.randn(p, k, generator=generator)
    return features, (features @ truth).argmax(dim=1)


class Derivative:
    """Loss and all derivatives at a fixed penalty: tall, square and wide."""

    params = [[(20_000, 256, 10), (2_000, 1_024, 20), (1_000, 5_000, 5)]]
    param_names = ["n, p, k"]

    def setup(self, shape):
        features, labels = _data(*shape)
        self.weight = torch.ones(shape[0])
        self.alpha = 0.1 * shape[0]
        self.problem = Problem(features, ClassTargets(labels, shape[2]), loss=LogLoss())

    def time_evaluate(self, _):
        evaluate(self.problem, self.weight, self.alpha)

    def time_choose_penalty(self, _):
        choose_penalty(self.problem, self.weight)

    def peakmem_evaluate(self, _):
        evaluate(self.problem, self.weight, self.alpha)


class Groups:
    """Leave-one-group-out: pairs, and groups longer than there are features."""

    params = [2, 200]
    param_names = ["group size"]

    def setup(self, size):
        n, p, k = 20_000, 128, 5
        features, labels = _data(n, p, k)
        groups = torch.arange(n) // size
        self.weight = torch.ones(n)
        self.problem = Problem(features, ClassTargets(labels, k), loss=LogLoss(), groups=groups)

    def time_evaluate(self, _):
        evaluate(self.problem, self.weight, 2_000.0)


class Detector:
    """Fit and predict as users call it, everything automatic."""

    def setup(self):
        features, labels = _data(20_000, 64, 10)
        self.X, self.y = features.numpy(), labels.numpy()

    def time_fit_predict(self):
        DivaOutlierDetector().fit_predict(self.X, self.y)

    def peakmem_fit_predict(self):
        DivaOutlierDetector().fit_predict(self.X, self.y)
