"""Candidate kernels: their Nystroem features, and their leave-one-out errors.

Let K be the kernel matrix of the m landmarks, with eigenvectors V and eigenvalues D. The Nystroem
features of a row x are k(x, landmarks) V D^-1/2. Their inner products approximate the kernel.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.utils import check_consistent_length

from skdiva.arrays import Compute, take_rows, to_host, to_tensor
from skdiva.features._columns import StandardizedColumns
from skdiva.loo import ClassTargets, Problem, SquaredError, ValueTargets, choose_penalty
from skdiva.loo.ridge import full_float32
from skdiva.targets import read_codes, read_target

_RESOLVED = 1e-7  # smaller eigenvalues, relative to the largest one, are rounding errors
# Candidates for gamma times the number of columns that vary. Between two rows, the mean squared
# distance is twice that number, and the mean city-block distance is about that number.
_SCALED_CANDIDATES = (
    ("linear", None),
    ("rbf", 0.1),
    ("rbf", 0.3),
    ("rbf", 1.0),
    ("rbf", 3.0),
    ("laplacian", 0.2),
    ("laplacian", 0.6),
    ("laplacian", 2.0),
)
Candidate = tuple[str, float | None]  # kernel and gamma
Targets = ClassTargets | ValueTargets


class SelectionTask(NamedTuple):
    """Everything that the choice of a kernel depends on, except the features."""

    targets: Targets
    groups: torch.Tensor | None = None  # codes of shape (n,)
    validation: tuple[Any, Targets] | None = None  # X_val and its targets
    fit_intercept: bool = True
    validation_weight: torch.Tensor | None = None  # (n,); if None, the sample weights

    def select(self, rows: torch.Tensor) -> "SelectionTask":
        """Return the task for some of the rows, given as an int64 tensor."""
        groups, weight = self.groups, self.validation_weight
        return self._replace(
            targets=self.targets.select(rows),
            groups=None if groups is None else groups[rows],
            validation_weight=None if weight is None else weight[rows],
        )

    def validation_rows_first(self, order: np.ndarray, n_most: int) -> np.ndarray:
        """Move up to ``n_most`` rows with a validation weight to the front of an order of rows.

        A sample of the rows could otherwise miss them if they are few.
        """
        if self.validation_weight is None:
            return order
        first = to_host(self.validation_weight)[order] > 0
        first &= first.cumsum() <= n_most
        return np.concatenate([order[first], order[~first]])


def read_task(
    X: Any, y: Any, groups: Any, device: torch.device | str, task: str = "auto"
) -> SelectionTask:
    """Check the labels and groups that `KernelFeaturizer.fit` was given.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
    y : array-like of shape (n_samples,) or (n_samples, n_targets)
    groups : array-like of shape (n_samples,) or None
    device : torch.device or str
        Device of the tensors in the result.
    task : {"auto", "classification", "regression"}, default="auto"
        What y holds.

    Returns
    -------
    SelectionTask

    Raises
    ------
    ValueError
        If y is missing, or if y or groups differ in length from X.
    """
    if y is None:
        raise ValueError(
            "KernelFeaturizer requires y to be passed, but the target y is None: the kernel is "
            "chosen by how well it predicts y. Pass y, or set kernel and gamma."
        )
    labels, target = read_target(y, task=task)
    check_consistent_length(X, labels)
    targets = target.to_core(Compute(torch.device(device), "float64"))
    if groups is not None:
        groups = to_tensor(read_codes(groups, len(labels), "groups")[0], device, "int64")
    return SelectionTask(targets, groups)


def candidates(kernel: str, gamma: Any, n_columns: float) -> list[Candidate]:
    """Return the pairs of kernel and gamma to choose from.

    Parameters
    ----------
    kernel : {"auto", "linear", "rbf", "laplacian"}
    gamma : "auto" or float
    n_columns : float
        Number of columns that vary.

    Returns
    -------
    list of (str, float or None)
    """
    pairs: list[Candidate] = []
    for name, scaled in _SCALED_CANDIDATES:
        if kernel not in ("auto", name):
            continue
        if scaled is None:
            pairs.append((name, None))
        elif gamma == "auto":
            pairs.append((name, scaled / n_columns))
        elif (name, gamma) not in pairs:
            pairs.append((name, gamma))
    return pairs


def compare_on_sample(
    pairs: Iterable[Candidate],
    columns: StandardizedColumns,
    X: Any,
    sample_weight: np.ndarray | None,
    task: SelectionTask,
    rows: np.ndarray,
    landmarks: np.ndarray,
    device: torch.device,
) -> dict[Candidate, float]:
    """Compare candidates on some of the rows, in single precision.

    Parameters
    ----------
    pairs : iterable of (kernel, gamma)
    columns : StandardizedColumns
        Fitted.
    X : ndarray of shape (n, p) or dataframe
    sample_weight : ndarray of shape (n,) or None
    task : SelectionTask
        For all rows.
    rows, landmarks : ndarray of int
        Positions of the rows to compare on, and of the landmarks.
    device : torch.device

    Returns
    -------
    dict
        Loss of each pair.
    """
    parts = {"rows": take_rows(X, rows), "landmarks": take_rows(X, landmarks)}
    if task.validation is not None:
        parts["validation"] = task.validation[0]
    for name, part in parts.items():
        parts[name] = to_tensor(columns.transform(part, "float32"), device, "float32")
    weight = None
    if sample_weight is not None:
        weight = to_tensor(sample_weight[rows], device, "float32")
    return loo_losses(pairs, parts, weight, task.select(to_tensor(rows, device, "int64")))


@full_float32()
def loo_losses(
    pairs: Iterable[Candidate],
    columns: dict[str, torch.Tensor],
    sample_weight: torch.Tensor | None,
    task: SelectionTask,
) -> dict[Candidate, float]:
    """Return the loss of each candidate at its best penalty.

    The loss is the mean squared error: of leave-one-out predictions, or of predictions for the
    validation rows if there are any.

    Parameters
    ----------
    pairs : iterable of (kernel, gamma)
        All pairs with the same kernel in a row.
    columns : dict of tensors
        Standardized columns: "rows" of shape (n, p), "landmarks" of shape (m, p), and "validation"
        if the task has validation rows.
    sample_weight : tensor of shape (n,) or None
    task : SelectionTask
        For the same rows.

    Returns
    -------
    dict
        Loss of each pair.
    """
    rows = columns["rows"]
    weight = rows.new_ones(len(rows)) if sample_weight is None else sample_weight
    losses, distances, last_kernel = {}, {}, None
    for kernel, gamma in pairs:
        features = dict(columns)
        if gamma is not None:
            if kernel != last_kernel:  # the distances serve every gamma of a kernel
                for name, part in columns.items():
                    distances[name] = kernel_distances(kernel, part, columns["landmarks"])
                last_kernel = kernel
            projection = nystroem_projection(distances["landmarks"], gamma)
            for name, distance in distances.items():
                features[name] = torch.exp(-gamma * distance) @ projection
        losses[kernel, gamma] = _smallest_loss(features, weight, task)
    return losses


def _smallest_loss(
    features: dict[str, torch.Tensor], sample_weight: torch.Tensor, task: SelectionTask
) -> float:
    validation, weight = None, task.validation_weight
    if task.validation is not None:
        validation = features["validation"], task.validation[1]
    problem = Problem(
        features["rows"],
        task.targets,
        loss=SquaredError(),
        fit_intercept=task.fit_intercept,
        validation_weight=sample_weight if weight is None else weight,
        groups=task.groups,
        validation=validation,
    )
    return choose_penalty(problem, sample_weight).loss


@full_float32()
def kernel_distances(kernel: str, rows: torch.Tensor, landmarks: torch.Tensor) -> torch.Tensor:
    """Return the distances that a kernel is a function of.

    Parameters
    ----------
    kernel : {"rbf", "laplacian"}
        Squared Euclidean distances for "rbf", city-block distances for "laplacian".
    rows : tensor of shape (n, p)
    landmarks : tensor of shape (m, p)

    Returns
    -------
    tensor of shape (n, m)
    """
    if kernel == "laplacian":
        return torch.cdist(rows, landmarks, p=1)
    squares = rows.square().sum(dim=1, keepdim=True) + landmarks.square().sum(dim=1)
    # Cancellation causes errors of the order of rounding, which the exponential does not amplify.
    return torch.addmm(squares, rows, landmarks.T, alpha=-2).clamp_(min=0)


def nystroem_projection(distances: torch.Tensor, gamma: float) -> torch.Tensor:
    """Return the projection that turns kernel values at the landmarks into features.

    Parameters
    ----------
    distances : tensor of shape (m, m)
        Distances between the landmarks.
    gamma : float
        The kernel is exp(-gamma * distance).

    Returns
    -------
    tensor of shape (m, q)
        In the dtype of the distances; computed in double precision.
    """
    eigenvalues, vectors = torch.linalg.eigh(torch.exp(-gamma * distances.double()))
    resolved = eigenvalues > _RESOLVED * eigenvalues[-1]
    projection = vectors[:, resolved] / eigenvalues[resolved].sqrt()
    return projection.to(distances.dtype)


@full_float32()
def nystroem_features(
    kernel: str,
    gamma: float,
    rows: torch.Tensor,
    landmarks: torch.Tensor,
    projection: torch.Tensor,
    out: torch.Tensor,
    block_elements: int = 2**22,
) -> None:
    """Compute the features of rows, block by block.

    Parameters
    ----------
    kernel : {"rbf", "laplacian"}
    gamma : float
    rows : tensor of shape (n, p)
    landmarks : tensor of shape (m, p)
    projection : tensor of shape (m, q)
    out : tensor of shape (n, q)
        Receives the features.
    block_elements : int, default=2**22
        Number of kernel values held at a time.
    """
    step = max(block_elements // len(landmarks), 1)
    for part, features in zip(rows.split(step), out.split(step), strict=True):
        kernel_values = kernel_distances(kernel, part, landmarks).mul_(-gamma).exp_()
        torch.mm(kernel_values, projection, out=features)
