"""Another modality as the pool: do the rows that are chosen help the few there are?

    python benchmarks/quality/modalities.py --data FOLDER

A few of scikit-learn's written digits are the core. The pool is spoken digits, with the labels as
they are and with 20 % of them wrong, in a space that both share; or the digits typed in the fonts
of matplotlib, some of which hold symbols. Settings were chosen on other splits of the same sets.

The shared space of written and spoken digits is fitted to other written digits and other speakers,
as pairs of one of each that mean the same. It stands for a pretrained one, such as CLIP's: whoever
fits it has many labeled rows; whoever uses it, as here, has the few of the core.
"""

from collections import defaultdict
from itertools import product
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
from _harness import markdown_table, parser, run_parallel, where_it_ran, write
from sklearn.cross_decomposition import CCA
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, normalize
from sklearn.svm import SVC

from skdiva import DivaExtender
from skdiva.datasets import flip_labels, load_typed_digits

PROBLEMS = ("spoken", "spoken, 20 % wrong", "typed")
PER_CLASS = (3, 5)
SPACE_ROWS, N_POOL = 400, 500  # written rows that the space is fitted to; spoken rows of the pool
N_ADDED = 100
FIRST_SEED = 100  # settings were chosen on seeds 0 to 9
MODELS = {
    "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
    "support vectors": SVC(C=10),
}
RECIPE = {"n_samples_to_select": N_ADDED, "featurizer": None, "alpha": 10, "fit_intercept": False}
METHODS = {
    "default": {"n_samples_to_select": N_ADDED},
    "recipe": RECIPE,
    "recipe, core": RECIPE | {"evaluate_on": "core"},
    "recipe, all that help": RECIPE | {"n_samples_to_select": "auto"},
    "recipe, core, all that help": RECIPE | {"n_samples_to_select": "auto", "evaluate_on": "core"},
}
PREPARATIONS = {
    "as it is": lambda X: X / np.sqrt(np.mean(np.sum(X**2, axis=1))),
    "length one": normalize,
    "centered, length one": lambda X: normalize(normalize(X) - normalize(X).mean(axis=0)),
}
VARIANTS = list(product(PREPARATIONS, ("all", "core"), ("auto", 1, 10)))


def split(y, n_core, seed):
    """Rows for the space, for the core, and for the test."""
    space, rest = train_test_split(
        np.arange(len(y)), train_size=SPACE_ROWS, stratify=y, random_state=seed
    )
    core, test = train_test_split(rest, train_size=n_core, stratify=y[rest], random_state=seed)
    return space, core, test


def load_spoken(folder):
    with np.load(Path(folder) / "fsdd" / "fsdd.npz") as arrays:
        return arrays["X"].astype(np.float64), arrays["y"], arrays["groups"]


def spoken_problem(per_class, rate, seed, folder):
    """Core, pool and test rows in a space of written and spoken digits."""
    rng = np.random.RandomState(seed)
    written, y = load_digits(return_X_y=True)
    spoken, words, speaker = load_spoken(folder)
    space, core, test = split(y, 10 * per_class, seed)
    is_other = np.isin(speaker, rng.permutation(6)[:3])  # their recordings fit the space
    partners = [rng.choice(np.flatnonzero(is_other & (words == label))) for label in y[space]]
    views = [
        make_pipeline(StandardScaler(), PCA(40, random_state=seed)).fit(X)
        for X in (written[space], spoken[is_other])
    ]
    cca = CCA(n_components=9, max_iter=2000)
    cca.fit(views[0].transform(written[space]), views[1].transform(spoken[partners]))
    X = cca.transform(views[0].transform(written))
    heard = rng.permutation(np.flatnonzero(~is_other))[:N_POOL]
    _, X_pool = cca.transform(views[0].transform(written[:1]), views[1].transform(spoken[heard]))
    y_pool, is_wrong = flip_labels(words[heard], rate, random_state=seed)
    return X[core], y[core], X_pool, y_pool, is_wrong, X[test], y[test]


def typed_problem(per_class, seed):
    """Core and test rows of written digits; the pool is typed."""
    X, y = load_digits(return_X_y=True)
    typed = load_typed_digits()
    _, core, test = split(y, 10 * per_class, seed)
    return X[core], y[core], typed.data, typed.target, typed.is_symbol, X[test], y[test]


