"""What a sample's own group contributes: the left-out solve and the terms to take back out.

For a group I, with S = diag(sqrt(a_I)) and H_II its own block of H,

    (I - H_II diag(a_I))^-1 = I + H_II S (I - S H_II S)^-1 S,

which needs no division by a weight, so weights may be zero. I - S H_II S is symmetric and positive
definite; a Cholesky pivot near zero says that the group alone decides its predictions.
Arrays are stacks over groups of one size: (G, m, ...).
"""

import torch

from skdiva.loo.ridge._precision import cholesky_stack, require_residual_share


def own_blocks(whitened, weight):
    """S (G, m), H_II and I - S H_II S (G, m, m) from whitened rows (G, m, q), H_II = T T'."""
    root, hat = weight.sqrt(), whitened @ whitened.mT
    operator = -root[:, :, None] * hat * root[:, None, :]
    operator.diagonal(dim1=-2, dim2=-1).add_(1)
    return root, hat, operator


def left_out_solve(
    own_hat, operator, root_weight, values, *, transposed=False, scale=1.0, least=None
):
    """Apply (I - H_II diag(a_I))^-1, or its transpose, to ``values`` (G, m, k).

    Parameters
    ----------
    own_hat : tensor of shape (G, m, m)
        H_II.
    operator : tensor of shape (G, m, m)
        I - S H_II S.
    root_weight : tensor of shape (G, m)
    values : tensor of shape (G, m, k)
    transposed : bool
    scale : 1 or tensor of shape (G, m)
        Size of the numbers that the operator's diagonal was computed from: 1 where leverages were
        subtracted from 1.
    least : float, optional
        Smallest Cholesky pivot, in units of ``scale``, that is accepted.
    """
    factor = cholesky_stack(operator)
    pivots = factor.diagonal(dim1=-2, dim2=-1).square() / scale
    require_residual_share(float(pivots.min()), values.dtype, least)
    root = root_weight[..., None]
    if transposed:
        return values + root * torch.cholesky_solve(root * (own_hat @ values), factor)
    return values + own_hat @ (root * torch.cholesky_solve(root * values, factor))


def solve_whitened(whitened, weight, values, *, transposed=False):
    """Do the same from whitened rows T (G, m, q), H_II = T T'.

    For more rows than columns by Woodbury: (I - T T' A)^-1 = I + T (I - T' A T)^-1 T' A.
    """
    if whitened.shape[1] <= whitened.shape[2]:
        root, hat, operator = own_blocks(whitened, weight)
        return left_out_solve(hat, operator, root, values, transposed=transposed)
    weighted = weight[..., None] * whitened
    identity = torch.eye(whitened.shape[-1], dtype=whitened.dtype, device=whitened.device)
    factor = cholesky_stack(identity - weighted.mT @ whitened)
    smallest = factor.diagonal(dim1=-2, dim2=-1).square().min()
    require_residual_share(float(smallest), values.dtype)
    outer, inner = (weighted, whitened) if transposed else (whitened, weighted)
    return values + outer @ torch.cholesky_solve(inner.mT @ values, factor)


def stack(block, array):
    """View rows of a block as a stack over its groups, (G, m, ...)."""
    return array.reshape(-1, block.group_size, *array.shape[1:])


def group_sums(layout, row_values):
    """Sum of ``row_values`` (n,) over each row's own group, (n,)."""
    out = torch.empty_like(row_values)
    for block in layout.blocks:
        grouped = stack(block, row_values[block.rows])
        out[block.rows] = grouped.sum(dim=1, keepdim=True).expand_as(grouped).reshape(-1)
    return out


def n_groups_with_weight(layout, weight):
    """Number of groups (rows, without groups) with positive weight, (n,) in visiting order."""
    held = weight > 0
    return sum(int(stack(b, held[b.rows]).any(dim=1).sum()) for b in layout.blocks)


def require_two_groups(layout, weight):
    """Raise ValueError unless something is left when a row or group is left out."""
    n_groups = n_groups_with_weight(layout, weight)
    if n_groups < 2:
        raise ValueError(
            "Leave-one-out needs positive weight in at least two rows (two groups, when groups are "
            f"given); got {n_groups}. Give weight to more rows, or use smaller groups."
        )
