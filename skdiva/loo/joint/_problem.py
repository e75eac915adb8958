"""Joint ridge problem: the outputs of a sample share the coefficients (paper sec. 3.1).

The prediction of output c for sample i is F0_ic + z_ic' w + b_c, where F0 is the initial output,
z_ic the Jacobian of the output, and b_c its intercept. Every pair (i, c) is a row of the ridge
model. The k rows of a sample have the same weight, are left out together, and enter the loss
together.
"""

import torch
from torch import Tensor

from skdiva.loo._losses import Loss
from skdiva.loo._problem import RidgeProblem
from skdiva.loo._targets import Targets, ValueTargets
from skdiva.loo.joint._dual import JointDualSmoother
from skdiva.loo.joint._gram import JointGram
from skdiva.loo.joint._spectrum import JointSpectrum
from skdiva.loo.ridge import PrimalSmoother, Smoother
from skdiva.loo.rows import Block, Budget, InMemoryRows, Layout, SourceBlocks

# Maximum number of rows of a Gram matrix that is decomposed to choose the penalty; more take
# minutes.
MOST_DECOMPOSED_ROWS = 4096


class JointProblem(RidgeProblem):
    """Per-output features, targets and loss of a weighted ridge model with shared coefficients.

    Parameters
    ----------
    features : tensor of shape (n, k, p) or JointGram
        Jacobians, or their inner products if there are more columns than rows.
    targets : ClassTargets or ValueTargets
        Targets of k outputs.
    loss : object
        See `Problem`.
    fit_intercept : bool, default=True
        Whether to add an intercept for every output, which is not penalized.
    validation_weight : tensor of shape (n,), optional
        See `Problem`.
    groups : int64 tensor of shape (n,), optional
        See `Problem`.
    validation : tuple of (tensor of shape (m, k, p), targets), optional
        Separate validation set. If given, its mean loss replaces the leave-one-out loss. With a
        `JointGram`, pass its attribute ``validation`` in place of the features.
    budget : Budget, default=Budget()
        See `Problem`.
    max_decomposed_rows : int, default=4096
        Maximum number of rows, n * k, of a Gram matrix that is decomposed to choose the penalty. If
        there are more, the penalty is chosen on a random subset of the samples.
    """

    def __init__(
        self,
        features: Tensor | JointGram,
        targets: Targets,
        *,
        loss: Loss,
        fit_intercept: bool = True,
        validation_weight: Tensor | None = None,
        groups: Tensor | None = None,
        validation: tuple[Tensor, Targets] | None = None,
        budget: Budget = Budget(),  # noqa: B008 - it is frozen
        max_decomposed_rows: int = MOST_DECOMPOSED_ROWS,
    ):
        self.gram_only = isinstance(features, JointGram)
        self.features = features.train if isinstance(features, JointGram) else features
        self.max_decomposed_rows = max_decomposed_rows
        self._given = targets, groups
        super().__init__(
            len(self.features), self.features.shape[2], self.features.dtype, self.features.device,
            targets, loss=loss, fit_intercept=fit_intercept, validation_weight=validation_weight,
            groups=groups, validation=validation, budget=budget,
        )  # fmt: skip
        self.n_outputs = targets.n_outputs
        self.row_layout = _expanded(self.layout, self.n_outputs)
        self._center = self.features.new_zeros(self.features.shape[1:], dtype=torch.float64)
        if self.fit_intercept and not self.gram_only:
            self._center = self.features.mean(dim=0, dtype=torch.float64)
        self.shift = self._target_means()
        self.row_targets = self._flat_targets()

    def _target_means(self) -> Tensor:
        """Target means (k,), which are subtracted before the fit and added to the intercepts."""
        dense = self.targets.ridge_values(slice(None), torch.float64)
        return dense.mean(dim=0) if self.fit_intercept else torch.zeros_like(dense[0])

    def _flat_targets(self) -> ValueTargets:
        """Targets (n k, 1) of the rows, minus their means."""
        dense = self.targets.block(slice(None), torch.float64) - self.shift
        initial = self.targets.initial_outputs
        flat = None if initial is None else initial.reshape(-1, 1)
        return ValueTargets(dense.reshape(-1, 1), flat)

    @property
    def center(self) -> Tensor | None:
        """Feature means (k, p) in float64, which are subtracted; None without intercepts."""
        return self._center if self.fit_intercept else None

    def visited_gram(self) -> Tensor:
        """Inner products (n k, n k) of the rows, in visiting order."""
        gram = self.features.flatten(0, 1)
        order = self.row_layout.order
        return gram if order is None else gram[order][:, order]

    def smoother(self, sample_weight: Tensor, alpha: float, dtype: torch.dtype) -> Smoother:
        """Factorize the problem for sample weights in visiting order."""
        weight = sample_weight.repeat_interleave(self.n_outputs)
        if self.gram_only:
            return JointDualSmoother(
                self.visited_gram(), self.row_layout, self.n_outputs, weight, alpha,
                self.fit_intercept, dtype,
            )  # fmt: skip
        features = augmented_rows(self.features, self.center)
        penalty = features.new_full((features.shape[1],), alpha, dtype=dtype)
        penalty[self.features.shape[2] :] = 0.0  # intercepts are not penalized
        rows = SourceBlocks(InMemoryRows(features), self.row_layout, dtype, self.budget)
        return PrimalSmoother(rows, weight, penalty, False)

    def spectrum(self, sample_weight: Tensor, dtype: torch.dtype) -> JointSpectrum:
        """Return the spectrum for sample weights in visiting order, to choose the penalty.

        If the Gram matrix is large, only a random subset of the samples is decomposed.
        """
        if self.gram_only and self.n_rows > self.max_decomposed_rows // self.n_outputs:
            problem, sample_weight = self._sample(self.layout.restore(sample_weight))
            return problem.spectrum(problem.layout.arrange(sample_weight), dtype)
        gram = self.visited_gram() if self.gram_only else None
        features = None if self.gram_only else self.layout.arrange(self.features)
        validation = self.validation
        if validation is not None:
            rows = self.validation_rows if self.gram_only else validation[0]
            values = validation[1].ridge_values(slice(None), torch.float64) - self.shift
            validation = rows, values
        return JointSpectrum(
            features, gram, self.row_layout, self.row_targets, sample_weight,
            self.validation_weight, self.fit_intercept, validation,
            dtype=dtype, budget=self.budget,
        )  # fmt: skip

    @property
    def validation_rows(self) -> Tensor:
        """Augmented rows of the validation set, or inner products in visiting order."""
        assert self.validation is not None
        features = self.validation[0]
        if not self.gram_only:
            return augmented_rows(features, self.center)
        order = self.row_layout.order
        rows = features.flatten(0, 1)
        return rows if order is None else rows[:, order]

    def predict_validation(self, smoother: Smoother) -> Tensor:
        """Predictions (m, k) of the validation set, without the initial outputs."""
        rows = smoother.predict(self.validation_rows, self.row_targets)
        return rows.reshape(-1, self.n_outputs) + self.shift.to(rows.dtype)

    def coefficients(self, smoother: Smoother) -> tuple[Tensor, Tensor]:
        """Coefficients and intercepts (k,) of the ridge model, the latter in float64.

        There is one coefficient per column of ``features``, (p,), or per row of a `JointGram`,
        (n * k,).
        """
        coef, intercept = smoother.coefficients(self.row_targets)
        coef = coef[:, 0]
        if self.gram_only:
            coef = self.layout.restore(coef.reshape(-1, self.n_outputs)).flatten()
            return coef, self.shift + intercept
        n_columns = self.features.shape[2]
        coef, intercept = coef[:n_columns], coef[n_columns:].double()
        if not self.fit_intercept:
            return coef, self.shift
        return coef, self.shift + intercept - self._center @ coef.double()

    def _sample(self, sample_weight: Tensor) -> tuple["JointProblem", Tensor]:
        """Problem of a random subset of samples, with their weights in input order."""
        n_samples = self.max_decomposed_rows // self.n_outputs
        generator = torch.Generator().manual_seed(0)
        held = torch.nonzero(sample_weight > 0)[:, 0]
        drawn = torch.randperm(len(held), generator=generator)[:n_samples].to(held.device)
        samples = held[drawn].sort().values
        targets, groups = self._given
        outputs = torch.arange(self.n_outputs, device=samples.device)
        rows = (samples[:, None] * self.n_outputs + outputs).flatten()
        validation = self.validation
        if validation is not None:
            validation = validation[0][:, :, rows], validation[1]
        problem = JointProblem(
            JointGram(self.features[samples][:, :, rows]),
            targets.select(samples),
            loss=self.loss,
            fit_intercept=self.fit_intercept,
            validation_weight=self.layout.restore(self.validation_weight)[samples],
            groups=None if groups is None else groups[samples],
            validation=validation,
            budget=self.budget,
        )
        return problem, sample_weight[samples]


def augmented_rows(features: Tensor, center: Tensor | None) -> Tensor:
    """Centered rows of features (m, k, p) with indicators of the output, (m k, p + k).

    ``center`` (k, p) is the attribute of a `JointProblem`. If it is None (no intercepts), the rows
    (m k, p) are neither centered nor augmented.
    """
    if center is None:
        return features.flatten(0, 1)
    n_outputs, n_columns = features.shape[1:]
    rows = features.new_empty((len(features), n_outputs, n_columns + n_outputs))
    torch.sub(features, center.to(features.dtype), out=rows[..., :n_columns])
    rows[..., n_columns:] = torch.eye(n_outputs, dtype=rows.dtype, device=rows.device)
    return rows.flatten(0, 1)


def _expanded(layout: Layout, n_outputs: int) -> Layout:
    """Layout of the (sample, output) rows."""
    blocks = tuple(Block(*(n_outputs * number for number in block)) for block in layout.blocks)
    order = layout.order
    if order is not None:
        order = order[:, None] * n_outputs + torch.arange(n_outputs, device=order.device)
        order = order.flatten()
    return Layout(layout.n_rows * n_outputs, blocks, order)
