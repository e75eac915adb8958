"""Good arguments of `fit`, and checks that bad ones are refused."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from tests.estimators.data import classes

N = 40
X, Y, _ = classes(N)
ONES = np.ones(N)


def spoiled(array, value):
    """Copy of an array, as floats, with another value at its fourth position."""
    array = np.array(array, dtype=float)
    array.flat[3] = value
    return array


def with_object(value):
    """X as objects, with another one in row 1, column 2."""
    objects = X.astype(object)
    objects[1, 2] = value
    return objects


def masked(array, row=5):
    """A masked array, one row (or, in two dimensions, one of its entries) of which is masked."""
    mask = np.zeros(np.shape(array), dtype=bool)
    mask[(row, 1) if mask.ndim == 2 else row] = True
    return np.ma.array(array, mask=mask)


def fails(estimator, arguments, error, message):
    """Assert that `fit` refuses an argument, and leaves the estimator as it was."""
    state = dict(vars(estimator))
    with pytest.raises(error, match=message):
        estimator.fit(**{"X": X, "y": Y, **arguments})
    assert vars(estimator) == state
    with pytest.raises(NotFittedError):
        estimator.transform(X)
