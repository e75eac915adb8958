"""Answers to a ridge problem by refits in several hundred bits, for inputs of any magnitude.

Inputs are taken to be exact. Each model is solved from its normal equations, in ball arithmetic, so
that the number of digits that are right is known.
"""

from typing import NamedTuple

import flint
import numpy as np

_BITS = 1500  # features of 1e-150 to 1e150 and penalties of any size
_PROBABILITY_SIZE = 1e-6  # of a class probability that is subtracted from 1


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
    coef, solve = _fit(data, rows, values, [])
    full_residuals = every * coef - every_value
    leverage = _diagonal(rows, solve)
    weight = [flint.arb(float(a)) for a in data.sample_weight]
    one_minus = [1 - a * h for a, h in zip(weight, leverage, strict=True)]
    rounding = one_minus + [1] * m  # of a residual, relative to prediction and target
    groups = np.arange(n) if data.groups is None else data.groups
    held = [np.flatnonzero(groups == g) for g in np.unique(groups)] if validation is None else []
    for own in held:
        coef_left, solve_left = _fit(data, rows, values, own)
        left = _take(rows, own)
        predicted = left * coef_left
        for place, i in enumerate(own):
            for c in range(k):
                predictions[int(i), c] = predicted[place, c]
        gradient, size, losses = _loss(data.loss, predicted, _take(values, own))
        for place, i in enumerate(own):
            loss += share[i] * losses[place]
            for c in range(k):
                gradient[place, c] *= share[i]
                size[place][c] *= share[i]
        _add_terms(
            terms,
            sizes,
            every,
            every_value,
            coef_left,
            solve_left,
            left,
            gradient,
            size,
            own,
            rounding,
        )
    if validation is not None:
        left = _rows(validation[0], data.fit_intercept)
        gradient, size, losses = _loss(data.loss, left * coef, _matrix(validation[1]))
        share = flint.arb(1) / left.nrows()
        loss = sum(losses, flint.arb(0)) * share
        size = [[x * share for x in row] for row in size]
        _add_terms(
            terms,
            sizes,
            every,
            every_value,
            coef,
            solve,
            left,
            gradient * share,
            size,
            [],
            rounding,
        )
    sums, derivative = [[-sum(t, flint.arb(0)) for t in terms]], None
    derivative = _floats(flint.arb_mat(sums))[0]
    size = np.array([float(sum(s, flint.arb(0))) for s in sizes])
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


def _add_terms(
    terms, sizes, every, every_value, coef, solve, left, gradient, gradient_size, own, rounding
):
    """Add <e_j, z_j' C sum_i z_i g_i'> for every row j outside the group ``own``.

    The size of <e_j, H_ji g_i> is |e_j| sqrt(H_jj H_ii) |g_i|, by the inequality of Cauchy and
    Schwarz.
    """
    residuals = every * coef - every_value
    pulled = every * solve(left.transpose() * gradient)
    changes = residuals - full_residuals
    for j in range(every.nrows()):
        for c in range(every_value.ncols()):
            target = every_value[j, c]
            given = abs(residuals[j, c] + target) + abs(target)
            parts = abs(residuals[j, c]) + abs(full_residuals[j, c]) + abs(changes[j, c])
            changes[j, c] = parts + rounding[j] * given
    reach = [max(x.mid(), flint.arb(0)).sqrt() for x in _diagonal(every, solve)]
    strength = [x.sqrt() for x in _diagonal(left, solve)]
    k, m = gradient.ncols(), gradient.nrows()
    weighted = [
        sum((strength[i] * gradient_size[i][c] for i in range(m)), flint.arb(0)) for c in range(k)
    ]
    for j in set(range(every.nrows())) - set(map(int, own)):
        terms[j] += [residuals[j, c] * pulled[j, c] for c in range(k)]
        sizes[j] += [changes[j, c] * reach[j] * weighted[c] for c in range(k)]


def _diagonal(rows, solve):
    """Leverages of rows."""
    solved = solve(rows.transpose())
    width = range(rows.ncols())
    return [
        sum((rows[i, c] * solved[c, i] for c in width), flint.arb(0)) for i in range(rows.nrows())
    ]


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
    """Gradient (m, k), its size, and losses (m,).

    To the size of the gradient is added how much it changes with its prediction.
    """
    gradient, losses, sizes = predictions - values, [], []
    for i in range(values.nrows()):
        row = range(values.ncols())
        if name == "squared_error":
            sizes.append([2 * (abs(predictions[i, c]) + abs(values[i, c])) for c in row])
            losses.append(sum((gradient[i, c] ** 2 for c in row), flint.arb(0)))
            for c in row:
                gradient[i, c] *= 2
            continue
        top = max((predictions[i, c] for c in row), key=lambda x: x.mid())
        exps = [(predictions[i, c] - top).exp() for c in row]
        total, mass = sum(exps, flint.arb(0)), sum((values[i, c] for c in row), flint.arb(0))
        largest = max((abs(predictions[i, c]) for c in row), key=lambda x: x.mid())
        logs = [predictions[i, c] - top - total.log() for c in row]
        losses.append(-sum((values[i, c] * logs[c] for c in row), flint.arb(0)))
        size = []
        for c in row:
            probability = exps[c] / total
            gradient[i, c] = probability * mass - values[i, c]
            slope = probability * (1 - probability) * largest

            size.append(abs(gradient[i, c]) + slope.mid() + _PROBABILITY_SIZE)
        sizes.append(size)
    return gradient, sizes, losses


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
        assert (
            not entry.contains(0)
            or entry == 0
            or float(abs(entry).upper()) < 1e-300
            or (float(entry.rad()) < 1e-60)
        ), f"too few bits for {entry}"
    return np.array([[float(x) for x in row] for row in entries]).reshape(
        matrix.nrows(), matrix.ncols()
    )
