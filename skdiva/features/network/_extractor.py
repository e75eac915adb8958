"""NetworkExtractor: features, outputs and Jacobian products of all rows, on one device."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from skdiva.arrays import all_finite, to_host, to_tensor
from skdiva.features.network._activations import require_activations
from skdiva.features.network._batch import Batch
from skdiva.features.network._batch_features import NetworkFeatures, fisher_scale
from skdiva.features.network._batches import Batches, automatic_size
from skdiva.features.network._frozen import FrozenNetwork
from skdiva.features.network._projection import FoldedProjection
from skdiva.features.network._row_sources import NetworkRows
from skdiva.features.network.gradients import PerSampleGradients
from skdiva.loo.rows import require_memory


class ExtractorConfig(NamedTuple):
    """Everything that the features depend on, except the network."""

    dtype: str  # "float32" or "float64"
    parameters: str | list[str]  # "last", "all" or prefixes
    outputs: str  # "random", "each" or "sum"
    n_components: int | None
    activation_slope: float | None
    seed: int
    scale: np.ndarray | None = None  # factors of the columns, of shape (P,)

    @property
    def per_output(self) -> bool:
        """Whether every output has features of its own."""
        return self.outputs == "each" and self.parameters != "last"


class NetworkExtractor:
    """A network that computes features on a device.

    Parameters
    ----------
    module : nn.Module
        Network, which is copied.
    config : ExtractorConfig
    probe : ndarray of shape (b, ...) or dict of ndarrays
        Some rows, on which the network is tried.
    device : torch.device
    batch_size : int, default=None
        Number of rows at a time. If None, it is chosen according to the free memory.
    progress : str, default=None
        Name of the progress bars. If None, no bars are shown.

    Attributes
    ----------
    config : ExtractorConfig
    network : FrozenNetwork
    n_outputs : int
        Number of outputs of the network, k.
    names : list of str
        Names of the parameters; None for "last".
    direction : ndarray of shape (k,)
        Weights of the outputs; None if they are not combined.

    Raises
    ------
    ValueError
        If the network cannot be used, or does not fit the configuration.
    """

    def __init__(
        self,
        module: nn.Module,
        config: ExtractorConfig,
        probe: Any,
        device: torch.device,
        batch_size: int | None = None,
        progress: str | None = None,
    ):
        self.device, self.config = device, config
        dtype = getattr(torch, config.dtype)
        self.network = FrozenNetwork(module, device, dtype, config.activation_slope)
        self.batches = Batches(
            device, dtype, self.network.takes_integers, batch_size or 1, progress
        )
        probe = self.batches.convert(probe)
        self.n_outputs = self.network.check(probe)
        if config.activation_slope is not None:
            require_activations(self.network.module, probe)
        self.names: list[str] | None = None
        self.direction: np.ndarray | None = None
        self.features = self._make_features(probe)
        if batch_size is None:
            self.batches.size = automatic_size(
                self.network, probe, device, self.names is not None, self._row_bytes
            )

    def _make_features(self, probe: Batch) -> NetworkFeatures:
        config, gradients, projection = self.config, None, None
        if config.parameters == "last":
            n_columns = self.network.penultimate(probe)[0].shape[1]
        else:
            self.names = self.network.parameter_names(config.parameters)
            self.direction = _draw_direction(config, self.n_outputs)
            gradients = PerSampleGradients(self.network, self.names, probe)
            n_columns = gradients.n_columns
        if config.n_components is not None:
            if config.n_components > n_columns:
                raise ValueError(
                    f"n_components={config.n_components} expects at least that many columns to "
                    f"project; got {n_columns}. Set n_components to {n_columns} or less, or None."
                )
            projection = FoldedProjection(n_columns, config.n_components, config.seed, self.device)
        return NetworkFeatures(
            self.network, gradients, n_columns, self.n_outputs,
            self._tensor(self.direction), projection, self._tensor(config.scale),
        )  # fmt: skip

    @property
    def n_columns(self) -> int:
        """Number of columns before the projection, P."""
        return self.features.n_columns

    @property
    def n_features(self) -> int:
        """Number of columns of the features."""
        return self.config.n_components or self.n_columns

    @property
    def _row_bytes(self) -> int:
        n_outputs = self.n_outputs if self.config.per_output else 1
        return self._itemsize * self.n_features * n_outputs

    def scale_by(self, scale: torch.Tensor | np.ndarray) -> None:
        """Multiply the columns by factors (P,) from now on."""
        self.config = self.config._replace(scale=to_host(scale))
        self.features.scale = self._tensor(scale)

    def fisher_scale(self, rows: NetworkRows) -> torch.Tensor:
        """Return the factors (P,) of the columns from their mean squares over rows and outputs."""
        total: Any = 0
        n = 0
        for position, squares in self.batches.map(self.features.sum_of_squares, rows):
            total, n = total + squares, position.stop
        if not all_finite(total):
            raise ValueError(
                "precondition='fisher' expects finite derivatives; got NaN or infinity for a row "
                "of X. To find the row, use precondition=None: the error then names it."
            )
        return fisher_scale(total / (n * (self.n_outputs if self.config.per_output else 1)))

    def transform(self, rows: NetworkRows, device: torch.device) -> torch.Tensor:
        """Return the features of all rows on a device."""
        self._require_memory(rows, device)
        return self._gather(self.features.features, rows, device)

    def outputs(self, rows: NetworkRows, device: torch.device) -> torch.Tensor:
        """Return the outputs of the network for all rows on a device."""
        return self._gather(self.features.outputs, rows, device)

    def jacobian_tiles(self, rows: NetworkRows, max_bytes: int) -> Iterator[torch.Tensor]:
        """Yield the Jacobian of all rows, some columns (n, k, w) at a time."""
        n_rows, n_outputs = rows.n_rows, self.n_outputs
        if n_rows is None:
            raise ValueError(
                "jacobian_tiles expects a known number of rows; got a data set without a length. "
                "Pass an array or a tensor."
            )
        width = max(int(max_bytes) // (n_rows * n_outputs * self._itemsize), 1)
        for start in range(0, self.n_columns, width):
            columns = slice(start, min(start + width, self.n_columns))
            tile = self._empty((n_rows, n_outputs, columns.stop - start), self.device)
            compute = partial(self.features.jacobian, columns=columns)
            for position, block in self.batches.map(compute, rows):
                require_finite(block, position.start)
                tile[position] = block
            yield tile

    def combine(self, rows: NetworkRows, coefficients: Any) -> torch.Tensor:
        """Return the sum (P,) of all rows of the Jacobians times coefficients (n, k)."""
        beside, total = self._tensor(coefficients), torch.zeros((), device=self.device)
        for _, part in self.batches.map(self.features.combine, rows, beside=beside):
            total = total + part
        return total

    def apply(self, rows: NetworkRows, vector: Any) -> torch.Tensor:
        """Return the products (n, k) of the Jacobians with a vector (P,)."""
        compute = partial(self.features.apply, vector=self._tensor(vector))
        return self._gather(compute, rows, self.device)

    def _gather(
        self, compute: Callable[[Batch], torch.Tensor], rows: NetworkRows, device: torch.device
    ) -> torch.Tensor:
        gathered, parts, n_rows = None, [], rows.n_rows
        results = self.batches.map(compute, rows, on_host=device.type == "cpu")
        for position, result in results:
            require_finite(result, position.start)
            if n_rows is None:
                parts.append(result.to(device))
                continue
            if gathered is None:
                gathered = self._empty((n_rows, *result.shape[1:]), device)
            gathered[position] = result
        return torch.cat(parts) if gathered is None else gathered

    def _require_memory(self, rows: NetworkRows, device: torch.device) -> None:
        if rows.n_rows is None:
            return
        shape = (rows.n_rows, *([self.n_outputs] * self.config.per_output), self.n_features)
        require_memory(
            rows.n_rows * self._row_bytes,
            device,
            f"Features of shape {shape}",
            "Set n_components=, the number of columns to project to, or choose fewer parameters=.",
        )

    @property
    def _itemsize(self) -> int:
        return self.batches.dtype.itemsize

    def _empty(self, shape: tuple[int, ...], device: torch.device) -> torch.Tensor:
        return torch.empty(shape, dtype=self.batches.dtype, device=device)

    def _tensor(self, array: Any) -> Any:
        return None if array is None else to_tensor(array, self.device, self.config.dtype)


def require_finite(result: torch.Tensor, first_row: int) -> None:
    """Raise ValueError if a result (b, ...) contains NaN or infinity, naming the first such row."""
    if all_finite(result):
        return
    bad = ~torch.isfinite(result.flatten(1)).all(1)
    row = first_row + int(bad.nonzero()[0, 0])
    raise ValueError(
        "expected a network that computes finite numbers; got NaN or infinity, first for row "
        f"{row} of X. Check that row and the weights of the network, or try dtype='float64'."
    )


def _draw_direction(config: ExtractorConfig, n_outputs: int) -> np.ndarray | None:
    """Return the weights (k,) of the outputs, of norm 1 if random; None to keep them apart."""
    if config.outputs == "each":
        return None
    if config.outputs == "sum":
        return np.ones(n_outputs)
    direction = np.random.default_rng(config.seed).normal(size=n_outputs)
    return direction / np.linalg.norm(direction)
