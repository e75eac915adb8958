"""Finding wrong labels, and training in spite of them, beside cleanlab.

    python benchmarks/quality/label_noise.py
    python benchmarks/quality/label_noise.py --sets digits wine --seeds 2 --output table.md

Real data of scikit-learn; a known share of the labels is flipped to another class, uniformly.
Every method gets the same labels and the same features, computed once and without labels, and is
run at its own defaults; nothing is tuned here.
"""

import argparse
from itertools import product
from pathlib import Path

import numpy as np
from _harness import (
    FEATURES,
    METHODS,
    SETS,
    average,
    average_by_method,
    detect_with_cleanlab,
    load,
    logistic_regression,
    make_features,
    markdown_table,
    run_detectors,
    run_parallel,
    where_it_ran,
)
from sklearn.base import clone
from sklearn.linear_model import RidgeClassifier, RidgeClassifierCV
from sklearn.model_selection import train_test_split

from skdiva import DivaReweighter
from skdiva.datasets import flip_labels

TRAINING_NOISE = 0.2
MODELS = {
    "logistic regression": logistic_regression(),
    "ridge": RidgeClassifier(),
    "ridge, penalty by LOO": RidgeClassifierCV(alphas=np.logspace(-2, 3, 11)),
}
CLEANLAB_BY_MARGIN = METHODS[-1]
SMALLEST_GAP = 0.005  # of test errors; below it, a share of the gap is a share of noise

BRIEF_HEADER = "set|features|F1 skdiva|derivative|cleanlab|AUC skdiva|derivative|cleanlab|by margin"
BRIEF = """## Found, in brief

Means over noise rates and seeds: F1 at each method's own threshold, and ROC AUC of its ranking
(cleanlab's by self-confidence, and by normalized margin).

{}"""

FULL_HEADER = "set|features|wrong|method|precision|recall|F1|AUC|AP|seconds"
FULL = """## Found, in full

Precision, recall and F1 at each method's own threshold; ROC AUC and average precision (AP) of its
ranking; median seconds on one core, the features given.

{}"""

TRAINING_HEADER = (
    "model|set|features|as given|skdiva|cleanlab|known clean|closed by skdiva|by cleanlab"
)
TRAINING = f"""## Trained with {TRAINING_NOISE:.0%} of the labels wrong

Error on a held-out clean 30 %, mean over seeds, of models trained on the labels as given, with the
weights of DivaReweighter, without the rows that cleanlab flags, and on the rows known to be clean;
and the share closed of the gap between the first and the last.

{{}}"""


def noise_rates(name):
    """Half of the labels of two classes wrong would be no labels at all: stop at 30 % there."""
    return (0.1, 0.2, 0.3) if len(np.unique(load(name)[1])) == 2 else (0.1, 0.2, 0.4)


def detect(name, kind, noise_rate, seed):
    """Measures of every method on one noisy version of a set."""
    X, y = load(name)
    y_noisy, is_flipped = flip_labels(y, noise_rate, random_state=seed)
    (features,) = make_features(kind, X)
    return run_detectors(features, y_noisy, is_flipped, seed)


def train(name, kind, seed):
    """Test errors of every model, trained on what different methods make of noisy labels."""
    X, y = load(name)
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=seed)
    y, is_flipped = flip_labels(y, TRAINING_NOISE, random_state=seed)
    X, X_test = make_features(kind, X, X_test)
    flagged_by_cleanlab = detect_with_cleanlab(X, y, seed)[0].flagged

    def error(model, rows):
        return 1 - clone(model).fit(X[rows], y[rows]).score(X_test, y_test)

    everything = np.ones(len(y), dtype=bool)
    return {
        model_name: {
            "as given": error(model, everything),
            "skdiva": error(DivaReweighter(model, featurizer=None), everything),
            "cleanlab": error(model, ~flagged_by_cleanlab),
            "known clean": error(model, ~is_flipped),
        }
        for model_name, model in MODELS.items()
    }


def training_row(errors):
    """Mean errors, and the shares of the gap that are closed."""
    mean_error = average(errors)
    shares = [share_closed(mean_error, method) for method in ("skdiva", "cleanlab")]
    return [*mean_error.values(), *shares]


def share_closed(mean_error, method):
    """Share closed of the gap between given and known-clean labels, if there is one to speak of."""
    gap = mean_error["as given"] - mean_error["known clean"]
    if gap < SMALLEST_GAP:
        return "no gap"
    return f"{(mean_error['as given'] - mean_error[method]) / gap:.0%}"


def detection_tables(settings, n_seeds, n_jobs):
    """Every method on every problem, and the means over the noise rates."""
    jobs = [
        (*setting, noise_rate, seed)
        for setting in settings
        for noise_rate in noise_rates(setting[0])
        for seed in range(n_seeds)
    ]
    answers = dict(zip(jobs, run_parallel(detect, jobs, n_jobs), strict=True))
    brief, full = [], []
    for setting in settings:
        runs = {job: answers[job] for job in jobs if job[:2] == setting}
        mean = average_by_method(runs.values())
        # Both rankings of cleanlab come with the same flags: one F1.
        f1 = [mean[method]["F1"] for method in METHODS if method != CLEANLAB_BY_MARGIN]
        brief.append([*setting, *f1, *(mean[method]["AUC"] for method in METHODS)])
        for noise_rate in noise_rates(setting[0]):
            mean = average_by_method(run for job, run in runs.items() if job[2] == noise_rate)
            rows = [[*setting, f"{noise_rate:.0%}", m, *mean[m].values()] for m in METHODS]
            full.extend(rows)
    return [
        BRIEF.format(markdown_table(BRIEF_HEADER, brief)),
        FULL.format(markdown_table(FULL_HEADER, full)),
    ]


def training_table(settings, n_seeds, n_jobs):
    """Test errors with a fifth of the training labels wrong."""
    jobs = [(*setting, seed) for setting in settings for seed in range(n_seeds)]
    answers = dict(zip(jobs, run_parallel(train, jobs, n_jobs), strict=True))
    table = []
    for model in MODELS:
        for setting in [*settings, ("all", "both")]:
            errors = [answers[job][model] for job in jobs if setting in (job[:2], ("all", "both"))]
            table.append([model, *setting, *training_row(errors)])
    errors = [errors for answer in answers.values() for errors in answer.values()]
    table.append(["all", "all", "both", *training_row(errors)])
    return TRAINING.format(markdown_table(TRAINING_HEADER, table))


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS), metavar="SET")
    parser.add_argument("--seeds", type=int, default=4, help="number of seeds (default: 4)")
    parser.add_argument("--jobs", type=int, default=-1, help="processes (default: one per core)")
    parser.add_argument("--output", type=Path, help="also write the tables to this file")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    settings = list(product(arguments.sets, FEATURES))
    runs = arguments.seeds, arguments.jobs
    report = "\n\n".join(
        [
            "# Wrong labels: found, and trained with",
            f"`python benchmarks/quality/label_noise.py`, {arguments.seeds} seeds;\n"
            + where_it_ran(arguments.jobs),
            *detection_tables(settings, *runs),
            training_table(settings, *runs),
        ]
    )
    print(report)
    if arguments.output:
        arguments.output.write_text(report + "\n")


if __name__ == "__main__":
    main()
