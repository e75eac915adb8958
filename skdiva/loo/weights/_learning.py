"""Training weights learned from label noise, followed by a gradient step."""

from collections.abc import Callable
from functools import partial

from torch import Tensor

from skdiva.loo._problem import RidgeProblem
from skdiva.loo.noise import NoiseModel, TransitionNoise
from skdiva.loo.weights._curation import curate, keep_trainable, loss_factors
from skdiva.loo.weights._descent import Descent, descend, no_step

# Like those of the noise model, these constants were chosen on data sets that are not reported in
# benchmarks/results.
_LARGEST_STEP = 0.5  # in units of the mean absolute derivative
_FULL_NOISE = 0.2  # noise rate from which the full step is taken


def learn_weights(
    problem: RidgeProblem,
    sample_weight: Tensor,
    alpha: float,
    labels: Tensor,
    *,
    max_iter: int = 2,
    on_step: Callable[[int, float], object] | None = None,
    noise_model: NoiseModel = TransitionNoise(),  # noqa: B008 - it is frozen
) -> Descent:
    """Learn training weights from label noise, followed by a gradient step.

    First, the weight of every row is multiplied by the squared probability that its label is
    correct. The probability is squared, because a label that is as likely correct as wrong should
    count less than one half. Second, one step is taken along the derivative. The less label noise
    there is, the smaller is this step, so that clean data keep their weights. It is omitted if a
    class would lose more than half of its weight without evidence that its labels are wrong.

    Parameters
    ----------
    problem : Problem or JointProblem
        Classification problem.
    sample_weight : tensor of shape (n,)
        Start weights.
    alpha : float
        Ridge penalty, positive.
    labels : int64 tensor of shape (n,)
        Class codes in input order.
    max_iter : int, default=2
        Maximum number of steps. With 1, the step along the derivative is omitted.
    on_step : callable, optional
        Called as ``on_step(step, loss)`` after every evaluation.
    noise_model : NoiseModel, default=TransitionNoise()
        See `curate`.

    Returns
    -------
    Descent
        Weights after these two steps. No step is taken if the expected number of wrong labels is
        less than one half.

    Raises
    ------
    ValueError
        See `evaluate`.
    """
    curation = curate(problem, sample_weight, alpha, labels, noise_model=noise_model)
    start, final, noise = curation.start, curation.final, curation.noise
    report = on_step or (lambda _step, _loss: None)
    report(0, start.loss)
    wrong = noise.wrong_probability(final.loo_predictions, labels, hedged=False)
    wrong = wrong.to(sample_weight.dtype)
    rate = float(wrong @ sample_weight / sample_weight.sum())
    n_iter = min(max_iter, 2)
    if rate * len(labels) < 0.5:
        return no_step(start, sample_weight, n_iter)
    limits = final.loo_predictions, labels, sample_weight, curation.signal
    trust = (1 - wrong).square()
    trust = 1 - (1 - trust) * loss_factors(trust, *limits)[labels]
    trust = keep_trainable(problem, sample_weight, trust, labels)
    trusted = sample_weight * trust
    step = partial(
        descend,
        problem,
        trusted / trusted.mean(),
        alpha,
        learning_rate=_LARGEST_STEP * min(1.0, rate / _FULL_NOISE),
        classes=labels,
    )
    last = step(max_iter=n_iter - 1, on_step=lambda step, loss: report(step + 1, loss))
    share = trust * last.relative_weight / (trusted.mean() / sample_weight.mean())
    if bool((loss_factors(share, *limits) < 1).any()):
        last = step(max_iter=0)
    relative_weight = trust * last.relative_weight
    weight = sample_weight * relative_weight
    return Descent(
        start,
        last.final,
        relative_weight,
        weight / weight.mean(),
        [start.loss, *last.loss_path],
        n_iter,
        n_steps=1 + last.n_steps,
    )
