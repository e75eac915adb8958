"""Rows picked out of a pool that comes in blocks."""

import torch

from skdiva.loo._targets import ClassTargets, ValueTargets


def pick_rows(pool, starts, rows):
    """Features and targets of some rows of a pool.

    Parameters
    ----------
    pool : sequence of tuples (tensor of shape (m, p), targets)
    starts : list of int
        Position of the first row of every block, and the number of rows in all.
    rows : int64 tensor of shape (b,), b > 0

    Returns
    -------
    features : tensor of shape (b, p)
        In the order of ``rows``.
    targets : ClassTargets or ValueTargets
    """
    block = torch.searchsorted(torch.tensor(starts, device=rows.device), rows, right=True) - 1
    found, parts = [], []
    for number in block.unique().tolist():
        inside = torch.nonzero(block == number)[:, 0]
        features, targets = pool[number]
        picked = rows[inside] - starts[number]
        found.append(inside)
        parts.append((features[picked], targets.select(picked)))
    order = torch.argsort(torch.cat(found))
    features, targets = zip(*parts, strict=True)
    return torch.cat(features)[order], _joined(targets).select(order)


def _joined(targets):
    """Targets of several blocks as those of one."""
    initial = [part.initial_outputs for part in targets]
    initial = None if initial[0] is None else torch.cat(initial)
    if isinstance(targets[0], ClassTargets):
        labels = torch.cat([part.labels for part in targets])
        return ClassTargets(labels, targets[0].n_outputs, initial)
    return ValueTargets(torch.cat([part.values for part in targets]), initial)
