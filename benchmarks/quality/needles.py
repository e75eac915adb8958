"""Fifteen wrong labels among ten thousand: the errors that reviewers found in MNIST's test set.

    python benchmarks/quality/needles.py --data FOLDER

Of the labels that the project label-errors had reviewed, fifteen were not upheld. Printed are their
ranks in the order in which every method would show the rows, the most suspicious first.
"""

import numpy as np
from _harness import markdown_table, parser, where_it_ran, write
from _methods import METHODS, Rows

from skdiva.features import KernelFeaturizer

COMPARED = [
    "skdiva", "skdiva, paper's rule", "cleanlab, logistic regression", "random forest, out of bag",
    "KNN-Shapley", "RidgeCV, leave-one-out", "training loss",
]  # fmt: skip


def main():
    arguments = parser(__doc__, seeds=1).parse_args()
    with np.load(arguments.data / "mnist_test/mnist_test.npz") as arrays:
        X, y = arrays["X"].reshape(10_000, -1).astype(np.float32), arrays["y_given"]
        needles = np.flatnonzero(arrays["label_error"] == 1)
    X = X[:, X.std(axis=0) > 0]
    rows = Rows(X, KernelFeaturizer().fit(X, y).transform(X), y, 0)
    table = []
    for method in COMPARED:
        found = METHODS[method](rows)
        order = np.argsort(-found.scores, kind="stable")
        ranks = np.sort(np.argsort(order)[needles] + 1)
        table.append([
            method, str(int(np.median(ranks))), str((ranks <= 100).sum()),
            str(found.flagged[needles].sum()), str(found.flagged.sum()), " ".join(map(str, ranks)),
        ])  # fmt: skip
    header = "method|median rank|among the first 100|flagged|flagged of 10000|ranks"
    parts = [
        "# Fifteen wrong labels among ten thousand rows",
        "`python benchmarks/quality/needles.py`, on the test set of MNIST. " + where_it_ran(1),
        markdown_table(header, table),
    ]
    write("\n\n".join(parts), arguments)


if __name__ == "__main__":
    main()
