"""Sparse X in every estimator, compared with the same rows as a dense array."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
from scipy import sparse
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder
from sklearn.utils import get_tags

from skdiva import DivaExtender, DivaOutlierDetector, DivaReweighter, DivaSampler
from skdiva.inspection import ExtensionDisplay
from tests.estimators.data import same_fit, word_counts

X, Y, TRUTH = word_counts()
WIDE, Y_WIDE, _ = word_counts(n=60, n_words=150)  # fewer rows than columns
X_NEW, _, Y_NEW = word_counts(n=30, seed=1)
RNG = np.random.default_rng(0)
TOPICS = [[f"{topic}{i}" for i in range(20)] for topic in ("fruit", "tool", "bird")]
TEXTS = [
    " ".join([*RNG.choice(TOPICS[topic], 6), *RNG.choice([f"word{i}" for i in range(200)], 4)])
    for topic in TRUTH
]
FORMATS = [sparse.csr_array, sparse.csc_array, sparse.coo_array, sparse.csr_matrix]
FEATURES = [None, "auto", FunctionTransformer(accept_sparse=True)]
FOREST = RandomForestClassifier(20, random_state=0)


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.__name__)
@pytest.mark.parametrize("featurizer", FEATURES, ids=str)
@pytest.mark.parametrize("criterion", ["probability", "derivative"])
def test_a_detector_gives_the_answers_for_a_dense_array(criterion, featurizer, form):
    expected = DivaOutlierDetector(criterion=criterion, featurizer=featurizer).fit(X, Y)
    detector = DivaOutlierDetector(criterion=criterion, featurizer=featurizer).fit(form(X), Y)
    same_fit(detector, expected, atol=1e-9)
    np.testing.assert_allclose(detector.coef_, expected.coef_, atol=1e-9)
    scores = detector.score_labels(form(X_NEW), Y_NEW)
    np.testing.assert_allclose(scores, expected.score_labels(X_NEW, Y_NEW), atol=1e-9)
    np.testing.assert_allclose(detector.score_labels(X_NEW, Y_NEW), scores, atol=1e-9)
    assert detector.score(form(X_NEW), Y_NEW) == expected.score(X_NEW, Y_NEW)


ARGUMENTS = {
    "weights": {"sample_weight": RNG.uniform(0, 2, 60)},
    "groups": {"groups": np.arange(60) // 4},
    "groups of several sizes": {"groups": np.arange(60) % 7 % 5},
    "sources": {"sources": np.arange(60) % 3},
    "validation weights": {"validation_weight": np.arange(60) % 2},
    "validation rows": {"X_val": WIDE[40:], "y_val": Y_WIDE[40:]},
}


@pytest.mark.parametrize("name", ARGUMENTS)
@pytest.mark.parametrize("n_columns", [20, 150])
def test_arguments_of_fit(name, n_columns):
    X, arguments = WIDE[:, :n_columns] + 0, dict(ARGUMENTS[name])
    if "X_val" in arguments:
        arguments["X_val"] = arguments["X_val"][:, :n_columns]
    expected = DivaOutlierDetector(featurizer=None, batch_size=16).fit(X, Y_WIDE, **arguments)
    if "X_val" in arguments:
        arguments["X_val"] = sparse.coo_array(arguments["X_val"])
    detector = DivaOutlierDetector(featurizer=None, batch_size=16)
    same_fit(detector.fit(sparse.csr_array(X), Y_WIDE, **arguments), expected, atol=1e-9)


@pytest.mark.parametrize("featurizer", FEATURES, ids=str)
@pytest.mark.parametrize("apply", ["sample_weight", "drop"])
def test_a_reweighter_trains_on_sparse_rows(apply, featurizer):
    seen = []

    class Witness(LogisticRegression):
        def fit(self, X, y, sample_weight=None):
            seen.append(X)
            return super().fit(X, y, sample_weight)

    Witness.__name__ = "LogisticRegression"
    given = sparse.csc_array(X)
    model = DivaReweighter(Witness(max_iter=1000), apply=apply, featurizer=featurizer)
    expected = DivaReweighter(
        LogisticRegression(max_iter=1000), apply=apply, featurizer=featurizer
    ).fit(X, Y)
    same_fit(model.fit(given, Y), expected, atol=1e-9)
    assert sparse.issparse(seen[-1])
    if apply == "sample_weight":
        assert seen[-1] is given
    np.testing.assert_allclose(
        model.predict_proba(sparse.csr_array(X_NEW)), expected.predict_proba(X_NEW), atol=1e-4
    )


@pytest.mark.parametrize("featurizer", FEATURES, ids=str)
@pytest.mark.parametrize("evaluate_on", ["all", "core"])
def test_an_extender_selects_sparse_rows(evaluate_on, featurizer):
    core, pool = slice(0, 50), slice(50, None)

    def fit(convert):
        extender = DivaExtender(
            FOREST, evaluate_on=evaluate_on, featurizer=featurizer, alpha=0.1, batch_size=16
        )
        rows = {"X_pool": convert(X[pool]), "y_pool": Y[pool]}
        return extender.fit(convert(X[core]), TRUTH[core], **rows)

    expected = fit(np.asarray)
    for form in FORMATS:
        extender = fit(form)
        np.testing.assert_array_equal(extender.ranking_, expected.ranking_)
        for name in ("pool_derivative_", "loo_loss_path_", "coef_"):
            ours, theirs = getattr(extender, name), getattr(expected, name)
            np.testing.assert_allclose(ours, theirs, atol=1e-9, err_msg=name)
        scores = extender.score_rows(form(X_NEW), Y_NEW)
        np.testing.assert_allclose(scores, expected.score_rows(X_NEW, Y_NEW), atol=1e-9)
        np.testing.assert_array_equal(
            extender.predict(sparse.csr_array(X_NEW)), expected.predict(X_NEW)
        )


def test_an_extender_without_pool():
    extender = DivaExtender(featurizer=None).fit(sparse.csr_array(X), TRUTH)
    expected = DivaExtender(featurizer=None).fit(X, TRUTH)
    scores = extender.score_rows(sparse.csr_array(X_NEW), Y_NEW)
    np.testing.assert_allclose(scores, expected.score_rows(X_NEW, Y_NEW), atol=1e-9)


@pytest.mark.parametrize("featurizer", FEATURES, ids=str)
def test_a_sampler_drops_sparse_rows(featurizer):
    sampler = DivaSampler(DivaOutlierDetector(featurizer=featurizer))
    kept, labels = sampler.fit_resample(X, Y)
    assert len(labels) < len(Y)
    for form in FORMATS:
        ours, our_labels = sampler.fit_resample(form(X), Y)
        np.testing.assert_array_equal(ours.toarray(), kept)
        np.testing.assert_array_equal(our_labels, labels)


def test_dtypes():
    for featurizer in FEATURES:
        detector = DivaOutlierDetector(criterion="derivative", featurizer=featurizer)
        single = detector.fit(sparse.csr_array(X.astype(np.float32)), Y).derivative_
        assert single.dtype == np.float32
        present = sparse.csr_array(X > 0)
        expected = detector.fit(present.toarray().astype(float), Y).derivative_.copy()
        for dtype in (bool, np.int32, np.uint8):
            found = detector.fit(present.astype(dtype), Y).derivative_
            np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("featurizer", ["auto", None])
def test_bad_values_are_refused_in_fit_and_in_new_rows(featurizer):
    spoiled = X.copy()
    spoiled[7, 3] = np.nan
    spoiled = sparse.csr_array(spoiled)
    detector = DivaOutlierDetector(featurizer=featurizer).fit(sparse.csr_array(X), Y)
    extender = DivaExtender(featurizer=featurizer)
    for read in (
        lambda: detector.fit(spoiled, Y),
        lambda: detector.score(spoiled, Y),
        lambda: detector.score_labels(spoiled, Y),
        lambda: detector.transform(spoiled),
        lambda: detector.fit(sparse.csr_array(X), Y, X_val=spoiled, y_val=Y),
        lambda: extender.fit(sparse.csr_array(X), Y, X_pool=spoiled, y_pool=Y),
    ):
        with pytest.raises(ValueError, match=r"contains NaN.* in row 7, column 3"):
            read()


def test_too_many_columns_for_a_model_of_the_columns_themselves():
    n, p = 500_000, 400_000
    wide = sparse.csr_array((np.ones(n), (np.arange(n), np.arange(n) % p)), shape=(n, p))
    detector = DivaOutlierDetector(featurizer=None)
    with pytest.raises(MemoryError, match=r"400000 columns needs .*featurizer='auto'"):
        detector.fit(wide, np.arange(n) % 2)
    assert not hasattr(detector, "coef_")


TEXT_FEATURES = {
    "reduced": make_pipeline(TfidfVectorizer(), TruncatedSVD(20, random_state=0)),
    "sparse": TfidfVectorizer(),
    "counts": CountVectorizer(),
}


@pytest.mark.parametrize("container", [list, np.array], ids=["list", "array"])
@pytest.mark.parametrize("name", TEXT_FEATURES)
def test_texts_with_a_transformer_as_featurizer(name, container):
    featurizer, texts = TEXT_FEATURES[name], container(TEXTS)
    features = featurizer.fit_transform(TEXTS)
    if sparse.issparse(features):
        features = features.toarray().astype(float)
    expected = DivaOutlierDetector(featurizer=None).fit(features, Y)
    detector = DivaOutlierDetector(featurizer=featurizer).fit(texts, Y)
    same_fit(detector, expected, atol=1e-9)
    scores = detector.score_labels(texts[:9], Y[:9])
    np.testing.assert_allclose(scores, expected.score_labels(features[:9], Y[:9]), atol=1e-9)

    inner = make_pipeline(TfidfVectorizer(), LogisticRegression())
    model = DivaReweighter(inner, featurizer=featurizer).fit(texts, Y)
    assert model.score(texts, TRUTH) > 0.95
    extender = DivaExtender(inner, featurizer=featurizer, evaluate_on="core")
    extender.fit(texts[40:], Y[40:], X_pool=texts[:40], y_pool=Y[:40])
    assert extender.pool_derivative_[:10].mean() > extender.pool_derivative_[10:].mean()
    kept, _ = DivaSampler(DivaOutlierDetector(featurizer=featurizer)).fit_resample(texts, Y)
    assert len(kept) < len(texts)


@pytest.mark.parametrize("featurizer", [None, "auto"])
def test_pipelines_and_searches(featurizer):
    model = make_pipeline(
        TfidfVectorizer(), DivaReweighter(LogisticRegression(), featurizer=featurizer)
    )
    search = GridSearchCV(model, {"divareweighter__estimator__C": [0.01, 10]}, n_jobs=2)
    search.fit(TEXTS, Y)
    assert search.score(TEXTS, TRUTH) > 0.95
    again = pickle.loads(pickle.dumps(search))
    np.testing.assert_array_equal(again.predict_proba(TEXTS), search.predict_proba(TEXTS))
    table = np.stack([TRUTH, RNG.integers(0, 9, len(Y))], axis=1)
    detector = make_pipeline(OneHotEncoder(), DivaOutlierDetector(featurizer=featurizer))
    scores = detector.fit(table, Y)[-1].outlier_scores_
    assert scores[:10].min() > scores[10:].max()


def test_regression_targets():
    y = X @ np.arange(40.0) + RNG.normal(size=len(X))
    expected = DivaReweighter(Ridge(), featurizer=None).fit(X, y)
    model = DivaReweighter(Ridge(), featurizer=None).fit(sparse.csr_array(X), y)
    np.testing.assert_allclose(model.sample_weight_, expected.sample_weight_, atol=1e-9)


def test_a_display_of_an_extension():
    losses = []
    for convert in (np.asarray, sparse.csr_array):
        rows = {"X": convert(X[:60]), "X_pool": convert(X[60:]), "y_pool": Y[60:]}
        extender = DivaExtender(featurizer=None).fit(y=Y[:60], **rows)
        display = ExtensionDisplay.from_estimator(extender, y=Y[:60], **rows, n_repeats=2)
        losses.append(display.random_loss)
    np.testing.assert_allclose(*losses, atol=1e-9)


def test_tags():
    for featurizer in (None, "auto"):
        assert get_tags(DivaOutlierDetector(featurizer=featurizer)).input_tags.sparse
        assert get_tags(DivaReweighter(Ridge(), featurizer=featurizer)).input_tags.sparse
        dense = HistGradientBoostingRegressor()
        assert not get_tags(DivaExtender(dense, featurizer=featurizer)).input_tags.sparse


MEMORY = """
import resource
import sys
import numpy as np
from scipy import sparse
from skdiva import DivaOutlierDetector

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 2**10

shape, featurizer = {shape}, {featurizer!r}
X = sparse.random_array(shape, density=0.01, rng=np.random.default_rng(0), format="csr")
y = np.arange(shape[0]) % 2
detector = DivaOutlierDetector(criterion="derivative", featurizer=featurizer, alpha=1.0)
detector.fit(X[:1000], y[:1000])  # libraries are loaded
before = peak()
detector.fit(X, y).score_labels(X, y)
print((peak() - before) / (8 * shape[0] * shape[1]))
"""


SHAPES = [((100_000, 300), None), ((20_000, 8000), "auto")]


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is reported in other units")
@pytest.mark.parametrize(
    ("shape", "featurizer"), [((100_000, 300), None), ((20_000, 8000), "auto")]
)
def test_rows_are_never_all_dense(shape, featurizer):
    """The additional memory of a fit is a part of what X would take as a dense array."""
    script = MEMORY.format(shape=shape, featurizer=featurizer)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 0.6
