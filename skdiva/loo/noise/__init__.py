"""Label noise, as read off leave-one-out outputs, and decisions on labels.

A `NoiseModel` fits the probability of every class, given outputs and label; `TransitionNoise` is
the default. Thresholds on these probabilities, and standardized residuals for numeric targets, are
here too. Nothing here knows of ridge models.
"""

from skdiva.loo.noise._posterior import LabelPosterior, NoiseModel, expected_f1_threshold
from skdiva.loo.noise._residuals import (
    leave_one_out_deviation,
    robust_scale,
)
from skdiva.loo.noise._transition import TransitionNoise, TransitionPosterior, fit_noise_model

__all__ = [
    "LabelPosterior",
    "NoiseModel",
    "TransitionNoise",
    "TransitionPosterior",
    "expected_f1_threshold",
    "fit_noise_model",
    "leave_one_out_deviation",
    "robust_scale",
]
