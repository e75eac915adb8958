"""
Learning class weights for imbalanced data
==========================================

Often the class of interest is rare. A model that is trained with equal weights for all rows misses
many of its members, because this costs little when all errors count the same. The usual remedy is
to give all classes the same total weight (``class_weight="balanced"``).
:class:`~skdiva.DivaReweighter` learns the weights of the classes instead: with ``sources=y``, all
rows of a class share one weight, and ``validation_weight`` makes errors on both classes equally
important.
"""

# %%
# One tumor in fourteen is malignant
# ----------------------------------
# In each of ten random draws, 20 malignant and 260 benign rows of the breast cancer data are used
# for training. All other rows are used for testing.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdiva import DivaReweighter

N_RARE, N_FREQUENT, N_DRAWS = 20, 260, 10
X, y = load_breast_cancer(return_X_y=True)  # 0 is malignant


def draw(seed):
    rng = np.random.RandomState(seed)
    rare, frequent = (rng.permutation(np.flatnonzero(y == label)) for label in (0, 1))
    train = np.r_[rare[:N_RARE], frequent[:N_FREQUENT]]
    return train, np.setdiff1d(np.arange(len(y)), train)


# %%
# Three ways to weight the classes
# --------------------------------
# The balanced error is the mean of two shares: malignant rows classified as benign, and benign rows
# classified as malignant.

models = {
    "equal weights": LogisticRegression(max_iter=1000),
    'class_weight="balanced"': LogisticRegression(max_iter=1000, class_weight="balanced"),
    "learned weights": DivaReweighter(LogisticRegression(max_iter=1000)),
}
errors, ratios = {name: [] for name in models}, []
for seed in range(N_DRAWS):
    train, test = draw(seed)
    balanced_weight = 1 / np.bincount(y[train])[y[train]]
    for name, model in models.items():
        learns = isinstance(model, DivaReweighter)
        step = type(model).__name__.lower()
        fit_params = {"sources": y[train], "validation_weight": balanced_weight} if learns else {}
        pipeline = make_pipeline(StandardScaler(), model)
        pipeline.fit(X[train], y[train], **{f"{step}__{k}": v for k, v in fit_params.items()})
        predicted = pipeline.predict(X[test])
        errors[name].append(1 - balanced_accuracy_score(y[test], predicted))
        if learns:
            rare, frequent = model.source_weight_
            ratios.append(rare / frequent)

for name, values in errors.items():
    print(f"{name:<25}balanced error {np.mean(values):.1%} (+- {np.std(values):.1%})")
print(f"A malignant row counts {np.median(ratios):.0f} times as much as a benign one (median);")
print(f"with balanced weights, {N_FREQUENT / N_RARE:.0f} times.")

# %%
# Draw by draw
# ------------
# Each gray line is one draw of the training rows.

figure, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
values = 100 * np.array(list(errors.values()))
ax.plot(values, color="0.7", linewidth=1)
ax.plot(values.mean(axis=1), color="black", marker="o", linewidth=2, label="mean")
ax.set_xticks(range(len(errors)), errors)
ax.set_ylabel("balanced test error (%)")
ax.set_ylim(0, None)
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False)
