"""
Which labels are wrong?
=======================

Some of the labels that a model is trained on are wrong, and nobody knows which. Here a fifth of the
training labels of scikit-learn's digits are replaced by another digit, so that for once the answer
is known. :class:`~skdiva.DivaOutlierDetector` sees the images and the noisy labels only. It needs
no validation set and no retraining: it has, in closed form, what a ridge regression trained without
an image would predict for that image, and from these predictions how likely its label is wrong.
"""

# %%
# Labels of which a fifth are wrong
# ---------------------------------
# The test labels stay clean: they are used at the end, to see what training gains.

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skdiva.datasets import flip_labels

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
y_noisy, is_flipped = flip_labels(y, noise_rate=0.2, random_state=0)
print(f"{is_flipped.sum()} of {len(y)} training labels are wrong.")

# %%
# Finding them
# ------------
# One call. These are the rows whose labels it believes least; ``label_issues`` returns the verdict
# on every row as a pandas table.

from time import perf_counter

import numpy as np

import skdiva.loo  # noqa: F401 - loads torch, so that the clock below does not count it
from skdiva import DivaOutlierDetector

start = perf_counter()
detector = DivaOutlierDetector()
is_flagged = detector.fit_predict(X, y_noisy) == -1
seconds = perf_counter() - start

ranked = np.argsort(-detector.outlier_scores_)
print("Most suspicious:")
for row in ranked[:5]:
    suggested = detector.suggested_label_[row]
    score = detector.outlier_scores_[row]
    print(f"  row {row:4}: labelled {y_noisy[row]}, looks like {suggested} (wrong: {score:.1%})")
print(f"Labels that it takes to be wrong: {detector.noise_rate_:.1%}")

# %%
# Since the wrong labels are known, the verdict can be judged: at the detector's own threshold by
# precision (share of the flagged rows that are wrong), recall (share of the wrong rows that are
# flagged) and their harmonic mean F1; and by the area under the ROC curve (AUC), the chance that a
# wrong label is ranked above a right one.
#
# cleanlab is given the same: standardised pixels and the noisy labels. It trains a classifier five
# times, to predict for every row with a model that has not seen it.

from sklearn.linear_model import LogisticRegression
from sklearn.metrics import precision_recall_fscore_support, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def print_measures(name, is_flagged, scores, seconds):
    measures = precision_recall_fscore_support(is_flipped, is_flagged, average="binary")[:3]
    auc = roc_auc_score(is_flipped, scores)
    print(f"{name:<15}" + "".join(f"{m:>10.3f}" for m in (*measures, auc)) + f"{seconds:>10.2f}")


print(f"{'':<15}" + "".join(f"{m:>10}" for m in ("precision", "recall", "F1", "AUC", "seconds")))
print_measures("skdiva", is_flagged, detector.outlier_scores_, seconds)

try:
    import cleanlab
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores
except ImportError:
    print("cleanlab is not installed: pip install cleanlab, and it is printed here too.")
else:
    start = perf_counter()
    probabilities = cross_val_predict(
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
        X,
        y_noisy,
        cv=StratifiedKFold(5, shuffle=True, random_state=0),
        method="predict_proba",
    )
    found_by_cleanlab = find_label_issues(y_noisy, probabilities, n_jobs=1)
    badness = 1 - get_label_quality_scores(y_noisy, probabilities)
    seconds = perf_counter() - start
    print_measures(f"cleanlab {cleanlab.__version__}", found_by_cleanlab, badness, seconds)

# %%
# Training in spite of them
# -------------------------
# :class:`~skdiva.DivaReweighter` is an ordinary last step of a pipeline: it learns a weight for
# every row, and trains the estimator that it is given with these weights. The best that can be
# hoped for is what the rows known to be clean would have taught.

from skdiva import DivaReweighter


def error_on_test_rows(classifier, rows=slice(None)):
    model = make_pipeline(StandardScaler(), classifier).fit(X[rows], y_noisy[rows])
    return 1 - model.score(X_test, y_test)


