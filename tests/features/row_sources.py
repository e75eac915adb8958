"""Rows for a network from every kind of source: the same rows each time."""

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from skdiva.features.network._row_sources import ArrayRows, StreamedRows

X = np.random.default_rng(0).normal(size=(23, 3))


class Stream(IterableDataset):
    """Rows without a number."""

    def __iter__(self):
        return iter(torch.from_numpy(X))


class Dicts(Dataset):
    """Rows as transformers has them."""

    def __len__(self):
        return len(X)

    def __getitem__(self, i):
        return {"values": torch.from_numpy(X[i]), "ids": torch.tensor(i), "labels": torch.tensor(7)}


SOURCES = {
    "array": lambda: ArrayRows(X),
    "float32": lambda: ArrayRows(X.astype(np.float32)),
    "big-endian": lambda: ArrayRows(X.astype(">f8")),
    "reversed": lambda: ArrayRows(X[::-1].copy()[::-1]),
    "tensor": lambda: ArrayRows(torch.from_numpy(X).requires_grad_()),
    "dataset": lambda: StreamedRows(TensorDataset(torch.from_numpy(X), torch.arange(23))),
    "loader": lambda: StreamedRows(DataLoader(torch.from_numpy(X), batch_size=8)),
    "iterable": lambda: StreamedRows(Stream()),
    "dicts": lambda: StreamedRows(Dicts()),
    "loader of dicts": lambda: StreamedRows(DataLoader(Dicts(), batch_size=4)),
}
