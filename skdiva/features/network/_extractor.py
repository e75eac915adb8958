"""Computation: a fitted featurizer at work on one device, for all rows of an X."""

from functools import partial
from typing import NamedTuple

import numpy as np
import torch

from skdiva.arrays import all_finite, to_tensor
from skdiva.features.network._activations import require_activations
from skdiva.features.network._batch_features import NetworkFeatures, fisher_scale
from skdiva.features.network._batches import Batches, automatic_size
from skdiva.features.network._frozen import FrozenNetwork
from skdiva.features.network._projection import FoldedProjection
from skdiva.features.network._row_sources import count_rows
from skdiva.features.network.gradients import PerSampleGradients
from skdiva.loo.rows import free_bytes


class Recipe(NamedTuple):
    """What decides the features, but for the network."""

    dtype: str  # "float32" or "float64"
    parameters: str | list  # "last", "all" or prefixes
    outputs: str  # "random", "each" or "sum"
    n_components: int | None
    activation_slope: float | None
    seed: int
    scale: np.ndarray | None = None  # factors (P,) of the columns

    @property
    def per_output(self):
        """Whether every output has features of its own."""
        return self.outputs == "each" and self.parameters != "last"


class Computation:
    """A network at work.

    Parameters
    ----------
    module : nn.Module
        Is copied.
    recipe : Recipe
    probe : ndarray of shape (b, ...) or dict of ndarrays
        Some rows, on which the network is tried.
    device : torch.device
    batch_size : int, default=None
        Number of rows at a time. None: chosen.
    progress : str, default=None
        Name of the progress bars. None: there are none.

    Attributes
    ----------
    names : list of str
        Of the parameters; None for "last".
    direction : ndarray of shape (k,)
        Weights of the outputs; None if they are not combined.

    Raises
    ------
    ValueError
        If the network cannot be used, or the recipe does not suit it.
    """

    def __init__(self, module, recipe, probe, device, batch_size=None, progress=None):
        self.device, self._recipe = device, recipe
        dtype = getattr(torch, recipe.dtype)
        self.network = FrozenNetwork(module, device, dtype, recipe.activation_slope)
        self.batches = Batches(device, dtype, self.network.takes_integers, batch_size, progress)
        probe = self.batches.convert(probe)
        self.n_outputs = self.network.check(probe)
        if recipe.activation_slope is not None:
            require_activations(self.network, probe)
        self.features = self._make_features(probe)
        if batch_size is None:
            self.batches.size = automatic_size(
                self.network, probe, device, self.names is not None, self._row_bytes
            )

    def _make_features(self, probe):
        recipe, gradients = self._recipe, None
        self.names = self.direction = None
        if recipe.parameters == "last":
            n_columns = self.network.penultimate(probe)[0].shape[1]
        else:
            self.names = self.network.parameter_names(recipe.parameters)
            self.direction = _draw_direction(recipe, self.n_outputs)
            gradients = PerSampleGradients(self.network, self.names, probe)
            n_columns = gradients.n_columns
        projection = None
        if recipe.n_components is not None:
            _require_columns(recipe, n_columns)
            projection = FoldedProjection(n_columns, recipe.n_components, recipe.seed, self.device)
        return NetworkFeatures(
            self.network, gradients, n_columns, self.n_outputs,
            self._tensor(self.direction), projection, self._tensor(recipe.scale),
        )  # fmt: skip

    @property
    def n_columns(self):
        """Number of columns before the projection, P."""
        return self.features.n_columns

    @property
    def n_features(self):
        """Number of columns of the features."""
        return self._recipe.n_components or self.n_columns

    @property
    def _row_bytes(self):
        n_outputs = self.n_outputs if self._recipe.per_output else 1
        return self._itemsize * self.n_features * n_outputs

    def scale_by(self, scale):
        """Multiply columns by factors (P,)."""
        self.features.scale = self._tensor(scale)

    def fisher_scale(self, rows):
        """Factors (P,) of the columns, from the mean squares over rows and outputs."""
        total, n = 0, 0
        for position, squares in self.batches.map(self.features.sum_of_squares, rows):
            total, n = total + squares, position.stop
        if not all_finite(total):
            raise ValueError(
                "precondition='fisher' expects finite derivatives; got NaN or infinity for a row "
                "of X. Look for it with precondition=None, which names the row."
            )
        return fisher_scale(total / (n * (self.n_outputs if self._recipe.per_output else 1)))

    def transform(self, rows, device):
        """Features of all rows, a tensor on a device."""
        self._require_memory(rows, device)
        return self._gather(self.features.features, rows, device)

    def outputs(self, rows, device):
        """Outputs of the network, a tensor on a device."""
        return self._gather(self.features.outputs, rows, device)

    def jacobian_tiles(self, rows, max_bytes):
        """Yield the Jacobian of all rows, some columns (n, k, w) at a time."""
        n_rows, n_outputs = count_rows(rows), self.n_outputs
        width = max(int(max_bytes) // (n_rows * n_outputs * self._itemsize), 1)
        for start in range(0, self.n_columns, width):
            columns = slice(start, min(start + width, self.n_columns))
            tile = self._empty((n_rows, n_outputs, columns.stop - start), self.device)
            compute = partial(self.features.jacobian, columns=columns)
            for position, block in self.batches.map(compute, rows):
                require_finite(block, position.start)
                tile[position] = block
            yield tile

    def combine(self, rows, coefficients):
        """Sum (P,) of all rows of the Jacobians, times coefficients (n, k)."""
        beside = self._tensor(coefficients)
        sums = self.batches.map(self.features.combine, rows, beside=beside)
        return sum(total for _, total in sums)

    def apply(self, rows, vector):
        """Products (n, k) of the Jacobians with a vector (P,)."""
        compute = partial(self.features.apply, vector=self._tensor(vector))
        return self._gather(compute, rows, self.device)

    def _gather(self, compute, rows, device):
        gathered, parts, n_rows = None, [], count_rows(rows)
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

    def _require_memory(self, rows, device):
        n_rows = count_rows(rows)
        if n_rows is None:
            return
        shape = (n_rows, *([self.n_outputs] * self._recipe.per_output), self.n_features)
        needed, free = n_rows * self._row_bytes, free_bytes(device)
        if needed > free:
            raise ValueError(
                f"expected features that fit in memory; got shape {shape}, "
                f"{needed / 2**30:.1f} GiB, where {free / 2**30:.1f} GiB are free. Set "
                "n_components=, the number of columns to project to, or choose fewer parameters=."
            )

    @property
    def _itemsize(self):
        return self.batches.dtype.itemsize

    def _empty(self, shape, device):
        return torch.empty(shape, dtype=self.batches.dtype, device=device)

    def _tensor(self, array):
        return None if array is None else to_tensor(array, self.device, self._recipe.dtype)


def require_finite(result, first_row):
    """Raise ValueError, naming the first row of a result (b, ...) that holds NaN or infinity."""
    if all_finite(result):
        return
    bad = ~torch.isfinite(result.flatten(1)).all(1)
    row = first_row + int(bad.nonzero()[0, 0])
    raise ValueError(
        f"expected a network that computes finite numbers; got NaN or infinity for row {row} of X "
        "first. Look at that row and at the network's weights, or try dtype='float64'."
    )


def _require_columns(recipe, n_columns):
    if recipe.n_components > n_columns:
        raise ValueError(
            f"n_components={recipe.n_components} expects at least that many columns to project; "
            f"got {n_columns}. Set n_components to {n_columns} or less, or None."
        )


def _draw_direction(recipe, n_outputs):
    """Weights (k,) of the outputs, of norm 1 if random; None for features per output."""
    if recipe.outputs == "each":
        return None
    if recipe.outputs == "sum":
        return np.ones(n_outputs)
    direction = np.random.default_rng(recipe.seed).normal(size=n_outputs)
    return direction / np.linalg.norm(direction)
