"""Problems to test on, as data: every field of a `Case` is something that can go wrong."""

from dataclasses import dataclass
from typing import NamedTuple

import torch

from skdiva.loo import Budget, ClassTargets, LogLoss, Problem, SquaredError, ValueTargets


class PseudoHuber:
    """A loss that users might write: squared near zero, absolute far away."""

    def value(self, predictions, targets):
        return ((predictions - targets).square() + 1).sqrt().sub(1).sum(dim=1)

    def derivative(self, predictions, targets):
        difference = predictions - targets
        return difference / (difference.square() + 1).sqrt()


LOSSES = {"squared_error": SquaredError(), "log_loss": LogLoss(), "pseudo_huber": PseudoHuber()}


@dataclass(frozen=True)
class Case:
    """One problem, reproducible from its fields."""

    n_rows: int = 30
    n_columns: int = 5
    n_outputs: int = 2
    loss: str = "squared_error"
    fit_intercept: bool = True
    relative_alpha: float = 1e-2  # in units of the mean eigenvalue of the centered Gram matrix
    grouping: str | None = None  # "ragged" (1 to 4 rows) or "long" (more rows than columns)
    zero_weights: bool = False  # of training, and others of validation
    duplicate_rows: bool = False
    constant_column: bool = False
    large_means: bool = False  # mean / standard deviation of 1000
    raw_scales: bool = False  # columns scaled by 1e-3 to 1e4
    row_scale: float = 1.0  # of the first row, whose leverage is then high
    zero_weight_row: bool = False  # the first row is validated on, not trained on
    initial_outputs: bool = False
    block_rows: int | None = None
    seed: int = 0

    def __post_init__(self):
        if self.loss == "log_loss" and self.n_outputs < 2:
            raise ValueError("log_loss needs two outputs")

    def data(self, dtype=torch.float64, device="cpu"):
        """Draw the numbers, in float64, and round them to ``dtype``."""
        draw = torch.Generator().manual_seed(self.seed)
        features = _features(self, draw)
        labels, values = _targets(self, features, draw)
        weight, validation_weight = (
            torch.rand(self.n_rows, generator=draw, dtype=torch.float64) * 1.75 + 0.25
            for _ in range(2)
        )
        if self.zero_weights:
            weight[3::5] = 0
            validation_weight[1::4] = 0
        if self.zero_weight_row:
            weight[0] = 0
        initial = None
        if self.initial_outputs:
            initial = _normal(draw, self.n_rows, self.n_outputs)
        floats = (features, values, weight, validation_weight, initial)
        features, values, weight, validation_weight, initial = (
            None if x is None else x.to(device, dtype) for x in floats
        )
        return Data(
            self,
            features,
            values,
            None if labels is None else labels.to(device),
            initial,
            weight,
            validation_weight,
            _groups(self, draw, device),
            self.relative_alpha * _mean_eigenvalue(features, weight, self.fit_intercept),
        )


class Data(NamedTuple):
    """Numbers of a case, and the objects that tests make of them."""

    case: Case
    features: torch.Tensor  # (n, p)
    values: torch.Tensor  # (n, k), targets
    labels: torch.Tensor | None  # (n,), where the targets are classes
    initial_outputs: torch.Tensor | None  # (n, k)
    sample_weight: torch.Tensor  # (n,)
    validation_weight: torch.Tensor  # (n,)
    groups: torch.Tensor | None  # (n,)
    alpha: float

    @property
    def loss(self):
        return LOSSES[self.case.loss]

    @property
    def ridge_values(self):
        """Values (n, k) that the ridge model is fitted to."""
        return self.values if self.initial_outputs is None else self.values - self.initial_outputs

    def targets(self):
        if self.labels is None:
            return ValueTargets(self.values, self.initial_outputs)
        return ClassTargets(self.labels, self.case.n_outputs, self.initial_outputs)

    def problem(self, **changes):
        """Return the case as a `Problem`; ``changes`` replace arguments."""
        arguments = {
            "targets": self.targets(),
            "loss": self.loss,
            "fit_intercept": self.case.fit_intercept,
            "validation_weight": self.validation_weight,
            "groups": self.groups,
            "budget": Budget(block_rows=self.case.block_rows),
        }
        return Problem(self.features, **(arguments | changes))

    def double(self):
        """Return the same numbers in float64 on the CPU, for the oracle."""

        def widen(array):
            if not torch.is_tensor(array):
                return array
            return array.double().cpu() if array.is_floating_point() else array.cpu()

        return Data(*map(widen, self))


