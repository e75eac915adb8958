"""Where checked arrays become tensors, and the core's answers become arrays again.

The bridge to the core and to torch: imported when something is fitted, not before.
"""

import contextlib
from functools import partial

import torch
from tqdm.auto import tqdm

from skdiva.arrays import all_finite, choose_device, choose_dtype, to_host, to_tensor
from skdiva.estimators._feature_maps import TransformedFeatures
from skdiva.estimators._pool_blocks import PoolBlocks
from skdiva.estimators._targets import Classes
from skdiva.features import SelectionTask
from skdiva.loo._evaluation import evaluate, fit_ridge, new_row_form
from skdiva.loo._losses import LogLoss, SquaredError
from skdiva.loo._penalty import choose_penalty
from skdiva.loo._problem import Problem
from skdiva.loo._targets import ClassTargets, ValueTargets
from skdiva.loo.joint._gram import JointGram
from skdiva.loo.joint._problem import JointProblem
from skdiva.loo.pool._greedy import extend
from skdiva.loo.weights._curation import curate, learn_weights
from skdiva.loo.weights._descent import descend
from skdiva.loo.weights._early_stopping import descend_if_it_helps
from skdiva.loo.weights._sources import descend_by_source


class PosedProblem:
    """The training data as a leave-one-out problem on one device, with its penalty.

    Parameters
    ----------
    estimator : estimator
        Whose parameters say how to compute.
    data : TrainingData
    feature_map : RawFeatures, ChosenFeatures or TransformedFeatures
        Fitted here.
    """

    def __init__(self, estimator, data, feature_map):
        self.estimator = estimator
        self.device = choose_device(estimator.device, *data.given)
        self.data, self.feature_map = data, feature_map
        self.dtype = self._dtype(data.X_checked)
        features = feature_map.fit_transform(data, self)
        if isinstance(features, JointGram):
            self.dtype = self._dtype(features.train)
        elif isinstance(feature_map, TransformedFeatures):
            self.dtype = self._dtype(features)
        weight = data.sample_weight
        self.start_weight = None if weight is None else self._floats(weight)
        judge_weight = self._judge_weight()
        validation = self._validation(data, features)
        self.problem = self._make_problem(
            self._features(features),
            data,
            validation,
            self.start_weight if judge_weight is None else judge_weight,
        )
        if self.start_weight is None:
            self.start_weight = self.problem.features.new_ones(len(data.y))
        self.ties = self._codes(data.sources)
        self.classes = self._codes(data.target.codes) if data.has_classes else None
        self.alpha = self._alpha()

    def _make_problem(self, features, data, validation, validation_weight=None):
        make = Problem if getattr(features, "ndim", 0) == 2 else JointProblem
        return make(
            features,
            self._targets(data.X_checked, data.target),
            loss=_loss(self.estimator.loss, data.target),
            fit_intercept=self.estimator.fit_intercept,
            validation_weight=validation_weight,
            groups=self._codes(data.groups),
            validation=validation,
            batch_size=self.estimator.batch_size,
        )

    def inner_products(self, tiles, n_train):
        """Inner products of per-output features, from tiles of columns.

        A tile is a list: columns of the training rows, and of the validation rows if there are any.
        """

        def together(tile):
            parts = [to_tensor(part, self.device, self._dtype(part)) for part in tile]
            return parts[0] if len(parts) == 1 else torch.cat(parts)

        tiles = map(together, tiles)
        return JointGram.from_tiles(tiles, n_train, center=self.estimator.fit_intercept)

    def labels(self):
        """What decides the features, before there are any."""
        data = self.data
        validation = None
        if data.X_val is not None:
            validation = data.X_val, self._targets(data.X_val, data.target_val)
        return SelectionTask(
            self._targets(data.X_checked, data.target),
            self._codes(data.groups),
            validation,
            self.estimator.fit_intercept,
            self._judge_weight(),
        )

    def evaluate(self):
        """Answers of the core at the start weights."""
        return evaluate(self.problem, self.start_weight, self.alpha)

    def curate(self):
        """Take their weight from rows whose labels are likely to be wrong."""
        start = self.problem, self.start_weight, self.alpha
        return curate(*start, self.classes, ties=self.ties)

    def descend(self):
        """Learn the weights, with a progress bar if the estimator is verbose."""
        estimator, start = self.estimator, (self.problem, self.start_weight, self.alpha)
        judged = self.data.X_val is not None or self.classes is None
        # Every step is evaluated, and so is what the last one leads to.
        with _progress(estimator, estimator.max_iter + 1, "step") as bar:
            on_step = None if bar is None else partial(_show_step, bar)
            how = {"max_iter": estimator.max_iter, "on_step": on_step}
            if estimator.learning_rate != "auto":
                how |= {"ties": self.ties, "classes": self.classes}
                return descend(*start, learning_rate=estimator.learning_rate, **how)
            if self.ties is not None:
                return descend_by_source(*start, self.ties, labels=self.classes, **how)
            if judged:
                return descend_if_it_helps(*start, classes=self.classes, **how)
            return learn_weights(*start, self.classes, **how)

    def extend(self, core, pool, n_samples):
        """Choose rows of a pool, with a progress bar if the estimator is verbose.

        ``core`` is the data that the problem starts with; rows of the pool may follow.
        """
        if isinstance(self.problem, JointProblem):
            raise ValueError(
                "DivaExtender expects features of shape (n, p), one row per sample; got features "
                "per output. Use outputs='random' or parameters='last' of the featurizer."
            )
        features, rest = self.problem.features.tensor_split([len(core.y)])
        problem = self._make_problem(features, core, self.problem.validation)
        blocks = []
        if pool is not None:
            blocks = PoolBlocks(self, pool, rest if len(rest) == pool.n_rows else None)
        with _progress(self.estimator, n_samples, "row") as bar:
            on_batch = None if bar is None else lambda n_added, _: bar.update(n_added - bar.n)
            how = {"step": self.estimator.step, "n_samples": n_samples, "on_batch": on_batch}
            how["pool_judges"] = self.estimator.evaluate_on == "all"
            return extend(problem, self.alpha, blocks, **how)

    def labelled_rows(self, X, target, features=None):
        """Return features (m, p), made if not given, and targets of more rows, as tensors."""
        if features is None:
            features = self._features(self.feature_map.transform(X))
        return features, self._targets(X, target)

    def ridge(self, sample_weight):
        """Return ``coef`` (p, k) and ``intercept`` (k,) of the ridge at the weights, as arrays."""
        weight = self._floats(sample_weight)
        return self.model(*fit_ridge(self.problem, weight, self.alpha))

    def model(self, coef, intercept):
        """Coefficients of the features, and intercepts, as arrays."""
        if self.problem.by_gram:
            X, fit_intercept = self.data.X_checked, self.estimator.fit_intercept
            coef, intercept = self.feature_map.from_duals(X, coef, intercept, fit_intercept)
        return to_host(coef), to_host(intercept)

    def new_row_form(self):
        """Return the form that scores new rows at weight zero, as arrays by name, and a centre.

        The centre is that of features per output. Both are None where only inner products are
        known.
        """
        if self.problem.by_gram:
            return None, None
        form = new_row_form(self.problem, self.start_weight, self.alpha)
        center = self.problem.center
        return {name: to_host(part) for name, part in form._asdict().items()}, to_host(center)

    def _alpha(self):
        if self.estimator.alpha != "auto":
            return float(self.estimator.alpha)
        return choose_penalty(self.problem, self.start_weight).alpha

    def _dtype(self, array):
        return choose_dtype(self.estimator.dtype, array, *self.data.given)

    def _features(self, features):
        if isinstance(features, JointGram):
            return JointGram(self._features(features.train))
        tensor = self._floats(features)
        if not all_finite(tensor):
            raise ValueError(
                f"The features contain NaN, infinity or a value too large for {self.dtype}. "
                + (
                    "Scale them, or use dtype='float64'."
                    if self.dtype == "float32"
                    else "Scale them."
                )
            )
        return tensor

    def _targets(self, X, target):
        outputs = self.feature_map.initial_outputs(X, target.n_outputs)
        outputs = None if outputs is None else self._floats(outputs)
        if isinstance(target, Classes):
            return ClassTargets(self._codes(target.codes), target.n_outputs, outputs)
        return ValueTargets(to_tensor(target.values, self.device, "float64"), outputs)

    def _validation(self, data, features):
        if data.X_val is None:
            return None
        if not isinstance(features, JointGram):
            return self.labelled_rows(data.X_val, data.target_val)
        features = self._features(features.validation)
        return features, self._targets(data.X_val, data.target_val)

    def _judge_weight(self):
        weight = self.data.validation_weight
        return None if weight is None else self._floats(weight)

    def _floats(self, array):
        return to_tensor(array, self.device, self.dtype)

    def _codes(self, codes):
        return None if codes is None else to_tensor(codes, self.device, "int64")


def _loss(loss, target):
    if loss == "auto":
        return LogLoss() if isinstance(target, Classes) else SquaredError()
    if loss == "squared_error":
        return SquaredError()
    if loss != "log_loss":
        return loss
    if not isinstance(target, Classes):
        raise ValueError(
            "loss='log_loss' expects y with classes, got y with regression targets. "
            "Use loss='squared_error' or 'auto'."
        )
    return LogLoss()


@contextlib.contextmanager
def _progress(estimator, total, unit):
    if not estimator.verbose:
        yield None
        return
    with tqdm(total=total, desc=type(estimator).__name__, unit=unit) as bar:
        yield bar


def _show_step(bar, _step, loss):
    bar.set_postfix(loss=f"{loss:.4g}", refresh=False)
    bar.update()
