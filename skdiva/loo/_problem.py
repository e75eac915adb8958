"""Ridge problems: features, targets, loss, and groups of rows that are left out together.

Users pass and receive arrays in input order; the blocks and their visiting order are internal.
"""

import copy
from abc import ABC, abstractmethod
from typing import Self

import torch
from torch import Tensor

from skdiva.loo._losses import Loss, check_loss
from skdiva.loo._penalty import RowSpectrum, Spectrum
from skdiva.loo._targets import Targets
from skdiva.loo.ridge import (
    AffineSmoother,
    DualSmoother,
    InsufficientPrecisionError,
    OrthogonalSmoother,
    PrimalSmoother,
    Smoother,
)
from skdiva.loo.rows import (
    Budget,
    RowSource,
    SourceBlocks,
    as_row_source,
    check_weight,
    make_layout,
    require_memory,
)

_MATRICES = 4  # of the smaller side squared, which an evaluation holds at the same time

_MOST_ROWS = 4096  # of the n x (p + n) matrix of an orthogonal decomposition


class RidgeProblem(ABC):
    """A weighted ridge model and the loss of its held-out predictions.

    Parameters
    ----------
    n_rows, n_columns : int
        Number of samples, and number of feature columns, which determines the size of a block.
    dtype : torch.dtype
        Dtype of the features.
    device : torch.device
    targets, loss, fit_intercept, validation_weight, groups, validation, budget
        See `Problem`.

    Attributes
    ----------
    layout : Layout
        Visiting order and blocks of the samples.
    targets : Targets
        Targets in visiting order.
    row_targets : Targets
        Targets of the rows of the ridge model, in visiting order.
    validation_weight : tensor of shape (n,)
        Validation weights in visiting order.
    gram_only : bool
        Whether only inner products of the features are known.
    """

    gram_only = False

    def __init__(
        self,
        n_rows: int,
        n_columns: int,
        dtype: torch.dtype,
        device: torch.device,
        targets: Targets,
        *,
        loss: Loss,
        fit_intercept: bool,
        validation_weight: Tensor | None,
        groups: Tensor | None,
        validation: tuple | None,
        budget: Budget,
    ):
        check_loss(loss)
        if dtype not in (torch.float32, torch.float64):
            raise TypeError(
                f"Expected features in float32 or float64, got {dtype}. Convert them, for example "
                "with features.float()."
            )
        if targets.n_rows != n_rows:
            raise ValueError(
                f"Expected one target for each of the {n_rows} rows of features, got "
                f"{targets.n_rows} targets. Pass features and targets of the same rows."
            )
        targets.check()
        self.n_rows, self.dtype, self.device = n_rows, dtype, device
        self.loss, self.fit_intercept, self.budget = loss, fit_intercept, budget
        self.layout = make_layout(n_rows, budget.rows(n_columns, device, dtype.itemsize), groups)
        order = self.layout.order
        self.targets = targets if order is None else targets.select(order)
        self.row_targets = self.targets
        self.validation_weight = torch.ones(n_rows, dtype=dtype, device=device)
        if validation_weight is not None:
            self.validation_weight = self._checked_weight(validation_weight)
        self.validation = None if validation is None else self._checked_validation(validation)

    def replace(
        self,
        *,
        loss: Loss | None = None,
        validation_weight: Tensor | None = None,
        validation: tuple | None = None,
    ) -> Self:
        """Return the problem with another loss, validation weight or validation set.

        Parameters
        ----------
        loss : Loss, optional
        validation_weight : tensor of shape (n,), optional
            Validation weights in input order.
        validation : tuple of (features, targets), optional
            See `Problem`.

        Returns
        -------
        RidgeProblem
        """
        problem = copy.copy(self)
        if loss is not None:
            check_loss(loss)
            problem.loss = loss
        if validation_weight is not None:
            problem.validation_weight = self._checked_weight(validation_weight)
        if validation is not None:
            problem.validation = self._checked_validation(validation)
        return problem

    def _checked_weight(self, validation_weight: Tensor) -> Tensor:
        """Return validation weights in visiting order."""
        weight = check_weight(validation_weight, self.n_rows, "validation_weight")
        if not weight.any():
            raise ValueError(
                "validation_weight is zero for all rows, so that there is no loss. Give some rows "
                "a positive weight, or pass a validation set."
            )
        return self.layout.arrange(weight)

    def _checked_validation(self, validation: tuple) -> tuple:
        """Return the validation set, unless its targets do not match those of the rows."""
        _, targets = validation
        targets.check()
        if targets.n_outputs != self.targets.n_outputs or targets.n_rows < 1:
            raise ValueError(
                f"Expected a validation set with {self.targets.n_outputs} outputs and at least one "
                f"row, got {targets.n_outputs} outputs and {targets.n_rows} rows. Pass targets "
                "like those of the problem."
            )
        return validation

    @abstractmethod
    def smoother(self, sample_weight: Tensor, alpha: float, dtype: torch.dtype) -> Smoother:
        """Factorize the problem for sample weights in visiting order."""

    def precise_smoother(
        self,
        sample_weight: Tensor,  # noqa: ARG002 - for subclasses
        alpha: float,  # noqa: ARG002
    ) -> Smoother | None:
        """Factorize more slowly, for more digits than `smoother`; None if that is not possible."""
        return None

    @abstractmethod
    def spectrum(self, sample_weight: Tensor, dtype: torch.dtype) -> Spectrum:
        """Return the spectrum for sample weights in visiting order, to choose the penalty."""

    @property
    @abstractmethod
    def validation_rows(self) -> Tensor:
        """Rows of the ridge model that belong to the validation set."""

    @abstractmethod
    def predict_validation(self, smoother: Smoother) -> Tensor:
        """Predictions (m, k) of the validation set, without the initial outputs."""

    @abstractmethod
    def coefficients(self, smoother: Smoother) -> tuple[Tensor, Tensor]:
        """Coefficients and intercept of the ridge model."""


