"""Warnings raised by skdiva."""


class WeightsNotPropagatedWarning(UserWarning):
    """Warning that learned weights are not passed to the next step of a Pipeline.

    A Pipeline passes only X from step to step, so the next step trains without the weights. To
    train an estimator with them, pass it to :class:`skdiva.DivaReweighter` and make that the last
    step.
    """
