"""What quality benchmarks share: real data, features, peers, measures and printed tables."""

import time
from functools import cache
from importlib.metadata import version
from statistics import fmean, median
from typing import NamedTuple

import joblib
import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdiva import DivaOutlierDetector, __version__

SETS = {"digits": load_digits, "breast cancer": load_breast_cancer, "wine": load_wine}
FEATURES = ["standardised", "Nystroem"]
LANDMARKS = 500
PACKAGES = ["cleanlab", "scikit-learn", "torch", "numpy"]


@cache
def load(name):
    """Rows and labels of a set."""
    return SETS[name](return_X_y=True)


def make_features(kind, X, *more):
    """Features of X, and of ``more`` rows by the transformation fitted to X; labels play no part.

    "standardised" columns, or "Nystroem" features of the RBF kernel exp(-|x - x'|^2 / p) of the p
    standardised columns, with up to 500 landmarks.
    """
    steps = [StandardScaler()]
    if kind == "Nystroem":
        n_components = min(LANDMARKS, len(X))
        steps.append(Nystroem(gamma=1 / X.shape[1], n_components=n_components, random_state=0))
    transformer = make_pipeline(*steps).fit(X)
    return [transformer.transform(part) for part in (X, *more)]


def logistic_regression():
    return LogisticRegression(max_iter=1000)


class Findings(NamedTuple):
    """What a method says of every row: whether its label is wrong, and how suspicious it is."""

    flagged: np.ndarray
    scores: np.ndarray


def detect_with_skdiva(features, y, _seed, criterion="margin"):
    """Findings of skdiva at its defaults, on the features as they are."""
    detector = DivaOutlierDetector(featurizer=None, criterion=criterion)
    return [Findings(detector.fit_predict(features, y) == -1, detector.outlier_scores_)]


def detect_with_skdiva_derivative(features, y, seed):
    """Findings of the paper's rule: a positive derivative."""
    return detect_with_skdiva(features, y, seed, criterion="derivative")


def detect_with_cleanlab(features, y, seed):
    """Findings of cleanlab at its defaults, ranked by either of its scores.

    The probabilities are out of sample: shuffled stratified 5-fold logistic regression.
    """
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    codes = np.unique(y, return_inverse=True)[1]
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    probabilities = cross_val_predict(
        logistic_regression(), features, codes, cv=folds, method="predict_proba"
    )
    flagged = find_label_issues(codes, probabilities, n_jobs=1)
    return [
        Findings(flagged, -get_label_quality_scores(codes, probabilities, method=method))
        for method in ("self_confidence", "normalized_margin")
    ]


# What is run once, and the rows of a table that come of it.
DETECTORS = {
    detect_with_skdiva: ["skdiva"],
    detect_with_skdiva_derivative: ["skdiva, derivative"],
    detect_with_cleanlab: ["cleanlab, self-confidence", "cleanlab, normalized margin"],
}
METHODS = [method for methods in DETECTORS.values() for method in methods]


@cache
def warm_up():
    """Import what is imported on first use, so that no method is charged for it."""
    y = np.arange(40) % 2
    features = np.column_stack([y, np.arange(40) % 7]).astype(float)
    for detect in DETECTORS:
        detect(features, y, 0)


def run_detectors(features, y, is_wrong, seed):
    """Return {method: measures} of all methods on the same features and labels."""
    warm_up()
    measures = {}
    for detect, methods in DETECTORS.items():
        start = time.perf_counter()
        findings = detect(features, y, seed)
        seconds = time.perf_counter() - start
        for method, (flagged, scores) in zip(methods, findings, strict=True):
            measures[method] = measure(is_wrong, flagged, scores) | {"seconds": seconds}
    return measures


def measure(is_wrong, flagged, scores):
    """How well the wrong labels were found: at the method's threshold, and by its ranking."""
    return {
        "precision": precision_score(is_wrong, flagged, zero_division=0),
        "recall": recall_score(is_wrong, flagged),
        "F1": f1_score(is_wrong, flagged),
        "AUC": roc_auc_score(is_wrong, scores),
        "AP": average_precision_score(is_wrong, scores),
    }


def average(measures):
    """Mean of every measure over runs; of the seconds the median, which one hiccup cannot move."""
    measures = list(measures)
    return {
        name: (median if name == "seconds" else fmean)(run[name] for run in measures)
        for name in measures[0]
    }


def average_by_method(runs):
    """Return {method: mean measures} of several answers of `run_detectors`."""
    runs = list(runs)
    return {method: average(run[method] for run in runs) for method in METHODS}


def run_parallel(function, jobs, n_jobs):
    """Call ``function(*job)`` for every job, each on one core."""
    return joblib.Parallel(n_jobs=n_jobs)(joblib.delayed(function)(*job) for job in jobs)


def markdown_table(header, rows):
    """Return an aligned table under a header whose names are separated by bars.

    Numbers are right-aligned, with three decimals.
    """
    columns = []
    for name, values in zip(header.split("|"), zip(*rows, strict=True), strict=True):
        is_text = isinstance(values[0], str)
        cells = [name, *(values if is_text else map("{:.3f}".format, values))]
        width = max(map(len, cells))
        rule = "-" * width if is_text else "-" * (width - 1) + ":"
        cells = [cell.ljust(width) if is_text else cell.rjust(width) for cell in cells]
        columns.append([cells[0], rule, *cells[1:]])
    return "\n".join(f"| {' | '.join(line)} |" for line in zip(*columns, strict=True))


def where_it_ran(n_jobs):
    """Versions and cores, one line."""
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    cores = joblib.effective_n_jobs(n_jobs)
    return f"skdiva {__version__}, {versions}; {cores} CPU cores, each run on one."
