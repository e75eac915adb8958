"""Two sums over all rows outside one's own group, from whitened rows T (H = T T').

With J the group of row j:

    first_j  = sum_{i not in J} H_ji P_i                                  (k,)
    second_j = sum_{I != J} <sum_{i in I} H_ji P_i, sum_{i in I} H_ji V_i>   scalar

Both come from sums over *all* rows, B = T'P and M = sum_I T_I' P_I V_I' T_I, with the own group
taken back out. For a row that dominates (leverage near 1, what an outlier detector looks for) that
subtraction would leave nothing but rounding, so dominating groups stay out of B and M
(``dominating.py``).
"""

import torch

from skdiva.loo.ridge import _products as products
from skdiva.loo.ridge._group_blocks import stack
from skdiva.loo.ridge._high_leverage_groups import DominatingGroups, dominating_rows


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


def others_sums(whitened, first, second, leverage, sample_weight):
    """Both sums at every training row.

    Parameters
    ----------
    whitened : TensorRows
        T (n, q).
    first, second : tensors of shape (n, k)
        P and V.
    leverage : tensor of shape (n,)
        h_i.
    sample_weight : tensor of shape (n,)

    Returns
    -------
    first : tensor of shape (n, k)
    second : tensor of shape (n,)
    """
    dominating = dominating_rows(whitened, leverage, sample_weight)
    explicit = DominatingGroups(whitened, first, second, dominating)
    if dominating.any():
        first, second = (x.masked_fill(dominating[:, None], 0.0) for x in (first, second))
    total_first, total_second = total_sums(whitened, first, second)
    half = products.triangular_half(total_second)

    def at_block(block, t, own_first, own_second, own_leverage):
        out_first = t @ total_first
        out_second = products.quadratic_form(t, half)
        _subtract_own(block, t, own_first, own_second, own_leverage, out_first, out_second)
        explicit.add_to(block, t, out_first, out_second)
        return out_first, out_second

    return whitened.map(at_block, first, second, leverage)


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
