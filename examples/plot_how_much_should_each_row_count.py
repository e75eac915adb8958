"""
How much should each row count?
===============================

People do not mislabel at random: they err on the rows that are hard to tell. Dropping such rows
loses what is right among them. :class:`~skdiva.DivaReweighter` learns a weight for every row
instead, from the rows and their labels alone, and trains any classifier of scikit-learn with these
weights.
"""

# %%
# Labels with human errors
# ------------------------
# A fifth of the training labels of scikit-learn's digits are replaced. Which ones, and by what, is
# decided by the doubts of a random forest: a sloppy 9 becomes a 3. The test labels stay right.

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skdiva.datasets import flip_labels

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, test_size=0.4, stratify=y, random_state=0)
y_noisy, is_wrong = flip_labels(y, noise_rate=0.2, kind="doubt", X=X, random_state=0)
print(f"{is_wrong.sum()} of {len(y)} training labels are wrong.")

# %%
# Learning the weights
# --------------------
# Without an inner estimator only the weights are learned. Their mean is 1, where all rows start.

from skdiva import DivaReweighter

reweighter = DivaReweighter().fit(X, y_noisy)
weight = reweighter.sample_weight_
print(f"Mean weight of right labels {weight[~is_wrong].mean():.2f}, of wrong ones ", end="")
print(f"{weight[is_wrong].mean():.2f}")

# %%
# Training with them
# ------------------
# As the last step of a pipeline the reweighter learns the weights and trains the classifier that it
# is given. The best that can be hoped for is what the right labels alone would have taught.

from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC


def error_on_test_rows(classifier, rows=slice(None)):
    model = make_pipeline(StandardScaler(), classifier).fit(X[rows], y_noisy[rows])
    return 1 - model.score(X_test, y_test)


classifiers = (LogisticRegression(max_iter=1000), SVC(), RandomForestClassifier(random_state=0))
print(f"Test error of{'':13}{'equal weights':>15}{'learned':>10}{'right labels only':>20}")
for classifier in classifiers:
    equal = error_on_test_rows(classifier)
    learned = error_on_test_rows(DivaReweighter(classifier))
    best = error_on_test_rows(classifier, ~is_wrong)
    print(f"  {type(classifier).__name__:<24}{equal:>15.1%}{learned:>10.1%}{best:>20.1%}")

# %%
# What lost its weight
# --------------------
# The images with most and with least weight, and the labels that they were given.

from skdiva.inspection import DerivativeDisplay, WeightsDisplay

display = WeightsDisplay.from_estimator(reweighter, X, y_noisy, image_shape=(8, 8), cmap="gray_r")
print(f"Wrong labels among those with most weight: {is_wrong[display.up_rows_].sum()} of 8,")
print(f"with least weight: {is_wrong[display.down_rows_].sum()} of 8")

# %%
# Derivatives
# -----------
# Where the weights come from: the derivative of the leave-one-out loss with respect to the weight
# of every row, while all weights are equal. Most wrong labels are on the right, where more weight
# does harm. In the middle there is doubt, and there a weight is a better answer than yes or no.

DerivativeDisplay.from_estimator(reweighter, is_wrong=is_wrong)
harms = reweighter.derivative_ > 0
print(f"Positive derivatives: {harms[is_wrong].mean():.0%} of the wrong labels, ", end="")
print(f"{harms[~is_wrong].mean():.0%} of the right ones")
