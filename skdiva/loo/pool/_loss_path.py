"""The mean loss of all that judge while given rows are added, whatever their derivative.

What ``extension.py`` would have been told, had it added other rows. Its sums over the judges are
not needed: a batch costs an update of the model and its predictions.
"""

import torch

from skdiva.loo._leave_one_out import leave_one_out
from skdiva.loo._objective import judge
from skdiva.loo.pool._rows import pick_rows
from skdiva.loo.pool._updated_smoother import ExtendedSmoother
from skdiva.loo.ridge._group_blocks import require_two_groups
from skdiva.loo.ridge._precision import full_float32, in_sufficient_dtype, require_residual_share
from skdiva.loo.ridge._primal import PrimalSmoother


@full_float32()
def loss_path(problem, alpha, pool, starts, batches, *, pool_judges=False):
    """Mean loss before and after every one of given batches of rows is added to a core.

    Parameters
    ----------
    problem : Problem
        The core; all its rows get training weight 1.
    alpha : float
        Ridge penalty, positive.
    pool : sequence of tuples (tensor of shape (m, p), targets)
        Blocks of rows with their targets, as for `extend`.
    starts : list of int
        Position of the first row of every block, and the number of rows in all.
    batches : sequence of int64 tensors of shape (b,), b > 0
        Rows of the pool to add, in this order; none twice.
    pool_judges : bool, default=False
        As for `extend`.

    Returns
    -------
    list of float
        ``len(batches) + 1`` losses, as ``Extension.loss_path``.

    Raises
    ------
    ValueError
        If ``alpha`` is too small even for float64, or one row or group is all of the core.

    Notes
    -----
    Rows of the pool are predicted with residuals e / (1 - h) if they were added, else with e
    (``pool_judges.py``).

    Examples
    --------
    >>> import torch
    >>> from skdiva.loo import ClassTargets, LogLoss, Problem
    >>> from skdiva.loo.pool._loss_path import loss_path
    >>> features = torch.tensor([[0.0], [0.2], [0.9], [1.0]])
    >>> core = Problem(features, ClassTargets(torch.tensor([0, 0, 1, 1]), 2), loss=LogLoss())
    >>> pool = [(torch.tensor([[0.1], [0.15]]), ClassTargets(torch.tensor([1, 0]), 2))]
    >>> start, with_doubtful_label = loss_path(core, 0.1, pool, [0, 2], [torch.tensor([0])])
    >>> with_doubtful_label > start
    True
    """
    weight = problem.features.new_ones(problem.features.shape[0])
    require_two_groups(problem.layout, weight)

    def attempt(dtype):
        core = PrimalSmoother(problem.rows(dtype), weight, alpha, problem.fit_intercept)
        smoother = ExtendedSmoother(core, problem.targets)
        is_added = torch.zeros(starts[-1], dtype=torch.bool, device=weight.device)
        losses = [_loss(problem, smoother, pool, is_added, pool_judges)]
        for batch in batches:
            smoother.add(*pick_rows(pool, starts, batch))
            is_added[batch] = True
            losses.append(_loss(problem, smoother, pool, is_added, pool_judges))
        return losses

    return in_sufficient_dtype(problem.dtype, alpha, attempt)


def _loss(problem, smoother, pool, is_added, pool_judges):
    """Mean loss of all that judge."""
    loss, _ = judge(problem, smoother, leave_one_out(smoother, problem.row_targets))
    if not pool_judges or problem.validation is not None:
        return loss
    n_core, n_pool = float(problem.validation_weight.sum()), len(is_added)
    return (n_core * loss + _pool_loss(problem.loss, smoother, pool, is_added)) / (n_core + n_pool)


def _pool_loss(loss, smoother, pool, is_added):
    """Summed loss of a pool, of which rows ``is_added`` (n_pool,) are left out one at a time."""
    total, start = 0.0, 0
    for features, targets in pool:
        added = is_added[start : start + len(features)]
        start += len(features)
        left_out = 1 - smoother.whiten(features[added]).square().sum(dim=1)
        if len(left_out):
            require_residual_share(float(left_out.min()), left_out.dtype)
        residuals = smoother.new_residuals(features, targets)
        residuals[added] /= left_out[:, None]
        targets = targets.block(slice(None), residuals.dtype)
        total += float(loss.value(targets + residuals, targets).double().sum())
    return total
