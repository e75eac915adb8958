"""NetworkFeatures: features, outputs and Jacobian products of one batch on one device."""

from collections.abc import Iterator
from typing import Any

import torch

from skdiva.features.network._batch import Batch
from skdiva.features.network._frozen import FrozenNetwork
from skdiva.features.network._projection import FoldedProjection
from skdiva.features.network.gradients import PerSampleGradients


class NetworkFeatures:
    """Activations or Jacobians of a network, scaled and projected.

    Parameters
    ----------
    network : FrozenNetwork
    gradients : PerSampleGradients or None
        Gradients of the chosen parameters. If None, the features are the penultimate activations.
    n_columns : int
        Number of features before the projection, P.
    n_outputs : int
        Number of outputs, k.
    direction : tensor of shape (k,) or None
        Weights of the outputs. If None, every output has features of its own.
    projection : FoldedProjection, default=None
        Projection from P to q columns. If None, q is P.
    scale : tensor of shape (P,), default=None
        Factors of the columns.
    """

    def __init__(
        self,
        network: FrozenNetwork,
        gradients: PerSampleGradients | None,
        n_columns: int,
        n_outputs: int,
        direction: torch.Tensor | None,
        projection: FoldedProjection | None = None,
        scale: torch.Tensor | None = None,
    ):
        self.network, self.n_columns, self.scale = network, n_columns, scale
        # None for activations, which have no Jacobian.
        self._gradients: Any = gradients
        self._direction, self._projection, self._n_outputs = direction, projection, n_outputs

    def outputs(self, batch: Batch) -> torch.Tensor:
        """Return the outputs of the network, of shape (b, k)."""
        with torch.no_grad():
            return self.network.outputs(batch)

    def features(self, batch: Batch) -> torch.Tensor:
        """Return the features, of shape (b, q), or (b, k, q) per output."""
        if self._gradients is None and self._projection is None:
            activations = self._activations(batch)
            return activations if self.scale is None else activations * self.scale
        features: Any = None
        for output, start, block in self._blocks(batch):
            if features is None:
                features = self._empty(block)
            target = features if output is None else features[:, output]
            stop = start + block.shape[1]
            scale = None if self.scale is None else self.scale[start:stop]
            if self._projection is not None:
                self._projection.add(target, start, block, scale)
            else:
                target[:, start:stop] = block if scale is None else block * scale
        return features

    def jacobian(self, batch: Batch, columns: slice) -> torch.Tensor:
        """Return w columns of the Jacobian of all outputs, of shape (b, k, w)."""
        tile: Any = None
        for output, start, block in self._gradients.each(batch, columns):
            if tile is None:
                shape = len(block), self._n_outputs, columns.stop - columns.start
                tile = block.new_empty(shape)
            tile[:, output, start - columns.start :][:, : block.shape[1]] = block
        return tile if self.scale is None else tile.mul_(self.scale[columns])

    def combine(self, batch: Batch, coefficients: torch.Tensor) -> torch.Tensor:
        """Return the sum (P,) of all rows of the Jacobians times coefficients (b, k)."""
        total = self._gradients.combine(batch, coefficients)
        return total if self.scale is None else total * self.scale

    def apply(self, batch: Batch, vector: torch.Tensor) -> torch.Tensor:
        """Return the products (b, k) of the Jacobians with a vector (P,)."""
        return self._gradients.apply(batch, vector if self.scale is None else vector * self.scale)

    def sum_of_squares(self, batch: Batch) -> torch.Tensor:
        """Return the sums of squares (P,) of the columns over rows and outputs."""
        total: Any = None
        for _, start, block in self._blocks(batch):
            if total is None:
                total = block.new_zeros(self.n_columns)
            total[start : start + block.shape[1]] += block.square().sum(0)
        return total

    def _activations(self, batch: Batch) -> torch.Tensor:
        with torch.no_grad():
            return self.network.penultimate(batch)[0]

    def _blocks(self, batch: Batch) -> Iterator[tuple[int | None, int, torch.Tensor]]:
        """Yield the output (None if all are combined), the first column, and a block (b, m)."""
        if self._gradients is None:
            yield None, 0, self._activations(batch)
        elif self._direction is None:
            yield from self._gradients.each(batch)
        else:
            for start, block in self._gradients.blocks(batch, self._direction):
                yield None, start, block

    def _empty(self, block: torch.Tensor) -> torch.Tensor:
        per_output = self._gradients is not None and self._direction is None
        outputs = (self._n_outputs,) if per_output else ()
        if self._projection is None:
            return block.new_empty((len(block), *outputs, self.n_columns))
        return block.new_zeros((len(block), *outputs, self._projection.n_components))


def fisher_scale(mean_squares: torch.Tensor) -> torch.Tensor:
    """Return the factors (P,) that bring columns with mean squares F (P,) closer to one scale.

    They are (F + mean F)^-1/2, so that columns that hardly vary are not blown up.

    Raises
    ------
    ValueError
        If all squares are zero.
    """
    mean = mean_squares.mean()
    if not mean > 0:
        raise ValueError(
            "precondition='fisher' expects outputs that depend on the parameters; got derivatives "
            "that are all zero. If the weights of the head are zero, use "
            "skdiva.features.replace_head; otherwise choose other parameters."
        )
    return (mean_squares + mean).rsqrt()
