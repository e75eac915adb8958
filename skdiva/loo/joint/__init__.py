"""Ridge models whose outputs share the coefficients: the linearized network (paper sec. 3.1).

Rows are pairs of sample and output. They go to the same primal as other rows, with the intercepts
as columns without a penalty, or, where only their inner products are known (`JointGram`), to a dual
of their own.
"""

from skdiva.loo.joint._gram import JointGram
from skdiva.loo.joint._problem import JointProblem, augmented_rows

__all__ = ["JointGram", "JointProblem", "augmented_rows"]
