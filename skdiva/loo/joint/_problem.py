"""A ridge problem whose outputs share the coefficients: the linearised network (paper sec. 3.1).

The prediction of output c at sample i is F0_ic + z_ic' w + b_c, with z_ic the Jacobian of that
output and an intercept per output. Every pair (i, c) is a row of the ridge model; the k rows of a
sample have one weight, are left out together, and their predictions meet in the loss.
"""

import torch

from skdiva.loo._problem import Problem
from skdiva.loo._targets import ValueTargets, ridge_targets
from skdiva.loo.joint._dual import JointDualSmoother
from skdiva.loo.joint._gram import JointGram
from skdiva.loo.joint._spectrum import JointSpectrum
from skdiva.loo.ridge._primal import PrimalSmoother
from skdiva.loo.rows._source import Block, Layout, TensorRows

# Of the Gram matrix whose eigenvectors give the losses of all penalties: larger ones take minutes.
_MOST_DECOMPOSED_ROWS = 4096


class JointProblem(Problem):
    """Per-output features, targets and loss of a weighted ridge model with shared coefficients.

    Parameters
    ----------
    features : tensor of shape (n, k, p) or JointGram
        Jacobians, or their inner products; the latter where there are more columns than rows.
    targets : ClassTargets or ValueTargets
        Of k outputs.
    validation : tuple of (tensor of shape (m, k, p), targets), optional
        With a `JointGram`: (its ``validation``, targets).
    loss, fit_intercept, validation_weight, groups, batch_size
        As in `Problem`.
    """

    def __init__(self, features, targets, *, groups=None, validation=None, **how):
        self.by_gram = isinstance(features, JointGram)
        if self.by_gram:
            features = features.train
        self._given = targets, groups, how
        super().__init__(features, targets, groups=groups, validation=validation, **how)
        self.n_outputs = targets.n_outputs
        self.row_layout = _expanded(self.layout, self.n_outputs)
        self._center = features.new_zeros(features.shape[1:], dtype=torch.float64)
        if self.fit_intercept and not self.by_gram:
            self._center = features.mean(dim=0, dtype=torch.float64)
        self.shift = self._target_means()
        self._row_targets = self._flat_targets()

    def _target_means(self):
        """Means (k,) of what the model is fitted to, for the intercepts to start from."""
        dense = ridge_targets(self.targets, slice(None), torch.float64)
        return dense.mean(dim=0) if self.fit_intercept else torch.zeros_like(dense[0])

    def _flat_targets(self):
        dense = self.targets.block(slice(None), torch.float64) - self.shift
        initial = self.targets.initial_outputs
        flat = None if initial is None else initial.reshape(-1, 1)
        return ValueTargets(dense.reshape(-1, 1), flat)

    @property
    def row_targets(self):
        """Targets (n k, 1) of the rows, their means taken off."""
        return self._row_targets

    def _row_weight(self, sample_weight):
        return sample_weight.repeat_interleave(self.n_outputs)

    @property
    def center(self):
        """Means (k, p), float64, that are taken off the features; None without intercepts."""
        return self._center if self.fit_intercept else None

    def augmented(self, features):
        """Rows of the ridge model from features (m, k, p)."""
        return augmented_rows(features, self.center)

    def visited_gram(self):
        """Inner products (n k, n k) of the rows, in visiting order."""
        gram = self.features.flatten(0, 1)
        order = self.row_layout.order
        return gram if order is None else gram[order][:, order]

    def smoother(self, sample_weight, alpha, dtype):
        """Factorise at the weights (visiting order)."""
        weight = self._row_weight(sample_weight)
        if self.by_gram:
            return JointDualSmoother(
                self.visited_gram(), self.row_layout, self.n_outputs, weight, alpha,
                self.fit_intercept, dtype,
            )  # fmt: skip
        rows = self.augmented(self.features)
        penalty = rows.new_full((rows.shape[1],), alpha, dtype=dtype)
        penalty[self.features.shape[2] :] = 0.0  # the intercepts
        return PrimalSmoother(TensorRows(rows, self.row_layout, dtype), weight, penalty, False)

    def spectrum(self, sample_weight, dtype):
        """Decompose at the weights (visiting order), for the search of the penalty."""
        return JointSpectrum(self, sample_weight, dtype)

    @property
    def validation_rows(self):
        """Rows of the validation set: augmented features, or inner products in visiting order."""
        features = self.validation[0]
        if not self.by_gram:
            return self.augmented(features)
        order = self.row_layout.order
        rows = features.flatten(0, 1)
        return rows if order is None else rows[:, order]

    def by_sample(self, row_array):
        """Answers (n k,) or (n k, 1) for rows as (n, k) for samples."""
        return row_array.reshape(-1, self.n_outputs)

    def by_row(self, sample_array):
        """Answers (n, k) for samples as (n k, 1) for rows."""
        return sample_array.reshape(-1, 1)

    def predictions(self, row_predictions):
        """Predictions of rows as those of samples (n, k)."""
        return self.by_sample(row_predictions) + self.shift.to(row_predictions.dtype)

    def sum_over_outputs(self, row_derivative):
        """The k rows of a sample share its weight."""
        return self.by_sample(row_derivative).sum(dim=1)

    def coefficients(self, smoother):
        """Coefficients and intercepts (k,), float64, of the model itself.

        Coefficients (p,) for the columns of ``features``; of a `JointGram`, (n * k,) for its rows.
        """
        coef, intercept = smoother.coefficients(self.row_targets)
        coef = coef[:, 0]
        if self.by_gram:
            coef = self.layout.restore(self.by_sample(coef)).flatten()
            return coef, self.shift + intercept
        n_columns = self.features.shape[2]
        coef, intercept = coef[:n_columns], coef[n_columns:].double()
        if not self.fit_intercept:
            return coef, self.shift
        return coef, self.shift + intercept - self._center @ coef.double()

    def for_penalty(self, sample_weight):
        """The problem and weights to choose the penalty on: some samples of a large Gram matrix."""
        n_samples = _MOST_DECOMPOSED_ROWS // self.n_outputs
        if not self.by_gram or len(sample_weight) <= n_samples:
            return self, sample_weight
        generator = torch.Generator().manual_seed(0)
        held = torch.nonzero(sample_weight > 0)[:, 0]
        drawn = torch.randperm(len(held), generator=generator)[:n_samples].to(held.device)
        samples = held[drawn].sort().values
        return self._select(samples), sample_weight[samples]

    def _select(self, samples):
        """The problem of some samples."""
        targets, groups, how = self._given
        rows = samples[:, None] * self.n_outputs + torch.arange(
            self.n_outputs, device=samples.device
        )
        how = dict(how)
        if how.get("validation_weight") is not None:
            how["validation_weight"] = how["validation_weight"][samples]
        validation = self.validation
        if validation is not None:
            validation = validation[0][:, :, rows.flatten()], validation[1]
        return JointProblem(
            JointGram(self.features[samples][:, :, rows.flatten()]),
            targets.select(samples),
            groups=None if groups is None else groups[samples],
            validation=validation,
            **how,
        )


def augmented_rows(features, center):
    """Rows (m k, p + k) of features (m, k, p): centred, and an indicator of the output.

    ``center`` (k, p) is that of a `JointProblem`; None (no intercepts) leaves rows (m k, p).
    """
    if center is None:
        return features.flatten(0, 1)
    n_outputs, n_columns = features.shape[1:]
    rows = features.new_empty((len(features), n_outputs, n_columns + n_outputs))
    torch.sub(features, center.to(features.dtype), out=rows[..., :n_columns])
    rows[..., n_columns:] = torch.eye(n_outputs, dtype=rows.dtype, device=rows.device)
    return rows.flatten(0, 1)


def _expanded(layout, n_outputs):
    """The layout of the (sample, output) rows."""
    blocks = tuple(Block(*(n_outputs * number for number in block)) for block in layout.blocks)
    order = layout.order
    if order is not None:
        order = order[:, None] * n_outputs + torch.arange(n_outputs, device=order.device)
        order = order.flatten()
    return Layout(layout.n_rows * n_outputs, blocks, order)
