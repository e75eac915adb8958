"""How much memory there is to work in."""

import os

import torch

_UNKNOWN = 4 * 2**30  # assumed where the system does not say


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
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not a POSIX system, or it does not say
        return _UNKNOWN