def run(problem, per_class, seed, folder):
    """Errors, and shares of wrong rows among the added, by what was added and model."""
    if problem == "typed":
        data = typed_problem(per_class, seed)
    else:
        data = spoken_problem(per_class, 0.2 if "wrong" in problem else 0.0, seed, folder)
    X, y, X_pool, y_pool, is_wrong, X_test, y_test = data
    X, X_pool, X_test = map(normalize, (X, X_pool, X_test))

    def errors_with(rows):
        X_train, y_train = np.concatenate([X, X_pool[rows]]), np.concatenate([y, y_pool[rows]])
        errors = [1 - m.fit(X_train, y_train).score(X_test, y_test) for m in MODELS.values()]
        return *errors, float(is_wrong[rows].mean()) if len(rows) else 0.0, len(rows)

    def chosen(X, X_pool, settings):
        extender = DivaExtender(**settings).fit(X, y, X_pool=X_pool, y_pool=y_pool)
        return errors_with(np.flatnonzero(extender.support_))

    order = np.random.RandomState(seed + 1000).permutation(len(y_pool))
    added = {"nothing": order[:0], "all": order, "random": order[:N_ADDED]}
    answers = {name: errors_with(rows) for name, rows in added.items()}
    answers |= {name: chosen(X, X_pool, settings) for name, settings in METHODS.items()}
    if per_class == PER_CLASS[0]:
        for preparation, evaluate_on, alpha in VARIANTS:
            prepared = map(PREPARATIONS[preparation], (data[0], data[2]))
            settings = RECIPE | {"evaluate_on": evaluate_on, "alpha": alpha}
            answers[preparation, evaluate_on, alpha] = chosen(*prepared, settings)
    return answers


def main_table(runs):
    """Mean and spread of the errors by problem, rows a class, and what was added."""
    rows = []
    for (problem, per_class), found in runs.items():
        for name in ("nothing", "all", "random", *METHODS):
            columns = list(zip(*(answers[name] for answers in found), strict=True))
            cells = [f"{fmean(column):.3f} ± {stdev(column):.3f}" for column in columns[:2]]
            cells += [f"{fmean(columns[2]):.0%}", f"{fmean(columns[3]):.0f}"]
            rows.append([problem, str(per_class), name, *cells])
    return markdown_table("|".join(
        ["pool", "core rows a class", "added", *MODELS, "wrong of the added", "rows added"]
    ), rows)  # fmt: skip


def variant_table(runs):
    """Mean errors of logistic regression, and shares of wrong rows, by preparation and penalty."""
    rows = []
    for preparation, evaluate_on, alpha in VARIANTS:
        row = [preparation, evaluate_on, str(alpha)]
        for problem in PROBLEMS:
            variant = preparation, evaluate_on, alpha
            found = [answers[variant] for answers in runs[problem, PER_CLASS[0]]]
            row += [fmean(one[0] for one in found), f"{fmean(one[2] for one in found):.0%}"]
        rows.append(row)
    header = ["preparation", "evaluate_on", "alpha"]
    for problem in PROBLEMS:
        header += [problem, "wrong"]
    return markdown_table("|".join(header), rows)


def main():
    arguments = parser(__doc__, seeds=10).parse_args()
    problems = PROBLEMS if arguments.data else PROBLEMS[-1:]
    jobs = [
        (*job, arguments.data)
        for job in product(
            arguments.sets or problems, PER_CLASS, range(FIRST_SEED, FIRST_SEED + arguments.seeds)
        )
    ]
    runs = defaultdict(list)
    for job, answers in zip(jobs, run_parallel(run, jobs, arguments.jobs), strict=True):
        runs[job[:2]].append(answers)
    write(REPORT.format(
        seeds=arguments.seeds, where=where_it_ran(arguments.jobs), n_added=N_ADDED,
        main=main_table(runs), variants=variant_table(runs),
    ), arguments)  # fmt: skip


REPORT = """# Another modality as the pool

`python benchmarks/quality/modalities.py` {where}

The results are over {seeds} splits, and settings were chosen on ten others. All rows are scaled
to length one before models are trained. The test rows are written digits. The pool has 500 spoken
digits of three speakers, or 750 typed digits in 25 fonts. Flipped labels and symbols count as
wrong. The space that written and spoken digits share is a canonical correlation analysis of 400
other written digits, each paired with a spoken digit of the same class by one of the other three
speakers. It takes the place of a pretrained space, and was fitted with those labels.

## Errors by the rows that were added

The table shows means and standard deviations. "Default" is
`DivaExtender(n_samples_to_select={n_added})`. "Recipe" also has `featurizer=None, alpha=10,
fit_intercept=False`, and "core" has `evaluate_on="core"`. "All that help" is without
`n_samples_to_select`.

{main}

## Preparation of the embeddings

There are three core rows per class, up to {n_added} rows are selected, and there is no intercept.
The table shows the mean error of logistic regression, trained on the same rows of length one, and
the share of wrong rows among those selected. "Centered": the mean of each modality is subtracted
from its rows, which closes the gap between the two.

{variants}"""


if __name__ == "__main__":
    main()
