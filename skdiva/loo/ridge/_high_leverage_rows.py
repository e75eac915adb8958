"""High-leverage rows, excluded from the factorization and restored by a low-rank update.

A row with a_i h_i near 1 (an outlier in the features) swamps a Gram matrix: 1 - a_i h_i and its
residual would be differences of nearly equal numbers. The few such rows D are excluded. With t the
rows whitened by the factorization of all *other* rows, U = (sqrt(a_D) t_D)' = X S Y' (thin SVD),
C^-1 gains U U', and

    H = t (I + U U')^-1 t' = t (I - X X') t' + (t X) (1 + S^2)^-1 (t X)',

so rows are whitened in q + d coordinates: t without its part along X, and t X (1 + S^2)^-1/2. No
difference of large numbers is left: the first part of a row in D is exactly 0, and

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
        Their rows, whitened by the factorization of the other rows.
    weight : tensor of shape (d,)
        Their weights, positive.
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
        """Complete whitened rows in place: ``out`` (m, q + d) holds t in its first q columns."""
        width = self.directions.shape[1]
        along = out[:, :width] @ self.directions.T
        out[:, :width].addmm_(along, self.directions, alpha=-1)
        torch.mul(along, self.shrink, out=out[:, width:])

    def contract(self, coef: Tensor) -> Tensor:
        """Coefficients (q, k) for t from coefficients (q + d, k) for extended rows."""
        width = self.directions.shape[1]
        return self._with_part_along(coef[:width], self.shrink[:, None] * coef[width:])

    def _with_part_along(self, values: Tensor, along: Tensor) -> Tensor:
        """Give ``values`` (q, k) the part ``along`` (d, k) along the directions."""
        return values + self.directions.T @ (along - self.directions @ values)

    def residuals(self, values: Tensor, others_moment: Tensor) -> Tensor:
        """Prediction minus target at the high-leverage rows, (d, k).

        Parameters
        ----------
        values : tensor of shape (d, k)
            Their targets.
        others_moment : tensor of shape (q + d, k)
            T' diag(a) Y over all other rows.
        """
        width = self.directions.shape[1]
        # Back to the coordinates t: along the directions undo the shrinking.
        along = others_moment[width:] / self.shrink[:, None]
        moment = self._with_part_along(others_moment[:width], along)
        left_out = self._others_whitened @ moment - values
        return (self.operator @ (self._root * left_out)) / self._root

    def inside(self, block: Block) -> Tensor:
        """Mask (d,) of those that are in a block."""
        return (self.positions >= block.start) & (self.positions < block.stop)

    def write_operator(self, block: Block, operator: Tensor) -> Tensor:
        """Write the known entries of I - S H S into a stack of the groups' blocks (G, m, m).

        Returns
        -------
        tensor of shape (G, m)
            Size of the numbers each diagonal entry came from: 1, or for high-leverage rows itself.
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
