"""Default features of sparse X with many columns: a truncated singular value decomposition."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.preprocessing import normalize

from skdiva import DivaExtender, DivaOutlierDetector, DivaReweighter, DivaSampler
from skdiva.features import KernelFeaturizer
from tests.estimators.data import same_fit, word_counts

X, Y, TRUTH = word_counts(n_words=500)
WRONG = Y != TRUTH
X_SPARSE = sparse.csr_array(X)
X_NEW, _, Y_NEW = word_counts(n=30, n_words=500, seed=1)


def singular_vectors(X):
    """All singular vectors of rows of length one, times the singular values."""
    left, values, _ = np.linalg.svd(X / np.linalg.norm(X, axis=1, keepdims=True))
    return left * values


@pytest.mark.parametrize("criterion", ["probability", "derivative"])
def test_features_are_singular_vectors_of_rows_of_length_one(criterion):
    """With fewer than 300 rows, there is a singular vector for every row."""
    detector = DivaOutlierDetector(criterion=criterion).fit(X_SPARSE, Y)
    oracle = DivaOutlierDetector(criterion=criterion, featurizer=None)
    same_fit(detector, oracle.fit(singular_vectors(X), Y), atol=1e-8)
    assert detector.coef_.shape == (len(X), 3)


def test_there_are_at_most_300():
    X, y, _ = word_counts(n=400, n_words=500)
    detector = DivaOutlierDetector().fit(sparse.csr_array(X), y)
    assert detector.coef_.shape == (300, 3)
    values = np.linalg.svd(normalize(X), compute_uv=False)
    found = detector.featurizer_[-1].singular_values_
    np.testing.assert_allclose(found[:50], values[:50], rtol=1e-3)


def test_wrong_labels_are_found():
    found = DivaOutlierDetector().fit_predict(X_SPARSE, Y) == -1
    assert found[WRONG].mean() > 0.8
    assert found[~WRONG].mean() < 0.05


def test_the_length_of_a_text_does_not_matter():
    length = np.random.default_rng(0).integers(1, 50, (len(X), 1))
    expected = DivaOutlierDetector().fit(X_SPARSE, Y)
    same_fit(DivaOutlierDetector().fit(sparse.csr_array(X * length), Y), expected, atol=1e-8)


def test_repeated_fits_give_the_same_results():
    X, y, _ = word_counts(n=400, n_words=500)
    X = sparse.csr_array(X)
    first, second = (DivaReweighter().fit(X, y) for _ in range(2))
    np.testing.assert_array_equal(first.sample_weight_, second.sample_weight_)
    np.testing.assert_array_equal(
        first.sample_weight_, DivaReweighter(random_state=0).fit(X, y).sample_weight_
    )
    other = DivaReweighter(random_state=1).fit(X, y)
    assert (first.sample_weight_ != other.sample_weight_).any()


def test_new_rows_may_be_sparse_or_dense():
    for criterion in ("probability", "derivative"):
        detector = DivaOutlierDetector(criterion=criterion).fit(X_SPARSE, Y)
        scores = detector.score_labels(sparse.csr_array(X_NEW), Y_NEW)
        np.testing.assert_allclose(detector.score_labels(X_NEW, Y_NEW), scores, atol=1e-12)
        assert detector.score(sparse.csc_array(X_NEW), Y_NEW) == detector.score(X_NEW, Y_NEW)
    assert detector.score(X_NEW, Y_NEW) > 0.9


def test_an_extender_reads_the_pool_in_blocks():
    core, pool = slice(0, 40), slice(40, None)
    arguments = {"X_pool": X_SPARSE[pool], "y_pool": Y[pool]}
    extender = DivaExtender(evaluate_on="core").fit(X_SPARSE[core], TRUTH[core], **arguments)
    features = singular_vectors(X)
    oracle = DivaExtender(evaluate_on="core", featurizer=None).fit(
        features[core], TRUTH[core], X_pool=features[pool], y_pool=Y[pool]
    )
    np.testing.assert_allclose(extender.pool_derivative_, oracle.pool_derivative_, atol=1e-8)
    np.testing.assert_allclose(extender.loo_loss_path_, oracle.loo_loss_path_, atol=1e-8)


def test_regression():
    rng = np.random.default_rng(0)
    y = normalize(X) @ rng.normal(size=500)
    y[:3] += 50 * y.std()
    detector = DivaOutlierDetector().fit(X_SPARSE, y)
    assert set(np.argsort(detector.outlier_scores_)[-3:]) == {0, 1, 2}


def test_a_sampler_keeps_the_container():
    kept, labels = DivaSampler().fit_resample(X_SPARSE, Y)
    assert isinstance(kept, sparse.csr_array)
    assert len(labels) == kept.shape[0] < len(X)


def test_few_columns_are_those_of_a_dense_table():
    few = X[:, X.sum(axis=0).argsort()[-20:]]
    detector = DivaOutlierDetector().fit(sparse.csr_array(few), Y)
    assert isinstance(detector.featurizer_, KernelFeaturizer)
    same_fit(detector, DivaOutlierDetector().fit(few, Y), atol=0)


def test_a_kernel_featurizer_says_how_to_reduce_columns():
    for fit in (
        lambda: KernelFeaturizer().fit(X_SPARSE, Y),
        lambda: KernelFeaturizer().fit(X, Y).transform(X_SPARSE),
        lambda: DivaOutlierDetector(featurizer=KernelFeaturizer()).fit(X_SPARSE, Y),
    ):
        with pytest.raises(TypeError, match=r"expects dense X, got sparse data.*TruncatedSVD"):
            fit()
