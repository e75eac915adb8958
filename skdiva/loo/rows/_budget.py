"""Memory budget: free memory, rows per block, and results that are kept.

The only file that asks a device how much memory is free.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

_CUDA_BLOCK_SHARE = 0.02  # of the free memory
_LEAST_ROWS, _MOST_ROWS = 2**8, 2**16  # of a block on a CPU
_CPU_KEPT_BYTES = 2**29
_CUDA_KEPT_SHARE = 0.25  # of the free memory
_UNKNOWN = 4 * 2**30  # assumed where the system does not say
# Messages of torch on Windows and Linux, and of the libraries that it calls on CUDA.
_OUT_OF_MEMORY = "not enough memory", "can't allocate memory", "ALLOC_FAILED"


@dataclass(frozen=True)
class Budget:
    """Memory that the passes over the rows may use.

    Parameters
    ----------
    block_rows : int, default=None
        Number of rows worked on at a time. None: chosen from the width of the rows and the device.
    block_elements : int, default=2**20
        Number of values in a block of rows on a CPU, if ``block_rows`` is None. The default, 4 MiB
        in single precision, keeps elementwise work on a block in the caches.
    kept_bytes : int, default=None
        Largest size of a result that is kept for the next visit; larger ones are computed again.
        None: 512 MiB on a CPU, a quarter of the free memory on a GPU.
    """

    block_rows: int | None = None
    block_elements: int = 2**20
    kept_bytes: int | None = None

    def rows(self, n_columns: int, device: torch.device, itemsize: int = 4) -> int:
        """Return the number of rows per block.

        Parameters
        ----------
        n_columns : int
            Number of values per row.
        device : torch.device
            Where the rows are worked on.
        itemsize : int, default=4
            Bytes per value.

        Returns
        -------
        int
        """
        if self.block_rows is not None:
            return self.block_rows
        if device.type == "cuda":
            share = int(free_bytes(device) * _CUDA_BLOCK_SHARE)
            return max(share // (max(n_columns, 1) * itemsize), _LEAST_ROWS)
        return min(max(self.block_elements // max(n_columns, 1), _LEAST_ROWS), _MOST_ROWS)

    def slices(self, n_rows: int) -> Iterator[slice]:
        """Yield slices of rows for passes over arrays with a few columns, such as targets."""
        step = self.block_rows or _MOST_ROWS
        for start in range(0, n_rows, step):
            yield slice(start, min(start + step, n_rows))

    def keeps(self, n_bytes: int, device: torch.device) -> bool:
        """Return whether a result of a size is kept rather than computed again."""
        if self.kept_bytes is not None:
            return n_bytes <= self.kept_bytes
        if device.type == "cuda":
            return n_bytes <= _CUDA_KEPT_SHARE * free_bytes(device)
        return n_bytes <= _CPU_KEPT_BYTES


def free_bytes(device: torch.device) -> int:
    """Return the number of bytes that are free on a device.

    Parameters
    ----------
    device : torch.device

    Returns
    -------
    int
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    with contextlib.suppress(OSError):  # on Linux: memory that caches of files hold is free as well
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 2**10
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not a POSIX system, or it does not say
        return _UNKNOWN


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an exception says that there was not enough memory, on any device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(part in str(error) for part in _OUT_OF_MEMORY)
