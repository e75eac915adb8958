"""Greedy extension of a core by rows of a pool (paper section 3.4, Extend).

At the start, rows of the core have training weight 1 and rows of the pool have weight 0. In each
batch, the pool rows with the most negative derivatives get weight 1, until no pool row has a
negative derivative. The loss is averaged over the leave-one-out predictions of the core alone, as
in the paper, or of the core and the pool (see ``_validation.py``).
"""

from collections.abc import Callable, Sequence
from numbers import Integral
from typing import NamedTuple

import torch
from torch import Tensor

from skdiva.loo._fitted_ridge import FittedRidge, check_alpha
from skdiva.loo._problem import Problem
from skdiva.loo._targets import Targets
from skdiva.loo.pool._blocks import PoolBlocks
from skdiva.loo.pool._updated_smoother import UpdatedSmoother
from skdiva.loo.pool._validation import pool_loss, pool_objective
from skdiva.loo.ridge import NewRowForm, PrimalSmoother, full_float32, in_sufficient_dtype
from skdiva.loo.rows import RowSource

# Number of leading bits that are compared, so that rounding errors do not decide the order of equal
# derivatives.
_COMPARED_BITS = {torch.float32: 16, torch.float64: 34}

Pool = tuple[Tensor | RowSource, Targets]


class Extension(NamedTuple):
    """Result of adding rows of a pool to a core.

    Attributes
    ----------
    chosen : int64 tensor of shape (n_chosen,)
        Rows of the pool that were added, in the order in which they were chosen.
    start_derivative : tensor of shape (n_pool,)
        Derivative of the loss with respect to the weight of every pool row, at weight 0, for the
        model of the core alone.
    derivative : tensor of shape (n_pool,)
        The same derivative for the model of the core and the chosen rows.
    loss_path : list of float
        Mean leave-one-out loss, or mean validation loss, before the first batch and after every
        batch.
    n_added : list of int
        Number of rows in every batch.
    start_form : NewRowForm
        Form of the derivative for new rows, for the model of the core alone.
    coef : tensor of shape (p, k)
        Coefficients of the model of the core alone.
    intercept : tensor of shape (k,), float64
        Intercept of the model of the core alone.
    """

    chosen: Tensor
    start_derivative: Tensor
    derivative: Tensor
    loss_path: list[float]
    n_added: list[int]
    start_form: NewRowForm
    coef: Tensor
    intercept: Tensor


@full_float32()
def extend(
    problem: Problem,
    alpha: float,
    pool: Pool,
    *,
    include_pool: bool = False,
    step: float = 1,
    n_samples: int | None = None,
    on_batch: Callable[[int, float], object] | None = None,
) -> Extension:
    """Add the rows of a pool that reduce the loss most.

    Parameters
    ----------
    problem : Problem
        Ridge problem of the core. All rows of the core get training weight 1.
    alpha : float
        Ridge penalty, positive.
    pool : tuple of (tensor of shape (n_pool, p) or RowSource, targets)
        Rows that may be added. They are read once for every batch, twice with ``include_pool``.
    include_pool : bool, default=False
        Whether the loss is averaged over the core and the pool. Rows of the pool have weight 1, and
        each row is predicted by a model that is not trained on it. If False, the loss is averaged
        over the core alone. Ignored if there is a validation set.
    step : int or float, default=1
        Number of rows added per batch or, if a float, their share of the rows trained on so far.
        With the int 1, rows are chosen one at a time; larger batches are faster.
    n_samples : int, optional
        Maximum number of rows to add. If not given, the whole pool may be added.
    on_batch : callable, optional
        Called with the number of rows added so far and the loss, at the start and after every
        batch.

    Returns
    -------
    Extension
        Added rows, derivatives and losses.

    Raises
    ------
    ValueError
        If ``alpha`` is too small even for float64, or if the core is a single row or group.

    Notes
    -----
    A row with features z and residual e has the derivative - <(C Z'P)'z, e> - z'C M C z with
    M = sum_I Z_I' P_I r_I' Z_I, summed over the groups I in the loss except for the row's own
    group (section 3.3 of the paper at weight 0).

    Examples
    --------
    >>> import torch
    >>> from skdiva.loo import ClassTargets, LogLoss, Problem, extend
    >>> features = torch.tensor([[0.0], [0.2], [0.9], [1.0]])
    >>> core = Problem(features, ClassTargets(torch.tensor([0, 0, 1, 1]), 2), loss=LogLoss())
    >>> pool = torch.tensor([[0.1], [0.15]]), ClassTargets(torch.tensor([1, 0]), 2)
    >>> extend(core, 0.1, pool).chosen  # the first has a doubtful label
    tensor([1])
    """

    def attempt(dtype):
        growing = _GrowingCore(problem, alpha, pool, include_pool, dtype)
        return _extend(growing, step, n_samples, on_batch)

    return in_sufficient_dtype(problem.dtype, alpha, attempt)


