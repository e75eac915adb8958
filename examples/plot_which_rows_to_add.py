"""
Which rows should I add?
========================

A hundred images were labelled with care. Almost a thousand more are at hand, but a fifth of their
labels are wrong, and nobody knows which. :class:`~skdiva.DivaExtender` ranks the rows of such a
pool: a row is worth adding if the model with it predicts the labels of all other rows better, each
by a model that is not trained on it. How much better is known in closed form; nothing is retrained.
"""

# %%
# A core, a pool and test rows
# ----------------------------
# The digits of scikit-learn. The labels of the core and of the test rows are right; those of the
# pool are right but for a fifth.

from sklearn.datasets import load_digits

from skdiva.datasets import split_core_pool

X, y = load_digits(return_X_y=True)
data = split_core_pool(X, y, n_core=100, test_size=0.4, noise_rate=0.2, random_state=0)
print(f"{len(data.y)} rows in the core, {len(data.y_test)} test rows")
print(f"{len(data.y_pool)} rows in the pool, of which {data.is_wrong.sum()} are labelled wrong")

# %%
# Choosing
# --------
# One call: it adds the rows with the most negative derivative of the leave-one-out loss, a batch at
# a time, until no row has a negative one. Then it trains the classifier on the core and the rows
# chosen.

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdiva import DivaExtender

extender = DivaExtender(make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)))
extender.fit(data.X, data.y, X_pool=data.X_pool, y_pool=data.y_pool)

chosen = extender.support_
for name, rows in (("chosen", chosen), ("left", ~chosen)):
    print(f"{rows.sum()} rows {name}; labelled wrong among them: {data.is_wrong[rows].mean():.1%}")

# %%
# What every row added does
# -------------------------
# Above, the error on the test rows, which played no part in the choice: of the classifier trained
# on the core and the first rows of the ranking, and, to compare, on as many rows of the pool drawn
# at random. Below, the leave-one-out loss by which the rows were chosen, and what it would have
# been with the same random rows: they lower it less than half as much. Adding stops when no row is
# left that would lower it. The wrong labels are ranked last; where they come in, the test error
# rises again.

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
# Why these rows
# --------------
# Left, the derivatives at the start, for the model of the core alone: most rows with wrong labels
# would do harm. Right, the rows that are ranked first and last, with their labels.

import matplotlib.pyplot as plt

from skdiva.inspection import DerivativeDisplay, RankingDisplay

figure, (left, right) = plt.subplots(1, 2, figsize=(13, 4.2), layout="constrained")
DerivativeDisplay.from_estimator(extender, is_wrong=data.is_wrong, ax=left)
RankingDisplay.from_estimator(
    extender, data.X_pool, data.y_pool, image_shape=(8, 8), n_shown=6, cmap="gray_r", ax=right
)

harms = extender.pool_derivative_ > 0
print(f"Would harm: {harms[data.is_wrong].mean():.1%} of the rows with wrong labels,")
print(f"            {harms[~data.is_wrong].mean():.1%} of the others")

# %%
# A gate for rows that come later
# -------------------------------
# ``score_pool`` gives the derivative of any labelled row, without another fit: here of the test
# rows with their own labels, and with wrong ones.

from skdiva.datasets import flip_labels

y_wrong, _ = flip_labels(data.y_test, noise_rate=1.0, random_state=0)
for name, labels in (("right", data.y_test), ("wrong", y_wrong)):
    share = (extender.score_pool(data.X_test, labels) < 0).mean()
    print(f"Would help: {share:.1%} of the test rows with a {name} label")
