"""Few rows of many classes, all labels right: is there anything to gain from weights?

    python benchmarks/quality/few_shot.py --data FOLDER

5 to 30 rows a class, features of a pretrained network (but for spoken digits), as in table 1 of the
DIVA paper. Weights are uniform, hard-coded, or learned by `DivaReweighter` on the training rows.
Nothing is tuned here. `reweight.py` prints these tables too.
"""

from collections import defaultdict
from itertools import product
from math import sqrt
from statistics import fmean, stdev

import numpy as np
from _harness import markdown_table, parser, run_parallel, where_it_ran, write
from _training import errors_of
from sklearn.linear_model import LogisticRegression, RidgeClassifier, RidgeClassifierCV
from sklearn.preprocessing import StandardScaler

from skdiva import DivaReweighter

SPLITS = 10
SHOTS = ("5", "15", "30", "5 to 30")  # rows a class; the last: drawn for every class
MAX_TEST = 3000
MODELS = ("ridge", "logistic regression")
WEIGHTS = [
    "class-balanced", "doubtful up", "doubtful down", "DivaReweighter", "a step of 0.1",
    "3 steps of 0.1", "3 steps of 0.5",
]  # fmt: skip


def _flowers(folder, _random):
    with np.load(folder / "flowers12/embeddings.npz") as arrays:
        X, y = (np.concatenate([arrays[f"{c}_train"], arrays[f"{c}_test"]]) for c in "Xy")
        may_train = np.arange(len(y)) < len(arrays["y_train"])
    return X, y, may_train, np.ones(len(y), dtype=bool)


def _cifar(folder, _random, labels="clean_label"):
    with np.load(folder / "cifar10n_a/embeddings_mobilenetv2_pca256.npz") as arrays:
        X = arrays["X"].astype(np.float32)
    with np.load(folder / "cifar10n_a/labels.npz") as arrays:
        y = arrays[labels]
    return X, y, *np.ones((2, len(y)), dtype=bool)


def _words(folder, random):
    """Half of the words that the pictures were found by; the other half served for trials."""
    X, words, *_ = _cifar(folder, random, "groups")
    frequent = np.flatnonzero(np.bincount(words) >= 60)
    kept = np.isin(words, np.random.RandomState(0).permutation(frequent)[1::2])
    y = np.unique(words[kept], return_inverse=True)[1]
    return X[kept], y, *np.ones((2, len(y)), dtype=bool)


def _spoken_digits(folder, random):
    """Trained on three speakers, tested on the three others."""
    with np.load(folder / "fsdd/fsdd.npz") as arrays:
        may_train = np.isin(arrays["groups"], random.permutation(6)[:3])
        return arrays["X"], arrays["y"], may_train, ~may_train


# Rows, labels 0 .. k - 1, and which rows may be trained and tested on.
READERS = {
    "flowers": _flowers,
    "CIFAR-10": _cifar,
    "CIFAR-10 words": _words,
    "spoken digits": _spoken_digits,
}


def draw(y, may_train, may_test, shots, random):
    """Rows to train on and rows to test on; ten of every class are never trained on."""
    train = []
    for label in range(y.max() + 1):
        rows = random.permutation(np.flatnonzero((y == label) & may_train))[:-10]
        train.append(rows[: random.randint(5, 31) if shots == "5 to 30" else int(shots)])
    train = np.concatenate(train)
    test = np.setdiff1d(np.flatnonzero(may_test), train)
    return train, random.permutation(test)[:MAX_TEST]


def all_weights(X, y):
    """Weights of the training rows by every method, mean 1."""
    default = DivaReweighter().fit(X, y)
    outputs = default.loo_predictions_
    second, best = np.sort(outputs, axis=1)[:, -2:].T
    sure = np.clip(best - second, 0, 1)
    features = default.featurizer_.transform(X)

    def steps(learning_rate, max_iter):
        model = DivaReweighter(
            featurizer=None, alpha=default.alpha_, learning_rate=learning_rate, max_iter=max_iter
        )
        return model.fit(features, y).sample_weight_

    weights = {
        "uniform": np.ones(len(y)),
        "class-balanced": 1 / np.bincount(y)[y],
        "doubtful up": 1 - sure,
        "doubtful down": sure,
        "DivaReweighter": default.sample_weight_,
        "a step of 0.1": steps(0.1, 1),
        "3 steps of 0.1": steps(0.1, 3),
        "3 steps of 0.5": steps(0.5, 3),
    }
    return {method: weight / weight.mean() for method, weight in weights.items()}


