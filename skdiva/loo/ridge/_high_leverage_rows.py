"""High-leverage rows, excluded from the factorization and restored by a low-rank update.

A row with a_i h_i near 1 (an outlier in the features) dominates a Gram matrix: 1 - a_i h_i and the
residual of the row would be differences of nearly equal numbers. The few such rows D are excluded.
Let t be the rows whitened by the factorization of all *other* rows, and let
U = (sqrt(a_D) t_D)' = X S Y' (thin SVD). Then U U' is added to C^-1, and

    H = t (I + U U')^-1 t' = t (I - X X') t' + (t X) (1 + S^2)^-1 (t X)'.

Rows are therefore whitened in q + d coordinates: t without its component along X, followed by
t X (1 + S^2)^-1/2. Large numbers are no longer subtracted: the first part of a row in D is exactly
0, and

    I - sqrt(a_D) H_DD sqrt(a_D) = Y (1 + S^2)^-1 Y'.
"""

import torch
from torch import Tensor

from skdiva.loo.rows import Block


class HighLeverageRows:
    """High-leverage rows D of a ridge model.

    Parameters
    ----------
    positions : int64 tensor of shape (d,)
        Positions in visiting order.
    whitened : tensor of shape (d, q)
        These rows, whitened by the factorization of the other rows.
    weight : tensor of shape (d,)
        Weights of these rows, positive.
    """

    def __init__(self, positions: Tensor, whitened: Tensor, weight: Tensor):
        self.positions = positions
        self.weight = weight
        self._others_whitened = whitened
        self._root = weight.sqrt()[:, None]
        left, singular, self.directions = torch.linalg.svd(
            self._root * whitened, full_matrices=False
        )
        self.shrink = (1 + singular.square()).rsqrt()
        self.operator = (left * self.shrink.square()) @ left.T  # I - S H_DD S, (d, d)
        self.whitened = whitened.new_zeros((len(positions), whitened.shape[1] + len(singular)))
        self.whitened[:, whitened.shape[1] :] = left * (singular * self.shrink) / self._root

    def extend(self, out: Tensor) -> None:
        """Complete whitened rows ``out`` (m, q + d) in place; its first q columns contain t."""
        width = self.directions.shape[1]
        along = out[:, :width] @ self.directions.T
        out[:, :width].addmm_(along, self.directions, alpha=-1)
        torch.mul(along, self.shrink, out=out[:, width:])

    def contract(self, coef: Tensor) -> Tensor:
        """Convert coefficients (q + d, k) for extended rows to coefficients (q, k) for t."""
        width = self.directions.shape[1]
        return self._with_part_along(coef[:width], self.shrink[:, None] * coef[width:])

    def _with_part_along(self, values: Tensor, along: Tensor) -> Tensor:
        """Replace the component of ``values`` (q, k) along the directions by ``along`` (d, k)."""
        return values + self.directions.T @ (along - self.directions @ values)

    def residuals(self, values: Tensor, others_moment: Tensor) -> Tensor:
        """Prediction minus target at the high-leverage rows, (d, k).

        Parameters
        ----------
        values : tensor of shape (d, k)
            Targets of these rows.
        others_moment : tensor of shape (q + d, k)
            T' diag(a) Y over all other rows.
        """
        width = self.directions.shape[1]
        # Convert to the coordinates t by undoing the shrinkage along the directions.
        along = others_moment[width:] / self.shrink[:, None]
        moment = self._with_part_along(others_moment[:width], along)
        left_out = self._others_whitened @ moment - values
        return (self.operator @ (self._root * left_out)) / self._root

    def inside(self, block: Block) -> Tensor:
        """Mask (d,) of the high-leverage rows that are in a block."""
        return (self.positions >= block.start) & (self.positions < block.stop)

    def write_operator(self, block: Block, operator: Tensor) -> Tensor:
        """Write the known entries of I - S H S into a stack of the groups' blocks (G, m, m).

        Returns
        -------
        tensor of shape (G, m)
            Magnitude of the terms from which each diagonal entry was computed: 1, or the entry
            itself for high-leverage rows.
        """
        inside = self.inside(block)
        place = self.positions[inside] - block.start
        group = torch.div(place, block.group_size, rounding_mode="floor")
        member = place % block.group_size
        left, right = torch.nonzero(group[:, None] == group, as_tuple=True)
        known = self.operator[inside][:, inside]
        operator[group[left], member[left], member[right]] = known[left, right]
        scale = torch.ones_like(operator[..., 0])
        scale[group, member] = known.diagonal()
        return scale
