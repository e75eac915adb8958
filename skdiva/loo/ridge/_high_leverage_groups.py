"""Groups whose own terms would swamp the sums over the others, and their share of these sums.

A group dominates if it all but decides its predictions (the largest eigenvalue of S H_II S is
above a half), or lies far out without deciding anything, at a large penalty or at weight zero.
There are few: the eigenvalues add up to q. What they contribute to the other rows is formed
explicitly, and the entries of their own group are never added.
"""

import torch

from skdiva.loo.ridge._group_blocks import group_sums, stack

_DECIDING = 0.5
_FAR = {torch.float32: 1e3, torch.float64: 1e6}  # leverage of the group, over the median
_POWER_STEPS = 4
_CHUNK = 2**22  # numbers held at a time


def dominating_rows(whitened, leverage, sample_weight):
    """Mask of the rows of dominating groups, (n,).

    Parameters
    ----------
    whitened : TensorRows
        T (n, q).
    leverage : tensor of shape (n,)
        h_i.
    sample_weight : tensor of shape (n,)
    """
    distance = group_sums(whitened.layout, leverage)
    least = distance.median() * _FAR[leverage.dtype]
    n_most = min(2 * whitened.n_columns, len(distance))
    least = torch.maximum(least, distance.topk(n_most).values[-1])
    share = sample_weight * leverage
    if any(block.group_size > 1 for block in whitened.layout.blocks):
        (share,) = whitened.map(_largest_eigenvalue, share, sample_weight)
    return (share > _DECIDING) | (distance > least)


def _largest_eigenvalue(block, whitened, share, weight):
    """Largest eigenvalue of S H_II S of every row's group, from below, by power iteration."""
    if block.group_size == 1:
        return (share,)
    t, a = stack(block, whitened), stack(block, weight)
    groups = torch.arange(len(t), device=t.device)
    vector = t[groups, stack(block, share).argmax(dim=1)][..., None]  # the most deciding row
    tiny = torch.finfo(t.dtype).tiny
    for _ in range(_POWER_STEPS):
        vector = vector / torch.linalg.vector_norm(vector, dim=1, keepdim=True).clamp(min=tiny)
        vector = t.mT @ (a[..., None] * (t @ vector))
    norm = torch.linalg.vector_norm(vector, dim=1)
    return (norm.expand(-1, block.group_size).reshape(-1),)


class DominatingGroups:
    """The sums over the rows of dominating groups, to be added to those over all others.

    Parameters
    ----------
    whitened : TensorRows
    first, second : tensors of shape (n, k)
        P and V, see ``others_sums.py``.
    dominating : bool tensor of shape (n,)
    """

    def __init__(self, whitened, first, second, dominating):
        self.short = torch.empty(0, dtype=torch.long, device=dominating.device)
        self.group_of_row = _group_numbers(whitened.layout, dominating.device)
        self.starts, self.factors, self.stops = [], [], []
        for block in whitened.layout.blocks:
            inside = block.start + torch.nonzero(dominating[block.rows])[:, 0]
            if block.group_size <= first.shape[1]:
                self.short = torch.cat([self.short, inside])
            elif len(inside):
                self._add_long(block, inside, whitened[block], first, second)
        self.whitened = whitened.select(self.short)
        self.first, self.second = first[self.short], second[self.short]
        self.group = self.group_of_row[self.short]

    def _add_long(self, block, positions, whitened, first, second):
        """Keep T_I' P_I and T_I' V_I, (q, 2k), of the dominating groups in a block."""
        for start in positions[:: block.group_size].tolist():
            rows = slice(start, start + block.group_size)
            t = whitened[start - block.start : rows.stop - block.start]
            self.starts.append(start)
            self.stops.append(rows.stop)
            self.factors.append(t.T @ torch.cat([first[rows], second[rows]], dim=1))

    def add_to(self, block, whitened, out_first, out_second):
        """Add both sums to those of the rows in ``block``."""
        if self.group.numel():
            self._add_short(block, whitened, out_first, out_second)
        if self.factors:
            self._add_factors(block, whitened, out_first, out_second)

    def _add_short(self, block, whitened, out_first, out_second):
        hat = whitened @ self.whitened.T
        hat.masked_fill_(self.group_of_row[block.rows, None] == self.group, 0.0)
        out_first.add_(hat @ self.first)
        counts = torch.unique_consecutive(self.group, return_counts=True)[1]
        if int(counts.max()) == 1:
            out_second.add_(hat.square() @ torch.linalg.vecdot(self.first, self.second))
            return
        stops = torch.cumsum(counts, 0).tolist()
        for stop, count in zip(stops, counts.tolist(), strict=True):
            rows = slice(stop - count, stop)
            left, right = hat[:, rows] @ self.first[rows], hat[:, rows] @ self.second[rows]
            out_second.add_(torch.linalg.vecdot(left, right))

    def _add_factors(self, block, whitened, out_first, out_second):
        step = max(_CHUNK // (len(whitened) * self.factors[0].shape[1]), 1)
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


def _group_numbers(layout, device):
    """Return a number for every row, (n,) in visiting order, equal within a group."""
    numbers = torch.arange(layout.n_rows, device=device)
    for block in layout.blocks:
        position = numbers[block.rows] - block.start
        numbers[block.rows] = block.start + torch.div(
            position, block.group_size, rounding_mode="floor"
        )
    return numbers
