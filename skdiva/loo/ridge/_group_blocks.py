"""Diagonal blocks of the hat matrix, one per group, and the solve that leaves a group out.

For a group I, with S = diag(sqrt(a_I)) and H_II its own block of H,

    (I - H_II diag(a_I))^-1 = I + H_II S (I - S H_II S)^-1 S,

which does not divide by a weight, so weights may be zero. I - S H_II S is symmetric and positive
definite. A Cholesky pivot near zero means that the group alone determines its predictions. Arrays
are stacked over groups of equal size: (G, m, ...).
"""

import torch
from torch import Tensor

from skdiva.loo.ridge._precision import cholesky_stack, require_residual_share


def group_blocks(whitened: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """S (G, m), H_II = T T' and I - S H_II S (G, m, m), from whitened rows T (G, m, q)."""
    root, hat = weight.sqrt(), whitened @ whitened.mT
    operator = -root[:, :, None] * hat * root[:, None, :]
    operator.diagonal(dim1=-2, dim2=-1).add_(1)
    return root, hat, operator


def left_out_solve(
    own_hat: Tensor,
    operator: Tensor,
    root_weight: Tensor,
    values: Tensor,
    *,
    transposed: bool = False,
    scale: Tensor | float = 1.0,
    least: float | None = None,
) -> Tensor:
    """Apply (I - H_II diag(a_I))^-1, or its transpose, to ``values`` (G, m, k).

    Parameters
    ----------
    own_hat : tensor of shape (G, m, m)
        H_II.
    operator : tensor of shape (G, m, m)
        I - S H_II S.
    root_weight : tensor of shape (G, m)
    values : tensor of shape (G, m, k)
    transposed : bool, default=False
    scale : 1 or tensor of shape (G, m), default=1.0
        Magnitude of the terms from which the diagonal of the operator was computed; 1 if leverages
        were subtracted from 1.
    least : float, optional
        Smallest accepted Cholesky pivot, relative to ``scale``.

    Returns
    -------
    tensor of shape (G, m, k)

    Raises
    ------
    InsufficientPrecisionError
        If a group determines its own predictions.
    """
    factor = cholesky_stack(operator)
    pivots = factor.diagonal(dim1=-2, dim2=-1).square() / scale
    require_residual_share(float(pivots.min()), values.dtype, least)
    root = root_weight[..., None]
    if transposed:
        return values + root * torch.cholesky_solve(root * (own_hat @ values), factor)
    return values + own_hat @ (root * torch.cholesky_solve(root * values, factor))


def solve_whitened(
    whitened: Tensor, weight: Tensor, values: Tensor, *, transposed: bool = False
) -> Tensor:
    """Apply the same operator as `left_out_solve`, from whitened rows T (G, m, q), H_II = T T'.

    If there are more rows than columns, the Woodbury identity is used:
    (I - T T' A)^-1 = I + T (I - T' A T)^-1 T' A.
    """
    if whitened.shape[1] <= whitened.shape[2]:
        root, hat, operator = group_blocks(whitened, weight)
        return left_out_solve(hat, operator, root, values, transposed=transposed)
    weighted = weight[..., None] * whitened
    identity = torch.eye(whitened.shape[-1], dtype=whitened.dtype, device=whitened.device)
    factor = cholesky_stack(identity - weighted.mT @ whitened)
    smallest = factor.diagonal(dim1=-2, dim2=-1).square().min()
    require_residual_share(float(smallest), values.dtype)
    outer, inner = (weighted, whitened) if transposed else (whitened, weighted)
    return values + outer @ torch.cholesky_solve(inner.mT @ values, factor)
