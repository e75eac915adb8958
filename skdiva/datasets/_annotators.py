"""Simulated annotators, each with their own rate and kind of errors."""

from functools import partial
from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state

from skdiva.datasets._label_noise import (
    are_first,
    check_noise_rates,
    draw_codes,
    flip_codes,
    read_classes,
    with_wrong_labels,
)


def annotate(
    y: ArrayLike,
    noise_rates: ArrayLike,
    *,
    n_votes: int = 1,
    kind: str = "own",
    random_state: int | np.random.RandomState | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Simulate annotators who label the rows, each with their own errors.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels of any type, with at least two classes. Left unchanged.
    noise_rates : array-like of shape (n_annotators,)
        Share of wrong labels of each annotator, in [0, 1]. The shares are exact, up to rounding to
        whole rows.
    n_votes : int, default=1
        Number of annotators per row, who are drawn at random for each row.
    kind : {"own", "uniform", "pair"}, default="own"
        Classes that an annotator confuses. "own": each class mostly with one or two others, which
        differ between annotators. "uniform": each class with all others. "pair": each class with
        the next in sorted order.
    random_state : int, RandomState instance or None, default=None
        Determines who labels which row, which labels are wrong and what they are. Pass an int for
        reproducible output.

    Returns
    -------
    y_noisy : ndarray of shape (n_samples * n_votes,)
        The labels: all votes on the first row, followed by all votes on the second, and so on. The
        matching features are ``np.repeat(X, n_votes, axis=0)``, and the groups that keep the copies
        of a row together are ``np.repeat(np.arange(n_samples), n_votes)``.
    is_wrong : ndarray of bool of shape (n_samples * n_votes,)
        Whether each label is wrong.
    annotator : ndarray of int of shape (n_samples * n_votes,)
        Annotator of each label, as the position in ``noise_rates``. Can be passed to the estimators
        as ``sources``.

    Raises
    ------
    ValueError
        If there are fewer than two rates or a rate is outside [0, 1], if ``n_votes`` is not an int
        from 1 to n_annotators, if ``y`` has fewer than two classes, or if ``kind`` is unknown.

    See Also
    --------
    flip_labels : Adds wrong labels at a single rate.
    split_into_sites : Assigns rows to sites with different shares of wrong labels.

    Examples
    --------
    >>> import numpy as np
    >>> from skdiva.datasets import annotate
    >>> y = np.repeat(["cat", "cow", "dog"], 100)
    >>> labels, is_wrong, annotator = annotate(y, [0.05, 0.1, 0.4], n_votes=2, random_state=0)
    >>> labels.shape
    (600,)
    >>> [round(float(is_wrong[annotator == a].mean()), 2) for a in range(3)]
    [0.05, 0.1, 0.4]
    """
    rates = check_noise_rates(noise_rates)
    if not isinstance(n_votes, Integral) or not 1 <= n_votes <= len(rates):
        raise ValueError(
            f"n_votes must be an int from 1 to {len(rates)}, the number of annotators, got "
            f"{n_votes!r}. Pass fewer votes or more noise_rates."
        )
    if kind not in ("own", "uniform", "pair"):
        raise ValueError(f"kind must be 'own', 'uniform' or 'pair', got {kind!r}.")
    y, classes, codes = read_classes(y)
    rng = check_random_state(random_state)
    # The first entries of a random permutation, so that no annotator labels a row twice.
    annotator = rng.uniform(size=(len(y), len(rates))).argsort(axis=1)[:, :n_votes].ravel()
    y, codes = np.repeat(y, n_votes), np.repeat(codes, n_votes)
    new_codes, is_wrong = codes.copy(), np.zeros(len(y), dtype=bool)
    flip = _flip_own_classes if kind == "own" else partial(flip_codes, kind=kind)
    for position, rate in enumerate(rates):
        rows = annotator == position
        new_codes[rows], is_wrong[rows] = flip(codes[rows], len(classes), rate, rng=rng)
    return with_wrong_labels(y, classes, new_codes, is_wrong), is_wrong, annotator


def _flip_own_classes(
    codes: np.ndarray, n_classes: int, noise_rate: float, rng: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray]:
    """Return the same as `flip_codes`, with newly drawn probabilities of confusing classes."""
    chances = np.zeros((n_classes, n_classes))
    # A concentration below 1 puts most of the probability on few classes.
    drawn = rng.dirichlet(np.full(n_classes - 1, 0.3), size=n_classes)
    chances[~np.eye(n_classes, dtype=bool)] = drawn.ravel()
    order = rng.permutation(len(codes))
    return draw_codes(chances[codes], rng), are_first(order, noise_rate)
