"""Gram matrix of per-output Jacobians, summed over tiles of parameters.

All outputs share the parameters, so every pair of a sample and an output is a row of the ridge
model. The model needs only the inner products of these rows, an n k x n k matrix, whatever the
number of parameters.
"""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from skdiva.loo.ridge import add_symmetric_product
from skdiva.loo.rows import require_memory

_MATRICES = 3  # of the size of the inner products are held while they are factorized
_COLUMNS = 2048  # number of columns centered at a time, which keeps the copy small


class JointGram(NamedTuple):
    """Inner products of Jacobian rows.

    If the model has intercepts, center the Jacobians by their mean over the training samples. This
    keeps the numbers small and does not change the model.

    Attributes
    ----------
    train : tensor of shape (n, k, n * k)
        Inner products of the training samples with each other.
    validation : tensor of shape (m, k, n * k) or None
        Inner products of validation samples with the training samples.
    """

    train: Tensor
    validation: Tensor | None = None

    @classmethod
    def from_tiles(
        cls, tiles: Iterable[Tensor], n_train: int, *, center: bool = True
    ) -> "JointGram":
        """Sum the inner products over tiles of columns.

        Parameters
        ----------
        tiles : iterable of tensors of shape (n_train + n_validation, k, width)
            Tiles that together contain every column once.
        n_train : int
            Number of training samples, which come first.
        center : bool, default=True
            Whether to subtract the mean of every output over the training samples. With intercepts
            this does not change the model, but keeps the numbers small.

        Returns
        -------
        JointGram

        Raises
        ------
        ValueError
            If there are no columns.
        MemoryError
            If the memory does not suffice.
        """
        train = across = None
        n_outputs = 0
        for part in (part for tile in tiles for part in tile.split(_COLUMNS, dim=2)):
            n_outputs = part.shape[1]
            if center:
                part = part - part[:n_train].mean(dim=0)
            part = part.flatten(0, 1)
            rows, others = part[: n_train * n_outputs], part[n_train * n_outputs :]
            if train is None or across is None:
                require_memory(
                    _MATRICES * len(part) * len(rows) * part.dtype.itemsize,
                    part.device,
                    f"The inner products of {len(rows)} rows, one for every sample and output,",
                    "Use fewer samples, or project the features to fewer columns than that.",
                )
                train = rows.new_zeros((len(rows), len(rows)))
                across = rows.new_zeros((len(others), len(rows)))
            add_symmetric_product(train, rows.T, rows.T)
            across.addmm_(others, rows.T)
        if train is None or across is None:
            raise ValueError("Expected tiles with columns of the Jacobian, got none.")
        _mirror_upper_in_place(train)
        shape = (-1, n_outputs, n_train * n_outputs)
        return cls(train.reshape(shape), across.reshape(shape) if len(across) else None)


def center_gram(gram: Tensor, weight: Tensor, n_outputs: int) -> Tensor:
    """Center rows and columns in place by the weighted mean of every output.

    Parameters
    ----------
    gram : tensor of shape (n * k, n * k)
    weight : tensor of shape (n,)
        Weights that sum to 1.
    n_outputs : int
        Number of outputs k.

    Returns
    -------
    tensor of shape (n * k, n * k)
        ``gram``, modified in place.
    """
    by_column = gram.unflatten(1, (-1, n_outputs))
    by_column -= torch.einsum("rnk,n->rk", by_column, weight)[:, None]
    by_row = gram.unflatten(0, (-1, n_outputs))
    by_row -= torch.einsum("nkr,n->kr", by_row, weight)
    return gram


def _mirror_upper_in_place(matrix: Tensor, block: int = 1024) -> None:
    """Copy the upper triangle to the lower one, without allocating a second matrix."""
    n = len(matrix)
    for start in range(0, n, block):
        rows = slice(start, min(start + block, n))
        square = matrix[rows, rows]
        square.copy_(torch.triu(square) + torch.triu(square, 1).T)
        matrix[rows.stop :, rows] = matrix[rows, rows.stop :].T
