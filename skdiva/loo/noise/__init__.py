"""Models of label noise fitted to leave-one-out outputs, and criteria for wrong labels.

A `NoiseModel` estimates the probability of every class, given the outputs and the label of a row.
`TransitionNoise` is the default. The package also contains a threshold for these probabilities, and
standardized residuals for numeric targets. Nothing in it depends on ridge models.
"""

from skdiva.loo.noise._posterior import (
    GivenLabels,
    LabelPosterior,
    LabelSignal,
    NoiseModel,
    class_cuts,
    expected_f1_threshold,
    label_signal,
    lower_to_cuts,
    random_labels,
)
from skdiva.loo.noise._residuals import (
    leave_one_out_deviation,
    robust_center_and_scale,
)
from skdiva.loo.noise._transition import TransitionNoise, TransitionPosterior, fit_noise_model

__all__ = [
    "GivenLabels",
    "LabelPosterior",
    "LabelSignal",
    "NoiseModel",
    "TransitionNoise",
    "TransitionPosterior",
    "class_cuts",
    "expected_f1_threshold",
    "fit_noise_model",
    "label_signal",
    "leave_one_out_deviation",
    "lower_to_cuts",
    "random_labels",
    "robust_center_and_scale",
]
