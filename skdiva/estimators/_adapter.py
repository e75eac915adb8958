"""Adapter between the estimators and the torch core.

This module loads torch, so it is imported only when an estimator is fitted.
"""

from typing import Any

import numpy as np
import torch
from scipy.sparse import issparse

from skdiva.arrays import Compute, ConvertedRows, SparseRows, to_host
from skdiva.estimators._inputs import TrainingData
from skdiva.estimators._new_rows import NewRowDerivative
from skdiva.estimators._pool import Pool
from skdiva.estimators._pool_rows import PoolRows
from skdiva.estimators.feature_maps import FeatureMap
from skdiva.loo import (
    Budget,
    Curation,
    Descent,
    Extension,
    FittedRidge,
    JointGram,
    JointProblem,
    LogLoss,
    NoiseModel,
    Problem,
    RowSource,
    SquaredError,
    TransitionNoise,
    choose_penalty,
    curate,
    descend,
    descend_by_source,
    extend,
    learn_weights,
)
from skdiva.loo.ridge import SmallPenaltyError
from skdiva.loo.weights import descend_with_early_stopping
from skdiva.targets import ClassLabels, Target

_LARGEST_ALPHA = 1e300


class CoreAdapter:
    """Adapter that builds the ridge problem of an estimator and converts the results to arrays.

    Parameters
    ----------
    estimator : estimator
        Estimator whose parameters are used. It is not modified.
    data : TrainingData
        Arguments of `fit`.
    feature_map : FeatureMap
        Fitted feature map.
    compute : Compute
        Device and dtype for which the features were computed.
    features : array or tensor of shape (n, p) or (n, k, p), RowSource or JointGram
        Features of the training rows.
    alpha : float, default=None
        Ridge penalty. If None, the parameter of the estimator.
    """

    noise_model: NoiseModel = TransitionNoise()

    def __init__(
        self,
        estimator: Any,
        data: TrainingData,
        feature_map: FeatureMap,
        compute: Compute,
        features: Any,
        alpha: float | None = None,
    ):
        self.estimator, self.data, self.feature_map = estimator, data, feature_map
        is_gram = isinstance(features, JointGram)
        self.compute = compute = compute.following(features.train if is_gram else features)
        if issparse(features):
            self.features: Any = SparseRows(features, compute)
            self.features.require_memory(data.X_val)
        elif isinstance(features, RowSource):
            self.features = ConvertedRows(features, compute)
        else:
            train = compute.finite_tensor(features.train if is_gram else features)
            self.features = JointGram(train) if is_gram else train
        validation = None
        if data.target_val is not None:
            val = features.validation if is_gram else feature_map.transform(data.X_val)
            validation = compute.finite_tensor(val), self._targets(data.X_val, data.target_val)
        start, validation_weight = compute.tensor(np.ones(len(data.y))), None
        if data.sample_weight is not None:
            start = validation_weight = compute.tensor(data.sample_weight)
        if data.validation_weight is not None:
            validation_weight = compute.tensor(data.validation_weight)
        self.start_weight = start
        self.labels = self.sources = None
        if isinstance(data.target, ClassLabels):
            self.labels = compute.tensor(data.target.codes, "int64")
        if data.sources is not None:
            self.sources = compute.tensor(data.sources, "int64")
        self.problem = self._make_problem(self.features, data, validation, validation_weight)
        if alpha is None and estimator.alpha != "auto":
            alpha = float(estimator.alpha)
        self.alpha = choose_penalty(self.problem, start).alpha if alpha is None else alpha

    def _make_problem(
        self, features: Any, data: TrainingData, validation: Any, validation_weight: Any = None
    ) -> Problem | JointProblem:
        is_joint = isinstance(features, JointGram) or len(features.shape) == 3
        make = JointProblem if is_joint else Problem
        loss, batch_size = self.estimator.loss, self.estimator.batch_size
        if isinstance(loss, str):
            has_classes = isinstance(data.target, ClassLabels)
            if loss == "log_loss" and not has_classes:
                raise ValueError(
                    "loss='log_loss' expects y with classes, got y with regression targets. "
                    "Use loss='squared_error' or 'auto'."
                )
            loss = LogLoss() if has_classes and loss != "squared_error" else SquaredError()
        return make(
            features,
            self._targets(data.X_checked, data.target),
            loss=loss,
            fit_intercept=self.estimator.fit_intercept,
            validation_weight=validation_weight,
            groups=None if data.groups is None else self.compute.tensor(data.groups, "int64"),
            validation=validation,
            budget=Budget(
                block_rows=None if batch_size == "auto" else batch_size,
                kept_bytes=getattr(features, "kept_bytes", None),  # set for sparse rows
            ),
        )

    def _targets(self, X: Any, target: Target) -> Any:
        outputs = self.feature_map.initial_outputs(X, target.n_outputs)
        return target.to_core(self.compute, outputs)

    def fit_ridge(self, sample_weight: np.ndarray | None = None) -> FittedRidge:
        """Return the ridge model at some weights, by default the start weights."""
        weight = self.start_weight
        if sample_weight is not None:
            weight = self.compute.tensor(sample_weight)
        return FittedRidge(self.problem, weight, self.alpha)

    def curate(self) -> Curation:
        """Reduce the weights of rows whose labels are probably wrong."""
        assert self.labels is not None
        start = self.problem, self.start_weight, self.alpha
        return curate(*start, self.labels, sources=self.sources, noise_model=self.noise_model)

    def descend(self) -> Descent:
        """Learn the weights of a reweighter; a progress bar is shown if it is verbose."""
        estimator, start = self.estimator, (self.problem, self.start_weight, self.alpha)
        # Every step is evaluated, and so are the weights after the last step.
        with estimator._progress(estimator.max_iter + 1, "step") as advance:
            settings: dict[str, Any] = {
                "max_iter": estimator.max_iter,
                "on_step": lambda _step, loss: advance(loss=f"{loss:.4g}"),
            }
            if estimator.learning_rate != "auto":
                settings |= {"sources": self.sources, "classes": self.labels}
                return descend(*start, learning_rate=estimator.learning_rate, **settings)
            if self.sources is not None:
                settings |= {"labels": self.labels, "noise_model": self.noise_model}
                return descend_by_source(*start, self.sources, **settings)
            if self.data.target_val is not None or self.labels is None:
                return descend_with_early_stopping(*start, classes=self.labels, **settings)
            return learn_weights(*start, self.labels, noise_model=self.noise_model, **settings)

    def extend(
        self, core: TrainingData, pool: Pool | None, n_samples: int, kept_bytes: int | None = None
    ) -> Extension:
        """Add rows of a pool; a progress bar is shown if the extender is verbose.

        Parameters
        ----------
        core : TrainingData
            The core, which forms the first rows of the adapter's data. Rows of the pool may follow.
        pool : Pool or None
        n_samples : int
            Largest number of rows to add.
        kept_bytes : int, default=None
            As for `PoolRows`.
        """
        problem, rows = self.pool_problem(core, pool, kept_bytes)
        while True:
            try:
                return self._extend(problem, rows, n_samples)
            except SmallPenaltyError:
                # The penalty was chosen with the rows of the pool, and the core has fewer rows.
                if self.estimator.alpha != "auto" or not self.alpha < _LARGEST_ALPHA:
                    raise
                self.alpha *= 10

    def _extend(self, problem: Problem, rows: tuple[Any, Any], n_samples: int) -> Extension:
        with self.estimator._progress(n_samples, "row") as advance:
            return extend(
                problem,
                self.alpha,
                rows,
                include_pool=self.estimator.evaluate_on == "all",
                step=self.estimator.step,
                n_samples=n_samples,
                on_batch=lambda n_added, _: advance(to=n_added),
            )

    def pool_problem(
        self, core: TrainingData, pool: Pool | None, kept_bytes: int | None = None
    ) -> tuple[Problem, tuple[Any, Any]]:
        """Return the problem of the core, and features and targets of the pool."""
        if isinstance(self.features, JointGram) or len(self.features.shape) == 3:
            raise ValueError(
                "DivaExtender expects features of shape (n, p), one row per sample; got features "
                "per output. Use outputs='random' or parameters='last' of the featurizer."
            )
        is_sparse = isinstance(self.features, SparseRows)
        split = self.features.split if is_sparse else self.features.tensor_split
        features, rest = split([len(core.y)])
        problem = self._make_problem(features, core, self.problem.validation)
        assert isinstance(problem, Problem)
        if pool is None:
            return problem, (rest, problem.targets.select(slice(0, 0)))
        known = rest if not is_sparse and len(rest) == pool.n_rows else None
        rows = PoolRows(self.feature_map, self.compute, pool, problem, known, kept_bytes)
        return problem, (rows, rows.targets())

    def model(self, coefficients: tuple[Any, Any]) -> tuple[np.ndarray, np.ndarray]:
        """Return coefficients of the features and intercepts as arrays, from those of the core."""
        if self.feature_map.gram_only:
            return self.feature_map.coef_from_duals(self.data.X_checked, *coefficients)
        return to_host(coefficients[0]), to_host(coefficients[1])

    def new_row_derivative(self, fit: FittedRidge) -> NewRowDerivative | None:
        """Return the derivative for new rows; None if only inner products are known."""
        if self.feature_map.gram_only:
            return None
        form = fit.new_row_form()
        coef, intercept = self.model(fit.coefficients)
        return NewRowDerivative(
            type(form)(*map(torch.Tensor.double, form)),
            coef.astype(np.float64),
            intercept,
            to_host(getattr(self.problem, "center", None)),
        )
