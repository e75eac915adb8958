"""Factorizations of weighted ridge models, and the quantities computed from them.

A `Smoother` computes residuals, leverages, and sums over the hat matrix that exclude a row's own
group. `PrimalSmoother` factorizes a p x p matrix over blocks of rows, `DualSmoother` an n x n
matrix, and `OrthogonalSmoother`, for badly conditioned problems in float64, the rows themselves.
High-leverage rows and groups are handled separately, so that no digits are lost. If a dtype is
still not precise enough, `InsufficientPrecisionError` is raised.
"""

from skdiva.loo.ridge._cross_sums import cross_sums, total_sums
from skdiva.loo.ridge._dual import DualSmoother
from skdiva.loo.ridge._group_blocks import solve_whitened
from skdiva.loo.ridge._hat_matrix import HatMatrixSmoother
from skdiva.loo.ridge._new_rows import NewRowForm, RidgeModel
from skdiva.loo.ridge._orthogonal import OrthogonalSmoother
from skdiva.loo.ridge._precision import (
    LARGEST_INVERSE_ERROR,
    LEAST_SHARE,
    RESOLUTION,
    InsufficientPrecisionError,
    SmallPenaltyError,
    cholesky_stack,
    full_float32,
    in_sufficient_dtype,
    require_condition,
    require_residual_share,
)
from skdiva.loo.ridge._primal import PrimalSmoother
from skdiva.loo.ridge._products import (
    add_symmetric_product,
    center_rows,
    mirror_upper,
    weighted_center,
    weighted_gram,
    weighted_moment,
    weighted_target_mean,
)
from skdiva.loo.ridge._smoother import AffineSmoother, Smoother

__all__ = [
    "LARGEST_INVERSE_ERROR",
    "LEAST_SHARE",
    "RESOLUTION",
    "AffineSmoother",
    "DualSmoother",
    "HatMatrixSmoother",
    "InsufficientPrecisionError",
    "NewRowForm",
    "OrthogonalSmoother",
    "PrimalSmoother",
    "RidgeModel",
    "SmallPenaltyError",
    "Smoother",
    "add_symmetric_product",
    "center_rows",
    "cholesky_stack",
    "cross_sums",
    "full_float32",
    "in_sufficient_dtype",
    "mirror_upper",
    "require_condition",
    "require_residual_share",
    "solve_whitened",
    "total_sums",
    "weighted_center",
    "weighted_gram",
    "weighted_moment",
    "weighted_target_mean",
]
