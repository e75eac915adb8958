"""Ridge models whose outputs share the coefficients: the linearized network (paper sec. 3.1).

Every pair of a sample and an output is a row of the ridge model. These rows use the same primal
factorization as other rows, with the intercepts as unpenalized columns. If only their inner
products are known (`JointGram`), a separate dual factorization is used.
"""

from skdiva.loo.joint._gram import JointGram
from skdiva.loo.joint._problem import JointProblem, augmented_rows

__all__ = ["JointGram", "JointProblem", "augmented_rows"]
