"""Kernels between rows and landmarks, and the features whose inner products they are (Nystroem).

With K the kernel between the m landmarks, features of rows x are k(x, landmarks) V D^-1/2, from the
eigenvectors V and eigenvalues D of K.
"""

import torch

from skdiva.loo.ridge import full_float32

_RESOLVED = 1e-7  # eigenvalues below this share of the largest are rounding errors
_BLOCK_ELEMENTS = 2**22  # of kernel values worked out at a time


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
