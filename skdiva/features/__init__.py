"""Features for the estimators: from X to the rows of the ridge model.

`KernelFeaturizer` chooses between standardized columns and kernel features. `JacobianFeaturizer`
computes activations or Jacobians of a torch network. Importing the package loads neither torch nor
scikit-learn; the names are loaded on first use.
"""

from typing import TYPE_CHECKING

from skdiva._lazy import lazy_names

if TYPE_CHECKING:
    from skdiva.features._columns import check_names as check_names
    from skdiva.features._columns import check_numbers as check_numbers
    from skdiva.features._columns import plain_numbers as plain_numbers
    from skdiva.features._jacobian import JacobianFeaturizer
    from skdiva.features._kernel import KernelFeaturizer
    from skdiva.features._kernel_selection import SelectionTask as SelectionTask
    from skdiva.features.network import replace_head

__all__ = ["JacobianFeaturizer", "KernelFeaturizer", "replace_head"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "JacobianFeaturizer": "skdiva.features._jacobian",
        "KernelFeaturizer": "skdiva.features._kernel",
        "SelectionTask": "skdiva.features._kernel_selection",  # for the estimators
        "check_names": "skdiva.features._columns",  # for the estimators
        "check_numbers": "skdiva.features._columns",  # for the estimators
        "plain_numbers": "skdiva.features._columns",  # for the data sets
        "replace_head": "skdiva.features.network",
    },
)
