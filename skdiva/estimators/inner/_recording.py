"""Records of whether the learners inside an estimator are fitted with sample weights."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from inspect import signature
from typing import Any

from skdiva.estimators.inner._sample_weight import learner_chains


class FittedWithoutWeights(BaseException):
    """Raised to end a fit. It is not an Exception, because a parameter search would catch that."""

    def __init__(self, chain: tuple):
        super().__init__()
        self.chain = chain  # of estimators, from the outermost to the learner


@contextmanager
def recording(estimator: Any) -> Iterator[list]:
    """Let the learners inside an estimator record that they are fitted with sample weights.

    Within the context a learner is an instance of a subclass of its class, so that clones of it
    record as well, and so that it behaves as before. Nothing is fitted in another process, where
    records would be lost.

    Parameters
    ----------
    estimator : estimator
        Unfitted. It is changed in place and must not be used afterwards.

    Yields
    ------
    list
        It gets one entry for every fit of a learner.

    Raises
    ------
    FittedWithoutWeights
        When a learner is fitted without sample weights, in place of that fit.
    """
    parameters = estimator.get_params()
    for ending, value in (("n_jobs", None), ("verbose", False), ("memory", None)):
        names = [name for name in parameters if name.split("__")[-1] == ending]
        estimator.set_params(**dict.fromkeys(names, value))
    fits: list[tuple] = []
    originals = [(chain[-1], type(chain[-1])) for chain in learner_chains(estimator)]
    try:
        for chain in list(learner_chains(estimator)):
            chain[-1].__class__ = _recording_class(chain, fits)
        yield fits
    finally:
        # A learner may be the user's own object, if it is its own clone.
        for learner, original in originals:
            learner.__class__ = original


def _recording_class(chain: tuple, fits: list) -> type:
    original = type(chain[-1])
    arguments = signature(original.fit)

    @wraps(original.fit)
    def fit(self: Any, *args: Any, **kwargs: Any) -> Any:
        given = arguments.bind(self, *args, **kwargs).arguments | kwargs
        if given.get("sample_weight") is None:
            raise FittedWithoutWeights(chain)
        fits.append(chain)
        return original.fit(self, *args, **kwargs)

    names = {"fit": fit, "__module__": original.__module__, "__doc__": original.__doc__}
    return type(original.__name__, (original,), names)
