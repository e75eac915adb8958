"""Tables of label issues, the summary by class, and corrected labels."""

import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError

from skdiva import DivaOutlierDetector
from skdiva.loo import TransitionNoise
from tests.estimators.data import classes, numbers

NAMES = np.array(["ant", "bee", "cat"])
WITH_PROBABILITY = [
    "is_label_issue", "score", "wrong_probability", "given_label", "suggested_label",
    "suggested_probability", "derivative", "reason",
]  # fmt: skip
WITHOUT = [name for name in WITH_PROBABILITY if not name.endswith("probability")]


@pytest.fixture(scope="module")
def named():
    """A detector fitted to named classes, of which 20 labels are wrong, and its data."""
    X, y, truth = classes(200, wrong=20)
    return DivaOutlierDetector().fit(X, NAMES[y]), X, NAMES[y], NAMES[truth]


def test_all_rows_in_input_order():
    X, y, _ = classes()
    frame = pd.DataFrame(X, index=pd.Index(range(1000, 1080), name="id")).add_prefix("x")
    detector = DivaOutlierDetector().fit(frame, NAMES[y])
    table = detector.label_issues()
    assert list(table.columns) == WITH_PROBABILITY
    pd.testing.assert_index_equal(table.index, frame.index, exact=True)
    assert_array_equal(table["given_label"], NAMES[y])
    assert_array_equal(table["suggested_label"], detector.suggested_label_)
    assert_array_equal(table["is_label_issue"], detector.fit_predict(frame, NAMES[y]) == -1)
    assert table["is_label_issue"].dtype == bool
    for column in ("score", "wrong_probability"):
        assert_array_equal(table[column], detector.outlier_scores_)


def test_worst_rows_first(named):
    detector = named[0]
    table, ranked = detector.label_issues(), detector.label_issues(sort=True)
    expected = table.sort_values("score", ascending=False, kind="stable")
    pd.testing.assert_frame_equal(ranked, expected)
    pd.testing.assert_frame_equal(detector.label_issues(7), expected.head(7))
    pd.testing.assert_frame_equal(detector.label_issues(n=np.int64(500)), expected)


def test_equal_scores_keep_the_input_order():
    X, y, _ = classes()
    detector = DivaOutlierDetector().fit(X, y)
    detector.outlier_scores_ = detector.outlier_scores_.round(1)
    ranked = detector.label_issues(sort=True)
    assert ranked["score"].duplicated().any()
    expected = sorted(range(80), key=lambda row: (-detector.outlier_scores_[row], row))
    assert_array_equal(ranked.index, expected)


def test_the_index_of_y_and_several_targets():
    X, y = numbers(targets=2)
    index = [f"r{i}" for i in range(60)]
    detector = DivaOutlierDetector().fit(X, pd.DataFrame(y, index=index))
    table = detector.label_issues()
    assert list(table.index) == index
    assert_allclose(table["given_label_1"], y[:, 1])
    assert "suggested_label_0" in table
    assert set(detector.label_issues(3).index) == {"r0", "r1", "r2"}
    assert "root mean square" in table["reason"].iloc[0]


@pytest.mark.parametrize("n", [0, -1, 2.0, True, "all"])
def test_n_is_a_positive_number(named, n):
    with pytest.raises(ValueError, match=r"n must be a positive number of rows or None; got"):
        named[0].label_issues(n)


def test_the_probability_of_the_suggested_label(named):
    """By a noise model fitted to the same outputs."""
    detector, _, y, _ = named
    labels = torch.from_numpy(np.searchsorted(NAMES, y))
    outputs = torch.from_numpy(detector.loo_predictions_)
    posterior = TransitionNoise().fit(outputs, labels).class_probabilities(outputs, labels)
    column = posterior.numpy()[np.arange(200), detector.loo_predictions_.argmax(axis=1)]
    assert_allclose(detector.suggested_probability_, column)
    same = detector.suggested_label_ == y
    total = detector.suggested_probability_ + detector.outlier_scores_
    assert_allclose(total[same], 1)
    assert (total[~same] <= 2).all()
    assert (detector.suggested_probability_[~same] <= detector.outlier_scores_[~same] + 1e-12).all()


def test_reasons_with_probabilities(named):
    table = named[0].label_issues()
    row = table.iloc[0]
    shown = f"{row['suggested_probability']:.2f}"
    expected = f"other rows predict {row['suggested_label']!r}, which is right with probability "
    assert row["reason"] in (expected + shown, expected + "above 0.99")
    sure = table["suggested_probability"] >= 0.995
    assert sure.any()
    assert table["reason"].str.endswith("above 0.99").tolist() == sure.tolist()


def test_reasons_of_the_derivative():
    X, y, _ = classes()
    table = DivaOutlierDetector(criterion="derivative").fit(X, y).label_issues()
    assert list(table.columns) == WITHOUT
    worse = table["reason"].str.startswith("more weight for this row increases the mean loss;")
    assert_array_equal(worse, table["derivative"] > 0)
    better = table["reason"].str.startswith("more weight for this row reduces the mean loss;")
    assert_array_equal(better, table["derivative"] < 0)
    suggested = table["suggested_label"].map("other rows predict {}".format)
    assert all(reason.endswith(end) for reason, end in zip(table["reason"], suggested, strict=True))


def test_reasons_of_residuals():
    X, y = numbers()
    detector = DivaOutlierDetector().fit(X, y)
    table = detector.label_issues(3)
    assert list(table.columns) == WITHOUT
    for (row, reason), score in zip(table["reason"].items(), table["score"], strict=True):
        side = "above" if y[row] > detector.suggested_label_[row] else "below"
        predicted = f"{detector.suggested_label_[row]:.4g}"
        assert reason == (
            f"{score:.3g} robust standard deviations {side} {predicted}, the prediction of other "
            "rows"
        )


