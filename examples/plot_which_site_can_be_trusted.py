"""
Which site can be trusted?
==========================

Data come from four sites. Some label with care, one gets 40 % of its labels wrong, and nobody says
which. :class:`~skdiva.DivaReweighter` learns one weight per site: how much it should count, for
predictions of rows that the model has not seen to be best. Here the sites are made of
scikit-learn's digits, so that the truth is known.
"""

# %%
# Four sites
# ----------
# Every site has 150 images. The test labels are right.

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
# The names of the sites are all that is added to the call.

model = DivaReweighter(LogisticRegression(max_iter=1000)).fit(X, y_noisy, sources=site)
for name, weight in zip(model.sources_, model.source_weight_, strict=True):
    print(f"{name}: weight {weight:.2f}, {NOISE[name]:.0%} of its labels are wrong")

# %%
# What training gains
# -------------------
# Beside it: all sites alike, and the rows that are known to have right labels.


def error_on_test_rows(classifier, rows=slice(None)):
    return 1 - classifier.fit(X[rows], y_noisy[rows]).score(X_test, y_test)


print("Test error of logistic regression")
print(f"  all sites alike        {error_on_test_rows(LogisticRegression(max_iter=1000)):.1%}")
print(f"  learned weights        {1 - model.score(X_test, y_test):.1%}")
known = error_on_test_rows(LogisticRegression(max_iter=1000), ~is_flipped)
print(f"  right labels known     {known:.1%}")

# %%
# The weights
# -----------
# The bars on the right are the shares of the sites in all weight: the probability with which a row
# of the site should be drawn.

SourceDisplay.from_estimator(model)
