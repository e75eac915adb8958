"""Spectrum of a joint problem, used to choose its penalty.

As in ``RowSpectrum``, rotated rows u give H(alpha) for every alpha. The intercepts add 1 / sum(a)
to the entries of two rows with the same output.
"""

import torch
from torch import Tensor

from skdiva.loo._penalty import Spectrum
from skdiva.loo._targets import Targets, ValueTargets
from skdiva.loo.joint._gram import center_gram
from skdiva.loo.rows import Budget, InMemoryRows, Layout, SourceBlocks


class JointSpectrum(Spectrum):
    """Eigenvalues and rotated rows of a joint problem, in visiting order.

    Parameters
    ----------
    features : tensor of shape (n, k, p) or None
        Features in visiting order; None if the inner products are given.
    gram : tensor of shape (n * k, n * k) or None
        Inner products in visiting order; None if the features are given.
    layout : Layout
        Layout of the n k rows.
    row_targets : Targets
        Targets of the n k rows.
    sample_weight, validation_weight : tensors of shape (n,)
    fit_intercept : bool
        Whether to fit one intercept per output.
    validation : tuple or None
        Features (m, k, p) or inner products (m k, n k) of the validation set, and its target values
        (m, k).
    dtype : torch.dtype
    budget : Budget
    """

    def __init__(
        self,
        features: Tensor | None,
        gram: Tensor | None,
        layout: Layout,
        row_targets: Targets,
        sample_weight: Tensor,
        validation_weight: Tensor,
        fit_intercept: bool,
        validation: tuple | None,
        *,
        dtype: torch.dtype,
        budget: Budget,
    ):
        dtype = dtype if gram is None else torch.float64
        self.n_outputs = row_targets.n_rows // len(sample_weight)
        self._gram, self._fit_intercept = gram, fit_intercept
        weight = sample_weight.double()
        self._mean_weight = weight / weight.sum()
        self.weight = sample_weight.repeat_interleave(self.n_outputs).to(dtype)
        self.validation = validation
        self.validation_weight = validation_weight.repeat_interleave(self.n_outputs)
        self.validation_total = float(validation_weight.double().sum())
        self.constant = 1 / float(weight.sum()) if fit_intercept else 0.0
        self.targets = self._centered_targets(row_targets)
        self.mean = torch.zeros(1, dtype=torch.float64, device=weight.device)
        if gram is None:
            assert features is not None
            n_columns = features.shape[2]
            self.eigenvalues, rotated = self._decompose_features(features.to(dtype))
        else:
            n_columns = len(gram)
            self.eigenvalues, rotated = self._decompose_gram(gram.to(dtype, copy=True))
        self.mean_eigenvalue = float(self.eigenvalues.sum()) / min(len(rotated), n_columns)
        self.rows = SourceBlocks(InMemoryRows(layout.restore(rotated)), layout, dtype, budget)
        self.moment = rotated.T @ (self.weight[:, None] * self.targets.values.to(dtype))

    def _centered_targets(self, row_targets: Targets) -> ValueTargets:
        """Targets (n k, 1) minus the weighted mean of their output."""
        values = row_targets.ridge_values(slice(None), torch.float64).reshape(-1, self.n_outputs)
        self._target_mean = torch.zeros_like(values[0])
        if self._fit_intercept:
            self._target_mean = self._mean_weight @ values
        return ValueTargets((values - self._target_mean).reshape(-1, 1))

    def _decompose_features(self, features: Tensor) -> tuple[Tensor, Tensor]:
        self.center = torch.zeros_like(features[0])
        if self._fit_intercept:
            weight = self._mean_weight.to(features.dtype)
            # In two steps, because the means may be large compared with the variation.
            self.center = features.mean(dim=0)
            self.center = self.center + torch.einsum("n,nkp->kp", weight, features - self.center)
        rows = (features - self.center).flatten(0, 1)
        scaled = rows * self.weight.sqrt()[:, None]
        eigenvalues, vectors = torch.linalg.eigh((scaled.T @ scaled).double())
        self.rotation = vectors.to(features.dtype)
        return eigenvalues.clamp_(min=0).to(features.dtype), rows @ self.rotation

    def _decompose_gram(self, gram: Tensor) -> tuple[Tensor, Tensor]:
        if self._fit_intercept:
            center_gram(gram, self._mean_weight.to(gram.dtype), self.n_outputs)
        root = self.weight.sqrt()
        eigenvalues, vectors = torch.linalg.eigh(root[:, None] * gram * root)
        present = eigenvalues > eigenvalues[-1] * len(eigenvalues) * torch.finfo(gram.dtype).eps
        eigenvalues, vectors = eigenvalues[present], vectors[:, present]
        self.rotation = root[:, None] * vectors / eigenvalues.sqrt()
        return eigenvalues, gram @ self.rotation

    def whiten(self, rotated: Tensor, shrunk: Tensor) -> Tensor:
        """Whiten rotated rows for one penalty; ``shrunk`` is 1 / (eigenvalues + penalty)."""
        whitened = rotated * shrunk.sqrt()
        if not self.constant:
            return whitened
        identity = torch.eye(self.n_outputs, dtype=rotated.dtype, device=rotated.device)
        constant = (self.constant**0.5 * identity).repeat(len(rotated) // self.n_outputs, 1)
        return torch.cat([whitened, constant], dim=1)

    def validation_losses(self, coef: Tensor, n_alphas: int) -> Tensor:
        """Mean squared validation errors (A,), for coefficients (q, A) of A penalties."""
        assert self.validation is not None
        rows, values = self.validation
        coef = self.rotation @ coef
        if self._gram is None:
            centered = (rows.to(coef.dtype) - self.center).flatten(0, 1)
            predictions = (centered @ coef).reshape(-1, self.n_outputs * n_alphas)
        else:
            gram = self._gram.to(coef.dtype)
            # The given inner products are centered differently: subtract predictions at the means.
            offset = self._mean_weight.to(coef.dtype) @ (gram @ coef).reshape(
                -1, self.n_outputs * n_alphas
            )
            plain = rows.to(coef.dtype) @ coef
            predictions = plain.reshape(-1, self.n_outputs * n_alphas) - offset
        predictions = predictions.reshape(-1, self.n_outputs, n_alphas)
        residuals = predictions.double() - (values - self._target_mean)[..., None]
        return residuals.square().sum(dim=(0, 1)) / len(values)
