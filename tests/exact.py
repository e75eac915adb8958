"""Answers to a ridge problem by refits in 1500 bits, for numbers of any magnitude.

Inputs are taken to be exact. Models are solved from their normal equations, which are well enough
conditioned for this number of bits.
"""

from typing import NamedTuple

import flint
import numpy as np

_BITS = 1500
# Class probabilities are subtracted from 1. Below this share of them, digits of a gradient are not
# expected to be right.
_PROBABILITY_SHARE = 1e-6


class Exact(NamedTuple):
    """Answers rounded to float64, and the sizes of the terms that they are sums of."""

    loss: float
    predictions: np.ndarray  # (n, k), leave-one-out
    derivative: np.ndarray  # (n,)
    new_derivative: np.ndarray  # (m,), of new rows at weight zero
    one_minus_leverage: np.ndarray  # (n,)
    prediction_size: np.ndarray  # (n,)
    derivative_size: np.ndarray  # (n,)
    new_size: np.ndarray  # (m,)


def exact(problem):
    """Refit without every row or group in turn, or once if there is validation data.

    Parameters
    ----------
    problem : tests.hard_problems.HardProblem
    """
    before, flint.ctx.prec = flint.ctx.prec, _BITS
    try:
        return _Refits(problem).answers()
    finally:
        flint.ctx.prec = before


class _Refits:
    def __init__(self, problem):
        self.problem = problem
        n = len(problem.features)
        self.n_rows = n
        self.values = _matrix(np.concatenate([problem.values, problem.new_values]))
        self.rows = self.with_constant(np.concatenate([problem.features, problem.new_features]))
        self.weight = [flint.arb(float(a)) for a in problem.sample_weight]
        self.coef, self.inverse = self.fit([])
        leverage = _diagonal(_take(self.rows, range(n)), self.inverse)
        pairs = zip(self.weight, leverage, strict=True)
        self.one_minus_leverage = [1 - a * h for a, h in pairs]
        self.residuals = self.rows * self.coef - self.values
        self.sums = [flint.arb(0)] * self.rows.nrows()
        self.sizes = [flint.arb(0)] * self.rows.nrows()
        self.loss = flint.arb(0)

    def with_constant(self, features):
        if self.problem.fit_intercept:
            features = np.c_[features, np.ones(len(features))]
        return _matrix(features)

    def fit(self, own):
        """Coefficients (q, k) and C (q, q) of the model without the rows ``own``."""
        kept = sorted(set(range(self.n_rows)) - set(own))
        rows, values = _take(self.rows, kept), _take(self.values, kept)
        weighted = rows.transpose() * _diagonal_matrix([self.weight[i] for i in kept])
        system = weighted * rows
        for column in range(self.problem.features.shape[1]):
            system[column, column] += flint.arb(float(self.problem.alpha))
        # Columns of equal norms, as they may differ by more than the number of bits.
        scale = _diagonal_matrix([1 / system[c, c].sqrt().mid() for c in range(system.nrows())])
        inverse = scale * (scale * system * scale).inv() * scale
        return inverse * (weighted * values), inverse

    def answers(self):
        problem, n = self.problem, self.n_rows
        predictions = _take(self.values, range(n))
        if problem.validation is None:
            groups = np.arange(n) if problem.groups is None else problem.groups
            share = _shares(problem.validation_weight)
            for group in np.unique(groups):
                own = np.flatnonzero(groups == group).tolist()
                coef, inverse = self.fit(own)
                left, values = _take(self.rows, own), _take(self.values, own)
                self.add(coef, inverse, left, values, [share[i] for i in own], own)
                for place, i in enumerate(own):
                    for c, value in enumerate((left * coef).tolist()[place]):
                        predictions[i, c] = value
        else:
            features, values, _ = problem.validation
            share = _shares(np.ones(len(features)))
            rows = self.with_constant(features)
            self.add(self.coef, self.inverse, rows, _matrix(values), share, [])
        predictions = np.array(predictions.tolist(), dtype=float)
        derivative, size = (np.array(x, dtype=float) for x in (self.sums, self.sizes))
        return Exact(
            float(self.loss.mid()),
            predictions,
            -derivative[:n],
            -derivative[n:],
            np.array(self.one_minus_leverage, dtype=float),
            np.abs(predictions).sum(axis=1) + np.abs(problem.values).sum(axis=1),
            size[:n],
            size[n:],
        )

    def add(self, coef, inverse, left, values, share, own):
        """Add the losses of the rows ``left``, and their derivatives, but not those of ``own``.

        The derivative with respect to the weight of row j is - <e_j, z_j' C sum_i z_i g_i>. In its
        size, |H_ji| is replaced by its upper limit sqrt(H_jj H_ii).
        """
        losses, gradient, gradient_size = _loss(self.problem.loss, left * coef, values, share)
        self.loss += sum(losses, flint.arb(0))
        residuals = self.rows * coef - self.values
        pulled = self.rows * (inverse * (left.transpose() * gradient))
        reach = [max(x.mid(), 0).sqrt() for x in _diagonal(self.rows, inverse)]
        strength = flint.arb_mat([[max(x.mid(), 0).sqrt() for x in _diagonal(left, inverse)]])
        strength = (strength * gradient_size).tolist()[0]
        for j in sorted(set(range(self.rows.nrows())) - set(own)):
            for c, limit in enumerate(strength):
                self.sums[j] += residuals[j, c] * pulled[j, c]
                self.sizes[j] += self.residual_size(residuals, j, c) * reach[j] * limit

    def residual_size(self, residuals, j, c):
        """Size of the residual of the model trained on all rows, and of its change."""
        before, after, target = self.residuals[j, c], residuals[j, c], self.values[j, c]
        share = self.one_minus_leverage[j] if j < self.n_rows else 1
        return abs(before) + abs(after - before) + share * (abs(before + target) + abs(target))


