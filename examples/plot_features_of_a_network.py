"""
Network features for finding wrong labels
=========================================

Pixels are poor features if the position of an object in the image varies. A network that was
trained on other classes provides better ones: either the input of its last layer, or the Jacobian
of its outputs with respect to all of its parameters. This example compares them. A small network is
trained on the digits 0 to 4 of scikit-learn, at random positions in a larger image. Its features
are then used to find wrong labels among the digits 5 to 9, which it has never seen.
"""

# %%
# Digits at random positions
# --------------------------

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
print(f"{len(X_seen)} images of the digits 0-4 for training, {len(X_new)} of 5-9 to check")

# %%
# A network for the first five digits
# -----------------------------------
# Any torch module can be used; this one is trained in seconds.

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
# Wrong labels among digits that the network has not seen
# -------------------------------------------------------
# One fifth of the labels are replaced. The same detector is fitted on different features:
#
# - the pixels;
# - the input of the last layer of the network (32 numbers);
# - the Jacobian of a random combination of the outputs with respect to all parameters;
# - the full linearization: the network gets a new, randomly initialized head for the five new
#   digits. The model is the output of this network plus the Jacobian of each output times a change
#   of all parameters that is shared by the outputs.

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
    "full linearization": JacobianFeaturizer(with_new_head, parameters="all", outputs="each"),
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
# The last layer retains only what distinguishes the first five digits, whereas the Jacobian of all
# layers also captures what the network computes without using it. With a backbone trained on many
# more classes, the last layer alone is often sufficient, and it only costs a forward pass.

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
bars_ax.barh(positions + 0.2, f1, 0.38, color="#7f2704", label="F1 at the chosen threshold")
bars_ax.barh(positions - 0.2, auc, 0.38, color="#bdbdbd", label="AUC of the ranking")
bars_ax.set_yticks(positions, measures)
bars_ax.set(xlim=(0, 1.0), xlabel="wrong labels found (1: all wrong labels and no others)")
bars_ax.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=2, frameon=False)
bars_ax.spines[["top", "right"]].set_visible(False)
