"""Dropping wrong labels where some classes are rare: beside the samplers of imbalanced-learn.

    python benchmarks/quality/rare_classes.py

Of 60 % of the rows of scikit-learn's sets few are kept of some classes, labels are flipped
uniformly, rows are dropped by every method at its defaults (those of imbalanced-learn may drop rows
of every class, as `DivaSampler` does, and edit by the majority of neighbors), and a logistic
regression is trained on the rest. Nothing is tuned here.
"""

from collections import defaultdict
from importlib.metadata import version
from itertools import product
from statistics import fmean

import numpy as np
from _harness import markdown_table, parser, run_parallel, where_it_ran, write
from imblearn.datasets import make_imbalance
from imblearn.under_sampling import (
    EditedNearestNeighbours,
    NeighbourhoodCleaningRule,
    TomekLinks,
)
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight

from skdiva import DivaSampler
from skdiva.datasets import flip_labels

TEST_SHARE = 0.4
RATES = (0.0, 0.1, 0.2)
SAMPLERS = {
    "DivaSampler": DivaSampler(),
    "DivaSampler, class-balanced": DivaSampler(),
    "EditedNearestNeighbours": EditedNearestNeighbours(sampling_strategy="all", kind_sel="mode"),
    "NeighbourhoodCleaningRule": NeighbourhoodCleaningRule(sampling_strategy="all"),
    "TomekLinks": TomekLinks(sampling_strategy="all"),
}


def one_against_all(X, y):
    """Digits: is it an 8?"""
    return X, (y == 8).astype(int)


# Loader, and how many training rows of every class are kept.
SETS = {
    "breast_cancer": (lambda: load_breast_cancer(return_X_y=True), {0: 25, 1: 200}),
    "wine": (lambda: load_wine(return_X_y=True), {0: 30, 1: 40, 2: 8}),
    "digits, 8 or not": (lambda: one_against_all(*load_digits(return_X_y=True)), {0: 500, 1: 40}),
    "digits, long tail": (
        lambda: load_digits(return_X_y=True),
        {k: max(10, 105 - 12 * k) for k in range(10)},
    ),
}


def rows_dropped(X, y, is_wrong):
    """Mask of the rows that every method drops."""
    dropped = {"none dropped": np.zeros(len(y), dtype=bool), "known clean": is_wrong}
    for name, sampler in SAMPLERS.items():
        balanced = {"sample_weight": compute_sample_weight("balanced", y)}
        sampler.fit_resample(X, y, **(balanced if name.endswith("balanced") else {}))
        dropped[name] = np.ones(len(y), dtype=bool)
        dropped[name][sampler.sample_indices_] = False
    return dropped


def train(name, rate, seed):
    """What every method drops, and the balanced accuracy of a model trained on the rest."""
    load, sizes = SETS[name]
    X, X_test, y, y_test = train_test_split(
        *load(), test_size=TEST_SHARE, stratify=load()[1], random_state=seed
    )
    X, y = make_imbalance(X, y, sampling_strategy=sizes, random_state=seed)
    scaler = StandardScaler().fit(X)
    X, X_test = scaler.transform(X), scaler.transform(X_test)
    given, is_wrong = flip_labels(y, rate, random_state=seed)
    is_rare = np.bincount(y)[y] < len(y) / len(sizes)
    right = {"rare": ~is_wrong & is_rare, "other": ~is_wrong & ~is_rare}
    answers = {}
    for method, dropped in rows_dropped(X, given, is_wrong).items():
        model = LogisticRegression(max_iter=1000).fit(X[~dropped], given[~dropped])
        answers[method] = [
            balanced_accuracy_score(y_test, model.predict(X_test)),
            *(dropped[rows].mean() for rows in right.values()),
            dropped[is_wrong].mean() if rate else 0.0,
        ]
    return answers


def table(runs, place, methods, rates=RATES):
    """One of the numbers of `train` by method: its mean over splits, and the mean of these."""
    problems = [
        (name, rate) for name, rate in dict.fromkeys(key[:2] for key in runs) if rate in rates
    ]
    means = [
        [fmean(found[place] for found in runs[name, rate, method]) for method in methods]
        for name, rate in problems
    ]
    rows = [[name, f"{rate:.0%}", *row] for (name, rate), row in zip(problems, means, strict=True)]
    rows.append(["mean", "", *map(fmean, zip(*means, strict=True))])
    return markdown_table("|".join(["set", "wrong", *methods]), rows)


def main():
    arguments = parser(__doc__, seeds=5).parse_args()
    jobs = list(product(arguments.sets or SETS, RATES, range(arguments.seeds)))
    answers = run_parallel(train, jobs, arguments.jobs)
    runs = defaultdict(list)
    for (name, rate, _), found in zip(jobs, answers, strict=True):
        for method, numbers in found.items():
            runs[name, rate, method].append(numbers)
    where = f"{where_it_ran(arguments.jobs)} imbalanced-learn {version('imbalanced-learn')}."
    accuracy = table(runs, 0, ["none dropped", *SAMPLERS, "known clean"])
    rare, other = (table(runs, place, SAMPLERS) for place in (1, 2))
    wrong = table(runs, 3, SAMPLERS, RATES[1:])
    write(REPORT.format(
        seeds=arguments.seeds, where=where, accuracy=accuracy, rare=rare, other=other, wrong=wrong
    ), arguments)  # fmt: skip


REPORT = """# Dropping wrong labels if classes are rare

`python benchmarks/quality/rare_classes.py` {where}

All figures are means of {seeds} splits. "Class-balanced" means with the `sample_weight` of
scikit-learn's `compute_sample_weight("balanced", y)`. Rare classes are those smaller than the
mean class.

## Balanced accuracy

The balanced accuracy, on clean test rows, of a logistic regression trained on the rows that are
kept.

{accuracy}

## Share of correctly labeled rows that is dropped, rare classes

{rare}

## Share of correctly labeled rows that is dropped, other classes

{other}

## Share of wrongly labeled rows that is dropped

{wrong}"""


if __name__ == "__main__":
    main()
