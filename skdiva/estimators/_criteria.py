"""How suspicious a labelled row is: three criteria, each for training rows and for new ones.

Higher scores are worse. A criterion is fitted by `judge` and keeps NumPy arrays only, so that a
pickle loads without the device it was made on.
"""

from typing import NamedTuple

import numpy as np

from skdiva.arrays.containers import to_host
from skdiva.estimators._targets import Classes, Numbers

_MAD_TO_SIGMA = 1.4826  # of a normal distribution
_MEAN_DEVIATION_TO_SIGMA = 1.2533


class Verdict(NamedTuple):
    """What a criterion found on the training rows."""

    scores: np.ndarray  # (n,)
    start: object  # loo.Evaluation at the start weights
    loo_predictions: object  # tensor (n, k), at the weights that the scores belong to
    factor: object  # tensor (n,): those weights over the start weights
    loss_path: list
    n_iter: int
    n_steps: int


def make_criterion(name, target):
    """Return the criterion called ``name``; raise if it does not fit the kind of target."""
    if name == "auto":
        name = "margin" if isinstance(target, Classes) else "residual"
    criterion = {"margin": Margin, "derivative": Derivative, "residual": Residual}[name]()
    if criterion.target_type not in (None, type(target)):
        wanted, got = ("classes", "numbers")[:: 1 if criterion.target_type is Classes else -1]
        raise ValueError(
            f"criterion={name!r} expects y with {wanted}, got y with {got}. "
            "Use 'auto' or 'derivative'."
        )
    return criterion


class _Criterion:
    """Linear model of the judged weights; ``offset`` is the threshold of contamination='auto'."""

    offset = 0.0
    target_type = None

    def keep_model(self, posed, sample_weight):
        self.coef, self.intercept = posed.ridge(sample_weight)

    @property
    def dtype(self):
        return self.coef.dtype.name

    def predict(self, features, initial_outputs):
        outputs = to_host(features) @ self.coef + self.intercept
        return outputs if initial_outputs is None else outputs + to_host(initial_outputs)


class Margin(_Criterion):
    """Leave-one-out output of the best other class minus that of the given class.

    At weights curated by a few steps along the derivative, so that wrong labels do not vote.
    """

    target_type = Classes

    def judge(self, posed, data):
        """Curate the weights and score the training rows."""
        descent = posed.descend()
        self.keep_model(posed, posed.start_weight * descent.factor)
        predictions = descent.final.loo_predictions
        scores = _margin(to_host(predictions), data.target.codes)
        self.offset = posed.wrong_label_threshold(predictions, scores)
        return Verdict(
            scores,
            descent.start, predictions, descent.factor,
            descent.loss_path, descent.n_iter, descent.n_steps,
        )  # fmt: skip

    def score(self, features, initial_outputs, target):
        """Score new rows by the margin of the model of the curated weights."""
        return _margin(self.predict(features, initial_outputs), target.codes)


class Derivative(_Criterion):
    """Derivative of the mean leave-one-out loss with respect to the weight: the paper's rule."""

    def judge(self, posed, _data):
        """Score the training rows at the start weights."""
        start = posed.evaluate()
        self.keep_model(posed, posed.start_weight)
        self.form = posed.new_row_form()
        return _at_start(to_host(start.derivative), start)

    def score(self, features, initial_outputs, target):
        """Score new rows by the derivative at weight zero."""
        from skdiva.arrays.convert import to_numpy, to_tensor
        from skdiva.loo.new_rows import NewRowForm

        def tensor(array):
            return to_tensor(array, "cpu", self.dtype)

        residuals = self.predict(features, initial_outputs) - _dense(target)
        form = NewRowForm(*map(tensor, self.form.values()))
        return to_numpy(form.derivative(tensor(to_host(features)), tensor(residuals)))


class Residual(_Criterion):
    """Size of the leave-one-out residual, in standard deviations; 3 is the threshold.

    A prediction made without row i varies by h_i / (1 - a_i h_i) times the noise, so that
    residual / sqrt(1 + h_i / (1 - a_i h_i)) has one scale for all rows; at weight 1 this is the
    externally studentised residual up to its scale, which is taken from the median absolute
    deviation: outliers do not move it. Several targets: root mean square over the targets.
    """

    offset = 3.0
    target_type = Numbers

    def judge(self, posed, data):
        """Score the training rows at the start weights."""
        start = posed.evaluate()
        self.keep_model(posed, posed.start_weight)
        variance = 1 + to_host(start.leverage) / to_host(start.one_minus_leverage)
        residuals = to_host(start.loo_residuals) / np.sqrt(variance)[:, None]
        weighted = slice(None) if data.sample_weight is None else data.sample_weight > 0
        self.scale = _robust_scale(residuals[weighted])
        return _at_start(_size(residuals / self.scale), start)

    def score(self, features, initial_outputs, target):
        """Score new rows by the residual of the model of the start weights."""
        return _size((self.predict(features, initial_outputs) - target.values) / self.scale)


def _at_start(scores, start):
    """Verdict of a criterion that takes no step: one evaluation, all factors 1."""
    ones = start.derivative.new_ones(len(start.derivative))
    return Verdict(scores, start, start.loo_predictions, ones, [start.loss], 1, 0)


def _margin(predictions, codes):
    rows = np.arange(len(codes))
    own = predictions[rows, codes]
    others = predictions.copy()
    others[rows, codes] = -np.inf
    return others.max(axis=1) - own


def _dense(target):
    if isinstance(target, Classes):
        return np.eye(target.n_outputs)[target.codes]
    return target.values


def _size(standardized):
    return np.sqrt(np.square(standardized).mean(axis=1))


def _robust_scale(residuals):
    """Standard deviation of every column, from its median absolute deviation."""
    deviation = np.abs(residuals - np.median(residuals, axis=0))
    scale = _MAD_TO_SIGMA * np.median(deviation, axis=0)
    # More than half of the residuals are equal: the mean deviation is the next robust choice.
    scale = np.where(scale > 0, scale, _MEAN_DEVIATION_TO_SIGMA * deviation.mean(axis=0))
    return np.where(scale > 0, scale, 1.0)
