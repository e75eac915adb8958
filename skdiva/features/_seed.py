"""Torch's random numbers from one seed, with the global generators as they were."""

import contextlib

import torch
from sklearn.utils import check_random_state


def draw_seed(random_state):
    """Return a seed: the same every time for an int, and for None, which is 0."""
    random_state = 0 if random_state is None else random_state
    return int(check_random_state(random_state).randint(2**31 - 1))


@contextlib.contextmanager
def seeded(seed):
    """Let the global generators of torch start from a seed, and put them back afterwards."""
    # A CUDA that nobody uses yet is left asleep.
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield
