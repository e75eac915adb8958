"""Small networks, each with something that makes per-sample gradients hard, and their rows."""

import torch
import torch.nn.functional as F
from torch import nn


class Residual(nn.Module):
    """Residual blocks with batch normalization, a stride, and activations in place."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.conv1 = nn.Conv2d(8, 8, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.shortcut = nn.Conv2d(8, 16, 1, stride=2)
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        x = self.relu(self.norm(self.stem(x)))
        y = self.norm1(self.conv1(x))
        y += x
        y = self.relu(y)
        x = self.relu(self.conv2(y)) + self.shortcut(y)
        return self.head(x.mean((2, 3)))


class Transformer(nn.Module):
    """A class token, learned positions, attention and layer normalization."""

    def __init__(self, batch_first=True):
        super().__init__()
        self.batch_first = batch_first
        self.embed = nn.Linear(5, 8)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.position = nn.Parameter(torch.randn(1, 7, 8))
        self.norm1, self.norm2 = nn.LayerNorm(8), nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=batch_first, dropout=0.1)
        self.mlp = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Dropout(0.1), nn.Linear(16, 8))
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        x = self.embed(x)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.position
        if not self.batch_first:
            x = x.transpose(0, 1)
        y = self.norm1(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        x = x + self.mlp(self.norm2(x))
        return self.head(x[:, 0] if self.batch_first else x[0])


class Shared(nn.Module):
    """One layer called twice, and one more whose weight is the same."""

    def __init__(self):
        super().__init__()
        self.first, self.twice, self.tied = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 6)
        self.tied.weight = self.twice.weight
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        x = self.twice(torch.tanh(self.first(x)))
        return self.head(self.tied(torch.tanh(self.twice(torch.tanh(x)))))


class TiedEmbedding(nn.Module):
    """Scores of next tokens from the embedding itself, by a function that no hook sees."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 6, padding_idx=0)
        self.mix = nn.Linear(6, 6)

    def forward(self, ids):
        return F.linear(torch.tanh(self.mix(self.embedding(ids).mean(1))), self.embedding.weight)


class Words(nn.Module):
    """As in the transformers library: keywords in, an object with logits out."""

    def __init__(self):
        super().__init__()
        self.words, self.positions = nn.Embedding(11, 6, padding_idx=0), nn.Embedding(5, 6)
        self.norm = nn.LayerNorm((5, 6))
        self.head = nn.Linear(6, 3)

    def forward(self, input_ids, attention_mask):
        x = self.words(input_ids) + self.positions(torch.arange(5, device=input_ids.device))
        x = torch.tanh(self.norm(x)) * attention_mask[..., None]
        return Logits(self.head(x.sum(1)))


class Logits:
    """What the transformers library returns, as far as it counts here."""

    def __init__(self, logits):
        self.logits = logits


class Odd(nn.Module):
    """Parameters that belong to no layer, one of which is not used."""

    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(4, 5), nn.Linear(5, 3)
        self.scale, self.temperature = nn.Parameter(torch.rand(5)), nn.Parameter(torch.tensor(0.7))
        self.unused = nn.Linear(2, 2)

    def forward(self, x):
        return self.head(torch.tanh(self.body(x)) * self.scale) / self.temperature


class OwnForward(nn.Linear):
    """A Linear whose gradient is not that of a Linear."""

    def forward(self, x):
        return F.linear(x, self.weight.square(), self.bias)


class Frames(nn.Module):
    """Windows of a sample are rows of a batch on the way."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv1d(2, 4, 3), nn.GroupNorm(2, 4)
        self.dense, self.head = nn.Linear(4, 6), nn.Linear(6, 3)

    def forward(self, x):
        frames = x.unflatten(2, (4, -1)).transpose(1, 2).flatten(0, 1)
        x = torch.tanh(self.norm(self.conv(frames))).mean(2)
        return self.head(torch.tanh(self.dense(x)).unflatten(0, (-1, 4)).mean(1))


class NotForVmap(nn.Module):
    """Control flow that depends on values, and a parameter that belongs to no layer."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.rand(4))
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        x = x * self.scale
        return self.head(x if x.isfinite().all() else x.nan_to_num())


def _mlp():
    return nn.Sequential(
        nn.Linear(6, 8), nn.Tanh(), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 3)
    )


