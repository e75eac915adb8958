"""Cost of choosing the features.

    python benchmarks/features.py

The kernel, its coefficient and the penalty are chosen for 10000 rows of 256 columns, which gives
1000 kernel features. The script prints the seconds of the choice, of a factorization of that size
(Gram matrix of the weighted rows, and Cholesky), and of the logistic fits of a 5-fold
cross-validation on these features, as CPU time on one thread in one run.
"""

import argparse
import statistics
import time

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import pairwise_distances_argmin
from sklearn.model_selection import StratifiedKFold

from skdiva.features import KernelFeaturizer
from skdiva.loo import ClassTargets, Problem, SquaredError, choose_penalty

N_ROWS, N_COLUMNS, N_CLASSES, N_FEATURES = 10_000, 256, 10, 1000
DTYPES = ("float32", "float64")
REPEATS = 3


def timed(function, *args):
    """Answer and median CPU seconds."""
    seconds = []
    for _ in range(REPEATS):
        start = time.process_time()
        answer = function(*args)
        seconds.append(time.process_time() - start)
    return answer, statistics.median(seconds)


def make_data(dtype):
    """Classes of many cells each in eight directions of 256: no linear model tells them apart."""
    rng = np.random.RandomState(0)
    hidden, centers = rng.normal(size=(N_ROWS, 8)), rng.normal(size=(40, 8))
    y = pairwise_distances_argmin(hidden, centers) % N_CLASSES
    X = hidden @ rng.normal(size=(8, N_COLUMNS)) + 0.1 * rng.normal(size=(N_ROWS, N_COLUMNS))
    return X.astype(dtype), y


def choose(X, y):
    """The features, and the penalty that goes with them."""
    features = torch.from_numpy(KernelFeaturizer().fit(X, y).transform(X))
    problem = Problem(features, ClassTargets(torch.from_numpy(y), N_CLASSES), loss=SquaredError())
    return features, choose_penalty(problem, features.new_ones(N_ROWS))


def factorize(features):
    """One weighted Gram matrix and its Cholesky factor."""
    weighted = features * features.new_ones(len(features), 1)
    gram = weighted.T @ features
    gram.diagonal().add_(gram.diagonal().mean())
    return torch.linalg.cholesky(gram)


def logistic_fits(features, y):
    """The five fits of a cross-validated logistic regression."""
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    start = time.process_time()
    for train, _ in folds.split(features, y):
        LogisticRegression(max_iter=300).fit(features[train], y[train])
    return time.process_time() - start


def main():
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    torch.set_num_threads(1)
    print("| dtype | choice (s) | a factorization (s) | ratio | five logistic fits (s) | share |")
    print("|---|---|---|---|---|---|")
    for dtype in DTYPES:
        X, y = make_data(dtype)
        (features, _), choice = timed(choose, X, y)
        _, factorization = timed(factorize, features)
        fits = logistic_fits(np.asarray(features), y)
        assert features.shape[1] == N_FEATURES, features.shape
        print(
            f"| {dtype} | {choice:.2f} | {factorization:.3f} | {choice / factorization:.1f} | "
            f"{fits:.1f} | {choice / fits:.0%} |"
        )


if __name__ == "__main__":
    main()
