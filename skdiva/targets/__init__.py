"""Classes and numbers in y: the rule that tells them apart, and their encoding.

`read_target` is the one place that decides, for the estimators and for `KernelFeaturizer`.
Importing the package does not load torch.
"""

from skdiva.targets._numbers import RegressionTargets
from skdiva.targets._reading import (
    ClassLabels,
    encode_like,
    holds_classes,
    read_codes,
    read_labels,
    read_target,
    read_values,
    refuse_missing,
)
from skdiva.targets._target import TASK_CONSTRAINT, Target, TaskMixin, set_task

__all__ = [
    "TASK_CONSTRAINT",
    "ClassLabels",
    "RegressionTargets",
    "Target",
    "TaskMixin",
    "encode_like",
    "holds_classes",
    "read_codes",
    "read_labels",
    "read_target",
    "read_values",
    "refuse_missing",
    "set_task",
]
