"""Choice of a method for each parameter's gradients, verified against autograd on a probe."""

from typing import Any

import torch

from skdiva.features.network._batch import Batch, n_rows, take_rows
from skdiva.features.network.gradients._autograd import summed_gradients
from skdiva.loo.rows import is_out_of_memory


def choose_methods(gradients: Any, probe: Batch) -> dict[str, str]:
    """Choose, for every parameter, the fastest method that agrees with autograd.

    Parameters
    ----------
    gradients : PerSampleGradients
    probe : tensor of shape (b, ...) or dict of tensors
        A few rows.

    Returns
    -------
    dict
        Name of the parameter to method, in the order of the names.
    """
    comparison = _Comparison(gradients, probe)
    methods: dict[str, str] = {}
    for method in ("layer", "broadcast", "vmap"):
        left = [n for n in gradients.names if n not in methods and gradients.is_possible(method, n)]
        methods |= comparison.correct(dict.fromkeys(left, method))
    methods |= {name: "loop" for name in gradients.names if name not in methods}
    # Each method was right by itself. Together they share a forward pass.
    if len({*methods.values()}) > 1 and comparison.correct(methods) != methods:
        methods = dict.fromkeys(gradients.names, "loop")
    return {name: methods[name] for name in gradients.names}


class _Comparison:
    """Comparison with one backward pass per row of the probe, along a random direction."""

    def __init__(self, gradients: Any, probe: Batch):
        self._gradients, self._probe = gradients, probe
        with torch.no_grad():
            outputs = gradients.network.outputs(probe)
        draw = torch.Generator().manual_seed(0)
        self._direction = torch.randn(outputs.shape[1], generator=draw).to(outputs)
        self._reference = torch.cat([self._gradient_of(row) for row in range(n_rows(probe))])
        self._eps = torch.finfo(outputs.dtype).eps
        # A gradient that vanishes except for rounding errors, such as that of a bias before a
        # normalization, must be small but need not be equal.
        self._rounding = 10 * self._eps * float(self._reference.norm())

    def _gradient_of(self, row: int) -> torch.Tensor:
        found = summed_gradients(
            self._gradients.network, take_rows(self._probe, slice(row, row + 1)),
            self._gradients.parameters, self._direction[None],
        )  # fmt: skip
        return torch.cat(list(found.values()), 1)

    def correct(self, methods: dict[str, str]) -> dict[str, str]:
        """Return those of the methods, by name of the parameter, that give the right gradients."""
        if not methods:
            return {}
        try:
            errors = self._errors(methods)
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            if is_out_of_memory(error):
                raise
            names = list(methods)
            if len(names) == 1:
                return {}
            half = len(names) // 2
            parts = [{n: methods[n] for n in part} for part in (names[:half], names[half:])]
            return self.correct(parts[0]) | self.correct(parts[1])
        return {
            name: methods[name]
            for name, (error, size) in errors.items()
            if error <= self._eps**0.5 * size + self._rounding
        }

    def _errors(self, methods: dict[str, str]) -> dict[str, list[float]]:
        """Return the norms of the error and of the gradient, by name of the parameter."""
        squares = {name: torch.zeros(2, dtype=torch.float64) for name in methods}
        blocks = self._gradients.by_direction(
            self._probe, lambda _outputs: [self._direction], None, methods
        )
        for _, start, block in blocks:
            expected = self._reference[:, start : start + block.shape[1]]
            name = self._gradients.name_of(start)
            squares[name][0] += float((block - expected).square().sum())
            squares[name][1] += float(expected.square().sum())
        return {name: square.sqrt().tolist() for name, square in squares.items()}
