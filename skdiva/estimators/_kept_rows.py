"""Which rows an estimator is trained on that takes no weights."""

import numpy as np

_KEPT = 0.25  # trust in a label is squared: as likely right as wrong


def rows_kept(data, factor):
    """Rows that kept a quarter of their weight, and all of a class that kept none.

    Parameters
    ----------
    data : TrainingData
    factor : ndarray of shape (n,)
        Learned weights over start weights.

    Returns
    -------
    ndarray of int
    """
    held = np.ones(len(factor), dtype=bool)
    if data.sample_weight is not None:
        held = data.sample_weight > 0
    kept = held & (factor >= _KEPT)
    if data.has_classes:
        codes = data.target.codes
        kept |= held & (np.bincount(codes, weights=kept) == 0)[codes]
    return np.flatnonzero(kept)
