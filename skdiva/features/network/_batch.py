"""Batches of rows: a tensor, or a dict of tensors that a network takes as keywords."""

from collections.abc import Callable
from typing import Any

import torch

Batch = torch.Tensor | dict[str, torch.Tensor]


def n_rows(batch: Batch) -> int:
    """Return the number of rows of a batch."""
    return len(next(iter(batch.values())) if isinstance(batch, dict) else batch)


def take_rows(batch: Any, rows: Any) -> Any:
    """Return some rows of a batch."""
    return map_tensors(lambda tensor: tensor[rows], batch)


def row_shape(batch: Batch) -> tuple | dict[str, tuple]:
    """Return the shape of a row; for a dict of tensors, a dict of shapes."""
    if isinstance(batch, dict):
        return {key: tuple(value.shape[1:]) for key, value in batch.items()}
    return tuple(batch.shape[1:])


def call_arguments(batch: Batch) -> tuple[tuple, dict[str, torch.Tensor]]:
    """Return the positional arguments and the keywords with which a network takes a batch."""
    return ((), batch) if isinstance(batch, dict) else ((batch,), {})


def map_tensors(function: Callable[[Any], Any], batch: Any) -> Any:
    """Apply a function to the tensor, or to each tensor of a dict."""
    if isinstance(batch, dict):
        return {key: function(value) for key, value in batch.items()}
    return function(batch)
