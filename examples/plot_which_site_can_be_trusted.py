"""
Learning weights for data from several sites
============================================

The data come from four sites. Some of them label carefully, at one of them 40 % of the labels are
wrong, and nobody knows which one. :class:`~skdiva.DivaReweighter` learns one weight per site that
optimizes predictions for rows that were not used in training. Here, the sites are simulated with
scikit-learn's digits, so that the wrong labels are known.
"""

# %%
# Four sites
# ----------
# Each site has 150 images. The test labels are correct.

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from skdiva import DivaReweighter
from skdiva.datasets import split_into_sites
from skdiva.inspection import SourceDisplay

NOISE = {"North": 0.0, "East": 0.1, "South": 0.4, "West": 0.0}

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X / 16, y, train_size=600, stratify=y, random_state=0)
y_noisy, is_flipped, site = split_into_sites(y, list(NOISE.values()), random_state=0)
site = np.array(list(NOISE))[site]

# %%
# One weight per site
# -------------------
# The only additional argument of `fit` is the site of each row.

model = DivaReweighter(LogisticRegression(max_iter=1000)).fit(X, y_noisy, sources=site)
for name, weight in zip(model.sources_, model.source_weight_, strict=True):
    print(f"{name}: weight {weight:.2f}, {NOISE[name]:.0%} of its labels are wrong")

# %%
# Benefit for training
# --------------------
# For comparison, the classifier is trained on all rows with equal weights, and on only those rows
# whose labels are known to be correct.


def error_on_test_rows(classifier, rows=slice(None)):
    return 1 - classifier.fit(X[rows], y_noisy[rows]).score(X_test, y_test)


print("Test error of logistic regression")
print(f"  equal weights          {error_on_test_rows(LogisticRegression(max_iter=1000)):.1%}")
print(f"  learned weights        {1 - model.score(X_test, y_test):.1%}")
known = error_on_test_rows(LogisticRegression(max_iter=1000), ~is_flipped)
print(f"  correct labels only    {known:.1%}")

# %%
# Weights of the sites
# --------------------
# The bars on the right show the share of each site in the total weight. This is the probability
# with which rows of that site should be drawn.

SourceDisplay.from_estimator(model)