class Problem(RidgeProblem):
    """Features, targets and loss of a weighted ridge model.

    Parameters
    ----------
    features : tensor of shape (n, p) or RowSource
        Features of the ridge model.
    targets : ClassTargets or ValueTargets
        Targets of k outputs.
    loss : object
        Loss of the held-out predictions, with methods ``value`` and ``derivative`` like those of
        `SquaredError` and `LogLoss`.
    fit_intercept : bool, default=True
        Whether to add an intercept, which is not penalized.
    validation_weight : tensor of shape (n,), optional
        Fixed weight of every row's leave-one-out loss; 1 if not given.
    groups : int64 tensor of shape (n,), optional
        Group codes 0 .. G - 1. Rows of one group are left out together.
    validation : tuple of (tensor of shape (m, p), targets), optional
        Separate validation set. If given, its mean loss replaces the leave-one-out loss.
    budget : Budget, default=Budget()
        Memory limits for processing the rows.

    Raises
    ------
    TypeError
        If ``features`` is neither a two-dimensional tensor nor a row source, if its dtype is
        neither float32 nor float64, or if ``loss`` lacks a method.
    ValueError
        If the numbers of targets and rows differ.
    """

    def __init__(
        self,
        features: Tensor | RowSource,
        targets: Targets,
        *,
        loss: Loss,
        fit_intercept: bool = True,
        validation_weight: Tensor | None = None,
        groups: Tensor | None = None,
        validation: tuple[Tensor, Targets] | None = None,
        budget: Budget = Budget(),  # noqa: B008 - it is frozen
    ):
        self.rows = rows = as_row_source(features)
        smaller = min(rows.n_rows, rows.n_columns)
        require_memory(
            _MATRICES * smaller**2 * rows.dtype.itemsize,
            rows.device,
            f"The {smaller} x {smaller} matrices of a ridge model of {rows.n_rows} rows and "
            f"{rows.n_columns} columns",
            "Reduce the number of columns, for example by a random projection, or use fewer rows.",
        )
        super().__init__(
            rows.n_rows, rows.n_columns, rows.dtype, rows.device, targets,
            loss=loss, fit_intercept=fit_intercept, validation_weight=validation_weight,
            groups=groups, validation=validation, budget=budget,
        )  # fmt: skip

    def row_blocks(self, dtype: torch.dtype) -> SourceBlocks:
        """Return the rows of the features in blocks, in visiting order."""
        return SourceBlocks(self.rows, self.layout, dtype, self.budget)

    def smoother(self, sample_weight: Tensor, alpha: float, dtype: torch.dtype) -> AffineSmoother:
        """Factorize the smaller matrix: p x p (primal) or n x n (dual)."""
        kind = PrimalSmoother if self.rows.n_columns <= self.rows.n_rows else DualSmoother
        try:
            return kind(self.row_blocks(dtype), sample_weight, alpha, self.fit_intercept)
        except InsufficientPrecisionError as error:
            failure = error.with_traceback(None)  # whose frames hold the failed factorization
        precise = None
        if dtype == torch.float64:
            precise = self.precise_smoother(sample_weight, alpha)
        if precise is None:
            raise failure
        return precise

    def precise_smoother(self, sample_weight: Tensor, alpha: float) -> OrthogonalSmoother | None:
        """Factorize the problem as precisely as possible; None if there are too many rows."""
        if self.rows.n_rows > _MOST_ROWS:
            return None
        rows = self.row_blocks(torch.float64)
        return OrthogonalSmoother(rows, sample_weight, alpha, self.fit_intercept)

    def spectrum(self, sample_weight: Tensor, dtype: torch.dtype) -> Spectrum:
        """Return the spectrum for sample weights in visiting order, to choose the penalty."""
        wide = self.rows.n_columns > self.rows.n_rows
        return RowSpectrum(
            self.row_blocks(torch.float64 if wide else dtype),
            self.targets,
            sample_weight,
            self.validation_weight,
            self.fit_intercept,
            self.validation,
        )

    def _checked_validation(self, validation: tuple) -> tuple:
        """Return the validation set, unless it does not match the rows."""
        features, targets = validation
        rows = as_row_source(features)
        if rows.shape != (targets.n_rows, self.rows.n_columns):
            raise ValueError(
                f"Expected validation features of shape ({targets.n_rows}, "
                f"{self.rows.n_columns}), got {rows.shape}. Pass one row per target, with the "
                "columns of the features."
            )
        return super()._checked_validation(validation)

    @property
    def validation_rows(self) -> Tensor:
        """Features (m, p) of the validation set."""
        assert self.validation is not None
        return self.validation[0]

    def predict_validation(self, smoother: Smoother) -> Tensor:
        """Predictions (m, k) of the validation set, without the initial outputs."""
        return smoother.predict(self.validation_rows, self.targets)

    def coefficients(self, smoother: Smoother) -> tuple[Tensor, Tensor]:
        """Coefficients (p, k) and intercept (k,), float64."""
        return smoother.coefficients(self.targets)
