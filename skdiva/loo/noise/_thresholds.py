"""Where to cut a ranking by probability: at the largest expected F1."""

import torch

_LEAST_PROBABILITY = 0.1  # nobody wants to be shown a label that is right nine times out of ten


def expected_f1_threshold(probability):
    """Probability above which rows are called positive.

    Calling the N likeliest rows positive, the expected number of true positives is the sum of their
    probabilities, and F1 about 2 * that / (N + sum of all probabilities).

    Parameters
    ----------
    probability : tensor of shape (n,)

    Returns
    -------
    float
        Rows tied at it are not above it.
    """
    ordered = probability.double().sort(descending=True).values
    n_rows = torch.arange(1, len(ordered) + 1, device=ordered.device)
    expected = 2 * ordered.cumsum(0) / (n_rows + ordered.sum())
    best = int(expected.argmax())
    following = float(ordered[best + 1]) if best + 1 < len(ordered) else 0.0
    return max(following, _LEAST_PROBABILITY)
