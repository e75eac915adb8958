"""
Choosing rows to add from a pool
================================

One hundred images were labeled carefully. Almost one thousand more are available, but one fifth of
their labels are wrong, and nobody knows which ones. :class:`~skdiva.DivaExtender` ranks the rows of
such a pool: adding a row is worthwhile if it improves the leave-one-out predictions of all other
rows. The size of this improvement is available in closed form, without any retraining.
"""

# %%
# A core, a pool and test rows
# ----------------------------
# The data are the digits of scikit-learn. All labels in the core and in the test set are correct,
# but one fifth of those in the pool are wrong.

from sklearn.datasets import load_digits

from skdiva.datasets import split_core_pool

X, y = load_digits(return_X_y=True)
data = split_core_pool(X, y, n_core=100, test_size=0.4, noise_rate=0.2, random_state=0)
print(f"{len(data.y)} rows in the core, {len(data.y_test)} test rows")
print(f"{len(data.y_pool)} rows in the pool, {data.is_wrong.sum()} of them with wrong labels")

# %%
# Choosing rows
# -------------
# `fit` adds the rows with the most negative derivatives of the leave-one-out loss, one batch at a
# time, until no row has a negative derivative. It then trains the classifier on the core and the
# chosen rows.

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdiva import DivaExtender

extender = DivaExtender(make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)))
extender.fit(data.X, data.y, X_pool=data.X_pool, y_pool=data.y_pool)

chosen = extender.support_
for name, rows in (("chosen", chosen), ("not chosen", ~chosen)):
    print(f"{rows.sum()} rows {name}; share of wrong labels: {data.is_wrong[rows].mean():.1%}")

# %%
# Effect of the added rows
# ------------------------
# The upper plot shows the error on the test rows, which were not used in the choice: that of a
# classifier trained on the core and the first rows of the ranking and, for comparison, on the same
# number of random rows of the pool. The lower plot shows the leave-one-out loss, which determined
# the choice, and the same loss for the random rows, which reduce it less than half as much. Adding
# stops when no remaining row would reduce the loss. The wrong labels are ranked last: once they are
# added, the test error increases again.

from skdiva.inspection import ExtensionDisplay

display = ExtensionDisplay.from_estimator(
    extender,
    data.X,
    data.y,
    X_pool=data.X_pool,
    y_pool=data.y_pool,
    X_test=data.X_test,
    y_test=data.y_test,
)

random_error = display.random_error.mean(axis=0)
print("rows added   test error: in the order chosen   at random")
for n_added, error, at_random in zip(
    display.n_trained, display.test_error, random_error, strict=True
):
    stopped = "   <- stopped" if n_added == chosen.sum() else ""
    print(f"{n_added:10.0f}{error:34.1%}{at_random:12.1%}{stopped}")

start, end = display.loo_loss[[0, -1]]
print(f"Leave-one-out loss of the core alone: {start:.3f}")
print(f"with {chosen.sum()} rows added, in the order chosen: {end:.3f}")
print(f"with as many at random: {display.random_loss[:, -1].mean():.3f}")

# %%
# Derivatives and ranking
# -----------------------
# Left: the derivatives for the model of the core alone. Most rows with wrong labels have positive
# derivatives: they would increase the loss. Right: the rows that are ranked first and last, with
# their labels.

import matplotlib.pyplot as plt

from skdiva.inspection import DerivativeDisplay, RankingDisplay

figure, (left, right) = plt.subplots(1, 2, figsize=(13, 4.2), layout="constrained")
DerivativeDisplay.from_estimator(extender, is_wrong=data.is_wrong, ax=left)
RankingDisplay.from_estimator(
    extender, data.X_pool, data.y_pool, image_shape=(8, 8), n_shown=6, cmap="gray_r", ax=right
)

harms = extender.pool_derivative_ > 0
print(f"Would increase the loss: {harms[data.is_wrong].mean():.1%} of the rows with wrong labels,")
print(f"                         {harms[~data.is_wrong].mean():.1%} of the others")

# %%
# Scores of new rows
# ------------------
# ``score_rows`` returns the derivatives for any labeled rows without another fit: here, for the
# test rows with their correct labels and with wrong ones.

from skdiva.datasets import flip_labels

y_wrong, _ = flip_labels(data.y_test, noise_rate=1.0, random_state=0)
for name, labels in (("correct", data.y_test), ("wrong", y_wrong)):
    share = (extender.score_rows(data.X_test, labels) < 0).mean()
    print(f"Would reduce the loss: {share:.1%} of the test rows with a {name} label")
