"""Dataframes with strings and categories, read without a featurizer of one's own."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skdiva import DivaOutlierDetector, DivaReweighter
from tests.estimators.data import same_fit

KINDS = np.array(["low", "mid", "high"])


def drawn(n=150, wrong=12):
    """Numbers, the kind that decides the class together with them, labels and the truth."""
    draw = np.random.default_rng(0)
    numbers, kind = draw.normal(size=(n, 2)), draw.integers(3, size=n)
    truth = ((kind == 2) | ((kind == 1) & (numbers[:, 0] > 0))).astype(int)
    y = truth.copy()
    y[:wrong] = 1 - y[:wrong]
    return numbers, KINDS[kind], y, truth


def pandas_frame(numbers, kind):
    pd = pytest.importorskip("pandas")
    index = np.arange(len(kind)) + 1000
    columns = {"a": numbers[:, 0], "kind": pd.Categorical(kind, KINDS), "b": numbers[:, 1]}
    return pd.DataFrame(columns, index=index)


def polars_frame(numbers, kind):
    pl = pytest.importorskip("polars")
    return pl.DataFrame({"a": numbers[:, 0], "kind": kind, "b": numbers[:, 1]})


FRAMES = {"pandas": pandas_frame, "polars": polars_frame}


def reader():
    """What an inner estimator reads the frame with."""
    encode = make_column_transformer(
        (OneHotEncoder(), ["kind"]), (StandardScaler(), ["a", "b"]), sparse_threshold=0
    )
    return make_pipeline(encode, LogisticRegression())


@pytest.mark.parametrize("frame", FRAMES)
def test_a_detector_reads_categories(frame):
    numbers, kind, y, truth = drawn()
    X = FRAMES[frame](numbers, kind)
    detector = DivaOutlierDetector()
    flagged = detector.fit_predict(X, y) == -1
    assert flagged[:12].mean() > 0.7
    assert flagged[12:].mean() < 0.1
    # Without the column that says the most, wrong labels cannot be told from right ones.
    blind = DivaOutlierDetector().fit_predict(numbers, y) == -1
    assert blind[:12].mean() < flagged[:12].mean()
    assert_array_equal(detector.feature_names_in_, ["a", "kind", "b"])
    assert detector.transform(X) is X
    new = X[:30]
    right, wrong = (
        detector.score_labels(new, truth[:30]),
        detector.score_labels(new, 1 - truth[:30]),
    )
    assert np.median(right) < 0.2
    assert np.median(wrong) > 0.6
    assert detector.score(X, truth) > 0.9
    copy = pickle.loads(pickle.dumps(detector))
    assert_array_equal(copy.score_labels(X, y), detector.score_labels(X, y))


@pytest.mark.parametrize("frame", FRAMES)
def test_a_reweighter_hands_the_frame_to_the_inner_estimator(frame):
    numbers, kind, y, truth = drawn()
    X = FRAMES[frame](numbers, kind)
    weight = np.linspace(1, 2, 150)
    model = DivaReweighter(reader()).fit(X, y, weight, groups=np.arange(150) // 2)
    assert model.sample_weight_[:12].mean() < 0.5 < model.sample_weight_[12:].mean()
    name = "logisticregression__sample_weight"
    alone = clone(reader()).fit(X, y, **{name: model.sample_weight_})
    assert_array_equal(model.predict(X), alone.predict(X))
    assert_allclose(model.predict_proba(X), alone.predict_proba(X))
    assert model.score(X, truth) > 0.85


def test_both_libraries_give_the_same():
    numbers, kind, y, _ = drawn()
    same_fit(
        *(DivaReweighter(random_state=0).fit(make(numbers, np.sort(kind)), y)
          for make in (pandas_frame, polars_frame)),
        atol=1e-6,
    )  # fmt: skip


def test_the_order_of_the_columns_is_checked():
    numbers, kind, y, _ = drawn()
    X = pandas_frame(numbers, kind)
    detector = DivaOutlierDetector().fit(X, y)
    with pytest.raises(ValueError, match="feature names should match"):
        detector.score_labels(X[["kind", "a", "b"]], y)
    table = detector.label_issues()
    assert_array_equal(table.index, X.index)


def test_validation_rows_and_numbers():
    numbers, kind, _, _ = drawn()
    X = pandas_frame(numbers, kind)
    y = numbers[:, 0] + 3 * (kind == "mid")
    y[:5] += 20
    validation = {"X_val": X.iloc[50:], "y_val": y[50:]}
    encode = make_column_transformer(
        (OneHotEncoder(), ["kind"]), ("passthrough", ["a", "b"]), sparse_threshold=0
    )
    inner = make_pipeline(encode, Ridge())
    model = DivaReweighter(inner, learning_rate=0.5).fit(X, y, **validation)
    assert (model.derivative_[:5] > 0).all()
    assert model.sample_weight_[:5].mean() < model.sample_weight_[5:].mean()
    assert model.loo_loss_path_[-1] < model.loo_loss_
    assert model.predict(X.iloc[:7]).shape == (7,)
    detector = DivaOutlierDetector()
    assert (detector.fit_predict(X, y)[:5] == -1).all()
    assert (detector.outlier_scores_[5:] > 3).mean() < 0.1


def test_folds_of_a_frame():
    numbers, kind, y, _ = drawn()
    X = pandas_frame(numbers, kind)
    assert cross_val_score(DivaReweighter(reader()), X, y, cv=3, error_score="raise").min() > 0.6
    grid = {"contamination": ["auto", 0.1]}
    search = GridSearchCV(DivaOutlierDetector(), grid, cv=3, error_score="raise").fit(X, y)
    assert search.best_score_ > 0.6


@pytest.mark.parametrize("estimator", [DivaReweighter(), DivaOutlierDetector()])
def test_a_column_of_dates_is_refused(estimator):
    pd = pytest.importorskip("pandas")
    numbers, kind, y, _ = drawn()
    X = pandas_frame(numbers, kind).assign(day=pd.Timestamp("2020-01-01"))
    with pytest.raises(ValueError, match=r"got dtype datetime64.* in column 'day'"):
        clone(estimator).fit(X, y)
    with pytest.raises(ValueError, match="minimum of 2 is required"):
        clone(estimator).fit(X.drop(columns="day").iloc[:1], y[:1])
