"""Batches on a device, with automatic batch size and prefetching."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from skdiva.arrays import is_tensor, to_tensor
from skdiva.features.network._batch import Batch, map_tensors, n_rows, take_rows
from skdiva.features.network._frozen import FrozenNetwork
from skdiva.features.network._row_sources import NetworkRows
from skdiva.loo.rows import free_bytes, is_out_of_memory

_MEMORY_SHARE = 1 / 4  # of the free memory
# A larger batch does not fit in the caches of a CPU, and a GPU is fully used by then. Very few rows
# are slow on a CPU, though: 32 to 64 images were fastest, and a thousand rows for a small network.
_MOST_BYTES = {"cpu": 2**26, "cuda": 2**31}
_MOST_ROWS = {"cpu": 1024, "cuda": 8192}
_FEW_ROWS, _BYTES_OF_FEW = 32, 2**30
_SHARED = ("float32", "float64", "int64")  # dtypes that NumPy and torch both have


class Batches:
    """Rows on a device, in batches.

    Parameters
    ----------
    device : torch.device
    dtype : torch.dtype
        Dtype of floating-point rows.
    keep_integers : bool
        Whether integers are token ids; otherwise they are converted to ``dtype``. Integers in a
        dict are always kept.
    size : int
        Largest number of rows at a time. It is halved permanently when memory does not suffice.
    progress : str, default=None
        Name of a progress bar. If None, no bar is shown.
    """

    def __init__(
        self,
        device: torch.device,
        dtype: torch.dtype,
        keep_integers: bool,
        size: int,
        progress: str | None = None,
    ):
        self.device, self.dtype, self.size = device, dtype, size
        self._keep_integers = keep_integers
        self._progress = progress

    def map(
        self,
        compute: Callable[..., torch.Tensor],
        rows: NetworkRows,
        on_host: bool = False,
        beside: torch.Tensor | None = None,
    ) -> Iterator[tuple[slice, torch.Tensor]]:
        """Compute a result for each batch of the rows.

        Parameters
        ----------
        compute : callable
            Takes a batch and returns a tensor; called again with fewer rows if memory does not
            suffice.
        rows : NetworkRows
        on_host : bool, default=False
            Whether results are copied to the host, while the next one is computed.
        beside : tensor of shape (n, ...), default=None
            On the device; its rows are the second argument of ``compute``.

        Yields
        ------
        position : slice
            Positions of the rows.
        result : tensor

        Raises
        ------
        MemoryError
            If memory does not suffice for a single row.
        """
        results = self._results(compute, rows, beside)
        if on_host and self.device.type == "cuda":
            results = _brought_to_host(results)
        if self._progress is None:
            yield from results
            return
        from skdiva._progress import progress_bar

        with progress_bar(self._progress, rows.n_rows, "row") as advance:
            for position, result in results:
                yield position, result
                advance(to=position.stop)

    def convert(self, batch: Any) -> Batch:
        """Return a copy of a batch on the device."""
        return self._moved(self._on_host(batch))

    def _results(
        self, compute: Callable[..., torch.Tensor], rows: NetworkRows, beside: torch.Tensor | None
    ) -> Iterator[tuple[slice, torch.Tensor]]:
        start = 0
        for batch in self._prefetched(rows.batches(lambda: self.size)):
            done, n = 0, n_rows(batch)
            while done < n:
                stop = min(done + self.size, n)
                position = slice(start + done, start + stop)
                more = () if beside is None else (beside[position],)
                part = take_rows(batch, slice(done, stop))
                result = self._attempt(compute, part, *more)
                if result is not None:
                    yield position, result
                    done = stop
            start += n

    def _attempt(
        self, compute: Callable[..., torch.Tensor], batch: Batch, *beside: torch.Tensor
    ) -> torch.Tensor | None:
        """Return the result, or halve the size and return None if memory does not suffice."""
        n = n_rows(batch)
        try:
            return compute(batch, *beside)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if n == 1:
                raise MemoryError(
                    "expected enough memory for a batch of one row; on "
                    f"{self.device}, {free_bytes(self.device) / 2**30:.1f} GiB are free. Choose "
                    "fewer parameters=, free memory, or use another device."
                ) from error
        self.size = n // 2
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return None

    def _prefetched(self, batches: Iterator[Any]) -> Iterator[Batch]:
        """Yield batches on the device; on CUDA, each is copied while the previous one is used."""
        if self.device.type != "cuda":
            yield from map(self.convert, batches)
            return
        copying, computing = torch.cuda.Stream(self.device), torch.cuda.current_stream(self.device)
        ahead = None
        for batch in batches:
            computing.wait_stream(copying)
            # Results are available only after all work launched so far, so the copy of `ahead` is
            # complete.
            ready, host = ahead, _pinned(self._on_host(batch))
            with torch.cuda.stream(copying):
                # The caller's own CUDA tensor may still be written to.
                copying.wait_stream(computing)
                ahead = self._moved(host)
            _use_on(ahead, computing)
            if ready is not None:
                yield ready
        computing.wait_stream(copying)
        if ahead is not None:
            yield ahead

    def _on_host(self, batch: Any) -> Batch:
        return map_tensors(self._as_tensor, batch)

    def _as_tensor(self, value: Any) -> torch.Tensor:
        if is_tensor(value):
            return value
        name = value.dtype.name
        if name not in _SHARED:
            ids = self._keep_integers and np.issubdtype(value.dtype, np.integer)
            name = "int64" if ids else str(self.dtype).removeprefix("torch.")
        return to_tensor(value, "cpu", name)

    def _moved(self, batch: Batch) -> Batch:
        def move(value: torch.Tensor) -> torch.Tensor:
            dtype = self.dtype
            if not value.is_floating_point():
                if isinstance(batch, dict):
                    dtype = value.dtype
                elif self._keep_integers and value.dtype != torch.bool:
                    dtype = torch.int64
            # Always a copy, since a network may work in place; and in contiguous order, since
            # rounding depends on the order of the entries.
            moved = value.to(
                self.device, non_blocking=True, copy=True, memory_format=torch.contiguous_format
            )
            return moved.to(dtype)

        return map_tensors(move, batch)


def automatic_size(
    network: FrozenNetwork,
    probe: Batch,
    device: torch.device,
    differentiates: bool,
    row_bytes: int,
) -> int:
    """Return the number of rows to compute at a time.

    Parameters
    ----------
    network : FrozenNetwork
    probe : tensor of shape (b, ...) or dict of tensors
        Some rows, on the device.
    device : torch.device
    differentiates : bool
        Whether there is a backward pass, for which activations are kept.
    row_bytes : int
        Size of the result for one row.

    Returns
    -------
    int
    """
    # With a backward pass: the activations, their gradients, and working memory.
    row_bytes += _activation_bytes(network, probe) * (3 if differentiates else 1)
    wanted = max(_MOST_BYTES[device.type], min(_FEW_ROWS * row_bytes, _BYTES_OF_FEW))
    budget = min(wanted, _MEMORY_SHARE * free_bytes(device))
    return int(max(min(budget // row_bytes, _MOST_ROWS[device.type]), 1))


def _activation_bytes(network: FrozenNetwork, probe: Batch) -> int:
    """Return the size of the outputs of all innermost modules, in bytes per row."""
    total = 0

    def add(_module, _inputs, output):
        nonlocal total
        if isinstance(output, torch.Tensor):
            total += output.nbytes

    leaves = [m for m in network.module.modules() if not any(True for _ in m.children())]
    hooks = [leaf.register_forward_hook(add) for leaf in leaves]
    try:
        with torch.no_grad():
            network.outputs(probe)
    finally:
        for hook in hooks:
            hook.remove()
    return total // n_rows(probe)


def _brought_to_host(
    results: Iterator[tuple[slice, torch.Tensor]],
) -> Iterator[tuple[slice, torch.Tensor]]:
    """Yield results on the host, each one once the next one has been launched."""
    pending = None
    for position, result in results:
        host = torch.empty(result.shape, dtype=result.dtype, pin_memory=True)
        host.copy_(result, non_blocking=True)
        copied = torch.cuda.Event()
        copied.record()
        if pending is not None:
            yield _awaited(*pending)
        pending = position, host, copied
    if pending is not None:
        yield _awaited(*pending)


def _awaited(
    position: slice, host: torch.Tensor, copied: torch.cuda.Event
) -> tuple[slice, torch.Tensor]:
    copied.synchronize()
    return position, host


def _pinned(batch: Batch) -> Batch:
    return map_tensors(lambda value: value if value.is_cuda else value.pin_memory(), batch)


def _use_on(batch: Batch, stream: torch.cuda.Stream) -> None:
    """Keep the memory of a batch from being reused while a stream works with it."""
    map_tensors(lambda value: value.record_stream(stream), batch)
