"""What finds wrong labels: skdiva and its peers, each at its own defaults and threshold.

"Same features" are those that skdiva chose on the same noisy labels (`KernelFeaturizer`); "raw" are
the columns of the set.
"""

from typing import NamedTuple

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from skdiva import DivaOutlierDetector


class Findings(NamedTuple):
    """What a method says of every row: whether its label is wrong, and how suspicious it is."""

    flagged: np.ndarray
    scores: np.ndarray


class Rows(NamedTuple):
    """One problem: raw columns, the features common to all, labels coded 0 .. k - 1, a seed."""

    raw: np.ndarray
    features: np.ndarray
    y: np.ndarray
    seed: int


def skdiva(rows):
    """The default, from the raw columns."""
    detector = DivaOutlierDetector()
    return Findings(detector.fit_predict(rows.raw, rows.y) == -1, detector.outlier_scores_)


def skdiva_derivative(rows):
    """The paper's rule on the same features: a positive derivative."""
    detector = DivaOutlierDetector(criterion="derivative", featurizer=None)
    return Findings(detector.fit_predict(rows.features, rows.y) == -1, detector.outlier_scores_)


def cleanlab_logistic(rows):
    """cleanlab with 5-fold logistic regression on the same features."""
    return cleanlab_with(LogisticRegression(max_iter=300), rows.features, rows)


def cleanlab_boosting(rows):
    """cleanlab with 5-fold gradient boosting on the raw columns."""
    model = HistGradientBoostingClassifier(random_state=rows.seed, max_iter=60)
    return cleanlab_with(model, rows.raw, rows)


def cleanlab_with(model, X, rows):
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    folds = StratifiedKFold(5, shuffle=True, random_state=rows.seed)
    probabilities = cross_val_predict(model, X, rows.y, cv=folds, method="predict_proba")
    flagged = find_label_issues(rows.y, probabilities, n_jobs=1)
    return Findings(flagged, -get_label_quality_scores(rows.y, probabilities))


def forest(rows):
    """Out-of-bag votes of 300 trees on the raw columns: wrong where another class has more."""
    model = RandomForestClassifier(300, oob_score=True, random_state=rows.seed, n_jobs=1)
    votes = np.nan_to_num(model.fit(rows.raw, rows.y).oob_decision_function_)
    return _by_best_class(votes, rows.y)


def knn_shapley(rows):
    """KNN-Shapley values on the same features; wrong below 0.5, where rows do harm."""
    from cleanlab.data_valuation import data_shapley_knn

    values = data_shapley_knn(rows.y, features=rows.features)
    return Findings(values < 0.5, -values)


def ridgecv(rows):
    """Leave-one-out outputs of scikit-learn's RidgeCV on the same features."""
    targets = np.eye(rows.y.max() + 1)[rows.y]
    alphas = np.logspace(-6, 3, 19)
    model = RidgeCV(alphas, scoring="neg_mean_squared_error", store_cv_results=True)
    model.fit(rows.features, targets)
    # With a scoring, what is stored are the leave-one-out predictions.
    outputs = model.cv_results_[:, :, alphas == model.alpha_][:, :, 0]
    errors = np.square(outputs - targets).sum(axis=1)
    return Findings(outputs.argmax(axis=1) != rows.y, errors)


def training_loss(rows):
    """Loss of a logistic regression on the rows that it was trained on, on the same features."""
    model = LogisticRegression(max_iter=300).fit(rows.features, rows.y)
    return _by_best_class(model.predict_proba(rows.features), rows.y)


def chance(rows):
    """Random scores; half of the rows."""
    scores = np.random.RandomState(rows.seed).uniform(size=len(rows.y))
    return Findings(scores > 0.5, scores)


def _by_best_class(probabilities, y):
    own = probabilities[np.arange(len(y)), y]
    return Findings(probabilities.argmax(axis=1) != y, -own)


METHODS = {
    "skdiva": skdiva,
    "skdiva, paper's rule": skdiva_derivative,
    "cleanlab, logistic regression": cleanlab_logistic,
    "cleanlab, gradient boosting": cleanlab_boosting,
    "random forest, out of bag": forest,
    "KNN-Shapley": knn_shapley,
    "RidgeCV, leave-one-out": ridgecv,
    "training loss": training_loss,
    "chance": chance,
}