@full_float32()
def loss_path(
    problem: Problem,
    alpha: float,
    pool: Pool,
    batches: Sequence[Tensor],
    *,
    include_pool: bool = False,
) -> list[float]:
    """Mean loss before and after each of the given batches of rows is added to a core.

    The losses are those that `extend` reports when it adds the same rows, but no derivatives are
    computed: each batch costs one update of the model and one prediction.

    Parameters
    ----------
    problem : Problem
        Ridge problem of the core. All rows of the core get training weight 1.
    alpha : float
        Ridge penalty, positive.
    pool : tuple of (tensor of shape (n_pool, p) or RowSource, targets)
        See `extend`.
    batches : sequence of int64 tensors of shape (b,), b > 0
        Rows of the pool, in the order in which they are added. No row may occur twice.
    include_pool : bool, default=False
        See `extend`.

    Returns
    -------
    list of float
        ``len(batches) + 1`` losses, as in ``Extension.loss_path``.

    Raises
    ------
    ValueError
        If ``alpha`` is too small even for float64, or if the core is a single row or group.

    Examples
    --------
    >>> import torch
    >>> from skdiva.loo import ClassTargets, LogLoss, Problem
    >>> from skdiva.loo.pool import loss_path
    >>> features = torch.tensor([[0.0], [0.2], [0.9], [1.0]])
    >>> core = Problem(features, ClassTargets(torch.tensor([0, 0, 1, 1]), 2), loss=LogLoss())
    >>> pool = torch.tensor([[0.1], [0.15]]), ClassTargets(torch.tensor([1, 0]), 2)
    >>> start, with_doubtful_label = loss_path(core, 0.1, pool, [torch.tensor([0])])
    >>> with_doubtful_label > start
    True
    """

    def attempt(dtype):
        growing = _GrowingCore(problem, alpha, pool, include_pool, dtype)
        losses = [growing.loss()]
        for batch in batches:
            growing.add(batch)
            losses.append(growing.loss())
        return losses

    return in_sufficient_dtype(problem.dtype, alpha, attempt)


def _extend(
    growing: "_GrowingCore", step: float, n_samples: int | None, on_batch: Callable | None
) -> Extension:
    """Add batches until no derivative is negative or ``n_samples`` rows are added."""
    coefficients = growing.smoother.coefficients(growing.problem.targets)
    losses, n_added, start = [], [], None
    while True:
        loss, form, derivative = growing.derivative()
        losses.append(loss)
        if on_batch is not None:
            on_batch(len(growing.chosen), loss)
        start = (derivative, form) if start is None else start
        room = len(derivative) if n_samples is None else n_samples
        n_most = min(growing.rows_of(step), room - len(growing.chosen))
        batch = _most_negative(derivative, growing.added, n_most)
        if not len(batch):
            break
        growing.add(batch)
        n_added.append(len(batch))
    chosen = growing.chosen
    return Extension(chosen, start[0], derivative, losses, n_added, start[1], *coefficients)


