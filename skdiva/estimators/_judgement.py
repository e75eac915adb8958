"""What a fitted detector says: a table of its training labels, and scores of new labelled rows."""

import numpy as np
from sklearn.metrics import r2_score
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted

from skdiva.arrays import to_host
from skdiva.estimators._feature_maps import MappedRows
from skdiva.estimators._inputs import check_X
from skdiva.estimators._targets import read_labels


class JudgementMixin:
    """Methods of a fitted detector of wrong labels."""

    def label_issues(self):
        """Return a table of all training rows, in input order.

        Returns
        -------
        pandas.DataFrame of n_samples rows
            With the index of the training data if they had one, and the columns is_label_issue
            (bool), score (higher is worse), given_label, suggested_label and derivative (positive:
            detrimental). Several targets: given_label_0, suggested_label_0, given_label_1, ...

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        check_is_fitted(self)
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError(
                "label_issues returns a pandas.DataFrame, and pandas is not installed. Install it "
                "(pip install pandas), or read outlier_scores_ and suggested_label_."
            ) from error
        columns = {
            "is_label_issue": self.outlier_scores_ > self.threshold_,
            "score": self.outlier_scores_,
        }
        given, suggested = self._target.given, self.suggested_label_
        if given.ndim == 1:
            columns |= {"given_label": given, "suggested_label": suggested}
        else:
            for i in range(given.shape[1]):
                columns[f"given_label_{i}"] = given[:, i]
                columns[f"suggested_label_{i}"] = suggested[:, i]
        columns["derivative"] = self.derivative_
        return pd.DataFrame(columns, index=self._index)

    def score_labels(self, X, y):
        """Score the labels of new rows, in the sign and unit of ``outlier_scores_``.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            New rows.
        y : array-like of shape (n_rows,) or (n_rows, n_targets)
            Their labels, out of ``classes_``, or their targets.

        Returns
        -------
        ndarray of shape (n_rows,)
            Suspicious where above ``threshold_``. "probability": by the ridge with
            ``sample_weight_``; "derivative": with respect to the weight of a new row, at weight
            zero; "residual": of the ridge with the start weights, in the same standard deviations.
            A training row of weight zero would get the score that it has, with "residual" up to
            its leverage.

        Raises
        ------
        ValueError
            If X or y is not as in `fit`.
        """
        check_is_fitted(self)
        rows = self._read_rows(X)
        target = self._target.encode(y)
        check_consistent_length(rows.X, target.given)
        return self._label_score.score(rows, target)

    def score(self, X, y, sample_weight=None):
        """Return the score of a ridge trained on the inliers, so that a search can tune.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Test rows.
        y : array-like of shape (n_rows,) or (n_rows, n_targets)
            Their labels or targets.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of the rows in the score.

        Returns
        -------
        float
            Accuracy for classes, R^2 for targets.
        """
        check_is_fitted(self)
        weight = to_host(sample_weight)
        if not hasattr(self, "classes_"):
            given = self._target.encode(y).given
            return r2_score(given, self._predict(X), sample_weight=weight)
        # A label that was never seen is a wrong prediction, as for any classifier.
        given, predicted = read_labels(y), self._predict(X)
        check_consistent_length(predicted, given)
        return float(np.average(given == predicted, weights=weight))

    def _predict(self, X):
        predictions = self._read_rows(X).linear_outputs(self.coef_, self.intercept_)
        return self._target.decode(predictions)

    def _read_rows(self, X):
        feature_map = self._feature_map
        X = check_X(self, X, numeric=feature_map.reads_numbers, reset=False)
        return MappedRows(feature_map, X, self._target.n_outputs)
