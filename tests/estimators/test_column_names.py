"""Names of columns, which are matched by position, and places named in error messages."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from skdiva import DivaExtender, DivaOutlierDetector, DivaReweighter

pd = pytest.importorskip("pandas")

N = 80
DRAW = np.random.default_rng(0)
A = DRAW.normal(size=N)
WORDS = np.array(list("pqrs"), dtype=object)[DRAW.integers(4, size=N)]
WORDS[::9] = None
Y = ((WORDS == "q") + A > 0.3).astype(int)
FRAME = pd.DataFrame({"word": pd.Series(WORDS, dtype=object), "a": A})
NAMES = {
    "positions": [0, 1],
    "positions reversed": [1, 0],
    "a column is missing": [1, 2],
    "duplicates": ["x", "x"],
    "tuples": [("u", 1), ("v", 2)],
    "floats": [0.5, 1.5],
    "MultiIndex": pd.MultiIndex.from_tuples([("u", "word"), ("v", "a")]),
    "timestamps": pd.date_range("2020", periods=2),
}


def renamed(names):
    return FRAME.set_axis(names, axis=1)


@pytest.mark.parametrize("kind", NAMES)
def test_names_do_not_matter(kind):
    X, expected = renamed(NAMES[kind]), DivaOutlierDetector().fit(FRAME, Y)
    detector = DivaOutlierDetector().fit(X, Y)
    assert_allclose(detector.outlier_scores_, expected.outlier_scores_, atol=1e-12)
    assert_allclose(detector.score_labels(X[:9], Y[:9]), expected.score_labels(FRAME[:9], Y[:9]))
    weights = [DivaReweighter().fit(part, Y).sample_weight_ for part in (X, FRAME)]
    assert_allclose(*weights)
    ranks = [
        DivaExtender().fit(part[:40], Y[:40], X_pool=part[40:], y_pool=Y[40:]).ranking_
        for part in (X, FRAME)
    ]
    assert_array_equal(*ranks)


def test_names_that_are_not_all_strings_do_not_count():
    X = renamed([0, 1])
    detector = DivaOutlierDetector().fit(X, Y)
    assert not hasattr(detector, "feature_names_in_")
    assert_allclose(
        detector.score_labels(renamed([1, 0]), Y), detector.score_labels(X, Y), atol=1e-12
    )
    pool = renamed([1, 0])[40:].astype({0: float})
    extender = DivaExtender().fit(X[:40], Y[:40], X_pool=pool, y_pool=Y[40:])
    same = DivaExtender().fit(X[:40], Y[:40], X_pool=X[40:], y_pool=Y[40:])
    assert_array_equal(extender.ranking_, same.ranking_)


def test_strings_in_another_order_are_refused():
    detector = DivaOutlierDetector().fit(FRAME, Y)
    with pytest.raises(ValueError, match="feature names should match"):
        detector.score_labels(FRAME[["a", "word"]], Y)
    with pytest.raises(TypeError, match="string names"):
        detector.fit(renamed(["word", 1]), Y)


@pytest.mark.parametrize("value", [np.inf, -np.inf])
@pytest.mark.parametrize("featurizer", ["auto", None])
def test_an_infinite_value_is_named(value, featurizer):
    X = DRAW.normal(size=(N, 3))
    detector = DivaOutlierDetector(featurizer=featurizer).fit(X, Y)
    X[17, 2] = value
    place = rf"Input X contains infinity.*, got {value} in column 2, row 17\."
    for given in (X, X.tolist(), X.astype(object), np.asfortranarray(X), X.astype("float32")):
        with pytest.raises(ValueError, match=place):
            DivaOutlierDetector(featurizer=featurizer).fit(given, Y)
    with pytest.raises(ValueError, match=place):
        detector.score_labels(X, Y)
    frame = pd.DataFrame(X, columns=list("abc"))
    place = rf"got {value} in column 'c' \(position 2\), row 17\. Correct it"
    for given in (frame, frame.astype({"a": "Float64"})):
        with pytest.raises(ValueError, match=place):
            DivaOutlierDetector(featurizer=featurizer).fit(given, Y)
    with pytest.raises(ValueError, match=place):
        DivaOutlierDetector().fit(frame.assign(word=WORDS), Y)
    encoder = DivaOutlierDetector().fit(frame.assign(c=1.0, word=WORDS), Y)
    with pytest.raises(ValueError, match=place):
        encoder.score_labels(frame.assign(word=WORDS), Y)


def test_a_missing_value_is_named_where_it_is_refused():
    X = pd.DataFrame(DRAW.normal(size=(N, 2)), columns=["a", "b"]).astype({"b": "Float64"})
    X.loc[3, "b"] = pd.NA
    with pytest.raises(ValueError, match=r"contains NaN.* got nan in column 'b' .*, row 3\. Fill"):
        DivaOutlierDetector(featurizer=None).fit(X, Y)


def test_the_inner_estimator_sees_missing_values():
    X = DRAW.normal(size=(N, 2))
    X[::5, 1] = np.nan
    model = DivaReweighter(HistGradientBoostingClassifier()).fit(X, Y)
    alone = HistGradientBoostingClassifier().fit(X, Y, sample_weight=model.sample_weight_)
    assert_allclose(model.predict_proba(X), alone.predict_proba(X))
    assert model.__sklearn_tags__().input_tags.allow_nan
    refuses = DivaReweighter(LogisticRegression())
    assert not refuses.__sklearn_tags__().input_tags.allow_nan
    with pytest.raises(ValueError, match="LogisticRegression does not accept missing values"):
        refuses.fit(X, Y)
