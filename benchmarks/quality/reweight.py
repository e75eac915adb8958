"""Training on weighted rows: does it help where labels are wrong, does it harm where none is?

    python benchmarks/quality/reweight.py --data FOLDER

Three models are trained on 70 % of the rows and tested on the others, whose labels are clean: with
the labels as given; with `DivaReweighter`; without the rows that `DivaOutlierDetector` flags; with
weights that are the probability, as that detector has it, that a label is right; without the rows
that cleanlab flags; and on the rows known to be clean. Few rows of many classes are a part of their
own (`few_shot.py`), without wrong labels. Nothing is tuned here.
"""

from collections import defaultdict
from itertools import product
from statistics import fmean

import few_shot
import numpy as np
from _harness import markdown_table, parser, run_parallel, t_value, where_it_ran, write
from _methods import Rows, cleanlab_logistic
from _sets import CLEAN, OWN, available, load
from _training import errors_of
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdiva import DivaOutlierDetector, DivaReweighter
from skdiva.datasets import flip_labels

TEST_SHARE = 0.3
CLEAN_SPLITS = 10
RATES = (0.1, 0.2, 0.4)  # the last only with more than two classes
BOOSTING_COLUMNS = 300  # no boosting on wider sets, where it takes minutes
MODELS = {
    "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)),
    "gradient boosting": HistGradientBoostingClassifier(random_state=0, max_iter=40),
    "ridge": make_pipeline(StandardScaler(), RidgeClassifier()),
}
WEIGHTS = [
    "as given", "DivaReweighter", "flagged dropped", "probability right", "cleanlab dropped",
    "known clean",
]  # fmt: skip


def all_weights(X, y, is_wrong, seed):
    """Weights of the training rows by every method; 0: dropped."""
    detector = DivaOutlierDetector().fit(X, y)
    ones = np.ones(len(y))
    weights = {
        "as given": ones,
        "DivaReweighter": DivaReweighter().fit(X, y).sample_weight_,
        "flagged dropped": ones * (detector.outlier_scores_ <= detector.threshold_),
        "probability right": 1 - detector.outlier_scores_,
        "known clean": ones * ~is_wrong,
    }
    if is_wrong.any():
        rows = Rows(X, detector.featurizer_.transform(X), y, seed)
        weights["cleanlab dropped"] = ones * ~cleanlab_logistic(rows).flagged
    return {name: weights[name] for name in WEIGHTS if name in weights}


def train(name, rate, seed, folder):
    """Test errors of every model trained with every method's weights."""
    X, given, _ = load(name, folder)
    codes = np.unique(given, return_inverse=True)[1]
    X, X_test, y, y_test = train_test_split(
        X, codes, test_size=TEST_SHARE, stratify=codes, random_state=seed
    )
    y, is_wrong = flip_labels(y, rate, random_state=seed)
    weights = all_weights(X, y, is_wrong, seed)
    return {
        (model_name, method): error
        for model_name, model in MODELS.items()
        if model_name != "gradient boosting" or X.shape[1] <= BOOSTING_COLUMNS
        for method, error in errors_of(model, weights, X, y, X_test, y_test).items()
    }


def harm_table(runs, names):
    """Errors without noise, and paired differences over their standard errors."""
    rows = []
    for model, name in product(MODELS, names):
        if (model, "as given") not in runs[name, 0.0][0]:
            continue
        base = [run[model, "as given"] for run in runs[name, 0.0]]
        row = [model, name, fmean(base)]
        for method in WEIGHTS[1:4]:
            differences = [
                run[model, method] - given for run, given in zip(runs[name, 0.0], base, strict=True)
            ]
            row += [fmean(differences), t_value(differences, TEST_SHARE)]
        rows.append(row)
    for model in MODELS:
        own = [row for row in rows if row[0] == model]
        means = [fmean(row[i] for row in own) for i in range(2, len(own[0]))]
        rows.append([model, "mean (largest t)", means[0]])
        for i in range(1, len(means), 2):
            rows[-1] += [means[i], max(row[i + 3] for row in own)]
    header = "model|set|as given|" + "|".join(f"{method}|t" for method in WEIGHTS[1:4])
    return markdown_table(header, rows)


def gap_table(runs, names):
    """Share closed of the gap to known-clean labels: ratio of gaps summed over sets and seeds."""
    rows = []
    for model, rate in product(MODELS, (*RATES, "all")):
        found = [
            run
            for (name, its_rate), its_runs in runs.items()
            if name in names and its_rate and rate in (its_rate, "all")
            for run in its_runs
            if (model, "as given") in run
        ]
        if not found:
            continue
        means = {method: fmean(run[model, method] for run in found) for method in WEIGHTS}
        gap = means["as given"] - means["known clean"]
        label = rate if rate == "all" else f"{rate:.0%}"
        closed = [
            f"{(means['as given'] - means[m]) / gap:.0%}" if gap else "" for m in WEIGHTS[1:-1]
        ]
        rows.append([model, label, *means.values(), *closed])
    header = "|".join(["model", "wrong", *WEIGHTS, *(f"closed: {m}" for m in WEIGHTS[1:-1])])
    return markdown_table(header, rows)


def main():
    arguments = parser(__doc__, seeds=2).parse_args()
    folder = arguments.data
    names = arguments.sets or [*OWN, *available(CLEAN, folder)]
    jobs = [(name, 0.0, seed, folder) for name in names for seed in range(CLEAN_SPLITS)]
    for name in names:
        rates = RATES[: 2 if len(np.unique(load(name, folder).given)) == 2 else 3]
        jobs += [(name, *job, folder) for job in product(rates, range(arguments.seeds))]
    runs = defaultdict(list)
    for job, errors in zip(jobs, run_parallel(train, jobs, arguments.jobs), strict=True):
        runs[job[:2]].append(errors)
    write(REPORT.format(
        seeds=arguments.seeds, splits=CLEAN_SPLITS, where=where_it_ran(arguments.jobs),
        harm=harm_table(runs, names), gap=gap_table(runs, names),
        few_shot=few_shot.report(folder, arguments.jobs),
    ), arguments)  # fmt: skip


REPORT = """# Training with learned weights

`python benchmarks/quality/reweight.py`. Data sets with more than 2000 rows are cut to that
number. {where}

The tables show the error on the 30 % of the rows that were not trained on, whose labels are
clean. Gradient boosting is trained on data sets of up to 300 columns. The constants of skdiva
were chosen on other data sets.

## No label wrong

The first column is the error with the labels as given, over {splits} splits. The others show, for
every method, the mean difference from it, and that difference divided by its standard error
(paired, with the correction of Nadeau and Bengio for overlapping training sets). Values above 2
are harm.

{harm}

## Labels flipped uniformly

The table shows the mean error over {seeds} splits of each data set, and the share that is closed
of the gap between labels as given and labels known to be clean. That share is a ratio of sums
over data sets and splits. 40 % of the labels are flipped only if there are more than two classes.

{gap}

{few_shot}"""


if __name__ == "__main__":
    main()
