"""The mathematics of skdiva: closed-form leave-one-out and its derivative. Imports torch only."""

from skdiva.loo.brute_force import brute_force_derivative, brute_force_loo
from skdiva.loo.curation import Curation, curate, learn_weights
from skdiva.loo.evaluation import (
    Evaluation,
    evaluate,
    fit_ridge,
    new_row_form,
    predict_leave_one_out,
)
from skdiva.loo.expected_f1 import expected_f1_threshold
from skdiva.loo.extension import Extension, extend
from skdiva.loo.joint_gram import JointGram
from skdiva.loo.joint_problem import JointProblem
from skdiva.loo.losses import LogLoss, SquaredError
from skdiva.loo.noise_model import NoiseModel, fit_noise_model
from skdiva.loo.penalty import Penalty, choose_penalty
from skdiva.loo.problem import Problem
from skdiva.loo.source_descent import descend_by_source
from skdiva.loo.targets import ClassTargets, ValueTargets
from skdiva.loo.weight_descent import Descent, descend

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
