"""The inner estimator of a meta-estimator: its methods, and the sample weights it is trained with.

`DelegationMixin` offers the methods of the trained estimator. `find_refusal` and
`choose_fit` find out, before anything is computed, whether sample weights reach every learner
inside an estimator: by its tags, signatures and metadata requests, and if these do not tell, by
fitting a clone on a few rows.
"""

from skdiva.estimators.inner._delegation import DelegationMixin
from skdiva.estimators.inner._fit import InnerFit, choose_fit
from skdiva.estimators.inner._sample_weight import find_refusal

__all__ = ["DelegationMixin", "InnerFit", "choose_fit", "find_refusal"]
