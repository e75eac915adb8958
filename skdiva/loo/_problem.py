"""One weighted ridge problem: features, targets, loss, and who is left out together.

Arrays come and go in input order; blocks and visiting order stay behind it.
"""

from skdiva.loo._losses import check_loss
from skdiva.loo._penalty import Spectrum
from skdiva.loo.ridge._smoother import make_smoother
from skdiva.loo.rows._source import TensorRows, default_batch_size, make_layout


class Problem:
    """Features, targets and loss of a weighted ridge model.

    Parameters
    ----------
    features : tensor of shape (n, p)
    targets : ClassTargets or ValueTargets
    loss : object
        With ``value`` and ``derivative``, see ``losses.py``.
    fit_intercept : bool, default=True
        Add an intercept that is not penalised.
    validation_weight : tensor of shape (n,), optional
        Fixed weight of every row's leave-one-out loss; 1 if not given.
    groups : int64 tensor of shape (n,), optional
        Codes 0 .. G - 1; rows of one group are left out together.
    validation : tuple of (tensor of shape (m, p), targets), optional
        Its mean loss replaces the leave-one-out loss.
    batch_size : int or "auto", default="auto"
        Rows visited at a time.
    """

    def __init__(
        self,
        features,
        targets,
        *,
        loss,
        fit_intercept=True,
        validation_weight=None,
        groups=None,
        validation=None,
        batch_size="auto",
    ):
        check_loss(loss)
        n_rows, n_columns = features.shape[0], features.shape[-1]
        if batch_size == "auto":
            batch_size = default_batch_size(n_columns, features.device, features.itemsize)
        self.features = features
        self.layout = make_layout(n_rows, batch_size, groups)
        order = self.layout.order
        self.targets = targets if order is None else targets.select(order)
        self.loss = loss
        self.fit_intercept = fit_intercept
        if validation_weight is None:
            validation_weight = features.new_ones(n_rows)
        self.validation_weight = self.layout.arrange(validation_weight)
        self.validation = validation

    by_gram = False  # whether ``features`` are inner products only
    center = None  # what is taken off features per output

    @property
    def dtype(self):
        """Working precision: that of the features."""
        return self.features.dtype

    def rows(self, dtype):
        """Row blocks of the features."""
        return TensorRows(self.features, self.layout, dtype)

    def smoother(self, sample_weight, alpha, dtype):
        """Factorise at the weights (visiting order)."""
        return make_smoother(self.rows(dtype), sample_weight, alpha, self.fit_intercept)

    def spectrum(self, sample_weight, dtype):
        """Decompose at the weights (visiting order), for the search of the penalty."""
        return Spectrum(self, sample_weight, dtype)

    def for_penalty(self, sample_weight):
        """The problem and the weights (input order) that the penalty is chosen on."""
        return self, sample_weight

    # Where outputs share their coefficients, a sample has several rows: see `JointProblem`.

    @property
    def row_targets(self):
        """Targets of the rows of the ridge model."""
        return self.targets

    @property
    def validation_rows(self):
        """Features of the validation set, one row each."""
        return self.validation[0]

    def by_sample(self, row_array):
        """Answers for rows as answers for samples."""
        return row_array

    def by_row(self, sample_array):
        """Answers for samples as answers for rows."""
        return sample_array

    def predictions(self, row_predictions):
        """Predictions of rows as those of samples (n, k)."""
        return row_predictions

    def sum_over_outputs(self, row_derivative):
        """Derivative with respect to the weights of samples."""
        return row_derivative

    def coefficients(self, smoother):
        """Coefficients and intercept of the model itself."""
        return smoother.coefficients(self.targets)
