"""How much memory there is to work in, and what is raised where it does not suffice."""

import contextlib
import os
from pathlib import Path

import torch

_UNKNOWN = 4 * 2**30  # assumed where the system does not say
# Of torch on Windows and Linux, and of the libraries that it calls on CUDA.
_SAID = "not enough memory", "can't allocate memory", "ALLOC_FAILED"


def free_bytes(device):
    """Return the bytes that are free on a device.

    Parameters
    ----------
    device : torch.device

    Returns
    -------
    int
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    with contextlib.suppress(OSError):  # on Linux: what caches of files hold is free as well
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 2**10
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not a POSIX system, or it does not say
        return _UNKNOWN


def is_out_of_memory(error):
    """Whether an exception says that there was not enough memory, on any device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(said in str(error) for said in _SAID)
