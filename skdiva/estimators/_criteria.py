"""How suspicious a labelled row is: three criteria, each for training rows and for new ones.

Higher scores are worse. A criterion is fitted by `judge` and keeps NumPy arrays only, so that a
pickle loads without the device it was made on; what needs torch is imported when it is called.
"""

from typing import NamedTuple

import numpy as np

from skdiva.arrays import to_host
from skdiva.estimators._targets import Classes, Numbers


class Verdict(NamedTuple):
    """What a criterion found on the training rows."""

    scores: np.ndarray  # (n,)
    start: object  # loo.Evaluation at the start weights
    loo_predictions: object  # tensor (n, k), at the weights that the scores belong to
    factor: object  # tensor (n,): those weights over the start weights
    extra: dict  # fitted attributes of this criterion alone


def make_criterion(name, target):
    """Return the criterion called ``name``; raise if it does not fit the kind of target."""
    if name == "auto":
        name = "probability" if isinstance(target, Classes) else "residual"
    known = {"probability": Probability, "derivative": Derivative, "residual": Residual}
    criterion = known[name]()
    if criterion.target_type not in (None, type(target)):
        raise ValueError(
            f"criterion={name!r} expects y with classes, got y with numbers. "
            "Use 'auto' or 'derivative'."
        )
    return criterion


class _Criterion:
    """Linear model of the judged weights; ``offset`` is the threshold of contamination='auto'."""

    offset = 0.0
    target_type = None

    def keep_model(self, posed, evaluation):
        self.coef, self.intercept = posed.model(evaluation.coef, evaluation.intercept)

    def predict(self, rows):
        return rows.linear_outputs(self.coef, self.intercept)


class Probability(_Criterion):
    """Probability that a label is wrong, by a noise model of the leave-one-out outputs.

    At weights from which wrong labels have been taken, so that they do not vote.
    """

    target_type = Classes

    def judge(self, posed):
        """Curate the weights and score the training rows."""
        from skdiva.loo.noise._thresholds import expected_f1_threshold

        start, final, factor, noise = posed.curate()
        self.keep_model(posed, final)
        self.noise = {name: _plain(part) for name, part in noise._asdict().items()}
        outputs, labels = final.loo_predictions, posed.classes
        wrong = noise.wrong_probability(outputs, labels)
        self.offset = expected_f1_threshold(wrong)
        classes = noise.class_probabilities(outputs, labels)
        extra = {
            "noise_rate_": float(wrong.mean()),
            "noise_matrix_": to_host(_mean_by_label(classes, labels)),
        }
        return Verdict(to_host(wrong), start, outputs, factor, extra)

    def score(self, rows, target):
        """Score new rows by the outputs of the model of the curated weights."""
        from skdiva.loo.noise._transition import NoiseModel

        outputs = self.predict(rows)
        tensors = {name: _tensor(self.noise[name]) for name in ("offset", "transition")}
        noise = NoiseModel(**self.noise | tensors)
        return to_host(noise.wrong_probability(_tensor(outputs), _tensor(target.codes)))


class Derivative(_Criterion):
    """Derivative of the mean leave-one-out loss with respect to the weight: the paper's rule."""

    def judge(self, posed):
        """Score the training rows at the start weights."""
        start = posed.evaluate()
        self.keep_model(posed, start)
        self.form, self.center = posed.new_row_form()
        return _at_start(start.derivative, start)

    def score(self, rows, target):
        """Score new rows by the derivative at weight zero."""
        from skdiva.loo.joint._problem import augmented_rows
        from skdiva.loo.ridge._new_rows import NewRowForm

        if self.form is None:
            raise ValueError(
                "criterion='derivative' scores new rows of a linearised network only where its "
                "Jacobians have fewer columns than there are outputs of all training rows. Project "
                "them with n_components=... of the featurizer, or use another criterion."
            )
        residuals = _tensor(self.predict(rows) - target.dense)
        form = NewRowForm(*(_tensor(part.astype(np.float64)) for part in self.form.values()))
        features = _tensor(to_host(rows.features).astype(np.float64))
        if features.ndim == 2:
            return to_host(form.derivative(features, residuals))
        # The rows of all outputs of a sample share its weight.
        center = None if self.center is None else _tensor(self.center)
        derivative = form.derivative(augmented_rows(features, center), residuals.reshape(-1, 1))
        return to_host(derivative.reshape(residuals.shape).sum(dim=1))


class Residual(_Criterion):
    """Size of the leave-one-out residual, in standard deviations; 3 is the threshold.

    Robust ones: outliers do not move the scale. Several targets: root mean square over them.
    """

    offset = 3.0
    target_type = Numbers

    def judge(self, posed):
        """Score the training rows at the start weights."""
        from skdiva.loo.noise._residuals import leave_one_out_deviation, robust_scale

        start = posed.evaluate()
        self.keep_model(posed, start)
        deviation = leave_one_out_deviation(start.leverage, start.one_minus_leverage)
        residuals = start.loo_residuals / deviation.reshape(len(deviation), -1)
        self.scale = to_host(robust_scale(residuals[posed.start_weight > 0]))
        return _at_start(self._size(to_host(residuals)), start)

    def score(self, rows, target):
        """Score new rows by the residual of the model of the start weights."""
        return self._size(self.predict(rows) - target.values)

    def _size(self, residuals):
        from skdiva.loo.noise._residuals import root_mean_square

        return to_host(root_mean_square(_tensor(residuals / self.scale)))


def _at_start(scores, start):
    """Verdict of a criterion that takes no step: one evaluation, all factors 1."""
    ones = start.derivative.new_ones(len(start.derivative))
    return Verdict(to_host(scores), start, start.loo_predictions, ones, {})


def _mean_by_label(probabilities, labels):
    """Mean class probabilities (k, k) over the rows of every given label."""
    total = probabilities.new_zeros(probabilities.shape[1], probabilities.shape[1])
    total.index_add_(0, labels, probabilities)
    return total / labels.bincount(minlength=len(total))[:, None]


def _plain(part):
    """Return a tensor as an array, a number as it is."""
    return part if isinstance(part, float) else to_host(part)


def _tensor(array):
    from skdiva.arrays import to_tensor

    return to_tensor(array, "cpu", array.dtype.name)
