"""Finding wrong targets of regression: skdiva beside its peers, on real data.

    python benchmarks/quality/regression_noise.py --data FOLDER

A share of the targets gets an error of either sign: gross, 3 to 6 standard deviations of y, or
moderate, 1 to 2. Every method is run at its own defaults on the same rows.
"""

from itertools import product

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
from _sets import REGRESSION, available, load
from sklearn.datasets import load_diabetes
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import RidgeCV
from sklearn.preprocessing import StandardScaler

from skdiva import DivaOutlierDetector
from skdiva.features import KernelFeaturizer

ERRORS = {"gross": (3, 6), "moderate": (1, 2)}
RATES = (0.05, 0.2)
OUTLYING = 3.0  # robust standard deviations, for the peers that have no threshold of their own


def by_residual(residuals):
    """Flags and scores by size, as robust standard deviations."""
    deviations = np.abs(residuals - np.median(residuals))
    return np.abs(residuals) > OUTLYING * 1.4826 * np.median(deviations), np.abs(residuals)


def skdiva(X, _features, y, _seed):
    detector = DivaOutlierDetector(criterion="residual")
    return detector.fit_predict(X, y) == -1, detector.outlier_scores_


def ridgecv(X):
    """Leave-one-out residuals of RidgeCV."""

    def find(y):
        alphas = np.logspace(-6, 6, 25)
        model = RidgeCV(alphas, scoring="neg_mean_squared_error", store_cv_results=True).fit(X, y)
        # With a scoring, what is stored are the leave-one-out predictions.
        return by_residual(model.cv_results_[:, alphas == model.alpha_][:, 0] - y)

    return find


def ridgecv_raw(X, _features, y, _seed):
    return ridgecv(StandardScaler().fit_transform(X))(y)


def ridgecv_same(_X, features, y, _seed):
    return ridgecv(features)(y)


def forest(X, _features, y, seed):
    model = RandomForestRegressor(300, oob_score=True, random_state=seed, n_jobs=1).fit(X, y)
    return by_residual(model.oob_prediction_ - y)


def cleanlab(X, _features, y, seed):
    """cleanlab's regression module around gradient boosting."""
    from cleanlab.regression.learn import CleanLearning

    model = HistGradientBoostingRegressor(random_state=seed)
    issues = CleanLearning(model, seed=seed).find_label_issues(X, y)
    return issues["is_label_issue"].to_numpy(), -issues["label_quality"].to_numpy()


METHODS = {
    "skdiva": skdiva,
    "RidgeCV, standardized columns": ridgecv_raw,
    "RidgeCV, same features": ridgecv_same,
    "random forest, out of bag": forest,
    "cleanlab, gradient boosting": cleanlab,
}


def put_errors(y, kind, rate, seed):
    """Targets with errors, and which."""
    rng = np.random.RandomState(seed)
    is_wrong = np.zeros(len(y), dtype=bool)
    is_wrong[rng.permutation(len(y))[: round(rate * len(y))]] = True
    sizes = rng.uniform(*ERRORS[kind], len(y)) * rng.choice([-1, 1], len(y)) * y.std()
    return y + is_wrong * sizes, is_wrong


def get(name, folder):
    if name == "diabetes":
        return load_diabetes(return_X_y=True)
    X, y, _ = load(name, folder)
    return X, y.astype(float)


def detect(name, kind, rate, seed, folder):
    """Measures of every method on one problem."""
    X, y = get(name, folder)
    y, is_wrong = put_errors(y, kind, rate, seed)
    features = KernelFeaturizer().fit(X, y).transform(X)
    measures = {}
    for method, find in METHODS.items():
        found, seconds, memory = timed(find, X, features, y, seed)
        measures[method] = measure(is_wrong, *found) | {"seconds": seconds, "MiB": memory}
    return measures


def table(means, name):
    rows = [
        [*problem[:2], f"{problem[2]:.0%}", *(measures[method][name] for method in METHODS)]
        for problem, measures in means.items()
    ]
    rows.append(
        ["all", "", "", *(np.mean([row[i] for row in rows]) for i in range(3, len(rows[0])))]
    )
    return markdown_table("|".join(["set", "errors", "share", *METHODS]), rows)


def main():
    arguments = parser(__doc__, seeds=2).parse_args()
    folder = arguments.data
    names = arguments.sets or ["diabetes", *available(REGRESSION, folder)]
    jobs = [(*job, folder) for job in product(names, ERRORS, RATES, range(arguments.seeds))]
    means = means_by_problem(jobs, run_parallel(detect, jobs, arguments.jobs))
    parts = [
        "# Finding wrong targets",
        f"`python benchmarks/quality/regression_noise.py`, seeds: {arguments.seeds}. Data sets "
        "with more than 2000 rows\nare cut to that number. " + where_it_ran(arguments.jobs),
        "A share of the targets has errors of either sign, which are gross (3 to 6 standard "
        "deviations of y) or\nmoderate (1 to 2). Methods without a threshold flag rows beyond 3 "
        "robust standard deviations.",
    ]
    for name in ("AUC", "AP", "F1", "seconds", "MiB"):
        parts += [f"## {name}", table(means, name)]
    write("\n\n".join(parts), arguments)


if __name__ == "__main__":
    main()
