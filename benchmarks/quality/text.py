"""Finding wrong labels of texts: what the default makes of sparse X, beside other features.

    python benchmarks/quality/text.py

The texts are docstrings, comments and names in installed packages, and the classes are the packages
or their parts. A share of the labels is replaced by those of other classes. The default was chosen
on the first sets, and the others were kept back.
"""

import ast
from importlib.util import find_spec
from itertools import product
from pathlib import Path

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
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

from skdiva import DivaOutlierDetector
from skdiva.datasets import flip_labels
from skdiva.features import KernelFeaturizer

RATES = (0.1, 0.25)
MOST_ROWS, MOST_FILES = 300, 400  # of a class
PACKAGES = ["sklearn", "scipy", "pandas", "torch", "matplotlib", "polars", "sphinx", "networkx"]
SCIPY = ["stats", "optimize", "signal", "special", "linalg", "sparse", "spatial", "ndimage"]
SKLEARN = ["linear_model", "ensemble", "metrics", "preprocessing", "utils", "cluster"]
TORCH = ["nn", "optim", "distributed", "fx", "utils", "_inductor", "autograd", "ao"]
STANDARD = [
    "asyncio",
    "email",
    "tkinter",
    "unittest",
    "multiprocessing",
    "http",
    "xml",
    "importlib",
]


def docstrings(source):
    nodes = ast.walk(ast.parse(source))
    kinds = ast.FunctionDef, ast.ClassDef, ast.Module
    texts = [ast.get_docstring(node) or "" for node in nodes if isinstance(node, kinds)]
    return [text[:1500] for text in texts if len(text) >= 60]


def names(source):
    kinds = ast.FunctionDef, ast.ClassDef
    return [node.name for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]


def comments(source):
    found, current = [], []
    for line in [*source.splitlines(), ""]:
        if line.strip().startswith("#"):
            current.append(line.strip().lstrip("# "))
        elif current:
            found.append(" ".join(current))
            current = []
    return [text for text in found if len(text) >= 60]


WORDS = TfidfVectorizer(min_df=2)
PAIRS = TfidfVectorizer(min_df=2, sublinear_tf=True, ngram_range=(1, 2))
LETTERS = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), min_df=2)
COUNTS = CountVectorizer(min_df=2)
# Packages whose parts are the classes, the parts, what is read, and how it becomes numbers.
SETS = {
    "packages, words": ("", PACKAGES, docstrings, WORDS),
    "packages, counts": ("", PACKAGES, docstrings, COUNTS),
    "names, letters": ("", PACKAGES, names, LETTERS),
    "scipy, words": ("scipy", SCIPY, docstrings, WORDS),
    "sklearn, words": ("sklearn", SKLEARN, docstrings, WORDS),
    "standard library, pairs of words": ("", STANDARD, docstrings, PAIRS),
    "torch, counts": ("torch", TORCH, docstrings, COUNTS),
    "comments, letters": ("", PACKAGES, comments, LETTERS),
}
N_CHOSEN_ON = 4


def svd(n_components):
    return TruncatedSVD(n_components, random_state=0)


FEATURES = {
    "auto": "auto",
    "100 vectors": make_pipeline(Normalizer(), svd(100)),
    "500 vectors": make_pipeline(Normalizer(), svd(500)),
    "lengths kept": svd(300),
    "kernels": make_pipeline(Normalizer(), svd(300), KernelFeaturizer()),
    "kernels, 100": make_pipeline(Normalizer(), svd(100), KernelFeaturizer()),
}


def load(name):
    """Sparse X, and the classes."""
    package, parts, read, vectorizer = SETS[name]
    rng, texts, y = np.random.default_rng(0), [], []
    for part in parts:
        module = find_spec(f"{package}.{part}" if package else part)
        files = sorted(Path(module.origin).parent.rglob("*.py"))
        files = [files[i] for i in rng.permutation(len(files))[:MOST_FILES]]
        sources = [file.read_text(errors="ignore") for file in files if "test" not in str(file)]
        found = sorted({text for source in sources for text in read(source)})
        texts += [found[i] for i in rng.permutation(len(found))[:MOST_ROWS]]
        y += [part] * min(len(found), MOST_ROWS)
    order = rng.permutation(len(y))
    return vectorizer.fit_transform([texts[i] for i in order]), np.array(y)[order]


def detect(name, rate, seed):
    """Measures of every kind of features on one problem."""
    X, y = load(name)
    given, is_wrong = flip_labels(y, rate, random_state=seed)
    measures = {}
    for kind, featurizer in FEATURES.items():
        detector = DivaOutlierDetector(featurizer=featurizer)
        flagged, seconds, memory = timed(detector.fit_predict, X, given)
        measures[kind] = measure(is_wrong, flagged == -1, detector.outlier_scores_)
        measures[kind] |= {"seconds": seconds, "MiB": memory}
    return measures


def table(means, name):
    rows = [
        [problem[0], f"{problem[1]:.0%}", *(measures[kind][name] for kind in FEATURES)]
        for problem, measures in means.items()
    ]
    chosen_on = list(SETS)[:N_CHOSEN_ON]
    for label, wanted in (("mean, chosen on", True), ("mean, kept back", False)):
        part = [row[2:] for row in rows if row[1] and (row[0] in chosen_on) == wanted]
        if part:
            rows = [*rows, [label, "", *np.mean(part, axis=0)]]
    return markdown_table("|".join(["set", "wrong", *FEATURES]), rows)


def main():
    arguments = parser(__doc__, seeds=1).parse_args()
    jobs = list(product(arguments.sets or SETS, RATES, range(arguments.seeds)))
    answers = run_parallel(detect, jobs, arguments.jobs)
    means = means_by_problem([(*job[:2], "", job[2]) for job in jobs], answers)
    parts = [
        "# Finding wrong labels of texts",
        "`python benchmarks/quality/text.py`. " + where_it_ran(arguments.jobs),
        "Labels are replaced by those of other classes. auto: the 300 largest singular vectors of "
        "rows of length\none. The other features have 100 or 500 vectors, keep the lengths of the "
        "rows, or go through a\nKernelFeaturizer.",
    ]
    for name in ("AP", "AUC", "F1", "seconds"):
        parts += [f"## {name}", table(means, name)]
    write("\n\n".join(parts), arguments)


if __name__ == "__main__":
    main()
