"""Label noise with known wrong labels."""

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.ensemble import RandomForestClassifier
from sklearn.utils import check_random_state

from skdiva.arrays import to_host
from skdiva.targets import read_codes, read_labels


def flip_labels(
    y: ArrayLike,
    noise_rate: float = 0.2,
    *,
    kind: str = "uniform",
    X: Any = None,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Replace the labels of a share of the rows by wrong ones.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels of any type, with at least two classes. Left unchanged.
    noise_rate : float, default=0.2
        Share of rows that get a wrong label, in [0, 1]. The number of rows is exactly
        ``round(noise_rate * n_samples)``.
    kind : {"uniform", "pair", "doubt"}, default="uniform"
        How wrong labels are drawn. "uniform": all rows and all other classes are equally likely.
        "pair": all rows are equally likely, and the label is the next class in sorted order.
        "doubt": similar to human errors; the more out-of-bag votes a random forest gives to the
        other classes, the more likely are a row and a label to be drawn.
    X : array-like of shape (n_samples, n_features), default=None
        Features for the random forest. Required for "doubt", ignored otherwise.
    random_state : int, RandomState instance or None, default=None
        Determines which rows are flipped and their new labels. Pass an int for reproducible output.
        Use a different seed for everything else that is drawn at random: "uniform" and "pair" flip
        the first rows of ``RandomState(random_state).permutation(n_samples)``, and other code with
        the same seed may draw the same permutation.

    Returns
    -------
    y_noisy : ndarray of shape (n_samples,)
        The labels, including the wrong ones.
    is_flipped : ndarray of bool of shape (n_samples,)
        Whether the label of each row was replaced. The new label always differs from the old one.

    Raises
    ------
    ValueError
        If ``noise_rate`` is outside [0, 1], if ``y`` has fewer than two classes, if ``kind`` is
        unknown, or if ``X`` is missing for "doubt".

    See Also
    --------
    annotate : Simulates annotators with different error rates.
    split_into_sites : Assigns rows to sites with different shares of wrong labels.

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


def check_noise_rate(noise_rate: Any, name: str = "noise_rate") -> None:
    """Raise unless ``noise_rate`` is a number in [0, 1]."""
    if not isinstance(noise_rate, Real) or not 0 <= float(noise_rate) <= 1:
        raise ValueError(f"{name} must be a number in [0, 1], got {noise_rate!r}.")


def check_noise_rates(noise_rates: Any) -> list[float]:
    """Return the shares of wrong labels of several annotators or sites as a list."""
    rates = list(noise_rates) if np.ndim(noise_rates) == 1 else []
    if len(rates) < 2:
        raise ValueError(
            f"noise_rates must hold at least two shares of wrong labels, got {noise_rates!r}. "
            "Pass one share per annotator or site; for a single share, use flip_labels."
        )
    for position, rate in enumerate(rates):
        check_noise_rate(rate, f"noise_rates[{position}]")
    return rates


def read_classes(y: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels (n,), their sorted classes and the codes (n,) of the labels."""
    labels = read_labels(y)
    codes, classes = read_codes(labels, len(labels), "y")
    if len(classes) < 2:
        raise ValueError(
            f"y must have at least two classes, got {len(classes)}. Pass labels of several classes."
        )
    return labels, classes, codes


def flip_codes(
    codes: np.ndarray,
    n_classes: int,
    noise_rate: float,
    kind: str,
    rng: np.random.RandomState,
    X: Any = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return a wrong code (n,) for every row, and a mask (n,) of the rows that are to get it."""
    order, new_codes = _draw(kind, X, codes, n_classes, rng)
    return new_codes, are_first(order, noise_rate)


def are_first(order: np.ndarray, share: float) -> np.ndarray:
    """Return a mask (n,) of the rows in the first ``share`` of ``order`` (n,)."""
    first = np.zeros(len(order), dtype=bool)
    first[order[: round(share * len(order))]] = True
    return first


def with_wrong_labels(
    y: np.ndarray, classes: np.ndarray, new_codes: np.ndarray, is_flipped: np.ndarray
) -> np.ndarray:
    """Return the labels (n,), with those of the flipped rows replaced."""
    y_noisy = y.copy()
    y_noisy[is_flipped] = classes[new_codes][is_flipped]
    return y_noisy


def draw_codes(chances: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """Draw a class (n,) for each row of unnormalized probabilities (n, n_classes)."""
    cumulative = chances.cumsum(axis=1)
    draws = rng.uniform(size=len(chances)) * cumulative[:, -1]
    return (cumulative <= draws[:, None]).sum(axis=1)


def _draw(
    kind: str, X: Any, codes: np.ndarray, n_classes: int, rng: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray]:
    """Return the order (n,) in which rows are flipped, and the new code (n,) of each row."""
    if kind == "doubt":
        if X is None:
            raise ValueError("kind='doubt' expects X, got None. Pass features for a random forest.")
        return _draw_by_doubt(X, codes, n_classes, rng)
    order = rng.permutation(len(codes))
    if kind == "uniform":
        # An offset from 1 to k - 1, modulo k, reaches each of the other classes exactly once.
        return order, (codes + rng.randint(1, n_classes, size=len(codes))) % n_classes
    if kind == "pair":
        return order, (codes + 1) % n_classes
    raise ValueError(f"kind must be 'uniform', 'pair' or 'doubt', got {kind!r}.")


def _draw_by_doubt(
    X: Any, codes: np.ndarray, n_classes: int, rng: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray]:
    """Return the same as `_draw`, drawn by the votes of trees that were trained without the row."""
    forest = RandomForestClassifier(
        200, oob_score=True, min_samples_leaf=3, random_state=rng.randint(2**31 - 1)
    )
    # A row on which all trees were trained has no votes.
    X = to_host(X, "X")  # the forest reads missing values, but not the mask of an array
    votes = np.nan_to_num(forest.fit(X, codes).oob_decision_function_) + 0.01 / n_classes
    votes[np.arange(len(codes)), codes] = 0
    doubt = votes.sum(axis=1)
    # Sorting by log(weight) + Gumbel noise draws rows by weight, without replacement.
    order = np.argsort(-(1.5 * np.log(doubt) + rng.gumbel(size=len(codes))), kind="stable")
    return order, draw_codes(votes, rng)
