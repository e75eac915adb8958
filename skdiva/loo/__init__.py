"""Mathematics of skdiva: leave-one-out losses and their derivatives in closed form.

A `Problem` holds features (a tensor or any `RowSource`), targets and a loss. A `FittedRidge` is a
problem factorized at given weights and penalty; all results are computed from this factorization.
The subpackages are ``rows`` (blocks of rows), ``ridge`` (factorizations), ``joint`` (models whose
outputs share the coefficients), ``noise`` (models of label noise), ``weights`` (algorithms that set
the sample weights) and ``pool`` (extension of the data by rows of a pool). They import torch and
the standard library only.
"""

from skdiva.loo._brute_force import brute_force_derivative, brute_force_loo
from skdiva.loo._evaluation import (
    evaluate,
    fit_ridge,
    new_row_form,
    predict_leave_one_out,
)
from skdiva.loo._fitted_ridge import Evaluation, FittedRidge
from skdiva.loo._losses import LogLoss, SquaredError
from skdiva.loo._penalty import Penalty, choose_penalty
from skdiva.loo._problem import Problem
from skdiva.loo._targets import ClassTargets, ValueTargets
from skdiva.loo.joint import JointGram, JointProblem
from skdiva.loo.noise import (
    LabelPosterior,
    NoiseModel,
    TransitionNoise,
    TransitionPosterior,
    expected_f1_threshold,
    fit_noise_model,
)
from skdiva.loo.pool import Extension, extend
from skdiva.loo.rows import Budget, RowSource
from skdiva.loo.weights import (
    Curation,
    Descent,
    curate,
    descend,
    descend_by_source,
    learn_weights,
)

__all__ = [
    "Budget",
    "ClassTargets",
    "Curation",
    "Descent",
    "Evaluation",
    "Extension",
    "FittedRidge",
    "JointGram",
    "JointProblem",
    "LabelPosterior",
    "LogLoss",
    "NoiseModel",
    "Penalty",
    "Problem",
    "RowSource",
    "SquaredError",
    "TransitionNoise",
    "TransitionPosterior",
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
