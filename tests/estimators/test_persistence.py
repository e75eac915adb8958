"""Saving fitted estimators with skops: no types are needed but those of the libraries."""

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skdiva import DivaExtender, DivaOutlierDetector, DivaReweighter, DivaSampler
from skdiva.features import KernelFeaturizer
from tests.estimators.data import classes, numbers, same_fit

sio = pytest.importorskip("skops.io")

X, CODES, _ = classes()
Y = np.array(["ant", "bee", "cat"])[CODES]
X_NUMBERS, NUMBERS = numbers(80)
TABLE = pd.DataFrame(
    {"size": X[:, 0], "kind": np.array(["u", "v"])[(X[:, 1] > 0).astype(int)]},
    index=pd.MultiIndex.from_product([range(20), pd.to_datetime(["2020"] * 4, utc=True)]),
).assign(grade=lambda frame: frame["kind"].astype("category").cat.as_ordered())
ENCODED = ColumnTransformer(
    [("size", StandardScaler(), ["size"]), ("kind", OneHotEncoder(), ["kind"])]
)
VALIDATION = {"X_val": X[:20], "y_val": Y[:20]}
SOURCES = {"sources": np.arange(80) % 4, "groups": np.arange(80) // 2}
POOL = {"X_pool": X[40:], "y_pool": Y[40:]}
CRITERIA = ("probability", "derivative", "residual")


def reloaded(estimator):
    """The estimator after a dump and a load that trust this library, and what they trusted."""
    data = sio.dumps(estimator)
    types = sio.get_untrusted_types(data=data)
    assert all(name.startswith("skdiva.") for name in types)
    return sio.loads(data, trusted=types)


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("given", [{}, VALIDATION, SOURCES], ids=["", "validation", "sources"])
@pytest.mark.parametrize("featurizer", ["auto", None], ids=str)
def test_detectors(criterion, given, featurizer):
    rows, y = (X_NUMBERS, NUMBERS) if criterion == "residual" else (X, Y)
    if criterion == "residual" and given is VALIDATION:
        given = {"X_val": rows[:20], "y_val": y[:20]}
    detector = DivaOutlierDetector(criterion=criterion, featurizer=featurizer)
    copy = reloaded(detector.fit(rows, y, **given))
    same_fit(copy, detector, atol=0)
    assert_array_equal(copy.score_labels(rows, y), detector.score_labels(rows, y))
    assert copy.score(rows, y) == detector.score(rows, y)
    pd.testing.assert_frame_equal(copy.label_issues(), detector.label_issues())
    if criterion == "probability":
        assert_array_equal(copy.corrected_labels(y, 0.5), detector.corrected_labels(y, 0.5))


@pytest.mark.parametrize("featurizer", ["auto", ENCODED], ids=["auto", "transformer"])
@pytest.mark.parametrize("criterion", CRITERIA)
def test_detectors_of_tables(criterion, featurizer):
    y = NUMBERS if criterion == "residual" else Y
    detector = DivaOutlierDetector(criterion=criterion, featurizer=featurizer).fit(TABLE, y)
    copy = reloaded(detector)
    assert_array_equal(copy.score_labels(TABLE, y), detector.score_labels(TABLE, y))
    pd.testing.assert_frame_equal(copy.label_issues(), detector.label_issues())
    pd.testing.assert_index_equal(copy.label_issues().index, TABLE.index, exact="equiv")


LABELS = {
    "objects": Y.astype(object),
    "booleans": CODES > 0,
    "categories": pd.Series(Y, dtype="category"),
    "strings": pd.Series(Y, dtype="string"),
    "tensor": torch.from_numpy(CODES),
}


@pytest.mark.parametrize("name", LABELS)
def test_detectors_of_any_labels(name):
    detector = DivaOutlierDetector().fit(X, LABELS[name])
    copy = reloaded(detector)
    assert_array_equal(copy.suggested_label_, detector.suggested_label_)
    assert_array_equal(copy.score_labels(X, LABELS[name]), detector.score_labels(X, LABELS[name]))


REWEIGHTERS = {
    "default": (DivaReweighter(LogisticRegression()), (X, Y), {}),
    "pipeline": (DivaReweighter(make_pipeline(StandardScaler(), LogisticRegression())), (X, Y), {}),
    "table": (DivaReweighter(make_pipeline(ENCODED, LogisticRegression())), (TABLE, Y), {}),
    "regression": (DivaReweighter(Ridge()), (X_NUMBERS, NUMBERS), {}),
    "validation": (DivaReweighter(LogisticRegression()), (X, Y), VALIDATION),
    "sources": (DivaReweighter(LogisticRegression()), (X, Y), SOURCES),
}


@pytest.mark.parametrize("name", REWEIGHTERS)
def test_reweighters(name):
    model, data, given = REWEIGHTERS[name]
    copy = reloaded(model.fit(*data, **given))
    assert_array_equal(copy.sample_weight_, model.sample_weight_)
    assert_array_equal(copy.predict(data[0]), model.predict(data[0]))


@pytest.mark.parametrize("rows", [X, TABLE], ids=["array", "table"])
def test_samplers(rows):
    sampler = DivaSampler()
    chosen = sampler.fit_resample(rows, Y)[0]
    copy = reloaded(sampler)
    assert_array_equal(copy.sample_indices_, sampler.sample_indices_)
    assert len(copy.fit_resample(rows, Y)[0]) == len(chosen)


def test_extenders():
    extender = DivaExtender(LogisticRegression(), n_samples_to_select=5)
    copy = reloaded(extender.fit(X[:40], Y[:40], **POOL))
    assert_array_equal(copy.predict(X), extender.predict(X))
    for name in ("derivative_", "sample_indices_"):
        if hasattr(extender, name):
            assert_array_equal(getattr(copy, name), getattr(extender, name))


@pytest.mark.parametrize("rows", [X, TABLE], ids=["array", "table"])
def test_kernel_featurizers(rows):
    featurizer = KernelFeaturizer().fit(rows, Y)
    copy = reloaded(featurizer)
    assert_array_equal(copy.transform(rows), featurizer.transform(rows))
    assert copy.loo_results_ == featurizer.loo_results_
    assert len(pd.DataFrame(copy.loo_results_)) == 8
