"""Replacing, dropping or weighting: what to do with flagged labels before training?

    python benchmarks/quality/corrections.py --data FOLDER

Two models are trained on 70 % of the rows and tested on the others, whose labels are clean: with
the labels as given; without the rows that `DivaOutlierDetector` flags; with the suggested label in
all of these rows; with `corrected_labels` at three confidences; with the weights of
`DivaReweighter`; and with the true labels. Nothing is tuned here.
"""

from collections import defaultdict
from itertools import product
from statistics import fmean

import numpy as np
from _harness import markdown_table, parser, run_parallel, where_it_ran, write
from _sets import CLEAN, HUMAN, HUMAN_TABLES, OWN, available, load
from _training import errors_of
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdiva import DivaOutlierDetector, DivaReweighter
from skdiva.datasets import flip_labels

TEST_SHARE = 0.3
RATES = (0.0, 0.1, 0.2, 0.3)
CONFIDENCES = (0.5, 0.7, 0.9)
BOOSTING_COLUMNS = 60  # no boosting on wider sets, where it takes minutes
OVERLAP = 0.1  # classes overlap if the test error with true labels is larger
FLIPPED = ["digits", "breast cancer", "spambase", "magic", "german credit"]
PEOPLE = [
    *HUMAN_TABLES,
    "CIFAR-10N random",
    "CIFAR-10N worst",
    "sentiment, majority",
    "Hausa news, rules",
]
MODELS = {
    "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)),
    "gradient boosting": HistGradientBoostingClassifier(random_state=0, max_iter=40),
}
REPLACED = ["flagged replaced", *(f"replaced at {c}" for c in CONFIDENCES)]
METHODS = ["as given", "flagged dropped", *REPLACED, "DivaReweighter", "true labels"]


def remedies(X, y, true):
    """Labels and weights of the training rows by every method, and what was replaced."""
    detector = DivaOutlierDetector().fit(X, y)
    flagged = detector.outlier_scores_ > detector.threshold_
    ones = np.ones(len(y))
    labels = {"flagged replaced": np.where(flagged, detector.suggested_label_, y)}
    labels |= {f"replaced at {c}": detector.corrected_labels(y, c) for c in CONFIDENCES}
    replaced = {
        name: (len(y), len(rows), sum(new[rows] == true[rows]), sum(y[rows] == true[rows]))
        for name, new in labels.items()
        for rows in [np.flatnonzero(new != y)]
    }
    trained_on = {name: (new, ones) for name, new in labels.items()}
    trained_on |= {
        "as given": (y, ones),
        "flagged dropped": (y, ones * ~flagged),
        "DivaReweighter": (y, DivaReweighter().fit(X, y).sample_weight_),
        "true labels": (true, ones),
    }
    return trained_on, replaced


def train(name, rate, seed, folder):
    """Test errors of every model after every remedy, and what was replaced."""
    X, given, true = load(name, folder)
    classes, true = np.unique(given if true is None else true, return_inverse=True)
    given = true if rate is not None else np.searchsorted(classes, given)
    X, X_test, y, _, true, y_test = train_test_split(
        X, given, true, test_size=TEST_SHARE, stratify=true, random_state=seed
    )
    if rate:
        y, _ = flip_labels(y, rate, random_state=seed)
    trained_on, replaced = remedies(X, y, true)
    errors = {}
    for (model_name, model), method in product(MODELS.items(), METHODS):
        if model_name == "gradient boosting" and X.shape[1] > BOOSTING_COLUMNS:
            continue
        labels, weight = trained_on[method]
        found = errors_of(model, {method: weight}, X, labels, X_test, y_test)
        errors[model_name, method] = found[method]
    return errors, replaced


def kind_of(runs, name, rate):
    """Kind of problem, for the means."""
    if rate is None:
        return "labels of people or rules"
    clean = fmean(errors["logistic regression", "true labels"] for errors, _ in runs[name, 0.0])
    classes = "classes overlap" if clean > OVERLAP else "classes separate"
    return f"{'labels flipped' if rate else 'no label wrong'}, {classes}"


def error_table(runs, model):
    """Mean error of every problem, and means over the problems of every kind."""
    rows, by_kind = [], defaultdict(list)
    for (name, rate), found in runs.items():
        if (model, "as given") in found[0][0]:
            means = [fmean(errors[model, m] for errors, _ in found) for m in METHODS]
            rows.append([name, "people" if rate is None else f"{rate:.0%}", *means])
            by_kind[kind_of(runs, name, rate)].append(means)
    for kind, problems in sorted(by_kind.items()):
        rows.append([f"mean: {kind}", "", *map(fmean, zip(*problems, strict=True))])
    return markdown_table("|".join(["set", "wrong", *METHODS]), rows)


def replaced_table(runs):
    """Share of replaced labels and, among these, of labels that are right after and before."""
    totals = defaultdict(lambda: np.zeros(4))
    for (name, rate), found in runs.items():
        for _, replaced in found:
            for method, counts in replaced.items():
                totals[kind_of(runs, name, rate), method] += counts
    rows = [
        [kind, method, n_replaced / n, *(x / max(n_replaced, 1) for x in (right, was_right))]
        for (kind, method), (n, n_replaced, right, was_right) in sorted(totals.items())
    ]
    return markdown_table("kind|labels|replaced|right now|right before", rows)


def main():
    arguments = parser(__doc__, seeds=3).parse_args()
    folder = arguments.data
    people = HUMAN | HUMAN_TABLES
    here = [*OWN, *available(CLEAN | people, folder)]
    wanted = arguments.sets or [*FLIPPED, *PEOPLE]
    names = [name for name in here if name in wanted]
    problems = [(n, rate) for n in names for rate in ([None] if n in people else RATES)]
    jobs = [(*problem, seed, folder) for problem in problems for seed in range(arguments.seeds)]
    runs = defaultdict(list)
    for job, found in zip(jobs, run_parallel(train, jobs, arguments.jobs), strict=True):
        runs[job[:2]].append(found)
    write(REPORT.format(
        seeds=arguments.seeds, where=where_it_ran(arguments.jobs), replaced=replaced_table(runs),
        **{name.split()[0]: error_table(runs, name) for name in MODELS},
    ), arguments)  # fmt: skip


REPORT = """# What to do with flagged labels

`python benchmarks/quality/corrections.py`. Data sets with more than 2000 rows are cut to that
number. {where}

The tables show errors on the 30 % of the rows that were not trained on, whose labels are clean, as
means over {seeds} splits. Labels are flipped uniformly, or given by people or rules. Classes
overlap if the error of logistic regression that is trained on true labels is larger than 10 %.
"Flagged replaced" takes the suggested label in every flagged row, "replaced at 0.9" is
`corrected_labels(y, confidence=0.9)`.

## Logistic regression

{logistic}

## Gradient boosting

On data sets of up to 60 columns.

{gradient}

## Which labels were replaced

The share of the labels that was replaced, and, among the replaced ones, the shares that are right
after and that were right before.

{replaced}"""


if __name__ == "__main__":
    main()
