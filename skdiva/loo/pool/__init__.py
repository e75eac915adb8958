"""Extension of a core of rows by rows of a pool (paper section 3.4, Extend).

`extend` chooses rows greedily by their derivative. `loss_path` computes the loss while given rows
are added. The core is factorized once, and the factorization is updated with every batch of rows.
"""

from skdiva.loo.pool._greedy import Extension, extend, loss_path
from skdiva.loo.pool._updated_smoother import UpdatedSmoother

__all__ = ["Extension", "UpdatedSmoother", "extend", "loss_path"]
