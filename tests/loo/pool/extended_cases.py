"""Cores and pools to extend them by, and the expected answers, by refits."""

import torch

from skdiva.loo import Budget
from skdiva.loo._brute_force import refit
from tests.cases import Case
from tests.loo.rows.made_rows import MadeRows
from tests.oracles import loo_loss

# Forward differences of sixth order: weights of pool rows cannot be negative.
STEP = 1e-3
FORWARD = (-49 / 20, 6.0, -15 / 2, 20 / 3, -15 / 4, 6 / 5, -1 / 6)

CASES = {
    "squared error": Case(20, 4, 2),
    "classes": Case(20, 4, 3, "log_loss"),
    "initial outputs": Case(20, 4, 3, "log_loss", initial_outputs=True),
    "wide": Case(10, 15, 2, relative_alpha=1.0),
    "groups": Case(20, 4, 2, grouping="ragged", block_rows=3),
    "groups of classes": Case(20, 4, 3, "log_loss", grouping="ragged"),
    "groups larger than p": Case(20, 3, 2, grouping="long"),
    "no intercept": Case(20, 4, 2, fit_intercept=False),
    "a high-leverage row": Case(20, 4, 2, row_scale=1e4),
    "a high-leverage row in a group": Case(20, 4, 2, row_scale=1e4, grouping="ragged"),
    "means of 1000": Case(20, 4, 2, large_means=True),
}


def core_of(case, **where):
    """A core: all its rows have weight 1 in training and in validation."""
    data = case.data(**where)
    ones = torch.ones_like(data.sample_weight)
    return data._replace(sample_weight=ones, validation_weight=ones)


def other_rows(case, n_rows, seed=77, **where):
    """Rows of the same kind that are not in the core."""
    changes = {"n_rows": n_rows, "row_scale": 1.0, "seed": seed, "grouping": None}
    rows = Case(**(vars(case) | changes)).data(**where)
    if case.large_means:  # their signs were drawn too
        center = Case(**(vars(case) | {"row_scale": 1.0})).data(**where).features.mean(dim=0)
        rows.features.add_(center - rows.features.mean(dim=0))
    return rows


def problem_of(core, block_rows=4, **changes):
    """The problem of a core, with blocks of a few rows; the pool is read in blocks as large."""
    budget = Budget(block_rows=core.case.block_rows or block_rows)
    return core.problem(budget=budget, **changes)


def pool_of(rows):
    """The rows as a pool: features and targets."""
    return rows.features, rows.targets()


class RecordedRows(MadeRows):
    """Rows that are made when they are read; ``read_rows`` holds what was asked for."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.read_rows = []

    def read(self, rows):
        self.read_rows.append(rows)
        return super().read(rows)


def made_pool_of(rows):
    """The rows as a pool whose features are made when they are read, and that pool's source."""
    source = RecordedRows(lambda positions: rows.features[positions], len(rows.features))
    return (source, rows.targets()), source


def grown(core, pool, chosen, weight=1.0):
    """The core with some rows of the pool: with a weight in training, none in validation."""
    chosen = torch.as_tensor(chosen, dtype=torch.long)

    def grow(name):
        array = getattr(core, name)
        return None if array is None else torch.cat([array, getattr(pool, name)[chosen]])

    more = core.sample_weight.new_full((len(chosen),), weight)
    groups = core.groups
    if groups is not None:
        groups = torch.cat([groups, groups.max() + 1 + torch.arange(len(chosen))])
    return core._replace(
        features=grow("features"),
        values=grow("values"),
        labels=grow("labels"),
        initial_outputs=grow("initial_outputs"),
        sample_weight=torch.cat([core.sample_weight, more]),
        validation_weight=torch.cat([core.validation_weight, 0 * more]),
        groups=groups,
    )


def everything(core, pool, chosen):
    """Core and pool as one set of rows: all in validation, the core and ``chosen`` in training."""
    data = grown(core, pool, range(len(pool.features)))
    weight = data.sample_weight.clone()
    weight[len(core.features) :] = 0
    weight[len(core.features) + torch.as_tensor(chosen, dtype=torch.long)] = 1
    return data._replace(sample_weight=weight, validation_weight=torch.ones_like(weight))


def slope_at_zero(loss):
    """Derivative at 0 of ``loss(weight)``, a function of a weight that cannot be negative."""
    losses = [loss(STEP * i) for i in range(len(FORWARD))]
    return sum(c * x for c, x in zip(FORWARD, losses, strict=True)) / STEP


def differences(core, pool, loss=loo_loss):
    """Derivative of the loss with respect to the weight of every row of the pool, by refits."""
    derivative = [
        slope_at_zero(lambda weight, row=row: loss(grown(core, pool, [row], weight)))
        for row in range(len(pool.features))
    ]
    return torch.tensor(derivative, dtype=torch.float64)


def validation_loss(validation):
    """Mean loss of other rows, by a refit."""

    def loss(data):
        model = refit(
            data.features,
            data.ridge_values,
            data.sample_weight,
            data.alpha,
            data.case.fit_intercept,
        )
        initial_outputs = validation.values - validation.ridge_values
        outputs = model.predict(validation.features) + initial_outputs
        return float(data.loss.value(outputs, validation.values).mean())

    return loss
