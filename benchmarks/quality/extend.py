"""Adding rows of a pool to a small core: which first, and when to stop?

    python benchmarks/quality/extend.py --data FOLDER

The rows of every set are cut into test rows, a core whose labels are right, and a pool whose labels
are right, or a fifth wrong. A method puts the pool in an order; a logistic regression is trained on
the core and the first rows of that order, more and more of them. The measure is its test error,
averaged over the share of the pool that was added (the area under the curve).
"""

from collections import defaultdict
from itertools import product
from statistics import fmean

import numpy as np
from _harness import markdown_table, parser, run_parallel, t_value, where_it_ran, write
from _sets import CLEAN, OWN, available, load
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdiva import DivaExtender
from skdiva.datasets import flip_labels

MAX_ROWS, TEST_SHARE, CORE_ROWS = 1500, 0.3, 100
RATES = (0.0, 0.2)
SHARES = (0, 0.025, 0.05, 0.1, 0.2, 0.35, 0.6, 1)
NEIGHBORS = 5
RANDOM_ORDERS = 3
# The defaults were chosen on spambase, magic, breast cancer, wine, tissue, MNIST, and other rows of
# CIFAR-10; evaluate_on="all" also on labels that people or rules gave (CIFAR-10N worst, Hausa news,
# and sentiment, of which some rows are among those below).
SETS = ["digits", "flowers", "spoken digits", "german credit", "CIFAR-10", "sentiment"]
PEERS = ["random", "margin", "KNN-Shapley"]
OURS = ["DivaExtender", "evaluate_on='core'"]


def split(name, rate, seed, folder):
    """Core, pool (with the wrong labels among its labels) and test rows, and which are wrong."""
    X, given, _ = load(name, folder, MAX_ROWS)
    codes = np.unique(given, return_inverse=True)[1]
    how = {"random_state": seed}
    X, X_test, y, y_test = train_test_split(X, codes, test_size=TEST_SHARE, stratify=codes, **how)
    X, X_pool, y, y_pool = train_test_split(X, y, train_size=CORE_ROWS, stratify=y, **how)
    y_pool, is_wrong = flip_labels(y_pool, rate, **how)
    return (X, y), (X_pool, y_pool), (X_test, y_test), is_wrong


