"""Warnings raised by skdiva."""


class WeightsNotPropagatedWarning(UserWarning):
    """Warning that learned weights are not passed to the next step of a Pipeline.

    A Pipeline passes only X from step to step, so the next step trains without the weights. To
    train an estimator with them, pass it to :class:`skdiva.DivaReweighter` and make that the last
    step.
    """


class UninformativeFeaturesWarning(UserWarning):
    """Warning that the features say nothing about the labels.

    Leave-one-out predictions are no better than the class shares, so there is no evidence that any
    label is wrong. By default, no row is flagged then, and no weight is changed.
    """
