"""Networks in a file that other processes can import, as pickles and caches need."""

from pathlib import Path

import torch
from torch import nn


class Everything(nn.Module):
    """All kinds of tensors that a module can hold."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(3, 3)
        self.tied = nn.Linear(3, 3)
        self.tied.weight = self.layer.weight
        self.frozen = nn.Parameter(torch.randn(2), requires_grad=False)
        self.in_half = nn.Parameter(torch.randn(4).half())
        self.in_brain = nn.Parameter(torch.randn(4).bfloat16())
        self.register_buffer("first", torch.randn(2, 2), persistent=False)
        self.register_buffer("second", torch.arange(3), persistent=False)
        self.register_buffer("third", torch.tensor(True))
        self.register_buffer("fourth", torch.randn(2, dtype=torch.complex64))
        self.register_buffer("nothing", None)
        self.plain = torch.randn(3)
        self.strided = nn.Parameter(torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last))
        self.eval()
        self.layer.train()


class Counting(nn.Module):
    """Writes down the size of every batch that it computes, for all processes alike."""

    def __init__(self, path):
        super().__init__()
        torch.manual_seed(0)
        self.path = str(path)
        Path(path).touch()
        self.body, self.head = nn.Linear(4, 5), nn.Linear(5, 2)

    def forward(self, x):
        with Path(self.path).open("a") as file:
            file.write(f"{len(x)}\n")
        return self.head(torch.tanh(self.body(x)))


def batches_computed(network, n_least=4):
    """Sizes of the batches so far but for those of probes, which are smaller."""
    sizes = [int(line) for line in Path(network.path).read_text().split()]
    return [size for size in sizes if size >= n_least]
