"""Weights without the rows whose labels are wrong, and leave-one-out outputs at these weights.

Every row keeps the share of its weight by which a noise model trusts its label. Outputs at these
weights, to which wrong labels contribute no longer, tell more of them apart, so the noise model is
fitted to them anew.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from skdiva.loo._evaluation import Evaluation, evaluate, predict_leave_one_out
from skdiva.loo.noise._transition import NoiseModel, fit_noise_model
from skdiva.loo.weights._descent import (
    Descent,
    Ties,
    descend,
    keep_classes,
    leaves_too_little,
    no_step,
)

# Chosen, as the noise model, on data that no table in benchmarks/results reports on.
_LARGEST_STEP = 0.5  # of `learn_weights`, in units of the mean absolute derivative
_FULL_NOISE = 0.2  # noise rate from which on that step is taken in full


class Curation(NamedTuple):
    """What was found.

    Attributes
    ----------
    start : Evaluation
        At the start weights.
    final : Evaluation
        At the curated weights; without a derivative.
    factor : tensor of shape (n,)
        Curated weights over start weights, in [0, 1].
    noise : NoiseModel
        Of the leave-one-out outputs at the curated weights.
    """

    start: Evaluation
    final: Evaluation
    factor: Tensor
    noise: NoiseModel


def curate(problem, sample_weight, alpha, labels, *, ties=None):
    """Take from every row the share of its weight by which its label is likely to be wrong.

    Parameters
    ----------
    problem : Problem
        Of classes.
    sample_weight : tensor of shape (n,)
        Start weights.
    alpha : float
    labels : int64 tensor of shape (n,)
        Codes of the classes, in input order.
    ties : int64 tensor of shape (n,), optional
        Codes of the sources whose rows share one factor, the weighted mean of theirs.

    Returns
    -------
    Curation
    """
    start = evaluate(problem, sample_weight, alpha)
    noise = fit_noise_model(start.loo_predictions, labels, sample_weight)
    wrong = noise.wrong_probability(start.loo_predictions, labels, hedged=False)
    trust = (1 - wrong).to(sample_weight.dtype)
    if ties is not None:
        trust = Ties(ties, sample_weight).mean(trust)[ties]
    factor = _kept(problem, sample_weight, trust, labels)
    final = predict_leave_one_out(problem, sample_weight * factor, alpha)
    noise = fit_noise_model(final.loo_predictions, labels, sample_weight)
    return Curation(start, final, factor, noise)


def learn_weights(problem, sample_weight, alpha, labels, *, max_iter=2, on_step=None):
    """Weights to train with: trust in the labels, then a step along the derivative.

    Trust is squared: what is as likely right as wrong should count for less than a half. The step
    is the smaller the less noise there is, so that clean data keep their weights.

    Parameters
    ----------
    problem : Problem
        Of classes.
    sample_weight : tensor of shape (n,)
        Start weights.
    alpha : float
    labels : int64 tensor of shape (n,)
        Codes of the classes, in input order.
    max_iter : int, default=2
        1 leaves out the step along the derivative.
    on_step : callable, optional
        Called as ``on_step(step, loss)`` after every evaluation.

    Returns
    -------
    Descent
        Its steps are these two; none if fewer than half a label is thought to be wrong.
    """
    start, final, _, noise = curate(problem, sample_weight, alpha, labels)
    report = on_step or (lambda _step, _loss: None)
    report(0, start.loss)
    wrong = noise.wrong_probability(final.loo_predictions, labels, hedged=False)
    wrong = wrong.to(sample_weight.dtype)
    rate = float(wrong @ sample_weight / sample_weight.sum())
    n_iter = min(max_iter, 2)
    if rate * len(labels) < 0.5:
        return no_step(start, sample_weight, n_iter)
    trust = _kept(problem, sample_weight, (1 - wrong).square(), labels)
    trusted = sample_weight * trust
    last = descend(
        problem,
        trusted / trusted.mean(),
        alpha,
        learning_rate=_LARGEST_STEP * min(1.0, rate / _FULL_NOISE),
        max_iter=n_iter - 1,
        classes=labels,
        on_step=lambda step, loss: report(step + 1, loss),
    )
    factor = trust * last.factor
    weight = sample_weight * factor
    return Descent(
        start,
        last.final,
        factor,
        weight / weight.mean(),
        [start.loss, *last.loss_path],
        n_iter,
        n_steps=1 + last.n_steps,
    )


def _kept(problem, sample_weight, trust, labels):
    """Trust (n,) that leaves some weight to every class, and something to leave out."""
    trust = keep_classes(trust, labels, sample_weight)
    if leaves_too_little(problem, sample_weight * trust):
        return torch.ones_like(trust)
    return trust