def _loss(name, predictions, values, share):
    """Losses (m,), their gradient (m, k) and its size, times the share of every row."""
    gradient, losses = predictions - values, []
    size = predictions - values
    columns = range(values.ncols())
    for i in range(values.nrows()):
        predicted, targets = predictions.tolist()[i], values.tolist()[i]
        if name == "squared_error":
            losses.append(share[i] * sum(gradient[i, c] ** 2 for c in columns))
            for c in columns:
                gradient[i, c] *= 2 * share[i]
                size[i, c] = 2 * share[i] * (abs(predicted[c]) + abs(targets[c]))
            continue
        largest = max(predicted, key=lambda x: x.mid())
        exponentials = [(x - largest).exp() for x in predicted]
        total, mass = sum(exponentials), sum(targets)
        logs = [x - largest - total.log() for x in predicted]
        losses.append(-share[i] * sum(targets[c] * logs[c] for c in columns))
        magnitude = max(abs(x).mid() for x in predicted)
        for c in columns:
            probability = exponentials[c] / total
            change = probability * (1 - probability) * magnitude
            gradient[i, c] = share[i] * (probability * mass - targets[c])
            size[i, c] = abs(gradient[i, c]) + share[i] * (change + _PROBABILITY_SHARE)
    return losses, gradient, size


def _diagonal(rows, inverse):
    """Diagonal of Z C Z'."""
    solved = rows * inverse
    pairs = zip(rows.tolist(), solved.tolist(), strict=True)
    return [sum(a * b for a, b in zip(*pair, strict=True)) for pair in pairs]


def _shares(weight):
    weight = [flint.arb(float(w)) for w in weight]
    total = sum(weight)
    return [w / total for w in weight]


def _diagonal_matrix(entries):
    matrix = flint.arb_mat(len(entries), len(entries))
    for i, entry in enumerate(entries):
        matrix[i, i] = entry
    return matrix


def _matrix(array):
    return flint.arb_mat(np.asarray(array, dtype=float).tolist())


def _take(matrix, rows):
    entries = matrix.tolist()
    return flint.arb_mat([entries[i] for i in rows])
