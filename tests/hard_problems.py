"""Random ridge problems that are hard to solve in floating point."""

from typing import NamedTuple

import numpy as np


class HardProblem(NamedTuple):
    """Numbers of a problem, exact in float32 if it was drawn for float32."""

    features: np.ndarray  # (n, p)
    values: np.ndarray  # (n, k), targets
    labels: np.ndarray | None  # (n,)
    sample_weight: np.ndarray  # (n,)
    validation_weight: np.ndarray  # (n,)
    groups: np.ndarray | None
    alpha: float
    fit_intercept: bool
    loss: str
    new_features: np.ndarray
    new_values: np.ndarray
    new_labels: np.ndarray | None
    validation: tuple | None  # features (v, p), values (v, k) and labels
    kind: tuple  # names of what is hard


def hard_problem(seed, dtype="float64"):
    """Draw a problem."""
    draw = np.random.default_rng([seed, 12])
    shape = draw.choice(["tall", "square", "wide"])
    n = int(draw.integers(6, 17))
    p = {
        "tall": lambda: int(draw.integers(1, n // 2 + 1)),
        "square": lambda: int(draw.integers(n - 2, n + 2)),
        "wide": lambda: int(draw.integers(n + 2, 2 * n + 8)),
    }[shape]()
    k = int(draw.integers(2, 4))
    kinds = [
        name
        for name in (
            "row scales", "column scales", "one large row", "large means", "duplicate rows",
            "near-collinear columns", "zero weights", "spread weights", "one heavy row",
            "constant column", "zero rows", "new rows far away",
        )
        if draw.random() < 0.18
    ]  # fmt: skip
    m, v = 5, 6
    rows = draw.normal(size=(n + m + v, p))
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
        rows[n : n + m] *= 10.0 ** draw.uniform(2, 8)
    weight, validation_weight = draw.uniform(0.25, 2, size=(2, n))
    if "spread weights" in kinds:
        weight = 10.0 ** draw.uniform(-8, 4, size=n)
    if "one heavy row" in kinds:
        weight[draw.integers(n)] *= 10.0 ** draw.uniform(2, 12)
    if "zero weights" in kinds:
        weight[draw.permutation(n)[: n // 3]] = 0
        validation_weight[draw.permutation(n)[: n // 4]] = 0
    loss = str(draw.choice(["squared_error", "log_loss"]))
    labels = draw.integers(0, k, size=n + m + v)
    values = np.eye(k)[labels]
    if loss == "squared_error":
        labels, values = None, draw.normal(size=(n + m + v, k))
    fit_intercept = bool(draw.random() < 0.6)
    groups = None
    if draw.random() < 0.3:
        groups = draw.permutation(np.arange(n) // int(draw.integers(2, 4)))
        groups = np.unique(groups, return_inverse=True)[1]
    rows, weight, validation_weight, values = (
        x.astype(dtype).astype(float) for x in (rows, weight, validation_weight, values)
    )
    train = rows[:n]
    center = weight @ train / weight.sum() if fit_intercept else 0
    scale = float(np.median(weight[weight > 0]) * np.median(np.square(train - center).sum(axis=1)))
    relative = draw.uniform(-8, 8) if draw.random() < 0.4 else draw.uniform(-4, 1)
    alpha = float(10.0**relative * (scale if scale > 0 else 1.0))
    validation = None
    if draw.random() < 0.35:
        part = slice(n + m, None)
        validation = rows[part], values[part], None if labels is None else labels[part]
        groups = None
    new = slice(n, n + m)
    return HardProblem(
        train, values[:n], None if labels is None else labels[:n], weight, validation_weight,
        groups, alpha, fit_intercept, loss, rows[new], values[new],
        None if labels is None else labels[new], validation, (str(shape), *kinds),
    )  # fmt: skip
