"""Warnings of skdiva."""


class WeightsNotPropagatedWarning(UserWarning):
    """Learned weights stay behind: the next step of a Pipeline trains without them.

    A Pipeline hands only X from step to step. Give the estimator that is to be trained to
    :class:`skdiva.DivaReweighter` and make that the last step.
    """
