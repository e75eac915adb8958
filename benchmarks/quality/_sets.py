"""Data sets of the quality benchmarks: scikit-learn's own, and others read from a folder.

The others are real data from public sources, kept outside this project (some state no license);
``--data`` names a folder with one file per set, and sets that are not there are left out. A file is
an ``.npz`` of arrays whose names are given below.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine

MAX_ROWS = 2000  # of a set; the most expensive peers take minutes at that size


class LabeledSet(NamedTuple):
    """Rows, labels, and, where people or rules gave wrong labels, the true ones."""

    X: np.ndarray
    given: np.ndarray
    true: np.ndarray | None = None


class Source(NamedTuple):
    """Where a set is: file, arrays of X, given and true labels (None: as given)."""

    file: str
    X: str
    given: str
    true: str | None = None
    labels_file: str | None = None


OWN = {
    "digits": load_digits,
    "breast cancer": load_breast_cancer,
    "wine": load_wine,
    "iris": load_iris,
}
# Labels as the source gives them: wrong ones are put in.
CLEAN = {
    "flowers": Source("flowers12/embeddings.npz", "X_train", "y_train"),  # Oxford flowers
    "spoken digits": Source("fsdd/fsdd.npz", "X", "y"),
    "spambase": Source("tabular/spambase.npz", "X", "y"),
    "mammography": Source("tabular/mammography.npz", "X", "y"),
    "german credit": Source("tabular/german_credit.npz", "X", "y"),
    "magic": Source("tabular/magic.npz", "X", "y"),
    "tissue": Source("tabular/tissue_gene_expression.npz", "X", "y"),
    "CIFAR-10": Source(
        "cifar10n_a/embeddings_mobilenetv2_pca256.npz",
        "X", "clean_label", None, "cifar10n_a/labels.npz",
    ),
    "sentiment": Source("sentiment_crowd/sentiment_crowd.npz", "X_train", "y_train"),
    "Hausa news": Source("hausa_news/hausa_news.npz", "X_train", "y_train"),
}  # fmt: skip
# Wrong labels that people gave (CIFAR-10N, crowd votes), or rules (Hausa).
_CIFAR = "cifar10n_a/embeddings_mobilenetv2_pca256.npz"
_SENTIMENT = "sentiment_crowd/sentiment_crowd.npz"
HUMAN = {
    f"CIFAR-10N {name}": Source(_CIFAR, "X", array, "clean_label", "cifar10n_a/labels.npz")
    for name, array in [
        ("aggregate", "aggre_label"), ("random", "random_label1"), ("worst", "worse_label"),
    ]
} | {
    "sentiment, majority": Source(_SENTIMENT, "X_train", "y_noisy", "y_train"),
    "sentiment, single": Source(_SENTIMENT, "X_train", "y_single", "y_train"),
    "Hausa news, rules": Source("hausa_news/hausa_news.npz", "X_train", "y_noisy", "y_train"),
}  # fmt: skip
# The same with few columns.
HUMAN_TABLES = {
    "mammographic masses": Source(
        "people/mammographic_birads.npz", "X_train", "y_noisy", "y_train"
    ),
    "defects, Derby": Source("people2/defects_derby/defects_derby.npz", "X", "y_noisy", "y_true"),
    "defects, Lucene": Source(
        "people2/defects_lucene/defects_lucene.npz", "X", "y_noisy", "y_true"
    ),
}
REGRESSION = {
    name: Source(f"tabular/{name}.npz", "X", "y")
    for name in ("pol", "bike", "skillcraft", "concrete", "sml")
} | {
    "schools": Source("grouped/hsb82_schools.npz", "X", "y"),
    "wages": Source("grouped/nlswork_panel.npz", "X", "y"),
}


def available(sources, folder):
    """Names of the sets that are there."""
    return [name for name, source in sources.items() if folder and (folder / source.file).exists()]


@cache
def load(name, folder, max_rows=MAX_ROWS):
    """Return a set, rows drawn at random (the same every time) if it has more than ``max_rows``."""
    if name in OWN:
        X, y = OWN[name](return_X_y=True)
        return LabeledSet(X, y)
    source = (CLEAN | HUMAN | HUMAN_TABLES | REGRESSION)[name]
    with np.load(Path(folder) / source.file) as arrays:
        arrays = dict(arrays)
    if source.labels_file:
        with np.load(Path(folder) / source.labels_file) as labels:
            arrays |= dict(labels) | {"X": arrays["X"]}
    rows = np.sort(np.random.RandomState(0).permutation(len(arrays[source.X]))[:max_rows])
    X = arrays[source.X][rows].astype(np.float64)
    true = arrays[source.true][rows] if source.true else None
    varies = X.std(axis=0) > 0
    return LabeledSet(X[:, varies], arrays[source.given][rows], true)
