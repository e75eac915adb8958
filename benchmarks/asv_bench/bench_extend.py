"""asv: time and memory of extending a core by rows of a pool."""

import torch

from skdiva import DivaExtender
from skdiva.loo import ClassTargets, LogLoss, Problem, extend

N_CORE, K = 2_000, 10


def _data(n, p, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(n, p, generator=generator, dtype=dtype)
    truth = torch.randn(p, K, generator=generator, dtype=dtype)
    return features, (features @ truth).argmax(dim=1)


class Extend:
    """A whole extension, by batches that are and are not wider than one update takes."""

    params = [[64, 512], [50, 500]]
    param_names = ["p", "step"]

    def setup(self, p, _step):
        features, labels = _data(N_CORE + 20_000, p)
        targets = ClassTargets(labels, K)
        self.core = Problem(features[:N_CORE], ClassTargets(labels[:N_CORE], K), loss=LogLoss())
        self.pool = features[N_CORE:], targets.select(slice(N_CORE, None))

    def time_extend(self, _p, step):
        extend(self.core, 0.1 * N_CORE, self.pool, step=step, n_samples=500)

    def peakmem_extend(self, _p, step):
        extend(self.core, 0.1 * N_CORE, self.pool, step=step, n_samples=500)


class ScoreRows:
    """Scores of rows that come later, and their memory beside that of the rows."""

    params = [["float32", "float64"]]
    param_names = ["dtype"]

    def setup(self, dtype):
        features, labels = _data(N_CORE + 100_000, 256, getattr(torch, dtype))
        X, y = features.numpy(), labels.numpy()
        self.X, self.y = X[N_CORE:], y[N_CORE:]
        self.extender = DivaExtender(featurizer=None, alpha=0.1 * N_CORE)
        self.extender.fit(X[:N_CORE], y[:N_CORE])

    def time_score_rows(self, _):
        self.extender.score_rows(self.X, self.y)

    def peakmem_score_rows(self, _):
        self.extender.score_rows(self.X, self.y)
