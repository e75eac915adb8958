"""Small data that the estimator tests share."""

import numpy as np
import torch
from sklearn.datasets import make_classification, make_regression

from skdiva.loo import brute_force_derivative, brute_force_loo


def classes(n=80, k=3, wrong=8, seed=0):
    """X (n, 6), y with its first ``wrong`` labels wrong, and the true labels."""
    X, truth = make_classification(
        n, 6, n_informative=4, n_classes=k, class_sep=2.5, flip_y=0, random_state=seed
    )
    y = truth.copy()
    y[:wrong] = (y[:wrong] + 1) % k
    return X, y, truth


def numbers(n=60, targets=1, wrong=3, seed=0):
    """X (n, 5) and y (n,) or (n, targets) with outliers in its first ``wrong`` rows."""
    X, y = make_regression(n, 5, n_targets=targets, noise=1.0, random_state=seed)
    y[:wrong] += 50
    return X, y


def standardized(X):
    """What featurizer=StandardScaler() makes of X."""
    return (X - X.mean(axis=0)) / X.std(axis=0)


def same_fit(one, other, atol=1e-10):
    """Whether two fitted estimators hold the same arrays."""
    for name in ("derivative_", "sample_weight_", "loo_predictions_"):
        np.testing.assert_allclose(
            getattr(one, name), getattr(other, name), rtol=1e-7 + atol, atol=atol, err_msg=name
        )


def refitted(X, targets, alpha, weight=None, groups=None):
    """Leave-one-out predictions and the derivative of their mean squared error, by refits."""
    n = len(X)
    weight = torch.ones(n) if weight is None else torch.from_numpy(weight)
    weight = (weight / weight.mean()).double()
    features, targets = torch.from_numpy(X), torch.from_numpy(targets).double()
    groups = None if groups is None else torch.from_numpy(groups)
    arguments = (features, targets, weight, alpha)
    loo = brute_force_loo(*arguments, groups=groups)
    gradient = 2 * weight[:, None] * (loo - targets) / n
    return loo.numpy(), brute_force_derivative(*arguments, gradient, groups=groups).numpy()


def word_counts(n=120, n_words=40, k=3, wrong=10, seed=0):
    """Counts of words X (n, n_words) in texts of k topics, y with wrong labels, and the truth."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, n)
    topics = np.random.default_rng(99).dirichlet(np.full(n_words, 0.1), k)
    X = np.stack([rng.multinomial(rng.integers(20, 60), topics[c]) for c in truth]).astype(float)
    y = truth.copy()
    y[:wrong] = (y[:wrong] + 1) % k
    return X, y, truth
