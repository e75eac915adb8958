"""Test errors of models that are trained with weights."""

import numpy as np
from sklearn.base import clone


def errors_of(model, weights, X, y, X_test, y_test):
    """Test errors of one model for every method's weights; equal weights are fitted once."""
    last = model.steps[-1][0] + "__" if hasattr(model, "steps") else ""
    known, errors = {}, {}
    for method, weight in weights.items():
        key = weight.tobytes()
        if key not in known:
            rows = np.flatnonzero(weight)
            fitted = clone(model).fit(X[rows], y[rows], **{f"{last}sample_weight": weight[rows]})
            known[key] = 1 - fitted.score(X_test, y_test)
        errors[method] = known[key]
    return errors
