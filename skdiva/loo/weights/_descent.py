"""Gradient steps on the sample weights.

    w <- clip(w - learning_rate * d / mean|d|, 0, 2),    a = a_start * w,   w = 1 at the start,

where d is the derivative of the loss with respect to w, divided by the start weight. Division by
mean|d| makes the step independent of the scale of the loss. All rows of a source have the same w,
and its derivative is the weighted mean of their derivatives (section 3.4 of the paper). Only a few
steps are taken, because more steps overfit the loss.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from skdiva.loo._fitted_ridge import Evaluation, FittedRidge
from skdiva.loo._problem import RidgeProblem
from skdiva.loo.weights._curation import SourceMeans, keep_classes

LARGEST_RELATIVE_WEIGHT = 2.0


class Descent(NamedTuple):
    """Sample weights after gradient steps, and results at the start and final weights.

    Attributes
    ----------
    start : Evaluation
        Results at the start weights.
    final : Evaluation
        Results at the final weights, before these are scaled to mean 1.
    relative_weight : tensor of shape (n,)
        w, the final weights divided by the start weights.
    sample_weight : tensor of shape (n,)
        Final weights scaled to mean 1.
    loss_path : list of float
        Loss at the start and after every step.
    n_iter : int
        Number of steps attempted.
    n_steps : int
        Number of steps taken. It is smaller than ``n_iter`` if the derivative vanishes, or if a
        step would leave fewer than two rows (or groups) with positive weight.
    source_interval : tensor of shape (n_sources, 2) or None
        Intervals of the relative weights of sources, see `descend_by_source`.
    """

    start: Evaluation
    final: Evaluation
    relative_weight: Tensor
    sample_weight: Tensor
    loss_path: list[float]
    n_iter: int
    n_steps: int
    source_interval: Tensor | None = None


def descend(
    problem: RidgeProblem,
    sample_weight: Tensor,
    alpha: float,
    *,
    learning_rate: float = 0.5,
    max_iter: int = 3,
    sources: Tensor | None = None,
    classes: Tensor | None = None,
    on_step: Callable[[int, float], object] | None = None,
    start: Evaluation | None = None,
) -> Descent:
    """Take a few normalized gradient steps on the sample weights.

    Parameters
    ----------
    problem : Problem or JointProblem
        Ridge problem.
    sample_weight : tensor of shape (n,)
        Start weights. Weights of zero remain zero.
    alpha : float
        Ridge penalty, positive.
    learning_rate : float, default=0.5
        Step size, relative to the mean absolute derivative.
    max_iter : int, default=3
        Maximum number of steps.
    sources : int64 tensor of shape (n,), optional
        Source codes. All rows of a source get the same relative weight.
    classes : int64 tensor of shape (n,), optional
        Class codes. If given, every class keeps some weight, see ``CLASS_FLOOR``.
    on_step : callable, optional
        Called as ``on_step(step, loss)`` after every evaluation.
    start : Evaluation, optional
        Results at the start weights, with the derivative, if they are known already.

    Returns
    -------
    Descent
        Final weights, and results at the start and final weights.

    Raises
    ------
    ValueError
        If ``start`` has no derivative; see also `evaluate`.
    """
    evaluations, relative = [], []
    for current, weight in steps(
        problem, sample_weight, alpha, learning_rate=learning_rate, max_iter=max_iter,
        sources=sources, classes=classes, start=start,
    ):  # fmt: skip
        evaluations.append(current)
        relative.append(weight)
        if on_step is not None:
            on_step(len(relative) - 1, current.loss)
    final_weight = sample_weight * relative[-1]
    n_steps = len(relative) - 1
    return Descent(
        start=evaluations[0],
        final=evaluations[-1],
        relative_weight=relative[-1],
        sample_weight=final_weight / final_weight.mean(),
        loss_path=[evaluation.loss for evaluation in evaluations],
        n_iter=min(n_steps + 1, max_iter),
        n_steps=n_steps,
    )


def no_step(start: Evaluation, sample_weight: Tensor, n_iter: int) -> Descent:
    """Return a `Descent` without steps, at the start weights."""
    ones, mean_one = torch.ones_like(sample_weight), sample_weight / sample_weight.mean()
    return Descent(start, start, ones, mean_one, [start.loss], n_iter, n_steps=0)


def steps(
    problem: RidgeProblem,
    sample_weight: Tensor,
    alpha: float,
    *,
    learning_rate: float,
    max_iter: int,
    sources: Tensor | None = None,
    classes: Tensor | None = None,
    start: Evaluation | None = None,
) -> Iterator[tuple[Evaluation, Tensor]]:
    """Yield the evaluation and the relative weights (n,) at the start and after every step.

    The last evaluation has no derivative if all ``max_iter`` steps were taken.

    Raises
    ------
    ValueError
        If ``start`` has no derivative.
    """
    if start is not None and start.derivative is None:
        raise ValueError(
            "Expected results at the start weights with the derivative, got start.derivative=None. "
            "Pass FittedRidge(...).evaluation(), or start=None."
        )
    if not 0 < learning_rate < torch.inf:
        raise ValueError(
            f"learning_rate must be a positive, finite number, got {learning_rate}. The default, "
            "0.5, moves weights by half of the start weight on average."
        )
    if sources is None:
        sources = torch.arange(sample_weight.shape[0], device=sample_weight.device)
    means = SourceMeans(sources, sample_weight)
    relative = torch.ones_like(means.weight)
    for step in range(max_iter + 1):
        weight = sample_weight * relative[sources]
        layout = problem.layout
        if step > 0 and layout.n_groups_with_weight(layout.arrange(weight)) < 2:
            return
        if step > 0 or start is None:
            # Only the results are kept, as a factorization may be as large as the features.
            current = FittedRidge(problem, weight, alpha).evaluation(derivative=step < max_iter)
        else:
            current = start
        yield current, relative[sources]
        if current.derivative is None:
            return
        slope = means.mean(current.derivative)
        scale = means.mean_over_rows(slope.abs())
        if scale == 0:
            return
        relative = (relative - learning_rate * slope / scale).clamp(0, LARGEST_RELATIVE_WEIGHT)
        if classes is not None:
            relative = keep_classes(relative, classes, sample_weight, sources)
