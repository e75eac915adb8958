"""The search of the penalty where outputs share the coefficients.

As ``penalty.py``: rotated rows u give H(alpha) for every alpha at once, plus 1 / sum(a) where the
outputs of two rows are the same.
"""

import torch

from skdiva.loo._penalty import Spectrum
from skdiva.loo._targets import ValueTargets, ridge_targets
from skdiva.loo.joint._gram import center_gram
from skdiva.loo.rows._source import TensorRows


class JointSpectrum(Spectrum):
    """Rotated rows and eigenvalues of one joint problem (visiting order)."""

    def __init__(self, problem, sample_weight, dtype):
        self.dtype = torch.float64 if problem.by_gram else dtype
        self.problem, self.n_outputs = problem, problem.n_outputs
        weight = sample_weight.double()
        self._mean_weight = weight / weight.sum()
        self.weight = sample_weight.repeat_interleave(self.n_outputs).to(self.dtype)
        self.judge_weight = problem.validation_weight.repeat_interleave(self.n_outputs)
        self.judge_total = float(problem.validation_weight.double().sum())
        self.constant = 1 / float(weight.sum()) if problem.fit_intercept else 0.0
        self.targets = self._centered_targets()
        self.mean = torch.zeros(1, dtype=torch.float64, device=weight.device)
        decompose = self._decompose_gram if problem.by_gram else self._decompose_features
        self.eigenvalues, rotated = decompose()
        n_rows, n_columns = problem.features.flatten(0, 1).shape
        self.mean_eigenvalue = float(self.eigenvalues.sum()) / min(n_rows, n_columns)
        layout = problem.row_layout
        self.rows = TensorRows(layout.restore(rotated), layout, self.dtype)
        values = self.targets.values.to(self.dtype)
        self.moment = rotated.T @ (self.weight[:, None] * values)

    def _centered_targets(self):
        """Targets (n k, 1) minus the weighted mean of their output."""
        values = ridge_targets(self.problem.row_targets, slice(None), torch.float64)
        values = values.reshape(-1, self.n_outputs)
        self.target_mean = torch.zeros_like(values[0])
        if self.problem.fit_intercept:
            self.target_mean = self._mean_weight @ values
        return ValueTargets((values - self.target_mean).reshape(-1, 1))

    def _decompose_features(self):
        features = self.problem.layout.arrange(self.problem.features).to(self.dtype)
        self.center = torch.zeros_like(features[0])
        if self.problem.fit_intercept:
            weight = self._mean_weight.to(self.dtype)
            # In two steps, as means may be large beside what varies.
            self.center = features.mean(dim=0)
            self.center = self.center + torch.einsum("n,nkp->kp", weight, features - self.center)
        rows = (features - self.center).flatten(0, 1)
        scaled = rows * self.weight.sqrt()[:, None]
        eigenvalues, self.rotation = torch.linalg.eigh((scaled.T @ scaled).double())
        self.rotation = self.rotation.to(self.dtype)
        return eigenvalues.clamp_(min=0).to(self.dtype), rows @ self.rotation

    def _decompose_gram(self):
        gram = self._centered(self.problem.visited_gram().to(self.dtype, copy=True))
        root = self.weight.sqrt()
        eigenvalues, vectors = torch.linalg.eigh(root[:, None] * gram * root)
        present = eigenvalues > eigenvalues[-1] * len(eigenvalues) * torch.finfo(self.dtype).eps
        eigenvalues, vectors = eigenvalues[present], vectors[:, present]
        self.rotation = root[:, None] * vectors / eigenvalues.sqrt()
        return eigenvalues, gram @ self.rotation

    def _centered(self, gram):
        if not self.problem.fit_intercept:
            return gram
        return center_gram(gram, self._mean_weight.to(self.dtype), self.n_outputs)

    def _whiten(self, rotated, shrunk):
        whitened = rotated * shrunk.sqrt()
        if not self.constant:
            return whitened
        identity = torch.eye(self.n_outputs, dtype=self.dtype, device=rotated.device)
        constant = (self.constant**0.5 * identity).repeat(len(rotated) // self.n_outputs, 1)
        return torch.cat([whitened, constant], dim=1)

    def _validation_losses(self, coef, n_alphas):
        features, targets = self.problem.validation
        coef = self.rotation @ coef
        if self.problem.by_gram:
            rows = self.problem.validation_rows.to(self.dtype)
            gram = self.problem.visited_gram().to(self.dtype)
            # Given inner products are those of rows centred otherwise: what the means predict.
            offset = self._mean_weight.to(self.dtype) @ (gram @ coef).reshape(
                -1, self.n_outputs * n_alphas
            )
            predictions = (rows @ coef).reshape(-1, self.n_outputs * n_alphas) - offset
        else:
            centered = (features.to(self.dtype) - self.center).flatten(0, 1)
            predictions = (centered @ coef).reshape(-1, self.n_outputs * n_alphas)
        predictions = predictions.reshape(-1, self.n_outputs, n_alphas)
        values = ridge_targets(targets, slice(None), torch.float64) - self.problem.shift
        residuals = predictions.double() - (values - self.target_mean)[..., None]
        return residuals.square().sum(dim=(0, 1)) / targets.n_rows
