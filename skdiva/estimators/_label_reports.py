"""Tables of label issues and corrected labels, from the results of a fitted detector."""

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import check_is_fitted

from skdiva.arrays import restore_index
from skdiva.estimators._label_scores import LabelScore, Probability, Residual
from skdiva.targets import ClassLabels, Target, encode_like


class LabelReports:
    """Methods of a detector that list, count and correct the flagged labels."""

    _target: Target
    _index: Any
    _label_score: LabelScore
    outlier_scores_: np.ndarray
    threshold_: float
    suggested_label_: np.ndarray
    derivative_: np.ndarray
    loo_predictions_: np.ndarray
    noise_matrix_: np.ndarray
    suggested_probability_: np.ndarray

    def label_issues(self, n: int | None = None, *, sort: bool = False) -> Any:
        """Return a table of the training rows, in input order or with the worst labels first.

        Parameters
        ----------
        n : int, default=None
            Number of rows with the highest scores to return, worst first; all rows if there are
            fewer. If None, all rows.
        sort : bool, default=False
            Whether rows with higher scores come first if ``n`` is None. Equal scores keep the input
            order.

        Returns
        -------
        pandas.DataFrame
            It has the index of the training data, if there is one, and the following columns.

            - is_label_issue : whether the label is flagged.
            - score : ``outlier_scores_``; higher is worse.
            - wrong_probability : probability that the label is wrong; only for
              ``criterion="probability"``. It is larger than the score of rows that are not flagged
              because of their class, see the notes of the class.
            - given_label : as in y.
            - suggested_label : ``suggested_label_``.
            - suggested_probability : ``suggested_probability_``; only for
              ``criterion="probability"``.
            - derivative : ``derivative_``; positive if the row is detrimental.
            - reason : the result behind the score, as text. "Other rows" are those that are not
              left out with the row.

            With several targets, the columns of labels are given_label_0, suggested_label_0,
            given_label_1, and so on.

        Raises
        ------
        ImportError
            If pandas is not installed.
        ValueError
            If ``n`` is not positive.
        """
        check_is_fitted(self)
        pd = _import_pandas("label_issues", "outlier_scores_ and suggested_label_")
        rows = self._rows_to_list(n, sort)
        columns = {
            "is_label_issue": self.outlier_scores_ > self.threshold_,
            "score": self.outlier_scores_,
        }
        has_probability = isinstance(self._label_score, Probability)
        if isinstance(self._label_score, Probability):
            columns["wrong_probability"] = self._label_score.wrong_probability
        given, suggested = self._target.given, self.suggested_label_
        if given.ndim == 1:
            columns |= {"given_label": given, "suggested_label": suggested}
        else:
            for i in range(given.shape[1]):
                columns[f"given_label_{i}"] = given[:, i]
                columns[f"suggested_label_{i}"] = suggested[:, i]
        if has_probability:
            columns["suggested_probability"] = self.suggested_probability_
        columns["derivative"] = self.derivative_
        index = restore_index(self._index, len(given))
        table = pd.DataFrame({name: values[rows] for name, values in columns.items()}, index[rows])
        return table.assign(reason=[self._reason(row) for row in rows])

    def label_summary(self) -> Any:
        """Return a table of the classes: how many labels are flagged, and what they are taken for.

        Returns
        -------
        pandas.DataFrame of n_classes rows
            Its index, named "given_label", is ``classes_``. It has the following columns.

            - n_rows : number of rows with this label.
            - n_flagged, flagged_share : number of them that are flagged, and their share.
            - noise_rate : estimated share of them that are labeled wrongly, from ``noise_matrix_``;
              only for ``criterion="probability"``.
            - confused_with : class that is suggested most often for flagged rows with this label;
              None if no other class is suggested for any of them.
            - n_confused : number of flagged rows for which it is suggested.

        Raises
        ------
        ImportError
            If pandas is not installed.
        ValueError
            If y holds regression targets.
        """
        check_is_fitted(self)
        labels = self._class_labels("label_summary", "label_issues() has the residual of every row")
        pd = _import_pandas("label_summary", "noise_matrix_ and suggested_label_")
        n, codes = labels.n_outputs, labels.codes
        suggested = self.loo_predictions_.argmax(axis=1)
        flagged = self.outlier_scores_ > self.threshold_
        pairs = np.zeros((n, n), dtype=np.int64)
        np.add.at(pairs, (codes[flagged], suggested[flagged]), 1)
        n_rows, n_flagged = np.bincount(codes, minlength=n), pairs.sum(axis=1)
        columns = {"n_rows": n_rows, "n_flagged": n_flagged, "flagged_share": n_flagged / n_rows}
        if hasattr(self, "noise_matrix_"):
            columns["noise_rate"] = 1 - np.diag(self.noise_matrix_)
        np.fill_diagonal(pairs, 0)
        names = labels.classes.astype(object)[pairs.argmax(axis=1)]
        columns["confused_with"] = np.where(pairs.any(axis=1), names, None)
        columns["n_confused"] = pairs.max(axis=1)
        return pd.DataFrame(columns, index=pd.Index(labels.classes, name="given_label"))

    def corrected_labels(self, y: Any, confidence: float = 0.9) -> Any:
        """Return a copy of the training labels, with suggested labels where they are probable.

        Whether it is better to replace labels, to drop their rows or to reduce their weights is
        measured in the user guide.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            The y that was passed to `fit`. It is not modified.
        confidence : float, default=0.9
            Labels are replaced by ``suggested_label_`` where its probability,
            ``suggested_probability_``, is at least this value, in [0.5, 1].

        Returns
        -------
        array-like of shape (n_samples,)
            Labels in a container of the type, dtype and index of y.

        Raises
        ------
        ValueError
            If y holds other labels than in `fit`, if there are no probabilities because of the
            criterion or because y holds regression targets, or if ``confidence`` is not in
            [0.5, 1].
        """
        check_is_fitted(self)
        labels = self._class_labels(
            "corrected_labels",
            "a predicted target is not a measurement. Drop the flagged rows, or measure again",
        )
        if not isinstance(self._label_score, Probability):
            raise ValueError(
                "corrected_labels expects probabilities, which only criterion='probability' "
                "gives. Fit with that criterion."
            )
        if (
            isinstance(confidence, bool)
            or not isinstance(confidence, Real)
            or not 0.5 <= confidence <= 1
        ):
            raise ValueError(f"confidence must be a number in [0.5, 1]; got {confidence!r}.")
        if not np.array_equal(encode_like(labels, y).codes, labels.codes):
            raise ValueError(
                "y must hold the labels that were passed to fit, in the same order; it differs from"
                " them. Pass the same y, or fit again."
            )
        # Every class has a row; taking its label keeps the container and the dtype of any y.
        _, first = np.unique(labels.codes, return_index=True)
        suggested = self.loo_predictions_.argmax(axis=1)
        replaced = (self.suggested_probability_ >= confidence) & (suggested != labels.codes)
        return _take(y, np.where(replaced, first[suggested], np.arange(len(labels.codes))))

    def _class_labels(self, method: str, remedy: str) -> ClassLabels:
        if not isinstance(self._target, ClassLabels):
            raise ValueError(f"{method} expects y with classes, got regression targets: {remedy}.")
        return self._target

    def _rows_to_list(self, n: int | None, sort: bool) -> np.ndarray:
        """Return the positions of the rows of the table."""
        if n is not None and (not isinstance(n, Integral) or isinstance(n, bool) or n < 1):
            raise ValueError(f"n must be a positive number of rows or None; got {n!r}.")
        if n is None and not sort:
            return np.arange(len(self.outlier_scores_))
        return np.argsort(-self.outlier_scores_, kind="stable")[:n]

    def _reason(self, row: int) -> str:
        """Return what the score of a row comes from, in words."""
        suggested = self.suggested_label_[row]
        if isinstance(self._label_score, Residual):
            size = f"{self.outlier_scores_[row]:.3g} robust standard deviations"
            if np.ndim(suggested):
                return f"{size} from the predictions of other rows (root mean square)"
            side = "above" if self._target.given[row] > suggested else "below"
            return f"{size} {side} {_shown(suggested)}, the prediction of other rows"
        predicted = f"other rows predict {_shown(suggested)}"
        if isinstance(self._label_score, Probability):
            probability = self.suggested_probability_[row]
            shown = f"{probability:.2f}" if probability < 0.995 else "above 0.99"
            return f"{predicted}, which is right with probability {shown}"
        effect = ["reduces", "does not change", "increases"][
            int(np.sign(self.derivative_[row])) + 1
        ]
        return f"more weight for this row {effect} the mean loss; {predicted}"


def _shown(label: Any) -> str:
    """Return a label or a prediction as text; floating-point numbers are rounded."""
    if isinstance(label, np.ndarray):
        return "[" + ", ".join(map(_shown, label)) + "]"
    if isinstance(label, np.floating):
        return f"{label:.4g}"
    return repr(label.item() if isinstance(label, np.generic) else label)


def _take(y: Any, positions: np.ndarray) -> Any:
    """Return some rows of y, in the container and with the index of y."""
    taken = _safe_indexing(y, positions)
    if hasattr(y, "iloc"):
        taken.index = y.index
    return tuple(taken) if isinstance(y, tuple) else taken


def _import_pandas(method: str, instead: str) -> Any:
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError(
            f"{method} returns a pandas.DataFrame, and pandas is not installed. Install it "
            f"(pip install pandas), or read {instead}."
        ) from error
    return pd
