"""Simulated sites that differ in label quality and in measurement offsets."""

from numbers import Real

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_array, check_random_state

from skdiva.datasets._label_noise import (
    check_noise_rates,
    flip_codes,
    read_classes,
    with_wrong_labels,
)
from skdiva.features import plain_numbers
from skdiva.targets import read_codes


def split_into_sites(
    y: ArrayLike,
    noise_rates: ArrayLike,
    *,
    kind: str = "uniform",
    random_state: int | np.random.RandomState | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Assign the rows to sites, each with its own share of wrong labels.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels of any type, with at least two classes. Left unchanged.
    noise_rates : array-like of shape (n_sites,)
        Share of wrong labels at each site, in [0, 1]. The shares are exact, up to rounding to whole
        rows.
    kind : {"uniform", "pair"}, default="uniform"
        How wrong labels are drawn. "uniform": all other classes are equally likely. "pair": the
        next class in sorted order.
    random_state : int, RandomState instance or None, default=None
        Determines the site of each row, which labels are wrong and what they are. Pass an int for
        reproducible output.

    Returns
    -------
    y_noisy : ndarray of shape (n_samples,)
        The labels, including the wrong ones.
    is_flipped : ndarray of bool of shape (n_samples,)
        Whether the label of each row was replaced. The new label always differs from the old one.
    site : ndarray of int of shape (n_samples,)
        Site of each row, as the position in ``noise_rates``. The sizes of the sites differ by at
        most one row. Can be passed to the estimators as ``sources``.

    Raises
    ------
    ValueError
        If there are fewer than two rates or a rate is outside [0, 1], if ``y`` has fewer than two
        classes or fewer rows than sites, or if ``kind`` is unknown.

    See Also
    --------
    shift_sites : Adds a measurement offset to the features of each site.
    annotate : Simulates annotators who label the same rows.

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
            f"Expected at least one row per site, got {len(y)} rows and {len(rates)} noise_rates. "
            "Pass fewer rates."
        )
    if kind not in ("uniform", "pair"):
        raise ValueError(f"kind must be 'uniform' or 'pair', got {kind!r}.")
    rng = check_random_state(random_state)
    site = rng.permutation(len(y)) % len(rates)
    new_codes, is_flipped = codes.copy(), np.zeros(len(y), dtype=bool)
    for position, rate in enumerate(rates):
        rows = site == position
        new_codes[rows], is_flipped[rows] = flip_codes(codes[rows], len(classes), rate, kind, rng)
    return with_wrong_labels(y, classes, new_codes, is_flipped), is_flipped, site


def shift_sites(
    X: ArrayLike,
    site: ArrayLike,
    size: float = 1.0,
    *,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Shift the features of each site, as instruments with different calibrations would.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Features. Left unchanged.
    site : array-like of shape (n_samples,)
        Site of each row, of any type.
    size : float, default=1.0
        Size of the shifts, in units of the standard deviation of a column. The shift of each site
        and column is drawn from a normal distribution with this standard deviation.
    random_state : int, RandomState instance or None, default=None
        Determines the shifts. Pass an int for reproducible output.

    Returns
    -------
    X_shifted : ndarray of shape (n_samples, n_features)
        Features plus the shifts of their sites.
    shift : ndarray of shape (n_sites, n_features)
        Shifts of the sites, in sorted order, in the units of the columns.

    Raises
    ------
    ValueError
        If ``size`` is negative or not finite, or if X and ``site`` differ in length.

    See Also
    --------
    split_into_sites : Assigns rows to sites.

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
        raise ValueError(
            f"size must be a finite number that is not negative, got {size!r}. Pass a number of "
            "standard deviations."
        )
    X = check_array(
        plain_numbers(X), dtype=[np.float64, np.float32], input_name="X", estimator="shift_sites"
    )
    codes, sites = read_codes(site, len(X), "site")
    rng = check_random_state(random_state)
    shift = (size * X.std(axis=0) * rng.normal(size=(len(sites), X.shape[1]))).astype(X.dtype)
    return X + shift[codes], shift
