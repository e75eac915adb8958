"""The mathematics of skdiva: closed-form leave-one-out and its derivative. Imports torch only."""

from skdiva.loo._brute_force import brute_force_derivative, brute_force_loo
from skdiva.loo._evaluation import (
    Evaluation,
    evaluate,
    fit_ridge,
    new_row_form,
    predict_leave_one_out,
)
from skdiva.loo._losses import LogLoss, SquaredError
from skdiva.loo._penalty import Penalty, choose_penalty
from skdiva.loo._problem import Problem
from skdiva.loo._targets import ClassTargets, ValueTargets
from skdiva.loo.joint._gram import JointGram
from skdiva.loo.joint._problem import JointProblem
from skdiva.loo.noise._thresholds import expected_f1_threshold
from skdiva.loo.noise._transition import NoiseModel, fit_noise_model
from skdiva.loo.pool._greedy import Extension, extend
from skdiva.loo.weights._curation import Curation, curate, learn_weights
from skdiva.loo.weights._descent import Descent, descend
from skdiva.loo.weights._sources import descend_by_source

__all__ = [
    "ClassTargets",
    "Curation",
    "Descent",
    "Evaluation",
    "Extension",
    "JointGram",
    "JointProblem",
    "LogLoss",
    "NoiseModel",
    "Penalty",
    "Problem",
    "SquaredError",
    "ValueTargets",
    "brute_force_derivative",
    "brute_force_loo",
    "choose_penalty",
    "curate",
    "descend",
    "descend_by_source",
    "evaluate",
    "expected_f1_threshold",
    "extend",
    "fit_noise_model",
    "fit_ridge",
    "learn_weights",
    "new_row_form",
    "predict_leave_one_out",
]
