"""Held-out predictions of a problem, with their weights and groups.

These are the leave-one-out predictions of the training rows or, if there is a separate validation
set, the predictions of its rows.
"""

import torch
from torch import Tensor

from skdiva.loo._fitted_ridge import Evaluation
from skdiva.loo._problem import RidgeProblem
from skdiva.loo._targets import Targets


def validation_units(problem: RidgeProblem) -> tuple[Tensor, Tensor]:
    """Weights of the held-out predictions, and the unit that each of them belongs to.

    A unit is a group of training rows that are left out together, or a single validation row.

    Parameters
    ----------
    problem : RidgeProblem

    Returns
    -------
    weight : tensor of shape (m,), float64
        Weights of the training rows in visiting order, or of the validation rows.
    units : int64 tensor of shape (m,)
        Number of the unit of each prediction.
    """
    if problem.validation is None:
        return problem.validation_weight.double(), problem.layout.unit_numbers(problem.device)
    n_rows = problem.validation[1].n_rows
    weight = torch.ones(n_rows, dtype=torch.float64, device=problem.device)
    return weight, torch.arange(n_rows, device=problem.device)


def validation_predictions(problem: RidgeProblem, evaluation: Evaluation) -> tuple[Tensor, Targets]:
    """Held-out predictions (m, k) and their targets, in the order of `validation_units`."""
    if problem.validation is None:
        return problem.layout.arrange(evaluation.loo_predictions), problem.targets
    features, targets = problem.validation
    predictions = features.double() @ evaluation.coef.double() + evaluation.intercept
    if targets.initial_outputs is not None:
        predictions = predictions + targets.initial_outputs
    return predictions, targets