def test_summary_by_class(named):
    detector = named[0]
    table, issues = detector.label_summary(), detector.label_issues()
    assert table.index.name == "given_label"
    assert_array_equal(table.index, NAMES)
    by_class = issues.groupby("given_label")["is_label_issue"]
    assert_array_equal(table["n_rows"], by_class.size())
    assert_array_equal(table["n_flagged"], by_class.sum())
    assert_allclose(table["flagged_share"], by_class.mean())
    assert_allclose(table["noise_rate"], issues.groupby("given_label")["wrong_probability"].mean())
    flagged = issues[issues["is_label_issue"]]
    flagged = flagged[flagged["given_label"] != flagged["suggested_label"]]
    for name in NAMES:
        counts = flagged.loc[flagged["given_label"] == name, "suggested_label"].value_counts()
        assert table.loc[name, "n_confused"] == counts.max()
        assert counts[table.loc[name, "confused_with"]] == counts.max()
    confused = {"ant": "bee", "bee": "cat", "cat": "ant"}  # as the wrong labels were made
    assert {b: a for a, b in table["confused_with"].items()} == confused


def test_summary_of_labels_that_nobody_confuses():
    X = np.repeat([[0.0], [1.0]], 20, axis=0)
    table = DivaOutlierDetector(criterion="derivative").fit(X, X[:, 0].astype(int)).label_summary()
    assert "noise_rate" not in table
    assert table["confused_with"].tolist() == [None, None]
    assert table["n_confused"].tolist() == [0, 0]


@pytest.mark.parametrize("confidence", [0.5, 0.8, 1.0])
def test_probable_suggestions_replace_labels(named, confidence):
    detector, _, y, truth = named
    before = y.copy()
    corrected = detector.corrected_labels(y, confidence)
    sure = detector.suggested_probability_ >= confidence
    assert_array_equal(corrected, np.where(sure, detector.suggested_label_, y))
    assert_array_equal(y, before)
    if confidence == 0.5:
        assert (corrected != truth).sum() < 4 < (y != truth).sum()


CONTAINERS = {
    "list": lambda y: y.tolist(),
    "tuple": lambda y: tuple(y.tolist()),
    "objects": lambda y: y.astype(object),
    "categories": lambda y: pd.Series(y, dtype="category", index=np.arange(200) + 7, name="label"),
    "strings": lambda y: pd.Series(y, dtype="string"),
    "polars": lambda y: pl.Series("label", y),
    "polars categories": lambda y: pl.Series(y, dtype=pl.Enum(NAMES)),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_corrected_labels_keep_their_container(named, name):
    detector, _, y, _ = named
    given = CONTAINERS[name](y)
    corrected = detector.corrected_labels(given, 0.5)
    assert type(corrected) is type(given)
    assert getattr(corrected, "dtype", None) == getattr(given, "dtype", None)
    assert getattr(corrected, "name", None) == getattr(given, "name", None)
    if hasattr(given, "index") and hasattr(given, "iloc"):
        pd.testing.assert_index_equal(corrected.index, given.index, exact=True)
    assert_array_equal(np.asarray(corrected), detector.corrected_labels(y, 0.5))
    assert list(corrected) != list(given)


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64, torch.uint8])
def test_corrected_labels_of_tensors(dtype):
    X, y, _ = classes(200, wrong=20)
    given = torch.from_numpy(y).to(dtype)
    detector = DivaOutlierDetector().fit(torch.from_numpy(X), given)
    corrected = detector.corrected_labels(given, 0.5)
    assert corrected.dtype == dtype
    assert_array_equal(corrected.numpy(), DivaOutlierDetector().fit(X, y).corrected_labels(y, 0.5))


@pytest.mark.parametrize("confidence", [0.49, 1.01, np.nan, "high", None, True])
def test_confidence_is_a_probability(named, confidence):
    with pytest.raises(ValueError, match=r"confidence must be a number in \[0.5, 1\]; got"):
        named[0].corrected_labels(named[2], confidence)


def test_other_labels_are_not_corrected(named):
    detector, _, y, truth = named
    with pytest.raises(ValueError, match="y must hold the labels that were passed to fit"):
        detector.corrected_labels(truth)
    with pytest.raises(ValueError, match="y must hold the labels that were passed to fit"):
        detector.corrected_labels(y[:-1])
    with pytest.raises(ValueError, match="labels that the training y does not"):
        detector.corrected_labels(np.where(y == "ant", "asp", y))


def test_numbers_and_derivatives_have_no_corrected_labels():
    X, y = numbers()
    detector = DivaOutlierDetector().fit(X, y)
    with pytest.raises(ValueError, match=r"corrected_labels expects y with classes.*Drop the flag"):
        detector.corrected_labels(y)
    with pytest.raises(ValueError, match=r"label_summary expects y with classes.*label_issues"):
        detector.label_summary()
    X, y, _ = classes()
    detector = DivaOutlierDetector(criterion="derivative").fit(X, y)
    with pytest.raises(ValueError, match="only criterion='probability' gives"):
        detector.corrected_labels(y)


def test_reports_of_an_unfitted_detector():
    for report in ("label_issues", "label_summary"):
        with pytest.raises(NotFittedError):
            getattr(DivaOutlierDetector(), report)()
    with pytest.raises(NotFittedError):
        DivaOutlierDetector().corrected_labels([0, 1])


def test_tables_without_pandas(named, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    for report in (named[0].label_issues, named[0].label_summary):
        with pytest.raises(ImportError, match=r"pip install pandas\), or read"):
            report()
