"""Which kernel a ridge model predicts best with, by the leave-one-out error of a few candidates."""

from typing import NamedTuple

import numpy as np
import torch
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import type_of_target

from skdiva.arrays import to_host, to_tensor
from skdiva.loo._losses import SquaredError
from skdiva.loo._penalty import choose_penalty
from skdiva.loo._problem import Problem
from skdiva.loo._targets import ClassTargets, ValueTargets
from skdiva.loo.ridge import full_float32

_RESOLVED = 1e-7  # eigenvalues below this share of the largest are rounding errors
_BLOCK_ELEMENTS = 2**22  # of kernel values worked out at a time
# Times the number of columns that vary: the mean squared distance of two rows is twice that, and
# their mean city-block distance about that.
_SCALED_GAMMAS = {
    "linear": (None,),
    "rbf": (0.1, 0.3, 1.0, 3.0),
    "laplacian": (0.2, 0.6, 2.0),
}


class SelectionTask(NamedTuple):
    """What decides the choice, but for the features."""

    targets: object  # ClassTargets or ValueTargets
    groups: torch.Tensor | None = None  # (n,), codes
    validation: tuple | None = None  # X or columns of the validation rows, and their targets
    fit_intercept: bool = True
    validation_weight: torch.Tensor | None = None  # (n,); None: as the weights

    def select(self, rows):
        """Return the labels of ``rows``, an int64 tensor."""
        chosen = {"targets": self.targets.select(rows)}
        for name in ("groups", "validation_weight"):
            array = getattr(self, name)
            chosen[name] = None if array is None else array[rows]
        return self._replace(**chosen)

    def judges_first(self, order, most):
        """Bring up to ``most`` of the rows that judge to the front: a sample may miss the few."""
        if self.validation_weight is None:
            return order
        judges = to_host(self.validation_weight)[order] > 0
        judges &= judges.cumsum() <= most
        return np.concatenate([order[judges], order[~judges]])


def read_labels(X, y, groups, device):
    """Check y and groups of a featurizer's own `fit`.

    Raises
    ------
    ValueError
        If y is missing, or they are not as long as X.
    """
    if y is None:
        raise ValueError(
            "KernelFeaturizer requires y to be passed, but the target y is None: it decides the "
            "kernel. Pass y, or give kernel and gamma."
        )
    y = check_array(to_host(y), ensure_2d=False, dtype=None, input_name="y")
    check_consistent_length(X, y, groups)
    if type_of_target(y).startswith("continuous"):
        values = y.reshape(len(y), -1)
        targets = ValueTargets(to_tensor(values, device, "float64"))
    else:
        classes, codes = np.unique(column_or_1d(y, warn=True), return_inverse=True)
        targets = ClassTargets(to_tensor(codes, device, "int64"), len(classes))
    if groups is not None:
        groups = to_tensor(np.unique(to_host(groups), return_inverse=True)[1], device, "int64")
    return SelectionTask(targets, groups)


def candidates(kernel, gamma, n_columns):
    """List the pairs of kernel and coefficient to choose from."""
    pairs = []
    for name, scaled in _SCALED_GAMMAS.items():
        if kernel not in ("auto", name):
            continue
        if gamma == "auto" or name == "linear":
            pairs += [(name, value and value / n_columns) for value in scaled]
        else:
            pairs.append((name, gamma))
    return pairs


@full_float32()
def loo_losses(pairs, columns, sample_weight, labels, landmarks):
    """Smallest squared error over the penalty, leave-one-out or of the validation rows.

    Parameters
    ----------
    pairs : list of (kernel, gamma)
    columns : tensor of shape (n, p)
    sample_weight : tensor of shape (n,) or None
    labels : SelectionTask
        Of the same rows; standardised columns of the validation rows, if there are any.
    landmarks : tensor of shape (m, p)

    Returns
    -------
    dict
        Loss by pair.
    """
    weight = columns.new_ones(len(columns)) if sample_weight is None else sample_weight
    visited = {"landmarks": landmarks, "rows": columns}
    if labels.validation is not None:
        visited["validation"] = labels.validation[0]
    losses = {}
    for kernel in dict.fromkeys(kernel for kernel, _ in pairs):
        if kernel == "linear":
            losses[kernel, None] = _smallest_loss(visited, weight, labels)
            continue
        # Worked out once for all coefficients.
        apart = {name: distances(kernel, array, landmarks) for name, array in visited.items()}
        for gamma in (gamma for name, gamma in pairs if name == kernel):
            projection = whitening(apart["landmarks"], gamma)
            features = {name: torch.exp(-gamma * d) @ projection for name, d in apart.items()}
            losses[kernel, gamma] = _smallest_loss(features, weight, labels)
    return losses


def _smallest_loss(features, sample_weight, labels):
    validation = labels.validation and (features["validation"], labels.validation[1])
    judge_weight = sample_weight if labels.validation_weight is None else labels.validation_weight
    problem = Problem(
        features["rows"],
        labels.targets,
        loss=SquaredError(),
        fit_intercept=labels.fit_intercept,
        validation_weight=judge_weight,
        groups=labels.groups,
        validation=validation,
    )
    return choose_penalty(problem, sample_weight).loss


@full_float32()
def distances(kernel, rows, landmarks):
    """What a kernel is a function of: squared Euclidean or city-block distances, (n, m).

    Parameters
    ----------
    kernel : {"rbf", "laplacian"}
    rows : tensor of shape (n, p)
    landmarks : tensor of shape (m, p)

    Returns
    -------
    tensor of shape (n, m)
    """
    if kernel == "laplacian":
        return torch.cdist(rows, landmarks, p=1)
    squares = rows.square().sum(dim=1, keepdim=True) + landmarks.square().sum(dim=1)
    # Cancellation leaves errors of the size of rounding, which the exponential does not magnify.
    return torch.addmm(squares, rows, landmarks.T, alpha=-2).clamp_(min=0)


def whitening(distance, gamma):
    """Projection (m, q) that turns kernel values at the landmarks into features.

    Parameters
    ----------
    distance : tensor of shape (m, m)
        Between the landmarks.
    gamma : float
        The kernel is exp(-gamma * distance).

    Returns
    -------
    tensor of shape (m, q)
    """
    eigenvalues, vectors = torch.linalg.eigh(torch.exp(-gamma * distance.double()))
    resolved = eigenvalues > _RESOLVED * eigenvalues[-1]
    projection = vectors[:, resolved] / eigenvalues[resolved].sqrt()
    return projection.to(distance.dtype)


@full_float32()
def nystroem_features(kernel, gamma, rows, landmarks, projection, out):
    """Features of rows, worked out in blocks.

    Parameters
    ----------
    kernel : {"rbf", "laplacian"}
    gamma : float
    rows : tensor of shape (n, p)
    landmarks : tensor of shape (m, p)
    projection : tensor of shape (m, q)
    out : tensor of shape (n, q)
        Where they go.
    """
    step = max(_BLOCK_ELEMENTS // len(landmarks), 1)
    for part, features in zip(rows.split(step), out.split(step), strict=True):
        kernel_values = distances(kernel, part, landmarks).mul_(-gamma).exp_()
        torch.mm(kernel_values, projection, out=features)
