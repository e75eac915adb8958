"""Held-out predictions that make the objective, and their units."""

import pytest
import torch

from skdiva.loo import evaluate
from skdiva.loo._losses import row_losses
from skdiva.loo._objective import validation_predictions, validation_units
from tests.cases import Case


@pytest.mark.parametrize("grouping", [None, "ragged", "long"])
@pytest.mark.parametrize("block_rows", [None, 3])
def test_a_group_is_one_unit(block_rows, grouping):
    data = Case(40, 4, 2, grouping=grouping, block_rows=block_rows).data()
    problem = data.problem()
    weight, units = validation_units(problem)
    groups = torch.arange(40) if data.groups is None else data.groups
    pairs = set(zip(problem.layout.arrange(groups).tolist(), units.tolist(), strict=True))
    n_groups = len(groups.unique())
    assert len(pairs) == n_groups  # one number per group, and one group per number
    assert sorted(number for _, number in pairs) == list(range(n_groups))
    assert (weight == problem.layout.arrange(data.validation_weight)).all()


def test_a_validation_row_is_one_unit():
    data, others = Case(20, 4, 3, "log_loss").data(), Case(9, 4, 3, "log_loss", seed=1).data()
    weight, units = validation_units(data.problem(validation=(others.features, others.targets())))
    assert units.tolist() == list(range(9))
    assert (weight == 1).all()


@pytest.mark.parametrize("validation", [False, True])
def test_losses_of_held_out_predictions_have_the_mean_loss(validation):
    how = {"grouping": "ragged", "initial_outputs": True, "block_rows": 7}
    data, others = (Case(20, 4, 3, "log_loss", seed=seed, **how).data() for seed in (0, 1))
    how = {"validation": (others.features, others.targets())} if validation else {}
    problem = data.problem(**how)
    evaluation = evaluate(problem, data.sample_weight, data.alpha)
    predictions, targets = validation_predictions(problem, evaluation)
    losses = row_losses(problem.loss, predictions, targets, problem.budget)
    weight, _ = validation_units(problem)
    assert float(weight @ losses / weight.sum()) == pytest.approx(evaluation.loss, rel=1e-12)
