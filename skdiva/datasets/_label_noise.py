"""Wrong labels, put in: how they are drawn."""

from numbers import Real

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.utils import check_random_state, column_or_1d


def flip_labels(y, noise_rate=0.2, *, kind="uniform", X=None, random_state=None):
    """Give a share of the rows a wrong label.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels of any type, with at least two classes. Left unchanged.
    noise_rate : float, default=0.2
        Share of the rows that get a wrong label, in [0, 1]: exactly
        ``round(noise_rate * n_samples)`` rows.
    kind : {"uniform", "pair", "doubt"}, default="uniform"
        "uniform": rows drawn with equal chances, labels out of all other classes. "pair": the label
        of the next class, in sorted order. "doubt", as people err: rows are drawn the likelier, and
        labels too, the more a random forest's out-of-bag votes for the other classes.
    X : array-like of shape (n_samples, n_features), default=None
        What the forest sees; for "doubt" only.
    random_state : int, RandomState instance or None, default=None
        Decides which rows are flipped, and to what. Pass an int for the same answer every time, and
        draw whatever else is random with another one: "uniform" and "pair" flip the first rows of
        ``RandomState(random_state).permutation(n_samples)``, and not only they draw so.

    Returns
    -------
    y_noisy : ndarray of shape (n_samples,)
        The labels with the wrong ones among them.
    is_flipped : ndarray of bool of shape (n_samples,)
        Whether a row's label was replaced. The new label always differs from the old one.

    Raises
    ------
    ValueError
        If ``noise_rate`` is outside [0, 1], if ``y`` has fewer than two classes, if ``kind`` is
        unknown, or if "doubt" has no ``X``.

    See Also
    --------
    annotate : Labels by annotators of differing care.
    split_into_sites : Labels of sites of differing quality.

    Examples
    --------
    >>> from skdiva.datasets import flip_labels
    >>> y_noisy, is_flipped = flip_labels(["cat", "dog", "cow"] * 20, 0.1, random_state=0)
    >>> int(is_flipped.sum())
    6
    >>> y_noisy[is_flipped]
    array(['cat', 'dog', 'dog', 'cow', 'dog', 'cat'], dtype='<U3')
    """
    check_noise_rate(noise_rate)
    y, classes, codes = read_classes(y)
    rng = check_random_state(random_state)
    new_codes, is_flipped = flip_codes(codes, len(classes), noise_rate, kind, rng, X)
    return with_wrong_labels(y, classes, new_codes, is_flipped), is_flipped


def check_noise_rate(noise_rate, name="noise_rate"):
    """Raise unless ``noise_rate`` is a share."""
    if not isinstance(noise_rate, Real) or not 0 <= noise_rate <= 1:
        raise ValueError(f"{name} must be a number in [0, 1], got {noise_rate!r}.")


def check_noise_rates(noise_rates):
    """Return shares of wrong labels, one for each of those who label, as a list."""
    rates = list(noise_rates) if np.ndim(noise_rates) == 1 else []
    if len(rates) < 2:
        raise ValueError(
            f"noise_rates must hold at least two shares of wrong labels, got {noise_rates!r}. "
            "Pass a list, one for each of those who label; flip_labels makes labels of one rate."
        )
    for place, rate in enumerate(rates):
        check_noise_rate(rate, f"noise_rates[{place}]")
    return rates


def read_classes(y):
    """Return labels (n,), their sorted classes and the codes (n,) of the labels."""
    y = column_or_1d(y)
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"y must have at least two classes, got {len(classes)}: there is no other label to "
            "flip to."
        )
    return y, classes, codes


def flip_codes(codes, n_classes, noise_rate, kind, rng, X=None):
    """Return new codes (n,), and which rows, an exact share of them, are to take theirs."""
    order, new_codes = _draw(kind, X, codes, n_classes, rng)
    return new_codes, are_first(order, noise_rate)


def are_first(order, share):
    """Mark the rows that make up the first ``share`` of ``order`` (n,)."""
    first = np.zeros(len(order), dtype=bool)
    first[order[: round(share * len(order))]] = True
    return first


def with_wrong_labels(y, classes, new_codes, is_flipped):
    """Return the labels with those of the flipped rows replaced."""
    y_noisy = y.copy()
    y_noisy[is_flipped] = classes[new_codes][is_flipped]
    return y_noisy


def draw_codes(chances, rng):
    """Draw a class (n,) for every row of ``chances`` (n, n_classes), of any positive sum."""
    cumulated = chances.cumsum(axis=1)
    draws = rng.uniform(size=len(chances)) * cumulated[:, -1]
    return (cumulated <= draws[:, None]).sum(axis=1)


def _draw(kind, X, codes, n_classes, rng):
    """Order in which rows are flipped, and the class that each would be flipped to."""
    if kind == "doubt":
        if X is None:
            raise ValueError("kind='doubt' expects X, which the doubts depend on, got None.")
        return _draw_by_doubt(X, codes, n_classes, rng)
    order = rng.permutation(len(codes))
    if kind == "uniform":
        # 1 to k - 1 places further round the circle of the k classes is every other class once.
        return order, (codes + rng.randint(1, n_classes, size=len(codes))) % n_classes
    if kind == "pair":
        return order, (codes + 1) % n_classes
    raise ValueError(f"kind must be 'uniform', 'pair' or 'doubt', got {kind!r}.")


def _draw_by_doubt(X, codes, n_classes, rng):
    """Rows and labels by the votes of trees that have not seen the row."""
    forest = RandomForestClassifier(
        200, oob_score=True, min_samples_leaf=3, random_state=rng.randint(2**31 - 1)
    )
    # A row that every tree has seen has no votes.
    votes = np.nan_to_num(forest.fit(X, codes).oob_decision_function_) + 0.01 / n_classes
    votes[np.arange(len(codes)), codes] = 0
    doubt = votes.sum(axis=1)
    # The largest of log(weight) + Gumbel noise: drawn by weight, without replacement.
    order = np.argsort(-(1.5 * np.log(doubt) + rng.gumbel(size=len(codes))), kind="stable")
    return order, draw_codes(votes, rng)
