"""Cross sums of the hat matrix: two sums over all rows outside a row's own group.

With J the group of row j, and whitened rows T (H = T T'):

    first_j  = sum_{i not in J} H_ji P_i                                  (k,)
    second_j = sum_{I != J} <sum_{i in I} H_ji P_i, sum_{i in I} H_ji V_i>   scalar

Both are computed from sums over *all* rows, B = T'P and M = sum_I T_I' P_I V_I' T_I, by subtracting
the terms of the row's own group. For a high-leverage row (leverage near 1, as is typical of
outliers) only rounding errors would remain. High-leverage groups are therefore excluded from B and
M. Their contributions to other rows are summed explicitly, and the terms of their own group are
never added. A group has high leverage if it nearly determines its own predictions (the largest
eigenvalue of S H_II S is above 1/2, with S = diag(sqrt(a_I))). It also counts as such if it is far
from the other rows but does not determine its predictions, because the penalty is large or its
weight is zero. There are only a few of these groups, because all eigenvalues sum to at most q.
"""

import torch
from torch import Tensor

from skdiva.loo.ridge import _products as products
from skdiva.loo.rows import Block, RowBlocks

_DETERMINING = 0.5
_FAR = {torch.float32: 1e3, torch.float64: 1e6}  # leverage of a group, relative to the median
_POWER_STEPS = 4
_CHUNK_ELEMENTS = 2**22  # number of elements of the products of long groups in memory at a time


