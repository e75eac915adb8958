"""Transition matrices, and labels drawn from the noise model."""

import numpy as np
import torch
from scipy.special import softmax


def even(rate, k):
    """Every label wrong at one rate, spread evenly over the other classes."""
    return np.where(np.eye(k) == 1, 1 - rate, rate / (k - 1))


def pairs(rate, k):
    """Labels of every class are wrong at one rate, always in favor of the next class."""
    return (1 - rate) * np.eye(k) + rate * np.roll(np.eye(k), 1, axis=1)


def simulated(transition, n=3000, sharpness=8.0, shift=0.0, seed=0):
    """Draw outputs, labels and classes from the model.

    With a shift, the first class has half of the rows.
    """
    draw = np.random.default_rng(seed)
    k = len(transition)
    drawn = draw.integers(k, size=n)
    if shift:
        drawn[: n // 2] = 0
    outputs = np.eye(k)[drawn] * draw.uniform(0.3, 1, (n, 1))
    outputs += draw.normal(0, 0.1, (n, k))
    p = softmax(sharpness * outputs, axis=1)
    classes = (p.cumsum(axis=1) < draw.uniform(size=(n, 1))).sum(axis=1)
    flips = transition[classes].cumsum(axis=1)
    labels = (flips < draw.uniform(size=(n, 1))).sum(axis=1).clip(max=k - 1)
    if shift:
        outputs += shift * np.log(np.bincount(labels, minlength=k) / n)
    return torch.from_numpy(outputs), torch.from_numpy(labels), classes
