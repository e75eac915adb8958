"""Greedy extension of a core by rows of a pool (paper section 3.4, Extend).

Rows of the core train with weight 1, rows of the pool with weight 0. Those with the most negative
derivative get weight 1, a batch at a time, until no row of the pool has a negative derivative. The
core judges by leave-one-out: alone, as in the paper, or together with the pool
(``pool_judges.py``).
"""

from numbers import Integral
from typing import NamedTuple

import torch
from torch import Tensor

from skdiva.loo._evaluation import judged_new_row_form
from skdiva.loo.pool._rows import pick_rows
from skdiva.loo.pool._updated_smoother import ExtendedSmoother
from skdiva.loo.pool._validation import poll
from skdiva.loo.ridge._group_blocks import require_two_groups
from skdiva.loo.ridge._new_rows import NewRowForm
from skdiva.loo.ridge._precision import full_float32, in_sufficient_dtype
from skdiva.loo.ridge._primal import PrimalSmoother
from skdiva.loo.rows._collector import RowCollector

# Leading bits of derivatives that are compared, lest rounding decide which of two equal rows is
# first.
_COMPARED_BITS = {torch.float32: 16, torch.float64: 34}


class Extension(NamedTuple):
    """What was added to a core.

    Attributes
    ----------
    chosen : int64 tensor of shape (n_chosen,)
        Rows of the pool that were added, in the order of their choice.
    start_derivative : tensor of shape (n_pool,)
        Derivative of the loss with respect to the weight, at 0, of every row of the pool, for the
        model of the core alone.
    derivative : tensor of shape (n_pool,)
        The same for the model of the core and the chosen rows.
    loss_path : list of float
        Mean leave-one-out loss of all that judge, or mean validation loss, before any batch and
        after every batch.
    n_added : list of int
        Rows of every batch.
    start_form : NewRowForm
        How to score other rows, for the model of the core alone.
    coef : tensor of shape (p, k)
        Coefficients of the model of the core alone.
    intercept : tensor of shape (k,), float64
    """

    chosen: Tensor
    start_derivative: Tensor
    derivative: Tensor
    loss_path: list
    n_added: list
    start_form: NewRowForm
    coef: Tensor
    intercept: Tensor


@full_float32()
def extend(problem, alpha, pool, *, pool_judges=False, step=1, n_samples=None, on_batch=None):
    """Add the rows of a pool that lower the loss most.

    Parameters
    ----------
    problem : Problem
        The core; all its rows get training weight 1.
    alpha : float
        Ridge penalty, positive.
    pool : sequence of tuples (tensor of shape (m, p), targets)
        Blocks of rows with their targets. They are gone through once for every batch, twice if they
        judge, so that they may be made when asked for; those that hold chosen rows once more.
    pool_judges : bool, default=False
        Whether the rows of the pool judge too, with weight 1 each, by the predictions of models
        that are not trained on them. False: the core alone. A validation set judges alone.
    step : int or float, default=1
        Rows added at a time; a float is a share of the rows trained on so far. With the int 1 the
        choice is greedy; more cost less.
    n_samples : int, optional
        Largest number of rows added; all of the pool if not given.
    on_batch : callable, optional
        Called with the number of rows added so far and the loss, at the start and after every
        batch.

    Returns
    -------
    Extension

    Raises
    ------
    ValueError
        If ``alpha`` is too small even for float64, or one row or group is all of the core.

    Notes
    -----
    A row with features z and residual e has the derivative - <(C Z'P)'z, e> - z'C M C z with
    M = sum_I Z_I' P_I r_I' Z_I, over the groups I that judge (paper section 3.3 at weight 0),
    without the row's own.

    Examples
    --------
    >>> import torch
    >>> from skdiva.loo import ClassTargets, LogLoss, Problem, extend
    >>> features = torch.tensor([[0.0], [0.2], [0.9], [1.0]])
    >>> core = Problem(features, ClassTargets(torch.tensor([0, 0, 1, 1]), 2), loss=LogLoss())
    >>> pool = [(torch.tensor([[0.1], [0.15]]), ClassTargets(torch.tensor([1, 0]), 2))]
    >>> extend(core, 0.1, pool).chosen  # the first has a doubtful label
    tensor([1])
    """
    weight = problem.features.new_ones(problem.features.shape[0])
    require_two_groups(problem.layout, weight)

    def attempt(dtype):
        core = PrimalSmoother(problem.rows(dtype), weight, alpha, problem.fit_intercept)
        return _Greedy(problem, core, pool, pool_judges).run(step, n_samples, on_batch)

    return in_sufficient_dtype(problem.dtype, alpha, attempt)


class _Greedy:
    """The state of one extension."""

    def __init__(self, problem, core, pool, pool_judges):
        self.problem, self.pool = problem, pool
        self.pool_judges = pool_judges and problem.validation is None
        self.coefficients = core.coefficients(problem.targets)
        self.smoother = ExtendedSmoother(core, problem.targets)
        self.starts = [0]
        self.chosen = core.leverage.new_empty(0, dtype=torch.long)

    def run(self, step, n_samples, on_batch):
        """Add batches until nothing helps, or ``n_samples`` rows are added."""
        loss_path, n_added, start = [], [], None
        while True:
            loss, form, own = self._judge()
            loss_path.append(loss)
            if on_batch is not None:
                on_batch(len(self.chosen), loss)
            derivative = self._score(form) + own
            start = (derivative, form) if start is None else start
            room = len(derivative) if n_samples is None else n_samples
            batch = self._best(derivative, min(self._rows_of(step), room - len(self.chosen)))
            if not len(batch):
                break
            self.smoother.add(*pick_rows(self.pool, self.starts, batch))
            self.chosen = torch.cat([self.chosen, batch])
            n_added.append(len(batch))
        return Extension(
            self.chosen, start[0], derivative, loss_path, n_added, start[1], *self.coefficients
        )

    def _rows_of(self, step):
        if isinstance(step, Integral):
            return step
        n_trained = len(self.smoother.leverage) + len(self.chosen)
        return max(int(step * n_trained), 1)

    def _judge(self):
        """Mean loss, form of its derivative, and what a row's vote on itself takes off that."""
        loss, form = judged_new_row_form(self.problem, self.smoother)
        if not self.pool_judges:
            return loss, form, 0.0
        votes = poll(self.pool, self.problem.loss, self.smoother, form, self.chosen)
        n_core = float(self.problem.validation_weight.sum())
        n_judges = n_core + votes.n_rows
        form = form._replace(
            first=(n_core * form.first + votes.first) / n_judges,
            second=(n_core * form.second + votes.second) / n_judges,
        )
        return (n_core * loss + votes.loss) / n_judges, form, votes.own / n_judges

    def _score(self, form):
        """Derivative of every row of the pool, (n_pool,)."""
        derivative, self.starts = RowCollector(self.smoother.leverage), []
        for features, targets in self.pool:
            features = features.to(self.smoother.leverage.dtype)
            residuals = self.smoother.new_residuals(features, targets)
            self.starts.append(derivative.n_rows)
            derivative.append(form.derivative(features, residuals))
        return derivative.joined()

    def _best(self, derivative, n_most):
        """Rows with the most negative derivative among those not chosen, ties by index."""
        mantissa, exponent = torch.frexp(derivative)
        scale = 2.0 ** _COMPARED_BITS[derivative.dtype]
        rank = torch.ldexp((mantissa * scale).round() / scale, exponent)
        rank[self.chosen] = 0
        order = torch.argsort(rank, stable=True)[: max(n_most, 0)]
        return order[rank[order] < 0]
