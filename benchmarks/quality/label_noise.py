"""Finding wrong labels: skdiva beside its peers, on real data.

    python benchmarks/quality/label_noise.py --data FOLDER
    python benchmarks/quality/label_noise.py --sets digits wine --seeds 2

Labels are flipped uniformly, to the next class, or where a forest doubts them (`flip_labels`), or
are wrong as people and rules gave them. Every method gets the same rows and labels, is run at its
own defaults, and nothing is tuned here: the constants of skdiva's defaults were chosen on other
data (doc/defaults.rst says which).
"""

from collections import defaultdict
from statistics import fmean, median

import numpy as np
from _harness import (
    markdown_table,
    means_by_problem,
    measure,
    parser,
    run_parallel,
    timed,
    where_it_ran,
    write,
)
from _methods import METHODS, Rows
from _sets import CLEAN, HUMAN, OWN, available, load

from skdiva.datasets import flip_labels
from skdiva.features import KernelFeaturizer

# Half of the labels of two classes wrong would be no labels at all, and pairs are all there is.
NOISE = [("uniform", 0.05), ("uniform", 0.2), ("uniform", 0.4), ("pair", 0.2), ("doubt", 0.1)]
NOISE_OF_TWO = [("uniform", 0.05), ("uniform", 0.2), ("uniform", 0.3), ("doubt", 0.1)]
PEOPLE = ("people", 0.0)
NONE = ("none", 0.0)
MAX_HUMAN_ROWS = 5000
PEERS = list(METHODS)[1:]


def make_problem(name, kind, rate, seed, folder):
    """Rows, labels and which of them are wrong."""
    X, given, true = load(name, folder, *([MAX_HUMAN_ROWS] if kind == "people" else []))
    codes = np.unique(given, return_inverse=True)[1]
    if kind == "people":
        return X, codes, given != true
    if kind == "none":
        return X, codes, np.zeros(len(codes), dtype=bool)
    return X, *flip_labels(codes, rate, kind=kind, X=X, random_state=seed)


def detect(name, kind, rate, seed, folder):
    """Measures of every method on one problem."""
    X, y, is_wrong = make_problem(name, kind, rate, seed, folder)
    rows = Rows(X, KernelFeaturizer().fit(X, y).transform(X), y, seed)
    measures = {}
    for method, find in METHODS.items():
        (flagged, scores), seconds, memory = timed(find, rows)
        found = {"flagged": float(flagged.mean())}
        if is_wrong.any():
            found |= measure(is_wrong, flagged, scores)
            found["first"] = precision_of_first(is_wrong, scores)
        measures[method] = found | {"seconds": seconds, "MiB": memory}
    return measures


def precision_of_first(is_wrong, scores, share=0.01):
    """Share of wrong labels among the first percent of a ranking."""
    first = np.argsort(-scores, kind="stable")[: max(round(share * len(scores)), 1)]
    return float(is_wrong[first].mean())


def all_jobs(names, folder, n_seeds):
    """Set, kind and rate of noise, seed, folder."""
    jobs = []
    for name in names:
        if name in HUMAN:
            jobs += [(name, *PEOPLE, 0, folder)]
            continue
        two = len(np.unique(load(name, folder).given)) == 2
        for noise in [NONE, *(NOISE_OF_TWO if two else NOISE)]:
            jobs += [
                (name, *noise, seed, folder) for seed in range(1 if noise == NONE else n_seeds)
            ]
    return jobs


def label(kind, rate):
    return kind if not rate else f"{kind} {rate:.0%}"


def summary(means):
    """Mean of every measure of every method over the problems of every kind, and over all."""
    kinds = defaultdict(list)
    for (_, kind, rate), measures in means.items():
        if kind != "none":
            kinds[label(kind, rate)].append(measures)
            kinds["all"].append(measures)
    tables = []
    for name in ("F1", "AUC", "AP"):
        rows = [
            [method, *(fmean(m[method][name] for m in kinds[kind]) for kind in sorted(kinds))]
            for method in METHODS
        ]
        tables.append(f"{name}\n\n" + markdown_table("|".join(["method", *sorted(kinds)]), rows))
    return "\n\n".join(tables)


def shares_ahead(means):
    """On how many problems skdiva is ahead of a peer, or level with it."""
    noisy = [m for (_, kind, _), m in means.items() if kind != "none"]
    rows = []
    for peer in PEERS:
        shares = [fmean(m["skdiva"][x] >= m[peer][x] for m in noisy) for x in ("AUC", "AP", "F1")]
        rows.append([peer, *(f"{share:.0%}" for share in shares)])
    return markdown_table("skdiva against|AUC|AP|F1", rows)


def by_problem(means, name):
    """One measure of every method on every problem."""
    rows = [
        [problem[0], label(*problem[1:]), *(measures[method][name] for method in METHODS)]
        for problem, measures in means.items()
        if name in measures["skdiva"] and (name != "flagged" or problem[1] == "none")
    ]
    return markdown_table("|".join(["set", "noise", *METHODS]), rows)


def costs(answers):
    """Median seconds and largest memory of every method."""
    rows = [
        [
            method,
            median(measures[method]["seconds"] for measures in answers),
            max(measures[method]["MiB"] for measures in answers),
        ]
        for method in METHODS
    ]
    return markdown_table("method|median seconds|largest MiB", rows)


def main():
    arguments = parser(__doc__, seeds=2).parse_args()
    folder = arguments.data
    known = [*OWN, *available(CLEAN, folder), *available(HUMAN, folder)]
    jobs = all_jobs(arguments.sets or known, folder, arguments.seeds)
    answers = run_parallel(detect, jobs, arguments.jobs)
    means = means_by_problem(jobs, answers)
    write(REPORT.format(
        seeds=arguments.seeds, where=where_it_ran(arguments.jobs), summary=summary(means),
        ahead=shares_ahead(means), f1=by_problem(means, "F1"), auc=by_problem(means, "AUC"),
        ap=by_problem(means, "AP"), first=by_problem(means, "first"),
        flagged=by_problem(means, "flagged"), costs=costs(answers),
    ), arguments)  # fmt: skip


REPORT = """# Finding wrong labels

`python benchmarks/quality/label_noise.py`, seeds: {seeds}. Data sets with more than 2000 rows are
cut to that number (5000 for wrong labels given by people). {where}

F1 is measured at each method's own threshold. The area under the ROC curve (AUC) and the average
precision (AP) are those of its ranking. The constants of skdiva were chosen on other data sets.

## Means over data sets

{summary}

## Share of problems on which skdiva is better or equal

{ahead}

## No label wrong: share of rows flagged

{flagged}

## F1

{f1}

## AUC

{auc}

## Average precision

{ap}

## Precision of the first percent of the ranking

{first}

## Cost

{costs}"""


if __name__ == "__main__":
    main()