def _cnn():
    return nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(inplace=True), nn.Dropout2d(0.3),
        nn.MaxPool2d(2), nn.Conv2d(6, 8, 2), nn.ReLU6(inplace=True), nn.Flatten(), nn.Linear(32, 4),
    )  # fmt: skip


def _convolutions():
    return nn.Sequential(
        nn.Conv2d(4, 8, 3, padding=2, dilation=2, groups=2), nn.GELU(),
        nn.Conv2d(8, 16, (3, 2), padding="same", groups=8, padding_mode="circular"), nn.GELU(),
        nn.Conv2d(16, 6, 1), nn.GELU(), nn.Conv2d(6, 6, 3, 2, 1, padding_mode="reflect"), nn.GELU(),
        nn.Conv2d(6, 8, 1, stride=2), nn.Flatten(), nn.Linear(32, 3),
    )  # fmt: skip


def _signal():
    return nn.Sequential(
        nn.Conv1d(2, 6, 4, stride=2, padding=1), nn.GroupNorm(3, 6), nn.GELU(),
        nn.Conv1d(6, 6, 3, groups=6, padding="same"), nn.AdaptiveAvgPool1d(1), nn.Flatten(),
        nn.Linear(6, 3),
    )  # fmt: skip


def _volume():
    return nn.Sequential(
        nn.Conv3d(1, 4, 2, stride=(1, 2, 1)), nn.BatchNorm3d(4), nn.GELU(), nn.Flatten(),
        nn.Linear(4 * 3 * 2 * 3, 3),
    )  # fmt: skip


def _parametrized():
    network = _mlp()
    nn.utils.parametrizations.weight_norm(network[0])
    return network


def _odd_layer():
    return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), OwnForward(5, 3))


def _float_rows(*shape):
    return lambda n: torch.randn(n, *shape)


def _tokens(n):
    return torch.randint(0, 11, (n, 5))


def _words(n):
    return {"input_ids": _tokens(n), "attention_mask": torch.rand(n, 5).round()}


# Name to network, its rows, and how the gradients of all its parameters are made.
_FUNCTIONAL = {"layer", "broadcast", "vmap"}
NETWORKS = {
    "mlp": (_mlp, _float_rows(6), {"layer"}),
    "cnn": (_cnn, _float_rows(3, 8, 8), {"layer"}),
    "residual": (Residual, _float_rows(3, 8, 8), {"layer"}),
    "transformer": (Transformer, _float_rows(6, 5), _FUNCTIONAL),
    "sequence first": (
        lambda: Transformer(False),
        _float_rows(6, 5),
        {"layer", "broadcast", "vmap"},
    ),
    "shared": (Shared, _float_rows(6), {"layer"}),
    "tied embedding": (TiedEmbedding, _tokens, {"layer", "vmap"}),
    "words": (Words, _words, {"layer", "vmap"}),
    "odd": (Odd, _float_rows(4), {"layer", "vmap"}),
    "odd layer": (_odd_layer, _float_rows(6), {"layer", "vmap"}),
    "parametrized": (_parametrized, _float_rows(6), {"layer", "vmap"}),
    "frames": (Frames, _float_rows(2, 24), {"layer"}),
    "convolutions": (_convolutions, _float_rows(4, 8, 8), {"layer"}),
    "signal": (_signal, _float_rows(2, 16), {"layer"}),
    "volume": (_volume, _float_rows(1, 4, 5, 4), {"layer"}),
    "not for vmap": (NotForVmap, _float_rows(4), {"layer", "loop"}),
}


def make(name, device="cpu", dtype=torch.float64, n=5):
    """A network with statistics and weights as after training, and rows for it."""
    build, rows, _ = NETWORKS[name]
    with torch.random.fork_rng():
        torch.manual_seed(sum(map(ord, name)))
        network, batch = build(), rows(n)
        for part in network.modules():
            if isinstance(part, nn.modules.batchnorm._BatchNorm):
                part.running_mean.normal_()
                part.running_var.uniform_(0.5, 2)
                nn.init.normal_(part.weight)
                nn.init.normal_(part.bias)
    network = network.to(device, dtype)
    if isinstance(batch, dict):
        return network, {key: to(value, device, dtype) for key, value in batch.items()}
    return network, to(batch, device, dtype)


def to(rows, device, dtype):
    """Rows on a device, integers as they are."""
    return rows.to(device, dtype if rows.is_floating_point() else None)