def total_sums(whitened: RowBlocks, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """B = T'P (q, k) and M (q, q), symmetrized, over all rows."""

    def add(total, block, t, p, v):
        if total is None:
            total = t.new_zeros((t.shape[1], p.shape[1])), t.new_zeros((t.shape[1],) * 2)
        total[0].addmm_(t.T, p)
        if block.group_size == 1:
            right = torch.linalg.vecdot(p, v)[:, None] * t
            products.add_symmetric_product(total[1], t, right)
            return total
        for left, right in _group_factors(block, t, p, v):
            products.add_symmetric_product(total[1], left, right)
        return total

    total_first, total_second = whitened.reduce(add, first, second)
    return total_first, products.mirror_upper(total_second)


def _group_factors(block: Block, t: Tensor, p: Tensor, v: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Pairs of factors whose products sum to the symmetrized contribution of a block to M."""
    p, v, grouped = block.stack(p), block.stack(v), block.stack(t)
    if block.group_size <= p.shape[-1]:
        own = (p @ v.mT + v @ p.mT) / 2
        return [(t, (own @ grouped).reshape(t.shape))]
    # Long groups: their contribution has rank k, which is less than their number of rows.
    left, right = ((grouped.mT @ x).transpose(0, 1).flatten(1).T for x in (p, v))
    return [(left, right / 2), (right, left / 2)]


def cross_sums(
    whitened: RowBlocks, first: Tensor, second: Tensor, leverage: Tensor, sample_weight: Tensor
) -> tuple[Tensor, Tensor]:
    """Both cross sums for every training row.

    Parameters
    ----------
    whitened : RowBlocks
        Whitened rows T (n, q).
    first, second : tensors of shape (n, k)
        P and V.
    leverage : tensor of shape (n,)
        Leverages h_i.
    sample_weight : tensor of shape (n,)

    Returns
    -------
    first : tensor of shape (n, k)
    second : tensor of shape (n,)
    """
    high = high_leverage(whitened, leverage, sample_weight)
    explicit = None
    if high.any():
        explicit = HighLeverageGroups(whitened, first, second, high)
        first = first.masked_fill(high[:, None], 0.0)
        second = second.masked_fill(high[:, None], 0.0)
    total_first, total_second = total_sums(whitened, first, second)
    half = products.triangular_half(total_second)

    def at_block(block, t, own_first, own_second, own_leverage):
        out_first = t @ total_first
        out_second = products.quadratic_form(t, half)
        if block.group_size == 1:
            product = torch.linalg.vecdot(own_first, own_second)
            out_first.addcmul_(own_leverage[:, None], own_first, value=-1)
            out_second.addcmul_(own_leverage.square(), product, value=-1)
        else:
            _subtract_groups(block, t, own_first, own_second, out_first, out_second)
        if explicit is not None:
            explicit.add_to(block, t, out_first, out_second)
        return out_first, out_second

    out_first, out_second = whitened.map(at_block, first, second, leverage)
    return out_first, out_second


def _subtract_groups(
    block: Block,
    whitened: Tensor,
    first: Tensor,
    second: Tensor,
    out_first: Tensor,
    out_second: Tensor,
) -> None:
    """Subtract the terms of each row's own group from both sums of a block."""
    t, p, v = block.stack(whitened), block.stack(first), block.stack(second)
    hat_first, hat_second = ((t @ (t.mT @ x)).reshape(first.shape) for x in (p, v))
    out_first.sub_(hat_first)
    out_second.sub_(torch.linalg.vecdot(hat_first, hat_second))


def high_leverage(whitened: RowBlocks, leverage: Tensor, sample_weight: Tensor) -> Tensor:
    """Mask of the rows of high-leverage groups, (n,).

    Parameters
    ----------
    whitened : RowBlocks
        Whitened rows T (n, q).
    leverage : tensor of shape (n,)
        Leverages h_i.
    sample_weight : tensor of shape (n,)
    """
    distance, share = leverage, sample_weight * leverage
    if whitened.layout.grouped:
        distance = whitened.layout.group_sums(leverage)
        (share,) = whitened.map(_largest_eigenvalue, share, sample_weight)
    least = distance.median() * _FAR[leverage.dtype]
    n_most = min(2 * whitened.n_columns, len(distance))
    least = torch.maximum(least, distance.topk(n_most).values[-1])
    return (share > _DETERMINING) | (distance > least)


def _largest_eigenvalue(
    block: Block, whitened: Tensor, share: Tensor, weight: Tensor
) -> tuple[Tensor]:
    """Lower bound on the largest eigenvalue of S H_II S of each row's group (power iteration)."""
    if block.group_size == 1:
        return (share,)
    t, a = block.stack(whitened), block.stack(weight)
    groups = torch.arange(len(t), device=t.device)
    # Start from the row with the largest share.
    vector = t[groups, block.stack(share).argmax(dim=1)][..., None]
    tiny = torch.finfo(t.dtype).tiny
    for _ in range(_POWER_STEPS):
        vector = vector / torch.linalg.vector_norm(vector, dim=1, keepdim=True).clamp(min=tiny)
        vector = t.mT @ (a[..., None] * (t @ vector))
    norm = torch.linalg.vector_norm(vector, dim=1)
    return (norm.expand(-1, block.group_size).reshape(-1),)


class HighLeverageGroups:
    """Contributions of high-leverage groups to the cross sums of all other rows.

    Parameters
    ----------
    whitened : RowBlocks
    first, second : tensors of shape (n, k)
        P and V.
    high : bool tensor of shape (n,)
        Mask of the rows of high-leverage groups.
    """

    def __init__(self, whitened: RowBlocks, first: Tensor, second: Tensor, high: Tensor):
        self.short = torch.empty(0, dtype=torch.long, device=high.device)
        self.unit_of_row = whitened.layout.unit_numbers(high.device)
        self.starts: list[int] = []
        self.stops: list[int] = []
        self.factors: list[Tensor] = []
        for block in whitened.layout.blocks:
            inside = block.start + torch.nonzero(high[block.rows])[:, 0]
            if block.group_size <= first.shape[1]:
                self.short = torch.cat([self.short, inside])
            elif len(inside):
                self._add_long(block, inside, whitened.read(block.rows), first, second)
        self.whitened = first.new_empty((0, whitened.n_columns))
        if len(self.short):
            self.whitened = whitened.read(self.short)
        self.first, self.second = first[self.short], second[self.short]
        self.unit = self.unit_of_row[self.short]

    def _add_long(
        self, block: Block, positions: Tensor, whitened: Tensor, first: Tensor, second: Tensor
    ) -> None:
        """Store T_I' P_I and T_I' V_I, (q, 2k), of the high-leverage groups in a block."""
        for start in positions[:: block.group_size].tolist():
            rows = slice(start, start + block.group_size)
            t = whitened[start - block.start : rows.stop - block.start]
            self.starts.append(start)
            self.stops.append(rows.stop)
            self.factors.append(t.T @ torch.cat([first[rows], second[rows]], dim=1))

    def add_to(self, block: Block, whitened: Tensor, out_first: Tensor, out_second: Tensor) -> None:
        """Add the contributions to both sums of the rows in ``block``."""
        if len(self.unit):
            self._add_short(block, whitened, out_first, out_second)
        if self.factors:
            self._add_factors(block, whitened, out_first, out_second)

    def _add_short(
        self, block: Block, whitened: Tensor, out_first: Tensor, out_second: Tensor
    ) -> None:
        hat = whitened @ self.whitened.T
        hat.masked_fill_(self.unit_of_row[block.rows, None] == self.unit, 0.0)
        out_first.add_(hat @ self.first)
        counts = torch.unique_consecutive(self.unit, return_counts=True)[1]
        if int(counts.max()) == 1:
            out_second.add_(hat.square() @ torch.linalg.vecdot(self.first, self.second))
            return
        stops = torch.cumsum(counts, 0).tolist()
        for stop, count in zip(stops, counts.tolist(), strict=True):
            rows = slice(stop - count, stop)
            left, right = hat[:, rows] @ self.first[rows], hat[:, rows] @ self.second[rows]
            out_second.add_(torch.linalg.vecdot(left, right))

    def _add_factors(
        self, block: Block, whitened: Tensor, out_first: Tensor, out_second: Tensor
    ) -> None:
        step = max(_CHUNK_ELEMENTS // (len(whitened) * self.factors[0].shape[1]), 1)
        for begin in range(0, len(self.factors), step):
            chosen = slice(begin, begin + step)
            factors = torch.cat(self.factors[chosen], dim=1)
            sums = (whitened @ factors).unflatten(1, (-1, 2, out_first.shape[1]))
            bounds = zip(self.starts[chosen], self.stops[chosen], strict=True)
            for number, (start, stop) in enumerate(bounds):
                own = slice(max(start - block.start, 0), max(stop - block.start, 0))
                sums[own, number] = 0.0
            out_first.add_(sums[:, :, 0].sum(dim=1))
            out_second.add_((sums[:, :, 0] * sums[:, :, 1]).sum(dim=(1, 2)))
