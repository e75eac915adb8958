"""How many labels are wrong: confident learning on exact leave-one-out outputs.

A row votes for the class whose probability is largest among those that reach the class's own
threshold, the mean probability of that class over the rows labelled with it (Northcutt, Jiang and
Chuang, "Confident Learning", JAIR 2021). Votes by label, scaled to the number of rows of each
label, estimate how many rows of label i belong to class j. There the probabilities come from
cross-validated models; here from leave-one-out outputs, which cost nothing more.
"""

import torch

# Ridge outputs live between 0 and 1, where a plain softmax is nearly flat. Chosen among 1, 3, 5, 8
# and 12 on other data than benchmarks/quality/label_noise.py reports on.
_SHARPNESS = 5.0
_ROUNDING = 1e-6


def confident_joint(outputs, labels):
    """Estimated number of rows by given label and true class.

    Parameters
    ----------
    outputs : tensor of shape (n, k)
        Leave-one-out outputs, in units of one-hot targets.
    labels : int64 tensor of shape (n,)
        Given labels, codes 0 .. k - 1.

    Returns
    -------
    tensor of shape (k, k), float64
        Row i sums to the number of rows labelled i.
    """
    n_classes = outputs.shape[1]
    probabilities = torch.softmax(_SHARPNESS * outputs.double(), dim=1)
    counts = torch.bincount(labels, minlength=n_classes).double()
    own = probabilities.gather(1, labels[:, None])[:, 0]
    totals = torch.zeros_like(counts).index_add_(0, labels, own)
    thresholds = torch.where(counts > 0, totals / counts.clamp(min=1), torch.inf)
    confident = probabilities >= thresholds - _ROUNDING
    vote = probabilities.masked_fill_(~confident, -1.0).argmax(dim=1)
    cell = labels * n_classes + vote
    votes = torch.bincount(cell[confident.any(dim=1)], minlength=n_classes**2).double()
    votes = votes.reshape(n_classes, n_classes)
    votes.diagonal().clamp_(min=1)  # a label that nobody votes for keeps its rows
    return votes / votes.sum(dim=1, keepdim=True) * counts[:, None]


def wrong_label_threshold(outputs, labels, margins):
    """Margin above which a label is called wrong.

    As many rows as `confident_joint` estimates to be mislabelled, those of the largest margins, and
    none whose own class has the largest output.

    Parameters
    ----------
    outputs : tensor of shape (n, k)
    labels : int64 tensor of shape (n,)
    margins : tensor of shape (n,)
        Output of the best other class minus that of the given class.

    Returns
    -------
    float
        At least 0; rows tied at it are not above it.
    """
    joint = confident_joint(outputs, labels)
    n_wrong = round(float(joint.sum() - joint.diagonal().sum()))
    if n_wrong >= len(margins):
        return 0.0
    return max(float(torch.topk(margins, n_wrong + 1).values[-1]), 0.0)