classifier = LogisticRegression(max_iter=1000)
print(f"Test error of logistic regression ({len(y_test)} clean test rows), trained on the labels")
print(f"  as given          {error_on_test_rows(classifier):6.1%}")
print(f"  curated           {error_on_test_rows(DivaReweighter(classifier)):6.1%}")
print(f"  known to be clean {error_on_test_rows(classifier, ~is_flipped):6.1%}")

# %%
# What was found
# --------------
# Left, the most suspicious images and the last ones above the threshold, each with its label and
# the suggested one. Right, the scores of all rows: the probability that their label is wrong.

import matplotlib.pyplot as plt
from matplotlib.patches import Patch

N_COLUMNS = 8
DARK, LIGHT = "#7f2704", "#bdbdbd"  # wrong labels, right labels: apart in grey, too
FRAMES = {
    "its label is wrong": {"edgecolor": DARK, "linestyle": "-", "capstyle": "projecting"},
    "false alarm: its label is right": {
        "edgecolor": "#f16913",
        "linestyle": (0, (1.5, 1)),
        "capstyle": "butt",
    },
}
FOUND, FALSE_ALARM = FRAMES.values()


def draw_digits(figure, rows, title):
    figure.suptitle(title, x=0.008, ha="left", fontsize=14)
    axes = figure.subplots(len(rows) // N_COLUMNS, N_COLUMNS)
    for ax, row in zip(axes.flat, rows, strict=True):
        ax.imshow(X[row].reshape(8, 8), cmap="gray_r", vmax=20)
        ax.set(xticks=[], yticks=[])
        ax.set_title(f"{y_noisy[row]} → {detector.suggested_label_[row]}", fontsize=13, pad=6)
        for spine in ax.spines.values():
            spine.set(linewidth=3.5, **(FOUND if is_flipped[row] else FALSE_ALARM))


def draw_scores(ax, scores, threshold):
    bins = np.linspace(0, 1, 45)
    for rows, color, name, side in [
        (~is_flipped, LIGHT, "right labels", "left"),
        (is_flipped, DARK, "wrong labels", "right"),
    ]:
        counts, *_ = ax.hist(scores[rows], bins, color=color, alpha=0.85)
        ax.text(float(side == "right"), counts.max() + 2, name, ha=side, fontsize=13)
    ax.axvline(threshold, color="black", linestyle="--", linewidth=1.2)
    ax.margins(y=0.12)
    ax.text(threshold, ax.get_ylim()[1], "  flagged →", va="top", fontsize=13)
    ax.set_title(f"Scores of all {len(scores)} rows", loc="left", fontsize=14)
    ax.set_xlabel("score: probability that the label is wrong", fontsize=13)
    ax.set_ylabel("rows per bin", fontsize=13)
    ax.tick_params(labelsize=12)
    ax.spines[["top", "right"]].set_visible(False)


flagged = ranked[: is_flagged.sum()]
figure = plt.figure(figsize=(13, 5.8), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=(1.8, 1), wspace=0.04)
above, below = left.subfigures(2, 1, height_ratios=(3, 1.5))
draw_digits(above, flagged[: 3 * N_COLUMNS], "Most suspicious: given → suggested label")
draw_digits(below, flagged[-N_COLUMNS:], "Last above the threshold")
frames = [Patch(facecolor="white", linewidth=2.5, **frame) for frame in FRAMES.values()]
below.legend(frames, FRAMES, ncols=2, loc="outside lower left", frameon=False, fontsize=13)
draw_scores(right.subplots(), detector.outlier_scores_, detector.offset_)

# %%
# The README shows this figure. Run as a script, this file saves it there, or at ``--save PATH``.

import argparse
import sys
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--save", type=Path, help="where the figure goes", metavar="PATH")
path = parser.parse_args().save
if path is None and "sphinx_gallery" not in sys.modules:
    path = Path(__file__).resolve().parents[1] / "doc/images/which_labels_are_wrong.png"
if path is not None:
    figure.savefig(path, dpi=150)
    print(f"Figure saved: {path}")
