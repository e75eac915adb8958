"""Random ridge problems that are hard to solve in floating point."""

from typing import NamedTuple

import numpy as np


class HardProblem(NamedTuple):
    """Numbers of a problem."""

    features: np.ndarray  # (n, p)
    values: np.ndarray  # (n, k), targets
    labels: np.ndarray | None  # (n,)
    sample_weight: np.ndarray  # (n,)
    validation_weight: np.ndarray  # (n,)
    groups: np.ndarray | None  # (n,)
    alpha: float
    fit_intercept: bool
    loss: str
    new_features: np.ndarray  # (m, p)
    new_values: np.ndarray  # (m, k)
    new_labels: np.ndarray | None  # (m,)
    validation: tuple | None  # features (v, p), values (v, k) and labels
    kind: tuple  # names of what is hard


_KINDS = (
    "row scales", "column scales", "one large row", "large means", "duplicate rows",
    "near-collinear columns", "zero weights", "spread weights", "one heavy row",
    "constant column", "zero rows", "new rows far away",
)  # fmt: skip
_NEW, _VALIDATION = 5, 6  # rows


def hard_problem(seed, dtype="float64"):
    """Draw a problem whose numbers are exact in ``dtype``."""
    draw = np.random.default_rng([seed, 12])
    shape = str(draw.choice(["tall", "square", "wide"]))
    n, k = int(draw.integers(6, 17)), int(draw.integers(2, 4))
    columns = {"tall": (1, n // 2 + 1), "square": (n - 2, n + 2), "wide": (n + 2, 2 * n + 8)}
    p = int(draw.integers(*columns[shape]))
    kinds = {name for name in _KINDS if draw.random() < 0.18}
    rows = _rows(draw, kinds, n, p)
    weight, validation_weight = _weights(draw, kinds, n)
    loss = str(draw.choice(["squared_error", "log_loss"]))
    labels = draw.integers(0, k, size=len(rows))
    values = np.eye(k)[labels]
    if loss == "squared_error":
        labels, values = None, draw.normal(size=(len(rows), k))
    rows, weight, validation_weight, values = (
        x.astype(dtype).astype(float) for x in (rows, weight, validation_weight, values)
    )
    fit_intercept = bool(draw.random() < 0.6)
    validated, grouped = draw.random(2) < 0.33

    def part(rows_of_part):
        chosen = (rows, values, labels)
        return tuple(None if x is None else x[rows_of_part] for x in chosen)

    groups = np.unique(draw.permutation(n) // int(draw.integers(2, 4)), return_inverse=True)[1]
    return HardProblem(
        *part(slice(n)), weight, validation_weight, groups if grouped and not validated else None,
        _alpha(draw, rows[:n], weight, fit_intercept), fit_intercept, loss,
        *part(slice(n, n + _NEW)), part(slice(n + _NEW, None)) if validated else None,
        (shape, *sorted(kinds)),
    )  # fmt: skip


def _rows(draw, kinds, n, p):
    """Rows of training, new rows, and rows of validation."""
    rows = draw.normal(size=(n + _NEW + _VALIDATION, p))
    if "near-collinear columns" in kinds and p > 1:
        rows[:, -1] = rows[:, 0] + 10.0 ** draw.uniform(-9, -3) * rows[:, -1]
    if "constant column" in kinds:
        rows[:, 0] = 3.7
    if "large means" in kinds:
        rows += 10.0 ** draw.uniform(2, 6.5) * (draw.normal(size=p) if draw.random() < 0.5 else 1)
    if "column scales" in kinds:
        rows *= 10.0 ** draw.uniform(-6, 6, size=p)
    if "duplicate rows" in kinds:
        rows[1:n:3] = rows[0]
    if "row scales" in kinds:
        rows[:n] *= 10.0 ** draw.uniform(-8, 8, size=(n, 1))
    if "one large row" in kinds:
        rows[draw.integers(n)] *= 10.0 ** draw.uniform(2, 12)
    if "zero rows" in kinds:
        rows[:2] = 0
    if "new rows far away" in kinds:
        rows[n : n + _NEW] *= 10.0 ** draw.uniform(2, 8)
    return rows


def _weights(draw, kinds, n):
    """Weights in training and in the loss."""
    weight, validation_weight = draw.uniform(0.25, 2, size=(2, n))
    if "spread weights" in kinds:
        weight = 10.0 ** draw.uniform(-8, 4, size=n)
    if "one heavy row" in kinds:
        weight[draw.integers(n)] *= 10.0 ** draw.uniform(2, 12)
    if "zero weights" in kinds:
        weight[draw.permutation(n)[: n // 3]] = 0
        validation_weight[draw.permutation(n)[: n // 4]] = 0
    return weight, validation_weight


def _alpha(draw, features, weight, fit_intercept):
    """Penalty of 1e-8 to 1e8 typical squared norms, or of less extreme sizes."""
    center = weight @ features / weight.sum() if fit_intercept else 0
    scale = np.median(weight[weight > 0]) * np.median(np.square(features - center).sum(axis=1))
    relative = draw.uniform(-8, 8) if draw.random() < 0.4 else draw.uniform(-4, 1)
    return float(10.0**relative * (scale if scale > 0 else 1.0))
