"""Base class of smoothers that form the n x n hat matrix."""

from abc import abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor

from skdiva.loo._targets import Targets
from skdiva.loo.ridge._group_blocks import left_out_solve
from skdiva.loo.ridge._precision import RESOLUTION
from skdiva.loo.ridge._smoother import Smoother
from skdiva.loo.rows import Block


class HatMatrixSmoother(Smoother):
    """Base class with the methods of a smoother that need the hat matrix only.

    Subclasses set the attributes of `Smoother`, and ``off_diagonal``.

    Attributes
    ----------
    off_diagonal : tensor of shape (n, n)
        H with a diagonal of zeros, so that the terms of a row itself are never added and then
        subtracted.
    """

    off_diagonal: Tensor

    @abstractmethod
    def centered_targets(self, targets: Targets) -> tuple[Tensor, Tensor]:
        """Targets (n, k) minus their weighted means, and the means in float64."""

    def residuals(self, targets: Targets) -> Tensor:
        """Prediction minus target of every row, (n, k)."""
        values, _ = self.centered_targets(targets)
        others = self.off_diagonal @ (self.sample_weight[:, None] * values)
        return others - self.one_minus_leverage[:, None] * values

    def solve_left_out(self, values: Tensor, *, transposed: bool = False) -> Tensor:
        """Apply (I - H_II diag(a_I))^-1, or its transpose, to every group of ``values`` (n, k)."""
        if not self.layout.grouped:
            return values / self.one_minus_leverage[:, None]
        out = torch.empty_like(values)
        for block in self.layout.blocks:
            rows = block.rows
            if block.group_size == 1:
                out[rows] = values[rows] / self.one_minus_leverage[rows, None]
                continue
            row_arrays = self.sample_weight, values, self.one_minus_leverage, self.leverage
            weight, value, share, leverage = (block.stack(array[rows]) for array in row_arrays)
            root = weight.sqrt()
            hat = group_view(self.off_diagonal, block).clone()
            operator = -root[:, :, None] * hat * root[:, None, :]
            operator.diagonal(dim1=-2, dim2=-1).copy_(share)
            hat.diagonal(dim1=-2, dim2=-1).copy_(leverage)
            # The diagonal was not subtracted from 1: errors are relative to the diagonal itself.
            solved = left_out_solve(
                hat, operator, root, value,
                transposed=transposed, scale=share, least=RESOLUTION[self.dtype],
            )  # fmt: skip
            out[rows] = solved.reshape(-1, values.shape[1])
        return out

    def cross_sums(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Return both cross sums; see `Smoother`."""
        total_first = torch.zeros_like(first)
        total_second = torch.zeros_like(self.leverage)
        for block, hat in self._other_columns():
            p, v = first[block.rows], second[block.rows]
            total_first += hat @ p
            if block.group_size == 1:
                total_second += hat.square() @ torch.linalg.vecdot(p, v)
                continue
            p, v = block.stack(p), block.stack(v)
            by_group = hat.T.reshape(-1, block.group_size, hat.shape[0]).mT  # (G, n, m)
            total_second += torch.einsum("gnk,gnk->n", by_group @ p, by_group @ v)
        return total_first, total_second

    def pair_products(self, first: Tensor, second: Tensor) -> Tensor:
        """Symmetrized products of ``first`` and ``second`` within every group, 0 elsewhere."""
        quadratic = torch.zeros_like(self.off_diagonal)
        for block in self.layout.blocks:
            p, v = block.stack(first[block.rows]), block.stack(second[block.rows])
            own = group_view(quadratic, block)
            own.copy_((p @ v.mT + v @ p.mT) / 2)
        return quadratic

    def _other_columns(self) -> Iterator[tuple[Block, Tensor]]:
        """Yield the columns of H at every block, (n, b), with entries of own groups set to zero."""
        for block in self.layout.blocks:
            hat = self.off_diagonal[:, block.rows]
            if block.group_size > 1:
                hat = hat.clone()
                group = torch.arange(hat.shape[1], device=hat.device) // block.group_size
                hat[block.rows].masked_fill_(group[:, None] == group, 0.0)
            yield block, hat


def group_view(matrix: Tensor, block: Block) -> Tensor:
    """Return a view of the diagonal blocks (G, m, m) that belong to the groups of ``block``."""
    square = matrix[block.rows, block.rows]
    size = block.group_size
    row_step, column_step = square.stride()
    shape = (square.shape[0] // size, size, size)
    return square.as_strided(
        shape, (size * (row_step + column_step), row_step, column_step), square.storage_offset()
    )
