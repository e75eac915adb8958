"""Data whose wrong labels are known: noise that was put in, so that finding it can be scored."""

from numbers import Real

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.utils import check_random_state, column_or_1d

__all__ = ["flip_labels"]


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
        If ``noise_rate`` is outside [0, 1], if ``y`` has fewer than two classes, if ``kind`` is
        unknown, or if "doubt" has no ``X``.

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
    order, new_codes = _draw(kind, X, codes, len(classes), rng)
    is_flipped = np.zeros(len(y), dtype=bool)
    is_flipped[order[: round(noise_rate * len(y))]] = True
    y_noisy = y.copy()
    y_noisy[is_flipped] = classes[new_codes][is_flipped]
    return y_noisy, is_flipped


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
    draws = rng.uniform(size=len(codes)) * doubt
    new_codes = (votes.cumsum(axis=1) <= draws[:, None]).sum(axis=1)
    return order, np.minimum(new_codes, n_classes - 1)
