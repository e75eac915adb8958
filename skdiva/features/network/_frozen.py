"""FrozenNetwork: a private copy of a network in evaluation mode, and its outputs."""

import contextlib
import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from skdiva.features.network._activations import LeakyActivations
from skdiva.features.network._batch import Batch, call_arguments, n_rows, row_shape, take_rows
from skdiva.features.network._messages import bad_rows, close, no_match, require_complete
from skdiva.loo.ridge import full_float32
from skdiva.loo.rows import is_out_of_memory

_ERRORS_OF_BAD_ROWS = (RuntimeError, ValueError, TypeError, IndexError, AssertionError)


class FrozenNetwork:
    """A network that no longer changes.

    Parameters
    ----------
    module : nn.Module
        Network. It is copied, and its parameters, buffers, gradients and mode are not changed.
    device : torch.device or str
        Device of the copy.
    dtype : torch.dtype
        Dtype of the copy's floating-point parameters and buffers.
    activation_slope : float, default=None
        Slope of its ReLUs for negative inputs. If None, they are not changed.

    Attributes
    ----------
    module : nn.Module
        The copy, in evaluation mode; no parameter requires a gradient.
    takes_integers : bool
        Whether it contains an embedding, so that integers are token ids.

    Raises
    ------
    ValueError
        If the module cannot be copied, or is incomplete.
    """

    def __init__(
        self,
        module: nn.Module,
        device: torch.device | str,
        dtype: torch.dtype,
        activation_slope: float | None = None,
    ):
        module = getattr(module, "_orig_mod", module)  # of torch.compile
        require_complete(module)
        try:
            module = copy.deepcopy(module)
        except RuntimeError as error:
            raise ValueError(
                f"expected a network that can be copied; got {type(module).__name__}, with a "
                "tensor that is part of a graph. Store it with .detach(), or as a parameter."
            ) from error
        self.module = module.eval().requires_grad_(False).to(device=device, dtype=dtype)
        self.takes_integers = any(
            isinstance(m, nn.Embedding | nn.EmbeddingBag) for m in module.modules()
        )
        self._slope = activation_slope
        self._head: nn.Module | None = None

    def outputs(
        self, batch: Batch, parameters: dict[str, torch.Tensor] | None = None
    ) -> torch.Tensor:
        """Compute the outputs.

        Parameters
        ----------
        batch : tensor of shape (b, ...) or dict of tensors
            A dict is passed as keywords.
        parameters : dict of tensors, default=None
            Replacements for the parameters with these names.

        Returns
        -------
        tensor of shape (b, k)

        Raises
        ------
        ValueError
            If the network fails on rows of this shape, or returns something else.
        """
        try:
            outputs = self.call(batch, parameters)
        except _ERRORS_OF_BAD_ROWS as error:
            # Missing features of torch and lack of memory are left to the caller.
            if (
                parameters is not None
                or isinstance(error, NotImplementedError)
                or is_out_of_memory(error)
            ):
                raise
            shape = row_shape(batch)
            message = bad_rows(self.module, lambda: self.call(batch), shape, error)
            raise ValueError(message) from error
        outputs = getattr(outputs, "logits", outputs)
        if _is_matrix(outputs, n_rows(batch)):
            return outputs
        came = type(outputs).__name__
        if isinstance(outputs, torch.Tensor):
            came = f"{str(outputs.dtype).removeprefix('torch.')} of shape {tuple(outputs.shape)}"
        raise ValueError(
            "expected a network whose output is a floating-point tensor of shape (rows, outputs); "
            f"got {came} for {n_rows(batch)} rows. Wrap it in a module that returns such a tensor."
        )

    def call(self, batch: Batch, parameters: dict[str, torch.Tensor] | None = None) -> Any:
        """Return whatever the network returns; the arguments are those of `outputs`."""
        args, kwargs = call_arguments(batch)
        leaky = contextlib.nullcontext() if self._slope is None else LeakyActivations(self._slope)
        with full_float32(), leaky:
            if parameters is None:
                return self.module(*args, **kwargs)
            return torch.func.functional_call(self.module, parameters, args, kwargs)

    def check(self, batch: Batch) -> int:
        """Check that each row of outputs is a function of its own row of inputs alone.

        Parameters
        ----------
        batch : tensor of shape (b, ...) or dict of tensors
            At least two rows.

        Returns
        -------
        int
            Number of outputs.

        Raises
        ------
        ValueError
            If outputs are random, or rows influence each other.
        """
        with torch.no_grad():
            outputs = self.outputs(batch)
            if not close(self.outputs(batch), outputs):
                raise ValueError(
                    "expected a network that gives the same outputs for the same rows; got "
                    "different ones. Is it random in evaluation mode, for example because of a "
                    "functional dropout with its default training=True? Pass "
                    "training=self.training."
                )
            try:
                alone = self.outputs(take_rows(batch, slice(1)))
            except ValueError:
                alone = torch.full_like(outputs[:1], torch.nan)
            if not close(alone, outputs[:1]):
                raise ValueError(
                    "expected outputs that depend on their own row alone; got different outputs "
                    "for a row by itself than among others, so it cannot be left out. Does the "
                    "network normalize by statistics of the batch (track_running_stats=False)? "
                    "Use running statistics."
                )
        return outputs.shape[1]

    def penultimate(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the inputs of the last Linear, and the outputs.

        Parameters
        ----------
        batch : tensor of shape (b, ...) or dict of tensors

        Returns
        -------
        activations : tensor of shape (b, p)
        outputs : tensor of shape (b, k)

        Raises
        ------
        ValueError
            If no Linear is called, or its inputs have another shape.
        """
        heads: list[nn.Module] = [m for m in self.module.modules() if isinstance(m, nn.Linear)]
        # Once the head is known, only the head gets a hook: hooks keep transformers off their
        # fast path.
        calls, outputs = self._watch(heads if self._head is None else [self._head], batch)
        advice = ' Use parameters="all", or names of parameters.'
        if not calls:
            raise ValueError(
                "parameters='last' expects a network that calls an nn.Linear; got "
                f"{type(self.module).__name__}, which calls none.{advice}"
            )
        self._head, activations = calls[-1]
        if activations.ndim != 2 or len(activations) != n_rows(batch):
            raise ValueError(
                f"parameters='last' expects the last nn.Linear to get ({n_rows(batch)}, p) "
                f"activations; got shape {tuple(activations.shape)}.{advice}"
            )
        return activations, outputs

    def parameter_names(self, parameters: str | Sequence[str]) -> list[str]:
        """Return the names of the chosen parameters, in the order of the module, without repeats.

        Parameters
        ----------
        parameters : "all" or sequence of str
            Names, or prefixes of names that end before a dot.

        Returns
        -------
        list of str

        Raises
        ------
        ValueError
            If a prefix matches no name.
        """
        aliases: dict[str, str] = {}
        names: dict[int, str] = {}
        for name, parameter in self.module.named_parameters(remove_duplicate=False):
            if parameter.is_floating_point():
                aliases[name] = names.setdefault(id(parameter), name)
        if parameters == "all":
            parameters = [""] if aliases else []
        chosen = set()
        for prefix in parameters:
            found = {aliases[n] for n in aliases if not prefix or f"{n}.".startswith(f"{prefix}.")}
            if not found:
                raise ValueError(no_match(prefix, list(aliases)))
            chosen |= found
        if not chosen:
            raise ValueError(
                "expected a network with parameters, and names of some; got "
                f"{len(aliases)} parameters and names {parameters!r}. Pass 'all' or prefixes."
            )
        return [name for name in names.values() if name in chosen]

    def _watch(
        self, layers: list[nn.Module], batch: Batch
    ) -> tuple[list[tuple[nn.Module, torch.Tensor]], torch.Tensor]:
        """Return the calls of some layers, as pairs of layer and input, and the outputs."""
        calls: list[tuple[nn.Module, torch.Tensor]] = []

        def keep(layer, args, kwargs):
            calls.append((layer, (*args, *kwargs.values())[0]))

        hooks = [m.register_forward_pre_hook(keep, with_kwargs=True) for m in layers]
        try:
            return calls, self.outputs(batch)
        finally:
            for hook in hooks:
                hook.remove()


def _is_matrix(outputs: Any, n: int) -> bool:
    return (
        isinstance(outputs, torch.Tensor)
        and outputs.is_floating_point()
        and outputs.ndim == 2
        and len(outputs) == n
    )
