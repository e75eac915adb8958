"""Rows of several sites, which differ in how well they label and in how they measure."""

from numbers import Real

import numpy as np
from sklearn.utils import check_array, check_consistent_length, check_random_state, column_or_1d

from skdiva.datasets._label_noise import (
    check_noise_rates,
    flip_codes,
    read_classes,
    with_wrong_labels,
)


def split_into_sites(y, noise_rates, *, kind="uniform", random_state=None):
    """Spread the rows over sites, each with its own share of wrong labels.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels of any type, with at least two classes. Left unchanged.
    noise_rates : array-like of shape (n_sites,)
        Share of wrong labels at every site, in [0, 1]; exactly, up to rounding to a row.
    kind : {"uniform", "pair"}, default="uniform"
        What a label is replaced by. "uniform": any other class. "pair": the next class, in sorted
        order.
    random_state : int, RandomState instance or None, default=None
        Decides which row is at which site, which labels are replaced, and by what. Pass an int for
        the same answer every time.

    Returns
    -------
    y_noisy : ndarray of shape (n_samples,)
        The labels with the wrong ones among them.
    is_flipped : ndarray of bool of shape (n_samples,)
        Whether a row's label was replaced. The new label always differs from the old one.
    site : ndarray of int of shape (n_samples,)
        Site of every row, the place of its rate in ``noise_rates``. Sizes differ by at most a row.
        This is what ``sources=`` of the estimators expects.

    Raises
    ------
    ValueError
        If there are fewer than two rates or a rate is outside [0, 1], if ``y`` has fewer than two
        classes or fewer rows than sites, or if ``kind`` is unknown.

    See Also
    --------
    shift_sites : Gives every site a measuring instrument of its own.
    annotate : Several people label the same rows.

    Examples
    --------
    >>> import numpy as np
    >>> from skdiva.datasets import split_into_sites
    >>> y = np.repeat(["cat", "dog"], 100)
    >>> y_noisy, is_flipped, site = split_into_sites(y, [0.0, 0.4], random_state=0)
    >>> [int(is_flipped[site == s].sum()) for s in (0, 1)]
    [0, 40]
    """
    rates = check_noise_rates(noise_rates)
    y, classes, codes = read_classes(y)
    if len(y) < len(rates):
        raise ValueError(
            f"Expected a row for every site, got {len(y)} rows and {len(rates)} noise_rates. "
            "Pass fewer rates."
        )
    if kind not in ("uniform", "pair"):
        raise ValueError(f"kind must be 'uniform' or 'pair', got {kind!r}.")
    rng = check_random_state(random_state)
    site = rng.permutation(len(y)) % len(rates)
    new_codes, is_flipped = codes.copy(), np.zeros(len(y), dtype=bool)
    for place, rate in enumerate(rates):
        rows = site == place
        new_codes[rows], is_flipped[rows] = flip_codes(codes[rows], len(classes), rate, kind, rng)
    return with_wrong_labels(y, classes, new_codes, is_flipped), is_flipped, site


def shift_sites(X, site, size=1.0, *, random_state=None):
    """Shift the features of every site, as instruments do that are set differently.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Features. Left unchanged.
    site : array-like of shape (n_samples,)
        Site of every row, of any type.
    size : float, default=1.0
        Size of the shifts, in standard deviations of a column: every site has, for every column, a
        shift drawn from a normal distribution with this standard deviation.
    random_state : int, RandomState instance or None, default=None
        Decides the shifts. Pass an int for the same answer every time.

    Returns
    -------
    X_shifted : ndarray of shape (n_samples, n_features)
        Features plus the shift of their site.
    shift : ndarray of shape (n_sites, n_features)
        The shifts, in the units of the columns, for the sites in sorted order.

    Raises
    ------
    ValueError
        If ``size`` is negative or not finite, or if ``site`` has not one entry per row of X.

    See Also
    --------
    split_into_sites : Makes the sites.

    Examples
    --------
    >>> import numpy as np
    >>> from skdiva.datasets import shift_sites
    >>> X = np.arange(8.0).reshape(4, 2)
    >>> X_shifted, shift = shift_sites(X, ["a", "a", "b", "b"], size=0.5, random_state=0)
    >>> bool(np.allclose(X_shifted - X, shift[[0, 0, 1, 1]]))
    True
    """
    if not isinstance(size, Real) or not 0 <= size < np.inf:
        raise ValueError(f"size must be a finite number that is not negative, got {size!r}.")
    X = check_array(X, dtype=[np.float64, np.float32])
    sites, codes = np.unique(column_or_1d(site), return_inverse=True)
    check_consistent_length(X, codes)
    rng = check_random_state(random_state)
    shift = (size * X.std(axis=0) * rng.normal(size=(len(sites), X.shape[1]))).astype(X.dtype)
    return X + shift[codes], shift