class _GrowingCore:
    """A core to which rows of a pool are added."""

    def __init__(
        self,
        problem: Problem,
        alpha: float,
        pool: Pool,
        include_pool: bool,
        dtype: torch.dtype,
    ):
        weight = torch.ones(problem.n_rows, dtype=problem.dtype, device=problem.device)
        problem.layout.require_two_groups(weight)
        rows = problem.row_blocks(dtype)
        alpha = check_alpha(alpha)
        core = PrimalSmoother(rows, weight, alpha, problem.fit_intercept)
        self.problem, self.alpha = problem, alpha
        features, targets = pool
        self.pool = PoolBlocks(features, targets, problem.budget)
        n_columns, n_outputs = problem.rows.n_columns, problem.targets.n_outputs
        if (self.pool.rows.n_columns, targets.n_outputs) != (n_columns, n_outputs):
            raise ValueError(
                f"Expected a pool with the {n_columns} columns and {n_outputs} outputs of the "
                f"core, got {self.pool.rows.n_columns} columns and {targets.n_outputs} outputs."
            )
        self.include_pool = include_pool and problem.validation is None
        self.smoother = UpdatedSmoother(core, problem.targets)
        self.chosen = torch.empty(0, dtype=torch.long, device=problem.device)
        self.added = torch.zeros(self.pool.n_rows, dtype=torch.bool, device=problem.device)

    def add(self, batch: Tensor) -> None:
        """Add a batch of pool rows to the training rows."""
        self.smoother.add(*self.pool.select(batch))
        self.chosen = torch.cat([self.chosen, batch])
        self.added[batch] = True

    def rows_of(self, step: float) -> int:
        """Number of rows in the next batch; a float ``step`` is a share of the training rows."""
        if isinstance(step, Integral):
            return int(step)
        return max(int(step * (self.problem.n_rows + len(self.chosen))), 1)

    def loss(self) -> float:
        """Mean loss."""
        loss = FittedRidge.from_smoother(self.problem, self.smoother, self.alpha).loss
        if not self.include_pool:
            return loss
        total = pool_loss(self.pool, self.problem.loss, self.smoother, self.added)
        n_core = float(self.problem.validation_weight.sum())
        return (n_core * loss + total) / (n_core + self.pool.n_rows)

    def derivative(self) -> tuple[float, NewRowForm, Tensor]:
        """Mean loss, form of its derivative, and derivatives for the rows of the pool."""
        fit = FittedRidge.from_smoother(self.problem, self.smoother, self.alpha)
        loss, form, own = fit.loss, fit.new_row_form(), None
        if self.include_pool:
            found = pool_objective(self.pool, self.problem.loss, self.smoother, form, self.added)
            n_core = float(self.problem.validation_weight.sum())
            n_rows = n_core + self.pool.n_rows
            form = form._replace(
                first=(n_core * form.first + found.first) / n_rows,
                second=(n_core * form.second + found.second) / n_rows,
            )
            loss, own = (n_core * loss + found.loss) / n_rows, found.own / n_rows
        derivative = self.smoother.leverage.new_empty(self.pool.n_rows)
        for rows, features, targets in self.pool:
            features = features.to(derivative.dtype)
            residuals = self.smoother.new_residuals(features, targets)
            derivative[rows] = form.derivative(features, residuals)
        return loss, form, derivative if own is None else derivative.add_(own)


def _most_negative(derivative: Tensor, added: Tensor, n_most: int) -> Tensor:
    """Rows not yet added with the most negative derivatives; ties are ordered by position."""
    mantissa, exponent = torch.frexp(derivative)
    scale = 2.0 ** _COMPARED_BITS[derivative.dtype]
    rank = torch.ldexp((mantissa * scale).round() / scale, exponent).masked_fill(added, 0.0)
    order = torch.argsort(rank, stable=True)[: max(n_most, 0)]
    return order[rank[order] < 0]
