"""Batches on the device: as many rows as memory holds, the next copied while one is computed."""

import numpy as np
import torch
from tqdm.auto import tqdm

from skdiva.arrays import is_tensor, to_tensor
from skdiva.features.network._batch import n_rows, take_rows
from skdiva.features.network._row_sources import count_rows
from skdiva.loo.rows import free_bytes, is_out_of_memory

_MEMORY_SHARE = 1 / 4  # of what is free
# What is larger leaves the caches of a processor; a GPU is busy by then. A processor works slowly
# on very few rows, though: 32 to 64 images were fastest, and a thousand rows of a small network.
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
        Of floating rows.
    keep_integers : bool
        Whether integers are token ids; otherwise they become floating. In dicts they always stay.
    size : int
        Largest number of rows at a time; halved where memory does not suffice, and stays so.
    progress : str, default=None
        Name of a progress bar. None: no bar.
    """

    def __init__(self, device, dtype, keep_integers, size, progress=None):
        self.device, self.dtype, self.size = device, dtype, size
        self._keep_integers = keep_integers
        self._progress = progress

    def map(self, compute, rows, on_host=False, beside=None):
        """Compute something for all rows.

        Parameters
        ----------
        compute : callable
            From a batch to a tensor; called anew with fewer rows if there is too little memory.
        rows : ArrayRows or StreamedRows
        on_host : bool, default=False
            Whether results are brought to the host, while the next one is computed.
        beside : tensor of shape (n, ...), default=None
            On the device; its rows are the second argument of ``compute``.

        Yields
        ------
        position : slice
            Of the rows.
        result : tensor

        Raises
        ------
        MemoryError
            If there is too little memory for a single row.
        """
        results = self._results(compute, rows, beside)
        if on_host and self.device.type == "cuda":
            results = _brought_to_host(results)
        total = count_rows(rows)
        with tqdm(
            total=total, desc=self._progress, unit="row", disable=self._progress is None
        ) as bar:
            for position, result in results:
                yield position, result
                bar.update(position.stop - position.start)

    def convert(self, batch):
        """Return a batch of rows, a copy on the device."""
        return self._moved(self._on_host(batch))

    def _results(self, compute, rows, beside):
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

    def _attempt(self, compute, batch, *beside):
        """Return the result, or None after halving the size."""
        n = n_rows(batch)
        try:
            return compute(batch, *beside)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if n == 1:
                raise MemoryError(
                    "expected memory for a batch of one row at least; on "
                    f"{self.device}, {free_bytes(self.device) / 2**30:.1f} GiB are free. Choose "
                    "fewer parameters=, free memory, or use another device."
                ) from error
        self.size = n // 2
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return None

    def _prefetched(self, batches):
        """Batches on the device; on CUDA, each is copied while the one before is computed."""
        if self.device.type != "cuda":
            yield from map(self.convert, batches)
            return
        copying, computing = torch.cuda.Stream(self.device), torch.cuda.current_stream(self.device)
        ahead = None
        for batch in batches:
            computing.wait_stream(copying)
            # Results wait for what is launched on this stream until now: `ahead` has arrived.
            ready, host = ahead, _pinned(self._on_host(batch))
            with torch.cuda.stream(copying):
                # Memory of a CUDA tensor of the caller's may still be written to.
                copying.wait_stream(computing)
                ahead = self._moved(host)
            _use_on(ahead, computing)
            if ready is not None:
                yield ready
        computing.wait_stream(copying)
        if ahead is not None:
            yield ahead

    def _on_host(self, batch):
        return _each_tensor(self._as_tensor, batch)

    def _as_tensor(self, value):
        if is_tensor(value):
            return value
        name = value.dtype.name
        if name not in _SHARED:
            ids = self._keep_integers and np.issubdtype(value.dtype, np.integer)
            name = "int64" if ids else str(self.dtype).removeprefix("torch.")
        return to_tensor(value, "cpu", name)

    def _moved(self, batch):
        def move(value):
            dtype = self.dtype
            if not value.is_floating_point():
                if isinstance(batch, dict):
                    dtype = value.dtype
                elif self._keep_integers and value.dtype != torch.bool:
                    dtype = torch.int64
            # A copy in any case, as a network may work in place; and in one order of the entries,
            # on which rounding depends.
            moved = value.to(
                self.device, non_blocking=True, copy=True, memory_format=torch.contiguous_format
            )
            return moved.to(dtype)

        return _each_tensor(move, batch)


def automatic_size(network, probe, device, differentiates, row_bytes):
    """Return how many rows to compute at a time.

    Parameters
    ----------
    network : FrozenNetwork
    probe : tensor of shape (b, ...) or dict of tensors
        Some rows, on the device.
    device : torch.device
    differentiates : bool
        Whether there is a backward pass, for which activations are kept.
    row_bytes : int
        Of what is computed for a row.

    Returns
    -------
    int
    """
    # Kept, their gradients, and working memory.
    row_bytes += _activation_bytes(network, probe) * (3 if differentiates else 1)
    wanted = max(_MOST_BYTES[device.type], min(_FEW_ROWS * row_bytes, _BYTES_OF_FEW))
    budget = min(wanted, _MEMORY_SHARE * free_bytes(device))
    return int(max(min(budget // row_bytes, _MOST_ROWS[device.type]), 1))


def _activation_bytes(network, probe):
    """Bytes of all outputs of the innermost modules, per row."""
    total = 0

    def add(_, __, output):
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


def _brought_to_host(results):
    """Results on the host, each yielded when the next one has been launched."""
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


def _awaited(position, host, copied):
    copied.synchronize()
    return position, host


def _each_tensor(function, batch):
    if isinstance(batch, dict):
        return {key: function(value) for key, value in batch.items()}
    return function(batch)


def _pinned(batch):
    return _each_tensor(lambda value: value if value.is_cuda else value.pin_memory(), batch)


def _use_on(batch, stream):
    """Keep memory from being given away while a stream works with it."""
    _each_tensor(lambda value: value.record_stream(stream), batch)
