"""Images, torch Datasets and DataLoaders: read by a JacobianFeaturizer, else advice is given."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch.utils.data import DataLoader, TensorDataset

from skdiva import DivaExtender, DivaOutlierDetector, DivaReweighter, DivaSampler
from skdiva.features import JacobianFeaturizer, KernelFeaturizer

IMAGES = np.random.default_rng(0).normal(size=(60, 1, 4, 4)).astype(np.float32)
Y = (IMAGES[:, 0, 0, 0] > 0).astype(int)
FLAT = IMAGES.reshape(60, 16)
DATASET = TensorDataset(torch.from_numpy(IMAGES), torch.from_numpy(Y))
LOADER = DataLoader(DATASET, batch_size=16)
NETWORK = torch.nn.Sequential(
    torch.nn.Flatten(), torch.nn.Linear(16, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2)
)
READERS = {
    "detector": DivaOutlierDetector(),
    "raw": DivaOutlierDetector(featurizer=None),
    "reweighter": DivaReweighter(),
    "sampler": DivaSampler(),
    "extender": DivaExtender(),
    "kernels": KernelFeaturizer(),
}


def by_network(estimator=DivaOutlierDetector):
    return estimator(featurizer=JacobianFeaturizer(NETWORK))


@pytest.mark.parametrize("X", [IMAGES, torch.from_numpy(IMAGES), IMAGES[:, 0]], ids=type)
@pytest.mark.parametrize("name", READERS)
def test_images_are_to_be_flattened_or_read_by_a_network(name, X):
    wanted = rf"dim {X.ndim} and shape \(60, .*Flatten the rows.*featurizer=JacobianFeaturizer"
    with pytest.raises(ValueError, match=wanted):
        READERS[name].fit(X, Y)


def test_images_of_new_rows():
    detector = DivaOutlierDetector().fit(FLAT, Y)
    with pytest.raises(ValueError, match=r"Flatten the rows, X.reshape\(len\(X\), -1\)"):
        detector.score_labels(IMAGES, Y)
    with pytest.raises(ValueError, match=r"X_val must hold rows like those of X.*Flatten"):
        DivaOutlierDetector().fit(FLAT, Y, X_val=IMAGES, y_val=Y)


@pytest.mark.parametrize("name", READERS)
def test_a_dataset_is_read_by_a_network_only(name):
    wanted = r"got the torch Dataset TensorDataset\. Pass its rows as an array, or use a Jacobian"
    with pytest.raises(TypeError, match=wanted):
        READERS[name].fit(DATASET, Y)


@pytest.mark.parametrize("estimator", [*READERS.values(), by_network(), by_network(DivaReweighter)])
@pytest.mark.parametrize("shuffle", [False, True])
def test_the_rows_of_a_data_loader_are_not_counted(estimator, shuffle):
    wanted = r"got a DataLoader, whose entries are batches\. Pass its data set, X=loader\.dataset"
    with pytest.raises(TypeError, match=wanted):
        estimator.fit(DataLoader(DATASET, batch_size=16, shuffle=shuffle), Y)
    assert not hasattr(estimator, "n_features_in_")


def test_a_data_loader_of_other_rows():
    with pytest.raises(TypeError, match="got a DataLoader"):
        by_network().fit(IMAGES, Y, X_val=LOADER, y_val=Y)
    with pytest.raises(TypeError, match="got a DataLoader"):
        by_network().fit(IMAGES, Y).score_labels(LOADER, Y)


def test_the_advice_works():
    expected = by_network().fit(IMAGES, Y)
    from_dataset = by_network().fit(LOADER.dataset, Y)
    features = JacobianFeaturizer(NETWORK).fit_transform(LOADER)
    from_features = DivaOutlierDetector(featurizer=None).fit(features, Y)
    for detector in (from_dataset, from_features):
        assert_allclose(detector.outlier_scores_, expected.outlier_scores_, rtol=1e-4, atol=1e-6)
    scores = from_dataset.score_labels(LOADER.dataset, Y)
    assert_allclose(scores, expected.score_labels(IMAGES, Y), rtol=1e-4, atol=1e-6)
    DivaOutlierDetector().fit(IMAGES.reshape(len(IMAGES), -1), Y)


def test_a_lazy_frame():
    polars = pytest.importorskip("polars")
    with pytest.raises(TypeError, match=r"got a LazyFrame. Pass X.collect\(\)"):
        DivaOutlierDetector().fit(polars.DataFrame(np.ones((6, 2))).lazy(), [0, 1] * 3)
