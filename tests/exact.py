"""Answers to a ridge problem by refits in several hundred bits, for inputs of any magnitude.

Inputs are taken to be exact. Each model is solved from its normal equations, in ball arithmetic, so
that the number of digits that are right is known.
"""

from typing import NamedTuple

import flint
import numpy as np

_BITS = 1500  # features of 1e-150 to 1e150 and penalties of any size
_CERTAIN_BITS = 100  # of every result


class Exact(NamedTuple):
    """Answers rounded to float64, and sizes of the terms whose sums they are."""

    predictions: np.ndarray  # (n, k), leave-one-out
    derivative: np.ndarray  # (n,)
    new_derivative: np.ndarray  # (m,), of new rows at weight zero
    leverage: np.ndarray  # (n,)
    one_minus_leverage: np.ndarray  # (n,)
    prediction_size: np.ndarray  # (n,)
    derivative_size: np.ndarray  # (n,)
    new_size: np.ndarray  # (m,)
    loss: float


def exact(data, new_features, new_values, validation=None):
    """Refit without every row or group in turn, or once if there is validation data.

    Parameters
    ----------
    data : tests.hard_problems.HardProblem
    new_features, new_values : arrays (m, p) and (m, k)
    validation : pair of arrays (v, p) and (v, k), optional
    """
    before, flint.ctx.prec = flint.ctx.prec, _BITS
    try:
        return _exact(data, new_features, new_values, validation)
    finally:
        flint.ctx.prec = before


def _exact(data, new_features, new_values, validation):
    rows, values = _rows(data.features, data.fit_intercept), _matrix(data.values)
    new_rows = _rows(new_features, data.fit_intercept)
    n, k, m = rows.nrows(), values.ncols(), new_rows.nrows()
    every = _rows(np.concatenate([data.features, new_features]), data.fit_intercept)
    every_value = _matrix(np.concatenate([data.values, new_values]))
    predictions, loss = values - values, flint.arb(0)
    terms = [[] for _ in range(n + m)]
    sizes = [[] for _ in range(n + m)]
    share = _shares(data.validation_weight)
    groups = np.arange(n) if data.groups is None else data.groups
    held = [np.flatnonzero(groups == g) for g in np.unique(groups)] if validation is None else []
    for own in held:
        coef, solve = _fit(data, rows, values, own)
        left = _take(rows, own)
        predicted = left * coef
        for place, i in enumerate(own):
            for c in range(k):
                predictions[int(i), c] = predicted[place, c]
        gradient, losses = _loss(data.loss, predicted, _take(values, own))
        for place, i in enumerate(own):
            loss += share[i] * losses[place]
            for c in range(k):
                gradient[place, c] *= share[i]
        _add_terms(terms, sizes, every, every_value, coef, solve, left, gradient, own)
    coef, solve = _fit(data, rows, values, [])
    if validation is not None:
        left = _rows(validation[0], data.fit_intercept)
        gradient, losses = _loss(data.loss, left * coef, _matrix(validation[1]))
        share = flint.arb(1) / left.nrows()
        loss = sum(losses) * share
        _add_terms(terms, sizes, every, every_value, coef, solve, left, gradient * share, [])
    sums, derivative = [[-sum(t, flint.arb(0)) for t in terms]], None
    derivative = _floats(flint.arb_mat(sums))[0]
    size = np.array([float(sum(s, flint.arb(0))) for s in sizes])
    hat = rows * solve(rows.transpose())
    leverage = [hat[i, i] for i in range(n)]
    weight = [flint.arb(float(a)) for a in data.sample_weight]
    one_minus = [1 - a * h for a, h in zip(weight, leverage, strict=True)]
    predicted = _floats(predictions)
    return Exact(
        predicted,
        derivative[:n],
        derivative[n:],
        np.array([float(x) for x in leverage]),
        _floats(flint.arb_mat([one_minus]))[0],
        np.abs(predicted).sum(axis=1) + np.abs(data.values).sum(axis=1),
        size[:n],
        size[n:],
        float(loss),
    )


def _add_terms(terms, sizes, every, every_value, coef, solve, left, gradient, own):
    """Add <e_j, z_j' C sum_i z_i g_i'> for every row j outside the group ``own``."""
    residuals = every * coef - every_value
    pulled = every * solve(left.transpose() * gradient)
    k = gradient.ncols()
    for j in set(range(every.nrows())) - set(map(int, own)):
        products = [residuals[j, c] * pulled[j, c] for c in range(k)]
        terms[j] += products
        sizes[j] += [abs(product) for product in products]


def _fit(data, rows, values, own):
    """Coefficients (q, k) of the model without the rows ``own``, and its solver."""
    weight = np.array(data.sample_weight, dtype=float)
    weight[own] = 0
    weighted = flint.arb_mat(
        [
            [rows[i, c] * flint.arb(float(weight[i])) for c in range(rows.ncols())]
            for i in range(rows.nrows())
        ]
    )
    system = weighted.transpose() * rows
    for c in range(data.features.shape[1]):
        system[c, c] += flint.arb(float(data.alpha))
    scale = [1 / system[c, c].sqrt().mid() for c in range(system.nrows())]
    scaling = flint.arb_mat(system.nrows(), system.nrows())
    for c, s in enumerate(scale):
        scaling[c, c] = s
    inverse = scaling * (scaling * system * scaling).inv() * scaling
    return inverse * (weighted.transpose() * values), lambda right: inverse * right


def _loss(name, predictions, values):
    gradient, losses = predictions - values, []
    for i in range(values.nrows()):
        row = range(values.ncols())
        if name == "squared_error":
            losses.append(sum((gradient[i, c] ** 2 for c in row), flint.arb(0)))
            for c in row:
                gradient[i, c] *= 2
            continue
        top = max((predictions[i, c] for c in row), key=lambda x: x.mid())
        exps = [(predictions[i, c] - top).exp() for c in row]
        total, mass = sum(exps, flint.arb(0)), sum((values[i, c] for c in row), flint.arb(0))
        logs = [predictions[i, c] - top - total.log() for c in row]
        losses.append(-sum((values[i, c] * logs[c] for c in row), flint.arb(0)))
        for c in row:
            gradient[i, c] = exps[c] / total * mass - values[i, c]
    return gradient, losses


def _shares(weight):
    weight = [flint.arb(float(w)) for w in weight]
    total = sum(weight, flint.arb(0))
    return [w / total for w in weight]


def _rows(features, fit_intercept):
    features = np.asarray(features, dtype=float)
    if fit_intercept:
        features = np.c_[features, np.ones(len(features))]
    return _matrix(features)


def _matrix(array):
    return flint.arb_mat(np.asarray(array, dtype=float).tolist())


def _take(matrix, rows):
    return flint.arb_mat([[matrix[int(i), c] for c in range(matrix.ncols())] for i in rows])


def _floats(matrix):
    """Round to float64, if enough bits are certain."""
    entries = [[matrix[i, c] for c in range(matrix.ncols())] for i in range(matrix.nrows())]
    for entry in (x for row in entries for x in row):
        assert not entry.contains(0) or entry == 0 or float(abs(entry).upper()) < 1e-300 or (
            float(entry.rad()) < 1e-60
        ), f"too few bits for {entry}"
    return np.array([[float(x) for x in row] for row in entries]).reshape(
        matrix.nrows(), matrix.ncols()
    )
