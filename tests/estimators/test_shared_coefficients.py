"""Featurizers that return features per output, (n, k, p): all outputs share the coefficients.

With z_ic = e_c (x) z_i every output has coefficients of its own, and the model is the usual one.
"""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.datasets import load_iris
from sklearn.preprocessing import StandardScaler

from skdiva import DivaOutlierDetector, DivaReweighter

X, Y = load_iris(return_X_y=True)
X, Y = StandardScaler().fit_transform(X[::3]), Y[::3].copy()
Y[::8] = (Y[::8] + 1) % 3
VALUES = np.stack([X[:, 0] * X[:, 1], X[:, 2] + 0.1 * X[:, 3] ** 2], axis=1)


class BlockFeatures(TransformerMixin, BaseEstimator):
    """Features e_c (x) z_i, (n, k, k p)."""

    def __init__(self, n_outputs=3, n_copies=1):
        self.n_outputs = n_outputs
        self.n_copies = n_copies  # many: more columns than rows, which changes nothing else

    def fit(self, _X, _y=None):
        return self

    def transform(self, X):
        n, p = np.shape(X)
        out = np.zeros((n, self.n_outputs, self.n_outputs, p))
        for c in range(self.n_outputs):
            out[:, c, c] = X
        out = out.reshape(n, self.n_outputs, -1)
        return np.concatenate([out] * self.n_copies, axis=2) / self.n_copies**0.5


CLASSIFIERS = [
    DivaReweighter(),
    DivaReweighter(learning_rate=0.3),
    DivaOutlierDetector(),
    DivaOutlierDetector(criterion="derivative"),
    DivaOutlierDetector(loss="squared_error", fit_intercept=False),
]
METADATA = {
    "plain": {},
    "weighted": {"sample_weight": np.arange(len(X)) % 4 + 0.5},
    "grouped": {"groups": np.arange(len(X)) // 2},
    "sources": {"sources": np.arange(len(X)) % 3},
    "validation": {"X_val": X[:20] + 0.1, "y_val": Y[:20]},
}


def fitted_pair(estimator, y, metadata, n_outputs, n_copies=1):
    shared, apart = clone(estimator), clone(estimator)
    shared.set_params(featurizer=BlockFeatures(n_outputs, n_copies)).fit(X, y, **metadata)
    apart.set_params(featurizer=None).fit(X, y, **metadata)
    return shared, apart


def assert_same_answers(shared, apart, y):
    names = ["alpha_", "loo_loss_", "derivative_", "loo_predictions_", "sample_weight_"]
    names += [name for name in ("outlier_scores_", "loo_loss_path_") if hasattr(apart, name)]
    for name in names:
        np.testing.assert_allclose(getattr(shared, name), getattr(apart, name), 1e-6, 1e-9, name)
    if hasattr(apart, "score_labels"):
        np.testing.assert_allclose(
            shared.score_labels(X[:9] + 0.2, y[:9]), apart.score_labels(X[:9] + 0.2, y[:9]), 1e-6
        )
        assert shared.score(X, y) == pytest.approx(apart.score(X, y))
        np.testing.assert_allclose(shared.coef_, apart.coef_.T.ravel(), 1e-6, 1e-9)


@pytest.mark.parametrize("metadata", METADATA)
@pytest.mark.parametrize("estimator", CLASSIFIERS, ids=str)
def test_classes(estimator, metadata):
    shared, apart = fitted_pair(estimator, Y, METADATA[metadata], 3)
    assert_same_answers(shared, apart, Y)


@pytest.mark.parametrize("metadata", METADATA)
def test_more_columns_than_rows(metadata):
    estimator = DivaOutlierDetector(alpha=2.0)
    shared, apart = fitted_pair(estimator, Y, METADATA[metadata], 3, n_copies=20)
    shared.coef_ = shared.coef_.reshape(20, -1).sum(axis=0) / 20**0.5
    shared._label_score.coef = shared._label_score.coef.reshape(20, -1).sum(axis=0) / 20**0.5
    shared._feature_map.featurizer.n_copies = 1
    assert_same_answers(shared, apart, Y)


def test_new_rows_by_the_derivative_where_only_inner_products_are_known():
    detector = DivaOutlierDetector(criterion="derivative", featurizer=BlockFeatures(3, 20))
    with pytest.raises(ValueError, match="n_components"):
        detector.fit(X, Y).score_labels(X, Y)


@pytest.mark.parametrize(
    "estimator", [DivaReweighter(), DivaOutlierDetector(criterion="derivative")], ids=str
)
@pytest.mark.parametrize("metadata", ["plain", "grouped"])
def test_numbers(estimator, metadata):
    shared, apart = fitted_pair(estimator, VALUES, METADATA[metadata], 2)
    assert_same_answers(shared, apart, VALUES)


def test_residuals_of_single_rows():
    shared, apart = fitted_pair(DivaOutlierDetector(), VALUES, {}, 2)
    assert_same_answers(shared, apart, VALUES)


@pytest.mark.parametrize("estimator", [DivaReweighter(), DivaOutlierDetector()], ids=str)
def test_other_outputs_than_classes(estimator):
    estimator.set_params(featurizer=BlockFeatures(2))
    with pytest.raises(ValueError, match=r"each of the 3 classes .* got shape \(50, 2, 8\)"):
        estimator.fit(X, Y)