def _normal(draw, *shape):
    return torch.randn(*shape, generator=draw, dtype=torch.float64)


def _features(case, draw):
    features = _normal(draw, case.n_rows, case.n_columns)
    if case.duplicate_rows:
        features[1::3] = features[:1]
    if case.large_means:
        features += 1000 * torch.where(_normal(draw, case.n_columns) > 0, 1, -1)
    if case.raw_scales:
        features *= 10 ** (7 * torch.rand(case.n_columns, generator=draw, dtype=torch.float64) - 3)
    if case.constant_column:
        features[:, -1] = 3.7
    features[0] *= case.row_scale
    return features


def _targets(case, features, draw):
    """Targets that the features explain in part: labels (or None), and values (n, k)."""
    scale = features.std(dim=0)
    standardized = (features - features.mean(dim=0)) / torch.where(scale > 0, scale, 1)
    signal = standardized @ _normal(draw, case.n_columns, case.n_outputs)
    outputs = signal / case.n_columns**0.5 + _normal(draw, case.n_rows, case.n_outputs) / 2
    if case.loss != "log_loss":
        return None, outputs
    labels = outputs.argmax(dim=1)
    return labels, torch.nn.functional.one_hot(labels, case.n_outputs).double()


def _groups(case, draw, device):
    """Codes of groups that lie scattered over the rows, or None."""
    if case.grouping is None:
        return None
    sizes = {"ragged": [1, 2, 3, 4], "long": [case.n_columns + 2]}[case.grouping]
    number = torch.arange(case.n_rows)
    codes = number.repeat_interleave(torch.tensor(sizes).repeat(case.n_rows)[: case.n_rows])
    codes = codes[: case.n_rows]
    codes = codes[torch.randperm(case.n_rows, generator=draw)]
    return codes.to(device)


def _mean_eigenvalue(features, weight, fit_intercept):
    features, weight = features.double(), weight.double()
    if fit_intercept:
        features = features - weight @ features / weight.sum()
    squares = weight @ features.square()
    trace = float(squares.sum())
    # Constant columns leave only rounding errors.
    return trace / min(features.shape) if trace > 1e-20 * weight.sum() else 1.0


NAMED = {
    "tall": Case(40, 4),
    "wide": Case(12, 30),
    "square": Case(15, 15),
    "one column": Case(20, 1),
    "one column, constant": Case(20, 1, constant_column=True),
    "ragged groups": Case(30, 5, grouping="ragged"),
    "ragged groups, wide": Case(12, 30, grouping="ragged"),
    "groups larger than p": Case(30, 3, n_outputs=3, grouping="long"),
    "zero weights": Case(30, 5, zero_weights=True),
    "zero weights, wide": Case(12, 30, zero_weights=True),
    "duplicate rows": Case(30, 5, duplicate_rows=True),
    "duplicate rows, wide": Case(12, 30, duplicate_rows=True),
    "constant column": Case(30, 5, constant_column=True),
    "constant column, no intercept": Case(30, 5, constant_column=True, fit_intercept=False),
    "means of 1000": Case(30, 5, large_means=True),
    "means of 1000, no intercept": Case(30, 5, large_means=True, fit_intercept=False),
    "means of 1000, wide": Case(12, 30, large_means=True),
    "raw scales": Case(30, 5, raw_scales=True),
    "row scaled by 100": Case(30, 5, row_scale=100),
    "row scaled by 10000": Case(30, 5, row_scale=1e4),
    "row scaled by 10000, of weight zero": Case(30, 5, row_scale=1e4, zero_weight_row=True),
    "row scaled by 10000, of weight zero, wide": Case(12, 30, row_scale=1e4, zero_weight_row=True),
    "row scaled by 10000, wide": Case(12, 30, row_scale=1e4),
    "row scaled by 10000 in a group": Case(30, 5, row_scale=1e4, grouping="ragged"),
    "one target": Case(30, 5, 1),
    "five classes": Case(30, 5, 5, "log_loss"),
    "a user's loss": Case(30, 5, 3, "pseudo_huber"),
    "initial outputs": Case(30, 5, initial_outputs=True),
    "no intercept": Case(30, 5, fit_intercept=False),
}