def train(core, pool, rows):
    """Fit the model that is tested."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
    return model.fit(np.r_[core[0], pool[0][rows]], np.r_[core[1], pool[1][rows]])


def margin(core, pool):
    """Rows first whose two likeliest classes a model of the core can tell apart least."""
    chances = np.sort(train(core, pool, []).predict_proba(pool[0]), axis=1)
    return np.argsort(chances[:, -1] - chances[:, -2], kind="stable")


def knn_shapley(core, pool):
    """Rows first that are worth most to a nearest-neighbor vote on the core (Jia et al., 2019)."""
    scaler = StandardScaler().fit(core[0])
    voters, rows = scaler.transform(core[0]), scaler.transform(pool[0])
    n_rows = len(rows)
    values = np.zeros(n_rows)
    place = np.arange(1, n_rows)
    share = np.minimum(NEIGHBORS, place) / (NEIGHBORS * place)
    for voter, label in zip(voters, core[1], strict=True):
        near = np.argsort(np.square(rows - voter).sum(axis=1), kind="stable")
        agrees = (pool[1][near] == label).astype(float)
        steps = np.append((agrees[:-1] - agrees[1:]) * share, agrees[-1] / n_rows)
        values[near] += steps[::-1].cumsum()[::-1]
    return np.argsort(-values, kind="stable")


def run(name, rate, seed, folder):
    """Test errors along the order of every method, and where ours stops."""
    core, pool, test, is_wrong = split(name, rate, seed, folder)
    n_pool = len(pool[1])
    draw = np.random.RandomState([seed, 1])  # with ``seed`` alone: the order of `flip_labels`
    orders = {f"random {i}": draw.permutation(n_pool) for i in range(RANDOM_ORDERS)}
    orders |= {"margin": margin(core, pool), "KNN-Shapley": knn_shapley(core, pool)}
    extenders = {
        method: DivaExtender(evaluate_on=evaluate_on).fit(*core, X_pool=pool[0], y_pool=pool[1])
        for method, evaluate_on in zip(OURS, ("all", "core"), strict=True)
    }
    orders |= {method: extender.select(n_pool) for method, extender in extenders.items()}

    def error(rows):
        return 1 - train(core, pool, rows).score(*test)

    ends = {0: error([]), n_pool: error(np.arange(n_pool))}
    sizes = [round(share * n_pool) for share in SHARES]
    areas = {
        method: np.trapezoid([ends.get(n) or error(order[:n]) for n in sizes], SHARES)
        for method, order in orders.items()
    }
    answer = {"random": fmean(areas.pop(f"random {i}") for i in range(RANDOM_ORDERS)), **areas}
    for method, extender in extenders.items():
        answer[method, "share"] = extender.support_.mean()
        answer[method, "error"] = error(extender.support_)
    answer |= {"core": ends[0], "all": ends[n_pool], "right": error(np.flatnonzero(~is_wrong))}
    return answer


def area_table(runs):
    """Mean areas; then the differences of ours to the others over their standard errors."""
    rows = []
    for (name, rate), found in runs.items():
        methods = [*PEERS, *OURS]
        row = [name, f"{rate:.0%}", *(fmean(one[method] for one in found) for method in methods)]
        for_peers = ([one[OURS[0]] - one[peer] for one in found] for peer in PEERS)
        rows.append(row + [t_value(differences, TEST_SHARE) for differences in for_peers])
    header = ["set", "wrong", *PEERS, *OURS, *(f"t: {peer}" for peer in PEERS)]
    return markdown_table("|".join(header), rows)


def stop_table(runs):
    """Error where adding stops, beside those of no row, all rows and the right ones."""
    columns = ["core", "all", "right"]
    columns += [key for method in OURS for key in ((method, "share"), (method, "error"))]
    rows = [
        [name, f"{rate:.0%}", *(fmean(one[column] for one in found) for column in columns)]
        for (name, rate), found in runs.items()
    ]
    header = ["set", "wrong", "core alone", "everything", "right labels only"]
    header += [f"{method}: {what}" for method in OURS for what in ("share added", "error")]
    return markdown_table("|".join(header), rows)


def main():
    arguments = parser(__doc__, seeds=5).parse_args()
    folder = arguments.data
    names = arguments.sets or [name for name in SETS if name in {*OWN, *available(CLEAN, folder)}]
    jobs = [(*job, folder) for job in product(names, RATES, range(arguments.seeds))]
    runs = defaultdict(list)
    for job, errors in zip(jobs, run_parallel(run, jobs, arguments.jobs), strict=True):
        runs[job[:2]].append(errors)
    write(REPORT.format(
        seeds=arguments.seeds, where=where_it_ran(arguments.jobs), core=CORE_ROWS,
        rows=MAX_ROWS, areas=area_table(runs), stops=stop_table(runs),
    ), arguments)  # fmt: skip


REPORT = """# Adding rows of a pool to a core

`python benchmarks/quality/extend.py`. Data sets with more than {rows} rows are cut to that
number. {where}

There are {seeds} splits, with 30 % of the rows for the test, a core of {core} rows with correct
labels, and all other rows in the pool. A logistic regression on standardized columns is trained
on the core and on the rows of the pool that are added in the order of a method. The defaults of
skdiva were chosen on other data sets, on other rows of CIFAR-10, and on rows of sentiment with
the labels of single people.

- random: the mean of three random orders
- margin: the rows about which a logistic regression of the core is least certain, whatever their
  labels
- KNN-Shapley: exact values for 5 neighbors, with the core as validation set
- evaluate_on='core': DivaExtender with the loss of the paper, evaluated on the rows of the core
  alone

## Order of the rows

The first columns are the mean test error along the share of the pool that was added. The last
ones are the mean difference of DivaExtender from each other method, divided by its standard error
(paired, with the correction of Nadeau and Bengio for overlapping training sets). Below -2,
DivaExtender is better.

{areas}

## Number of rows added

The table shows the test error of the core alone, with the whole pool added, with only those rows
of the pool whose labels are correct, and with the rows that DivaExtender adds.

{stops}"""


if __name__ == "__main__":
    main()
