"""Problem that counts its factorizations, and the questions that they are asked."""

from skdiva.loo import Problem

COUNTED = (
    "residuals",
    "solve_left_out",
    "cross_sums",
    "predict",
    "adjoint",
    "coefficients",
    "new_row_form",
    "adjoint_form",
)


class CountedProblem(Problem):
    """A problem that records its factorizations and what they are asked.

    Attributes
    ----------
    dtypes : list of torch.dtype
        Of every factorization tried.
    calls : dict from str to int
        Number of calls of every method of the smoothers, from outside of them.
    """

    def __init__(self, *args, **how):
        super().__init__(*args, **how)
        self.dtypes, self.calls, self._asked = [], dict.fromkeys(COUNTED, 0), False

    def smoother(self, sample_weight, alpha, dtype):
        self.dtypes.append(dtype)
        smoother = super().smoother(sample_weight, alpha, dtype)
        for name in COUNTED:
            setattr(smoother, name, self._counted(name, getattr(smoother, name)))
        return smoother

    def _counted(self, name, method):
        def call(*args, **how):
            if self._asked:  # one method calls another
                return method(*args, **how)
            self.calls[name] += 1
            self._asked = True
            try:
                return method(*args, **how)
            finally:
                self._asked = False

        return call


def counted(data, **changes):
    """Return a case as a `CountedProblem`; ``changes`` replace arguments."""
    arguments = {
        "loss": data.loss,
        "fit_intercept": data.case.fit_intercept,
        "validation_weight": data.validation_weight,
        "groups": data.groups,
    }
    return CountedProblem(data.features, data.targets(), **(arguments | changes))
