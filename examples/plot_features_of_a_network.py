"""
Which features of a network find wrong labels?
==============================================

Pixels make poor features where objects move about in the picture. A network that was trained on
other classes makes better ones, but which: what its last layer reads, or how its outputs would
change with all of its parameters? Here a small network learns the digits 0 to 4 of scikit-learn, at
random places of a larger picture, and wrong labels are then looked for among the digits 5 to 9,
which it has never seen.
"""

# %%
# Digits at random places
# -----------------------

import numpy as np
from sklearn.datasets import load_digits

images, y = load_digits(return_X_y=True)
rng = np.random.default_rng(0)
X = np.zeros((len(images), 14, 14), dtype=np.float32)
for picture, image, (down, right) in zip(X, images, rng.integers(0, 7, (len(X), 2)), strict=True):
    picture[down : down + 8, right : right + 8] = image.reshape(8, 8) / 16

seen = y < 5
X_seen, y_seen = X[seen], y[seen]
chosen = rng.permutation(np.flatnonzero(~seen))[:400]
X_new, y_new = X[chosen], y[chosen]
print(f"{len(X_seen)} pictures of the digits 0-4 to train on, {len(X_new)} of 5-9 to be checked")

# %%
# A network for the first five digits
# -----------------------------------
# Any torch module would do; this one trains in seconds.

import torch
from torch import nn

torch.manual_seed(0)
network = nn.Sequential(
    nn.Unflatten(1, (1, 14)),
    nn.Conv2d(1, 16, 3, padding=1),
    nn.ReLU(),
    nn.Conv2d(16, 32, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(32, 32, 3, padding=1),
    nn.ReLU(),
    nn.AdaptiveMaxPool2d(1),
    nn.Flatten(),
    nn.Linear(32, 5),
)
optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
pictures, labels = torch.from_numpy(X_seen), torch.from_numpy(y_seen)
for _ in range(40):
    for rows in torch.randperm(len(pictures)).split(64):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(pictures[rows]), labels[rows]).backward()
        optimizer.step()
print(f"{sum(p.numel() for p in network.parameters())} parameters")

# %%
# Wrong labels among digits that it has not seen
# ----------------------------------------------
# A fifth of the labels are replaced. The detector is the same each time; what it reads is not:
#
# - the pixels;
# - what the last layer of the network reads (32 numbers);
# - the Jacobian of all parameters, for a random combination of the outputs;
# - the full linearisation: the network gets a new, randomly initialised head for the five digits
#   that are to be told apart, and the model is what the network gives plus the Jacobian of each
#   output times a change of all its parameters, which the outputs share.

from sklearn.metrics import f1_score, roc_auc_score

from skdiva import DivaOutlierDetector
from skdiva.datasets import flip_labels
from skdiva.features import JacobianFeaturizer, replace_head

y_noisy, is_flipped = flip_labels(y_new, 0.2, random_state=0)
with_new_head = replace_head(network, 5, X_new[:4], random_state=0)
features = {
    "pixels, linear": None,
    "pixels, chosen kernel": "auto",
    "last layer": JacobianFeaturizer(network),
    "all layers, random output": JacobianFeaturizer(network, parameters="all"),
    "full linearisation": JacobianFeaturizer(with_new_head, parameters="all", outputs="each"),
}
measures = {}
print(f"{'':<26}{'F1':>6}{'AUC':>7}")
for name, featurizer in features.items():
    rows = X_new.reshape(len(X_new), -1) if name.startswith("pixels") else X_new
    detector = DivaOutlierDetector(featurizer=featurizer)
    is_flagged = detector.fit_predict(rows, y_noisy) == -1
    measures[name] = (
        f1_score(is_flipped, is_flagged),
        roc_auc_score(is_flipped, detector.outlier_scores_),
    )
    print(f"{name:<26}{measures[name][0]:>6.3f}{measures[name][1]:>7.3f}")

# %%
# The last layer keeps what told the first five digits apart; the Jacobian of all layers also tells
# what the network sees and does not use. Of a backbone trained on much more than five digits the
# last layer alone is often enough, and costs a forward pass.

import matplotlib.pyplot as plt

figure, (pictures_ax, bars_ax) = plt.subplots(
    1, 2, figsize=(10, 3.6), width_ratios=(1, 1.5), layout="constrained"
)
worst = np.argsort(-detector.outlier_scores_)[:12]
mosaic = np.pad(X_new[worst].reshape(3, 4, 14, 14), [(0, 0), (0, 0), (6, 0), (1, 1)])
pictures_ax.imshow(mosaic.swapaxes(1, 2).reshape(60, 64), cmap="gray_r")
pictures_ax.set(xticks=[], yticks=[])
pictures_ax.set_title("Most suspicious: given → suggested", loc="left", fontsize=11)
for i, row in enumerate(worst):
    text = f"{y_noisy[row]} → {detector.suggested_label_[row]}"
    pictures_ax.text(16 * (i % 4) + 2, 20 * (i // 4) + 4.5, text, fontsize=10, color="#7f2704")

positions = np.arange(len(measures))[::-1]
f1, auc = np.array(list(measures.values())).T
bars_ax.barh(positions + 0.2, f1, 0.38, color="#7f2704", label="F1 at its own threshold")
bars_ax.barh(positions - 0.2, auc, 0.38, color="#bdbdbd", label="AUC of its ranking")
bars_ax.set_yticks(positions, measures)
bars_ax.set(xlim=(0, 1.0), xlabel="wrong labels found (1: all of them, and nothing else)")
bars_ax.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=2, frameon=False)
bars_ax.spines[["top", "right"]].set_visible(False)
