"""Which way of making per-sample gradients is right for a parameter, tried on a probe."""

import torch

from skdiva.features.network._batch import n_rows, take_rows
from skdiva.features.network.gradients._autograd import summed_gradients
from skdiva.loo.rows import is_out_of_memory


def choose_kinds(gradients, probe):
    """Choose, for every parameter, the fastest way that agrees with autograd.

    Parameters
    ----------
    gradients : PerSampleGradients
    probe : tensor of shape (b, ...) or dict of tensors
        A few rows.

    Returns
    -------
    dict
        Name to kind, in the order of the names.
    """
    choice = _Choice(gradients, probe)
    kinds = {}
    for kind in ("layer", "broadcast", "vmap"):
        left = [n for n in gradients.names if n not in kinds and gradients.is_possible(kind, n)]
        kinds |= choice.correct(dict.fromkeys(left, kind))
    kinds |= {name: "loop" for name in gradients.names if name not in kinds}
    # Each kind was right alone. Together they share a pass.
    if len({*kinds.values()}) > 1 and choice.correct(kinds) != kinds:
        kinds = dict.fromkeys(gradients.names, "loop")
    return {name: kinds[name] for name in gradients.names}


class _Choice:
    """Comparison with one backward pass per row of the probe, along a random direction."""

    def __init__(self, gradients, probe):
        self._gradients, self._probe = gradients, probe
        with torch.no_grad():
            outputs = gradients.network.outputs(probe)
        draw = torch.Generator().manual_seed(0)
        self._direction = torch.randn(outputs.shape[1], generator=draw).to(outputs)
        self._reference = torch.cat([self._of_row(row) for row in range(n_rows(probe))])
        self._eps = torch.finfo(outputs.dtype).eps
        # A gradient that vanishes but for rounding, as of a bias before a normalisation, must
        # be small, not the same.
        self._rounding = 10 * self._eps * float(self._reference.norm())

    def _of_row(self, row):
        found = summed_gradients(
            self._gradients.network, take_rows(self._probe, slice(row, row + 1)),
            self._gradients.parameters, self._direction[None],
        )  # fmt: skip
        return torch.cat(list(found.values()), 1)

    def correct(self, kinds):
        """Those of the kinds, by name, that give the right gradients."""
        if not kinds:
            return {}
        try:
            errors = self._errors(kinds)
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            if is_out_of_memory(error):
                raise
            names = list(kinds)
            if len(names) == 1:
                return {}
            half = len(names) // 2
            parts = [{n: kinds[n] for n in part} for part in (names[:half], names[half:])]
            return self.correct(parts[0]) | self.correct(parts[1])
        return {
            name: kinds[name]
            for name, (error, size) in errors.items()
            if error <= self._eps**0.5 * size + self._rounding
        }

    def _errors(self, kinds):
        """Norms of the error and of the gradient, by name."""
        squares = {name: torch.zeros(2, dtype=torch.float64) for name in kinds}
        blocks = self._gradients.by_direction(self._probe, lambda _: [self._direction], None, kinds)
        for _, start, block in blocks:
            expected = self._reference[:, start : start + block.shape[1]]
            name = self._gradients.name_of(start)
            squares[name][0] += float((block - expected).square().sum())
            squares[name][1] += float(expected.square().sum())
        return {name: square.sqrt().tolist() for name, square in squares.items()}
