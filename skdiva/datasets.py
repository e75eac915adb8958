"""Data whose wrong labels are known: noise that was put in, so that finding it can be scored."""

from numbers import Real

import numpy as np
from sklearn.utils import check_random_state, column_or_1d

__all__ = ["flip_labels"]


def flip_labels(y, noise_rate=0.2, *, random_state=None):
    """Give a share of the rows a wrong label, drawn uniformly from the other classes.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels of any type, with at least two classes. Left unchanged.
    noise_rate : float, default=0.2
        Share of the rows that get a wrong label, in [0, 1]: exactly
        ``round(noise_rate * n_samples)`` rows.
    random_state : int, RandomState instance or None, default=None
        Decides which rows are flipped, and to what. Pass an int for the same answer every time.

    Returns
    -------
    y_noisy : ndarray of shape (n_samples,)
        The labels with the wrong ones among them.
    is_flipped : ndarray of bool of shape (n_samples,)
        Whether a row's label was replaced. The new label always differs from the old one.

    Raises
    ------
    ValueError
        If ``noise_rate`` is outside [0, 1], or if ``y`` has fewer than two classes.

    Examples
    --------
    >>> from skdiva.datasets import flip_labels
    >>> y_noisy, is_flipped = flip_labels(["cat", "dog", "cow"] * 20, 0.1, random_state=0)
    >>> int(is_flipped.sum())
    6
    >>> y_noisy[is_flipped]
    array(['cat', 'dog', 'dog', 'cow', 'dog', 'cat'], dtype='<U3')
    """
    if not isinstance(noise_rate, Real) or not 0 <= noise_rate <= 1:
        raise ValueError(f"noise_rate must be a number in [0, 1], got {noise_rate!r}.")
    y = column_or_1d(y)
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"y must have at least two classes, got {len(classes)}: there is no other label to "
            "flip to."
        )
    rng = check_random_state(random_state)
    is_flipped = np.zeros(len(y), dtype=bool)
    is_flipped[rng.permutation(len(y))[: round(noise_rate * len(y))]] = True
    # 1 to k - 1 places further round the circle of the k classes is every other class once.
    shift = rng.randint(1, len(classes), size=len(y))
    y_noisy = y.copy()
    y_noisy[is_flipped] = classes[(codes + shift) % len(classes)][is_flipped]
    return y_noisy, is_flipped
