"""The mathematics of skdiva: closed-form leave-one-out and its derivative. Imports torch only."""

from skdiva.loo.brute_force import brute_force_derivative, brute_force_loo
from skdiva.loo.confident_joint import confident_joint
from skdiva.loo.losses import LogLoss, SquaredError
from skdiva.loo.penalty import choose_penalty
from skdiva.loo.problem import (
    Evaluation,
    Problem,
    evaluate,
    fit_ridge,
    new_row_form,
    predict_leave_one_out,
)
from skdiva.loo.targets import ClassTargets, ValueTargets
from skdiva.loo.weight_descent import Descent, descend

__all__ = [
    "ClassTargets",
    "Descent",
    "Evaluation",
    "LogLoss",
    "Problem",
    "SquaredError",
    "ValueTargets",
    "brute_force_derivative",
    "brute_force_loo",
    "choose_penalty",
    "confident_joint",
    "descend",
    "evaluate",
    "fit_ridge",
    "new_row_form",
    "predict_leave_one_out",
]
