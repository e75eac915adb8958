"""
Learning sample weights
=======================

Human labeling errors are not random: they occur where classes are hard to tell apart. Dropping all
such rows would also lose many correct labels. :class:`~skdiva.DivaReweighter` learns a weight for
each row instead, using only the rows and their labels, and trains any scikit-learn classifier with
these weights.
"""

# %%
# Labels with realistic errors
# ----------------------------
# One fifth of the training labels of scikit-learn's digits are replaced. The uncertainty of a
# random forest determines which labels are replaced and by what: a sloppy 9 becomes a 3. The test
# labels remain correct.

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
# Without an inner estimator, the reweighter only learns the weights. All rows start with a weight
# of 1, and the mean weight remains 1.

from skdiva import DivaReweighter

reweighter = DivaReweighter().fit(X, y_noisy)
weight = reweighter.sample_weight_
print(f"Mean weight of right labels {weight[~is_wrong].mean():.2f}, of wrong ones ", end="")
print(f"{weight[is_wrong].mean():.2f}")

# %%
# Training with the weights
# -------------------------
# As the last step of a pipeline, the reweighter learns the weights and trains the given classifier
# with them. Training on the rows with correct labels only shows the best result that can be
# expected.

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
# Rows with the largest and smallest weights
# ------------------------------------------
# The images with the largest and the smallest weights, with their given labels.

from skdiva.inspection import DerivativeDisplay, WeightsDisplay

display = WeightsDisplay.from_estimator(reweighter, X, y_noisy, image_shape=(8, 8), cmap="gray_r")
print("Wrong labels among the images")
print(f"  with the largest weights:  {is_wrong[display.up_rows_].sum()} of 8")
print(f"  with the smallest weights: {is_wrong[display.down_rows_].sum()} of 8")

# %%
# Derivatives
# -----------
# Each weight is first multiplied by the squared probability that its label is correct. A step along
# the derivatives of the leave-one-out loss with respect to the weights follows. The derivatives are
# shown here at equal weights. Most wrong labels have positive derivatives: increasing their weight
# would increase the loss. Where the two histograms overlap, the label is uncertain, and a weight is
# more appropriate than a decision to keep or drop the row.

DerivativeDisplay.from_estimator(reweighter, is_wrong=is_wrong)
harms = reweighter.derivative_ > 0
print(f"Positive derivatives: {harms[is_wrong].mean():.0%} of the wrong labels, ", end="")
print(f"{harms[~is_wrong].mean():.0%} of the right ones")
