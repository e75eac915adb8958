"""Scores of labels, for training rows and for new rows.

Labels with higher scores are more likely wrong. A new score is a subclass of `LabelScore` and an
entry in `LABEL_SCORES`. Scores hold NumPy arrays only, so that a pickle can be loaded without torch
and without the device of the fit; modules that need torch are imported in the methods.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

import numpy as np

from skdiva.arrays import HostCopy, to_host
from skdiva.estimators.feature_maps import LazyFeatures
from skdiva.targets import ClassLabels, RegressionTargets, Target


class LabelScoreResult(NamedTuple):
    """Scores of the training rows.

    Attributes
    ----------
    scores : ndarray of shape (n,)
    start : skdiva.loo.Evaluation
        Results at the start weights.
    final : skdiva.loo.Evaluation
        Results at the weights with which the scores are computed.
    relative_weight : tensor of shape (n,)
        Those weights, divided by the start weights.
    extra : dict
        Fitted attributes that are specific to this score.
    """

    scores: np.ndarray
    start: Any
    final: Any
    relative_weight: Any
    extra: dict[str, Any]


class LabelScore(ABC):
    """Score of labels, with a ridge model that predicts new rows.

    Attributes
    ----------
    threshold : float
        Scores above it are outliers with ``contamination="auto"``.
    target_type : type or None
        Kind of target for which the score is defined. If None, it is defined for both.
    """

    threshold = 0.0
    target_type: ClassVar[type[Target] | None] = None

    @abstractmethod
    def fit(self, adapter: Any) -> LabelScoreResult:
        """Score the training rows, and keep what `score` needs.

        Parameters
        ----------
        adapter : CoreAdapter

        Returns
        -------
        LabelScoreResult
        """

    @abstractmethod
    def score(self, rows: LazyFeatures, target: Target) -> np.ndarray:
        """Return the scores (m,) of new rows."""

    def keep_model(self, adapter: Any, evaluation: Any) -> None:
        """Keep the coefficients of an evaluation, for `predict`."""
        self.coef, self.intercept = adapter.model((evaluation.coef, evaluation.intercept))

    def predict(self, rows: LazyFeatures) -> np.ndarray:
        """Return the outputs (m, k) of the ridge model."""
        return rows.linear_outputs(self.coef, self.intercept)


class Probability(LabelScore):
    """Probability that a label is wrong, by a noise model of the leave-one-out outputs.

    The outputs are those at curated weights, to which wrong labels do not contribute.
    """

    target_type = ClassLabels

    def fit(self, adapter: Any) -> LabelScoreResult:
        """Curate the weights and score the training rows."""
        from skdiva.loo.noise import class_cuts, expected_f1_threshold

        curation = adapter.curate()
        outputs, labels = curation.final.loo_predictions, adapter.labels
        self.keep_model(adapter, curation.final)
        posterior = curation.noise
        wrong = posterior.wrong_probability(outputs, labels)
        self.wrong_probability = to_host(wrong)
        extra = self._noise_attributes(posterior, outputs, labels)
        if not curation.signal.is_significant:  # no row is flagged, but the rows are ranked
            posterior = adapter.noise_model.fit(outputs, labels, adapter.start_weight)
            wrong = posterior.wrong_probability(outputs, labels)
        self.posterior = HostCopy(posterior)
        self.threshold = expected_f1_threshold(wrong)
        self.cuts = to_host(class_cuts(wrong, outputs, labels, self.threshold, curation.signal))
        scores = self._lowered(wrong, labels)
        start, relative = curation.start, curation.relative_weight
        return LabelScoreResult(scores, start, curation.final, relative, extra)

    def _noise_attributes(self, posterior: Any, outputs: Any, labels: Any) -> dict[str, Any]:
        """Return the fitted attributes that describe the noise."""
        probabilities = posterior.class_probabilities(outputs, labels)
        suggested = outputs.argmax(dim=1, keepdim=True)
        # Mean class probabilities (k, k) over the rows of every given label.
        total = probabilities.new_zeros(probabilities.shape[1], probabilities.shape[1])
        total.index_add_(0, labels, probabilities)
        return {
            "noise_rate_": float(self.wrong_probability.mean()),
            "noise_matrix_": to_host(total / labels.bincount(minlength=len(total))[:, None]),
            "suggested_probability_": to_host(probabilities.gather(1, suggested)[:, 0]),
        }

    def score(self, rows: LazyFeatures, target: Target) -> np.ndarray:
        """Score new rows by the outputs of the ridge model with the curated weights."""
        from skdiva.arrays import to_tensor

        assert isinstance(target, ClassLabels)
        outputs = to_tensor(self.predict(rows), "cpu", "float64")
        labels = to_tensor(target.codes, "cpu", "int64")
        return self._lowered(self.posterior.restore().wrong_probability(outputs, labels), labels)

    def _lowered(self, wrong: Any, labels: Any) -> np.ndarray:
        from skdiva.arrays import to_tensor
        from skdiva.loo.noise import lower_to_cuts

        cuts = to_tensor(self.cuts, wrong.device, "float64")
        return to_host(lower_to_cuts(wrong, labels, self.threshold, cuts))


class Derivative(LabelScore):
    """Derivative of the mean loss with respect to the weight of the row, as in the paper."""

    def fit(self, adapter: Any) -> LabelScoreResult:
        """Score the training rows at the start weights."""
        fit = adapter.fit_ridge()
        start = fit.evaluation()
        self.new_rows = adapter.new_row_derivative(fit)
        ones = adapter.start_weight.new_ones(len(start.derivative))
        return LabelScoreResult(to_host(start.derivative), start, start, ones, {})

    def score(self, rows: LazyFeatures, target: Target) -> np.ndarray:
        """Score new rows by the derivative at weight zero."""
        if self.new_rows is None:
            raise ValueError(
                "criterion='derivative' scores new rows of a linearized network only if its "
                "Jacobians have fewer columns than there are outputs of all training rows. Project "
                "them with n_components=... of the featurizer, or use another criterion."
            )
        return self.new_rows.score(rows.feature_map, rows.X, target)


class Residual(LabelScore):
    """Size of the leave-one-out residual in robust standard deviations.

    Center and scale are not affected by outliers: one gross error in y moves the predictions of all
    rows. With several targets, the root mean square over them.
    """

    threshold = 3.0
    target_type = RegressionTargets

    def fit(self, adapter: Any) -> LabelScoreResult:
        """Score the training rows at the start weights."""
        from skdiva.loo.noise import leave_one_out_deviation, robust_center_and_scale

        start = adapter.fit_ridge().evaluation()
        self.keep_model(adapter, start)
        deviation = leave_one_out_deviation(start.leverage, start.one_minus_leverage)
        residuals = start.loo_residuals / deviation.reshape(len(deviation), -1)
        held = residuals[adapter.start_weight > 0]
        self.center, self.scale = map(to_host, robust_center_and_scale(held))
        ones = adapter.start_weight.new_ones(len(residuals))
        return LabelScoreResult(self._size(to_host(residuals)), start, start, ones, {})

    def score(self, rows: LazyFeatures, target: Target) -> np.ndarray:
        """Score new rows by the residual of the ridge model with the start weights."""
        return self._size(self.predict(rows) - target.dense)

    def _size(self, residuals: np.ndarray) -> np.ndarray:
        return np.sqrt(np.mean(np.square((residuals - self.center) / self.scale), axis=1))


LABEL_SCORES: dict[str, type[LabelScore]] = {
    "probability": Probability,
    "derivative": Derivative,
    "residual": Residual,
}


def make_label_score(criterion: str, target: Target) -> LabelScore:
    """Return the label score for the parameter ``criterion`` of the detector.

    Raises
    ------
    ValueError
        If the score is not defined for the kind of target.
    """
    if criterion == "auto":
        criterion = "probability" if isinstance(target, ClassLabels) else "residual"
    score = LABEL_SCORES[criterion]()
    if score.target_type not in (None, type(target)):
        has_classes = isinstance(target, ClassLabels)
        expected, got = ("numbers", "classes") if has_classes else ("classes", "numbers")
        raise ValueError(
            f"criterion={criterion!r} expects y with {expected}, got y with {got}. "
            "Use 'auto' or 'derivative'."
        )
    return score


def task_of_criterion(criterion: str) -> str:
    """Return the only task that a criterion is defined for; "auto" if it is defined for both."""
    score = LABEL_SCORES.get(criterion)
    return "auto" if score is None or score.target_type is None else score.target_type.task