def train(name, shots, seed, folder):
    """Test errors of both models trained with every method's weights."""
    random = np.random.RandomState(seed)
    X, y, may_train, may_test = READERS[name](folder, random)
    rows, test = draw(y, may_train, may_test, shots, random)
    weights = all_weights(X[rows], y[rows])
    scaler = StandardScaler().fit(X[rows])
    Z, Z_test = scaler.transform(X[rows]), scaler.transform(X[test])
    alpha = RidgeClassifierCV(np.logspace(0, 5, 21)).fit(Z, y[rows]).alpha_
    models = RidgeClassifier(alpha), LogisticRegression(max_iter=300, tol=1e-3)
    return {
        (label, method): error
        for label, model in zip(MODELS, models, strict=True)
        for method, error in errors_of(model, weights, Z, y[rows], Z_test, y[test]).items()
    }


def table(runs, model):
    """Errors with uniform weights and differences to them; counts of what is beyond two errors."""
    rows, verdicts = [], defaultdict(list)
    for (name, shots), found in runs.items():
        uniform = [run[model, "uniform"] for run in found]
        cells = [name, shots, f"{fmean(uniform):.3f} ± {stdev(uniform):.3f}"]
        for method in WEIGHTS:
            differences = [run[model, method] - run[model, "uniform"] for run in found]
            mean, error = fmean(differences), stdev(differences) / sqrt(len(differences))
            verdicts[method].append((mean, (mean > 2 * error) - (mean < -2 * error)))
            cells.append(f"{mean:+.3f} ± {error:.3f}")
        rows.append(cells)
    means, signs = (
        [[pair[part] for pair in verdicts[method]] for method in WEIGHTS] for part in (0, 1)
    )
    rows.append(["mean", "", "", *(f"{fmean(found):+.3f}" for found in means)])
    rows.append(["helped, harmed", "", "", *(f"{s.count(-1)}, {s.count(1)}" for s in signs)])
    return markdown_table("|".join(["set", "rows a class", "uniform", *WEIGHTS]), rows)


def report(folder, n_jobs):
    """Run all and return the tables."""
    if folder is None:
        return "Few rows of many classes: only with `--data`."
    problems = list(product(READERS, SHOTS))
    jobs = [(*problem, seed, folder) for problem in problems for seed in range(SPLITS)]
    runs = defaultdict(list)
    for job, errors in zip(jobs, run_parallel(train, jobs, n_jobs), strict=True):
        runs[job[:2]].append(errors)
    tables = {model.partition(" ")[0]: table(runs, model) for model in MODELS}
    return REPORT.format(splits=SPLITS, **tables)


REPORT = """## Few rows of many classes, no label wrong

There are {splits} draws of training rows, with 5 to 30 rows per class. Up to 3000 other rows are
used for the test. Three data sets have features of MobileNetV2: 12 kinds of flowers, CIFAR-10,
and the images of CIFAR-10 with 62 of the words by which they were found as classes (a ship, or a
passenger ship?). Spoken digits have log-mel features; three speakers are used for training and
three others for the test. The first column is the error with uniform weights, as mean and
standard deviation over the draws. The others are differences from it, as mean and standard error
over the same draws.

All weights have mean 1. They are class-balanced; proportional to one minus the gap of the two
largest leave-one-out outputs, or to that gap, which is a fixed rule by which doubtful rows count
more (up) or less (down); those of `DivaReweighter()`; and those with `learning_rate` and
`max_iter` set. "Helped, harmed" says in how many of the rows above the error changed by more than
two standard errors.

### Ridge, with the penalty chosen for uniform weights

{ridge}

### Logistic regression

{logistic}"""


def main():
    arguments = parser(__doc__, seeds=SPLITS).parse_args()
    text = f"# Few rows of many classes\n\n{where_it_ran(arguments.jobs)}\n\n"
    write(text + report(arguments.data, arguments.jobs), arguments)


if __name__ == "__main__":
    main()
