"""Data whose wrong labels are known: noise that was put in, so that finding it can be scored."""

from skdiva.datasets._annotators import annotate
from skdiva.datasets._label_noise import flip_labels
from skdiva.datasets._pool import split_core_pool
from skdiva.datasets._sites import shift_sites, split_into_sites

__all__ = ["annotate", "flip_labels", "shift_sites", "split_core_pool", "split_into_sites"]
