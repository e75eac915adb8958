"""
Finding wrong labels
====================

Training data often contain wrong labels, and nobody knows which ones they are. Here, one fifth of
the training labels of scikit-learn's digits are replaced by another digit, so that the wrong labels
are known and the result can be evaluated. :class:`~skdiva.DivaOutlierDetector` uses only the images
and their noisy labels. It needs neither a validation set nor retraining: the prediction for each
image of a ridge regression trained without this image is available in closed form, and from these
predictions the detector estimates the probability that each label is wrong.
"""

# %%
# Data with one fifth of wrong labels
# -----------------------------------
# The test labels remain correct. They are used at the end, to measure the benefit for training.

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skdiva.datasets import flip_labels

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
y_noisy, is_flipped = flip_labels(y, noise_rate=0.2, random_state=0)
print(f"{is_flipped.sum()} of {len(y)} training labels are wrong.")

# %%
# Finding the wrong labels
# ------------------------
# A single call is sufficient. Printed below are the rows whose labels are most likely wrong; the
# method ``label_issues`` returns the result for all rows as a pandas dataframe.

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
    print(f"  row {row:4}: labeled {y_noisy[row]}, looks like {suggested} (wrong: {score:.1%})")
print(f"Estimated share of wrong labels: {detector.noise_rate_:.1%}")

# %%
# Since the wrong labels are known, the result can be evaluated. At the threshold chosen by the
# detector, the measures are precision (share of flagged rows that are wrong), recall (share of
# wrong rows that are flagged) and their harmonic mean F1. The area under the ROC curve (AUC) is the
# probability that a wrong label is ranked above a correct one.
#
# For comparison, cleanlab is applied to the standardized pixels and the noisy labels. It requires a
# classifier to be trained five times, so that each row is predicted by a model that was trained
# without it.

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
    print("cleanlab is not installed: pip install cleanlab, to include it in the comparison.")
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
# Training despite wrong labels
# -----------------------------
# :class:`~skdiva.DivaReweighter` can be used as the last step of a pipeline: it learns a weight for
# each row and trains the given estimator with these weights. Training on the rows with correct
# labels only shows the best result that can be expected.

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
# Flagged images and scores
# -------------------------
# Left: the images with the highest scores and those just above the threshold, each with its given
# and its suggested label. Right: the scores of all rows, which are the probabilities that their
# labels are wrong.

import matplotlib.pyplot as plt
from matplotlib.patches import Patch

N_COLUMNS = 8
DARK, LIGHT = "#7f2704", "#bdbdbd"  # wrong labels, right labels; can be told apart in grayscale
FRAMES = {
    "the label is wrong": {"edgecolor": DARK, "linestyle": "-", "capstyle": "projecting"},
    "false alarm: the label is right": {
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
draw_digits(below, flagged[-N_COLUMNS:], "Just above the threshold")
frames = [Patch(facecolor="white", linewidth=2.5, **frame) for frame in FRAMES.values()]
below.legend(frames, FRAMES, ncols=2, loc="outside lower left", frameon=False, fontsize=13)
draw_scores(right.subplots(), detector.outlier_scores_, detector.threshold_)

# %%
# The README shows this figure. When run as a script, this file saves it for the README, or under
# the path given by ``--save PATH``.

import argparse
import sys
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--save", type=Path, help="path of the saved figure", metavar="PATH")
path = parser.parse_args().save
if path is None and "sphinx_gallery" not in sys.modules:
    path = Path(__file__).resolve().parents[1] / "doc/images/which_labels_are_wrong.png"
if path is not None:
    figure.savefig(path, dpi=150)
    print(f"Figure saved: {path}")
