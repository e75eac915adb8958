"""
Learning augmentation probabilities
===================================

Training images can be augmented with transformed copies that are shifted, rotated or mirrored. Some
transforms help, others have no effect, and some make labels wrong: a 6 turned upside down is a 9.
:func:`~skdiva.augment` creates the copies, and :class:`~skdiva.DivaReweighter` learns how often
each transform should be drawn.
"""

# %%
# Digits and their transforms
# ---------------------------
# The data are 150 images of scikit-learn's digits and five transformed copies of each.

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import rotate, shift
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

from skdiva import DivaReweighter, augment

TRANSFORMS = {
    "shifted right": lambda images: shift(images, (0, 0, 1), order=1),
    "shifted down": lambda images: shift(images, (0, 1, 0), order=1),
    "rotated": lambda images: rotate(images, 10, axes=(1, 2), reshape=False, order=1),
    "mirrored": lambda images: images[:, :, ::-1],
    "upside down": lambda images: images[:, ::-1],
}

digits = load_digits()
images, test_images, y, y_test = train_test_split(
    digits.images, digits.target, train_size=150, stratify=digits.target, random_state=0
)
X_all, y_all, fit_params = augment(images, y, TRANSFORMS)
print(f"{len(images)} images became {len(X_all)}.")

# %%
# Probability of each transform
# -----------------------------
# ``fit_params`` holds the transform of each row, groups that leave out an image together with its
# copies, and validation weights that evaluate the loss on the original images only: otherwise, a
# transform that makes labels wrong would appear to improve the predictions.

forest = RandomForestClassifier(200, random_state=0)
model = DivaReweighter(forest).fit(X_all.reshape(len(X_all), -1), y_all, **fit_params)
probability = dict(zip(model.sources_, model.source_probability_, strict=True))
for name in sorted(probability, key=probability.get, reverse=True):
    print(f"{name:<14}{probability[name]:6.1%}")

# %%
# Benefit for training
# --------------------
# A random forest is trained without copies, with all copies, and with the learned weights.


def error_on_test_rows(model):
    return 1 - model.score(test_images.reshape(len(test_images), -1), y_test)


print("Test error")
alone = RandomForestClassifier(200, random_state=0).fit(images.reshape(len(images), -1), y)
print(f"  without copies          {error_on_test_rows(alone):.1%}")
uniform = RandomForestClassifier(200, random_state=0).fit(X_all.reshape(len(X_all), -1), y_all)
print(f"  equal weights           {error_on_test_rows(uniform):.1%}")
print(f"  learned probabilities   {error_on_test_rows(model):.1%}")

# %%
# Transformed images
# ------------------
# Four images and their transformed copies.

names = ["original", *sorted(TRANSFORMS, key=probability.get, reverse=True)]
shown = [int(np.flatnonzero(y == digit)[0]) for digit in (2, 4, 6, 7)]
figure, axes = plt.subplots(
    len(shown), len(names), figsize=(9, 6.4), layout="constrained", squeeze=False
)
for column, name in enumerate(names):
    rows = np.flatnonzero(fit_params["sources"] == name)
    axes[0, column].set_title(f"{name}\n{probability[name]:.1%}", fontsize=12)
    for ax, row in zip(axes[:, column], rows[shown], strict=True):
        ax.imshow(X_all[row], cmap="gray_r", vmin=0, vmax=18)
        ax.set(xticks=[], yticks=[])
figure.suptitle("Probability of each transform")
