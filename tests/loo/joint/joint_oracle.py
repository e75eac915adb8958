"""Linearized models with shared coefficients, refitted for every sample left out."""

import torch

from skdiva.loo import (
    Budget,
    ClassTargets,
    JointGram,
    JointProblem,
    LogLoss,
    SquaredError,
    ValueTargets,
)

LOSSES = {"log_loss": LogLoss, "squared_error": SquaredError}


class JointData:
    """A small joint problem and its answers by refits, differentiable by autograd (float64)."""

    def __init__(
        self, n, k, p, *, loss="log_loss", fit_intercept=True, grouped=False, zeros=False, seed=0,
        n_val=0, device="cpu",
    ):  # fmt: skip
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape):
            return torch.randn(*shape, generator=generator, dtype=torch.float64)

        means, coef = 3 * normal(k, p), normal(p)
        self.features, self.features_val = normal(n, k, p) + means, normal(n_val, k, p) + means
        self.initial = normal(n, k)
        self.labels = torch.randint(k, (n,), generator=generator)
        self.values = self.features @ coef + normal(n, k) + 5
        self.weight = torch.rand(n, generator=generator, dtype=torch.float64) + 0.2
        self.validation_weight = torch.rand(n, generator=generator, dtype=torch.float64) + 0.5
        if zeros:
            self.weight[::4] = 0
        self.groups = torch.arange(n) // 3 if grouped else None
        if grouped:  # in no order
            self.groups = self.groups[torch.randperm(n, generator=generator)]
        self.alpha, self.loss, self.fit_intercept = 0.7, LOSSES[loss](), fit_intercept
        self.initial_val = normal(n_val, k)
        self.labels_val = torch.randint(k, (n_val,), generator=generator)
        self.values_val = self.features_val @ coef + normal(n_val, k) + 5
        self.is_class, self.n_val = loss == "log_loss", n_val
        for name, value in vars(self).items():
            if isinstance(value, torch.Tensor):
                setattr(self, name, value.to(device))

    def targets(self, validation=False, dtype=torch.float64):
        tail = "_val" if validation else ""
        initial = getattr(self, "initial" + tail).to(dtype)
        if self.is_class:
            return ClassTargets(getattr(self, "labels" + tail), initial.shape[1], initial)
        return ValueTargets(getattr(self, "values" + tail), initial)

    def problem(self, gram_only, dtype=torch.float64, **how):
        features = self.features.to(dtype)
        validation = None
        if self.n_val:
            validation = self.features_val.to(dtype), self.targets(True, dtype)
        if gram_only:
            together = features
            if self.n_val:
                together = torch.cat([features, validation[0]])
            tiles = together.split(7, dim=2)
            gram = JointGram.from_tiles(tiles, len(features), center=self.fit_intercept)
            features = gram
            validation = validation and (gram.validation, validation[1])
        return JointProblem(
            features,
            self.targets(dtype=dtype),
            loss=self.loss,
            fit_intercept=self.fit_intercept,
            validation_weight=self.validation_weight.to(dtype),
            groups=self.groups,
            validation=validation,
            budget=Budget(block_rows=4),
            **how,
        )

    def dense(self, validation=False):
        return self.targets(validation).block(slice(None), torch.float64)

    def fit(self, weight):
        """Coefficients (p,) and intercepts (k,) from the normal equations of all pairs."""
        n, k, p = self.features.shape
        z = self.features.reshape(n * k, p)
        if self.fit_intercept:
            z = torch.cat([z, torch.eye(k, dtype=z.dtype, device=z.device).repeat(n, 1)], dim=1)
        y = (self.dense() - self.initial).reshape(n * k)
        a = weight.repeat_interleave(k)
        penalty = z.new_zeros(z.shape[1])
        penalty[:p] = self.alpha
        solution = torch.linalg.solve(z.T @ (a[:, None] * z) + torch.diag(penalty), z.T @ (a * y))
        intercept = solution[p:] if self.fit_intercept else z.new_zeros(k)
        return solution[:p], intercept

    def predictions(self, weight):
        """Predictions of every sample by the model without its group, initial outputs included."""
        groups = (
            torch.arange(len(weight), device=weight.device) if self.groups is None else self.groups
        )
        out = torch.zeros_like(self.initial)
        for group in groups.unique():
            own = groups == group
            coef, intercept = self.fit(weight * ~own)
            out = torch.where(own[:, None], self.features @ coef + intercept + self.initial, out)
        return out

    def mean_loss(self, weight):
        """Mean loss of the held-out predictions, which is differentiated."""
        if self.n_val:
            coef, intercept = self.fit(weight)
            predictions = self.features_val @ coef + intercept + self.initial_val
            return self.loss.value(predictions, self.dense(True)).mean()
        losses = self.loss.value(self.predictions(weight), self.dense())
        return (self.validation_weight * losses).sum() / self.validation_weight.sum()

    def derivative(self):
        """By autograd through the refits."""
        weight = self.weight.clone().requires_grad_(True)
        return torch.autograd.grad(self.mean_loss(weight), weight)[0]
