"""Two sums over all rows outside one's own group, from whitened rows T (H = T T').

With J the group of row j:

    first_j  = sum_{i not in J} H_ji P_i                                  (k,)
    second_j = sum_{I != J} <sum_{i in I} H_ji P_i, sum_{i in I} H_ji V_i>   scalar

Both come from sums over *all* rows, B = T'P and M = sum_I T_I' P_I V_I' T_I, with the own group
taken back out. For a row that dominates (leverage near 1, what an outlier detector looks for) that
subtraction would leave nothing but rounding, so dominating groups stay out of B and M; their
columns of H are formed one by one and the own entry is never added.
"""

import torch

from skdiva.loo import products
from skdiva.loo.own_blocks import group_sums, stack

_DOMINATING = 0.5  # share of its own predictions beyond which a group gets explicit columns
# So does a group whose leverage is this many times the median: it may dominate by its distance,
# at a large penalty or at weight zero, without deciding anything.
_FAR = {torch.float32: 1e3, torch.float64: 1e6}


def total_sums(whitened, first, second):
    """B = T'P (q, k) and M (q, q), symmetrised, over all rows."""

    def add(total, block, t, p, v):
        if total is None:
            total = t.new_zeros((t.shape[1], p.shape[1])), products.zeros_square(t)
        total[0].addmm_(t.T, p)
        for left, right in _second_factors(block, t, p, v):
            products.add_symmetric_product(total[1], left, right)
        return total

    total_first, total_second = whitened.reduce(add, first, second)
    return total_first, products.mirror_upper(total_second)


def _second_factors(block, t, p, v):
    """Pairs of factors whose products, summed, are the block's symmetric share of M."""
    if block.group_size == 1:
        return [(t, torch.linalg.vecdot(p, v)[:, None] * t)]
    p, v, grouped = (stack(block, array) for array in (p, v, t))
    if block.group_size <= p.shape[-1]:
        own = (p @ v.mT + v @ p.mT) / 2
        return [(t, (own @ grouped).reshape(t.shape))]
    # Long groups: their share has rank k, less than their number of rows.
    left, right = ((grouped.mT @ x).transpose(0, 1).flatten(1).T for x in (p, v))
    return [(left, right / 2), (right, left / 2)]


def others_sums(whitened, first, second, leverage, weighted_leverage):
    """Both sums at every training row.

    Parameters
    ----------
    whitened : TensorRows
        T (n, q).
    first, second : tensors of shape (n, k)
        P and V.
    leverage : tensor of shape (n,)
        h_i.
    weighted_leverage : tensor of shape (n,)
        a_i h_i.

    Returns
    -------
    first : tensor of shape (n, k)
    second : tensor of shape (n,)
    """
    dominating = dominating_rows(whitened, leverage, weighted_leverage)
    columns = DominatingColumns(whitened, first, second, dominating)
    if dominating.any():
        first, second = (x.masked_fill(dominating[:, None], 0.0) for x in (first, second))
    total_first, total_second = total_sums(whitened, first, second)
    half = products.triangular_half(total_second)

    def at_block(block, t, own_first, own_second, own_leverage):
        out_first = t @ total_first
        out_second = products.quadratic_form(t, half)
        _subtract_own(block, t, own_first, own_second, own_leverage, out_first, out_second)
        columns.add_to(block, t, out_first, out_second)
        return out_first, out_second

    return whitened.map(at_block, first, second, leverage)


def dominating_rows(whitened, leverage, weighted_leverage):
    """Mask of the rows whose own terms would swamp their sums, all of a group or none."""
    distance = group_sums(whitened.layout, leverage)
    least = distance.median() * _FAR[leverage.dtype]
    # Explicit columns are worth it for a few rows: as many as can have a leverage above a half.
    n_columns = min(2 * whitened.n_columns, len(distance))
    least = torch.maximum(least, distance.topk(n_columns).values[-1])
    share = group_sums(whitened.layout, weighted_leverage)
    return (share > _DOMINATING) | (distance > least)


def _subtract_own(block, whitened, first, second, leverage, out_first, out_second):
    if block.group_size == 1:
        product = torch.linalg.vecdot(first, second)
        out_first.addcmul_(leverage[:, None], first, value=-1)
        out_second.addcmul_(leverage.square(), product, value=-1)
        return
    t, p, v = (stack(block, array) for array in (whitened, first, second))
    hat_first, hat_second = ((t @ (t.mT @ x)).reshape(first.shape) for x in (p, v))
    out_first.sub_(hat_first)
    out_second.sub_(torch.linalg.vecdot(hat_first, hat_second))


class DominatingColumns:
    """Explicit columns of H for the rows of dominating groups (few: leverages add up to q)."""

    def __init__(self, whitened, first, second, dominating):
        positions = torch.nonzero(dominating)[:, 0]
        self.whitened = whitened.select(positions)
        self.first, self.second = first[positions], second[positions]
        self.group_of_row = _group_numbers(whitened.layout, dominating.device)
        self.group = self.group_of_row[positions]
        self.singles = all(block.group_size == 1 for block in whitened.layout.blocks)

    def add_to(self, block, whitened, out_first, out_second):
        """Add both sums over dominating rows to those of the other rows in ``block``."""
        if self.group.numel() == 0:
            return
        hat = whitened @ self.whitened.T
        hat.masked_fill_(self.group_of_row[block.rows, None] == self.group, 0.0)
        out_first.add_(hat @ self.first)
        if self.singles:
            out_second.add_(hat.square() @ torch.linalg.vecdot(self.first, self.second))
            return
        for rows in _runs(self.group):
            left, right = hat[:, rows] @ self.first[rows], hat[:, rows] @ self.second[rows]
            out_second.add_(torch.linalg.vecdot(left, right))


def _group_numbers(layout, device):
    """Return a number for every row, (n,) in visiting order, equal within a group."""
    numbers = torch.arange(layout.n_rows, device=device)
    for block in layout.blocks:
        position = numbers[block.rows] - block.start
        numbers[block.rows] = block.start + torch.div(
            position, block.group_size, rounding_mode="floor"
        )
    return numbers


def _runs(group):
    _, counts = torch.unique_consecutive(group, return_counts=True)
    stops = torch.cumsum(counts, 0).tolist()
    return [slice(stop - count, stop) for stop, count in zip(stops, counts.tolist(), strict=True)]
