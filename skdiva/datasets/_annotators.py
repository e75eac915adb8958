"""Labels as several annotators give them, each with errors of their own."""

from functools import partial
from numbers import Integral

import numpy as np
from sklearn.utils import check_random_state

from skdiva.datasets._label_noise import (
    are_first,
    check_noise_rates,
    draw_codes,
    flip_codes,
    read_classes,
    with_wrong_labels,
)


def annotate(y, noise_rates, *, n_votes=1, kind="own", random_state=None):
    """Have the rows labelled by annotators who err, each in their own way.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels of any type, with at least two classes. Left unchanged.
    noise_rates : array-like of shape (n_annotators,)
        Share of wrong labels of every annotator, in [0, 1]; exactly, up to rounding to a row.
    n_votes : int, default=1
        Number of annotators, drawn at random for every row, who label it.
    kind : {"own", "uniform", "pair"}, default="own"
        What an annotator takes a class for. "own": mostly for one or two others, which others
        depends on the annotator. "uniform": for any other. "pair": for the next, in sorted order.
    random_state : int, RandomState instance or None, default=None
        Decides who labels which row, which labels are wrong, and what they are. Pass an int for the
        same answer every time.

    Returns
    -------
    y_noisy : ndarray of shape (n_samples * n_votes,)
        The labels: first all votes on the first row, then all on the second. With several votes a
        row is there several times, so its features are ``np.repeat(X, n_votes, axis=0)``, and its
        copies belong together: ``groups=np.repeat(np.arange(n_samples), n_votes)``.
    is_wrong : ndarray of bool of shape (n_samples * n_votes,)
        Whether a label is wrong.
    annotator : ndarray of int of shape (n_samples * n_votes,)
        Who gave a label, as the place of their rate in ``noise_rates``. This is what ``sources=``
        of the estimators expects.

    Raises
    ------
    ValueError
        If there are fewer than two rates or a rate is outside [0, 1], if ``n_votes`` is not an int
        from 1 to n_annotators, if ``y`` has fewer than two classes, or if ``kind`` is unknown.

    See Also
    --------
    flip_labels : Wrong labels whose origin is unknown.
    split_into_sites : Sites of equal size that label and measure differently.

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
            f"{n_votes!r}."
        )
    if kind not in ("own", "uniform", "pair"):
        raise ValueError(f"kind must be 'own', 'uniform' or 'pair', got {kind!r}.")
    y, classes, codes = read_classes(y)
    rng = check_random_state(random_state)
    # The first places of a random order: annotators without repetition.
    annotator = rng.uniform(size=(len(y), len(rates))).argsort(axis=1)[:, :n_votes].ravel()
    y, codes = np.repeat(y, n_votes), np.repeat(codes, n_votes)
    new_codes, is_wrong = codes.copy(), np.zeros(len(y), dtype=bool)
    flip = _flip_codes_in_own_way if kind == "own" else partial(flip_codes, kind=kind)
    for place, rate in enumerate(rates):
        rows = annotator == place
        new_codes[rows], is_wrong[rows] = flip(codes[rows], len(classes), rate, rng=rng)
    return with_wrong_labels(y, classes, new_codes, is_wrong), is_wrong, annotator


def _flip_codes_in_own_way(codes, n_classes, noise_rate, rng):
    """Do what `flip_codes` does, by chances drawn anew of what each class is taken for."""
    chances = np.zeros((n_classes, n_classes))
    # Below 1, most of the mass is on few classes.
    drawn = rng.dirichlet(np.full(n_classes - 1, 0.3), size=n_classes)
    chances[~np.eye(n_classes, dtype=bool)] = drawn.ravel()
    order = rng.permutation(len(codes))
    return draw_codes(chances[codes], rng), are_first(order, noise_rate)
