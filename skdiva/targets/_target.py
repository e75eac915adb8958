"""Interface of a validated y, and the parameter that says what y holds."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils._param_validation import StrOptions

TASK_CONSTRAINT = [StrOptions({"auto", "classification", "regression"})]


class Target(ABC):
    """Validated y: the target of every row."""

    task: ClassVar[str]  # "classification" or "regression"

    @property
    @abstractmethod
    def n_outputs(self) -> int:
        """Number of outputs of the ridge model."""

    @property
    @abstractmethod
    def given(self) -> np.ndarray:
        """The labels or targets as in y, of shape (n,) or (n, k)."""

    @property
    @abstractmethod
    def dense(self) -> np.ndarray:
        """Numbers that the ridge model is fitted to, of shape (n, k)."""

    @abstractmethod
    def select(self, rows: Any) -> Self:
        """Return the targets of some rows, given as a slice or as positions."""

    @abstractmethod
    def append(self, other: Self) -> Self:
        """Return these targets followed by others that were encoded like them."""

    @abstractmethod
    def encode(self, values: np.ndarray, name: str) -> Self:
        """Encode labels or targets that were not seen in `fit`, given by `read_values`."""

    @abstractmethod
    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """Return what outputs (n, k) predict, in the form of y."""

    @abstractmethod
    def to_core(self, compute: Any, initial_outputs: Any = None) -> Any:
        """Return the targets as tensors, for the core.

        Parameters
        ----------
        compute : Compute
        initial_outputs : array or tensor of shape (n, k) or None

        Returns
        -------
        skdiva.loo.ClassTargets or skdiva.loo.ValueTargets
        """


class TaskMixin:
    """Mixin of estimators and featurizers with the parameter ``task``, which says what y holds."""

    task: str


def set_task(estimator: Any, task: str) -> None:
    """Tell an estimator, and the estimators that it holds, what y holds.

    Parameters
    ----------
    estimator : estimator
        Its ``task``, and that of every estimator in it, such as the steps of a Pipeline, is set if
        it is "auto".
    task : {"classification", "regression"}

    Raises
    ------
    ValueError
        If ``task`` of one of them is the other.
    """
    for part in (estimator, *estimator.get_params().values()):
        if not isinstance(part, TaskMixin):
            continue
        if part.task not in ("auto", task):
            raise ValueError(
                f"y is read for {task}, but {type(part).__name__} has task={part.task!r}. Pass the "
                "same task to both, or leave one at 'auto'."
            )
        part.task = task
