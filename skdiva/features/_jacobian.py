"""JacobianFeaturizer: activations or Jacobians of a torch network, as features."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from numbers import Integral, Real
from os import PathLike
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import _check_feature_names, check_is_fitted

from skdiva._decorators import available_if, fit_context
from skdiva.arrays import is_tensor, to_host
from skdiva.features.network import (
    ExtractorConfig,
    NetworkExtractor,
    NetworkRows,
    build_module,
    cached,
    computing_device,
    draw_seed,
    floating_dtype,
    read_rows,
    record_columns,
    restore_modules,
    result_device,
    store_modules,
)


def _is_per_output(featurizer: JacobianFeaturizer) -> bool:
    if featurizer.outputs == "each" and featurizer.parameters != "last":
        return True
    raise AttributeError(
        "A model starts from the outputs of the network only with outputs='each' and parameters "
        f"other than 'last'; got outputs={featurizer.outputs!r}, "
        f"parameters={featurizer.parameters!r}."
    )


def _is_exact(featurizer: JacobianFeaturizer) -> bool:
    if _is_per_output(featurizer) and featurizer.n_components is None:
        return True
    raise AttributeError(
        "Exact Jacobians expect n_components=None; got "
        f"n_components={featurizer.n_components!r}, with which they are projected."
    )


class JacobianFeaturizer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Activations or Jacobians of a torch network.

    A linear model on the Jacobian of the outputs of a network with respect to its parameters is the
    network linearized around its weights. A linear model on the activations before the last layer
    retrains that layer. The network is copied in `fit`, and the copy is used in evaluation mode.
    The network itself is not changed.

    Parameters
    ----------
    backbone : nn.Module or callable
        The network, or a function without arguments that makes one, with ``random_state`` as seed.
        It must return outputs of shape (rows, outputs), or an object that has them as ``logits``.
    parameters : {"last", "all"} or list of str, default="last"
        If "last", the features are the inputs of the last Linear that is called. If "all", or names
        of parameters or modules (``"head.weight"``, ``"layer4"``), the features are derivatives
        with respect to these parameters.
    outputs : {"random", "each", "sum"}, default="random"
        Quantity that is differentiated: a fixed random combination of the outputs, every output
        (features of shape (n, k, p)), or the sum of the outputs, which hardly depends on the
        parameters after training with cross-entropy. Ignored with ``parameters="last"``.
    n_components : int, default=None
        Number of columns after a random projection that keeps inner products on average. If None,
        there is no projection.
    activation_slope : float, default=None
        Slope given to ReLU and ReLU6 where they are flat. If None, they are not changed.
    precondition : {"fisher"}, default=None
        If "fisher", columns are multiplied by (F + mean F)^-1/2, where F is the mean square of the
        column over the training rows.
    input_shape : tuple of int, default=None
        Shape of a row for the network, if X has two dimensions. If None, the shape of a row of X.
    batch_size : "auto" or int, default="auto"
        Number of rows computed at a time. If "auto", it is chosen according to the free memory. It
        is halved whenever memory does not suffice.
    device : str, default=None
        Device to compute on: "cpu", "cuda" or "cuda:<index>". If None, the device of X if that is a
        CUDA tensor; otherwise CUDA if it is available, else the CPU.
    dtype : {"float32", "float64"}, default=None
        Precision of network and features. If None, float64 if the network has float64 parameters,
        otherwise float32.
    memory : str or joblib.Memory, default=None
        Folder that caches results of `transform`, keyed by the content of network and X. Results
        for a Dataset or DataLoader are not cached.
    random_state : int, RandomState instance or None, default=None
        Determines the combination of the outputs, the projection, and the random numbers that a
        callable backbone draws. None is the same as 0, so that repeated calls give the same
        results.
    verbose : int, default=0
        Whether to show a progress bar.

    Attributes
    ----------
    n_columns_ : int
        Number of columns before the projection.
    n_outputs_ : int
        Number of outputs of the network.
    parameter_names_ : list of str
        Names of the parameters, in the order of the columns; None for ``parameters="last"``.
    direction_ : ndarray of shape (n_outputs,)
        Weights of the outputs; None if they are not combined.
    scale_ : ndarray of shape (n_columns,)
        Factors of the columns; None without ``precondition``.
    n_features_in_ : int
        Number of columns of X, if it has two dimensions.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if all of them are strings.

    See Also
    --------
    replace_head : A copy of a network with another number of outputs.
    KernelFeaturizer : Features without a network.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_digits
    >>> from skdiva.features import JacobianFeaturizer
    >>> X, y = load_digits(return_X_y=True)
    >>> network = torch.nn.Sequential(
    ...     torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10)
    ... )
    >>> JacobianFeaturizer(network).fit_transform(X).shape
    (1797, 32)
    >>> JacobianFeaturizer(network, parameters="all", n_components=100).fit_transform(X).shape
    (1797, 100)
    """

    _parameter_constraints: dict = {
        "backbone": [torch.nn.Module, callable],
        "parameters": [StrOptions({"last", "all"}), list, tuple],
        "outputs": [StrOptions({"random", "each", "sum"})],
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "activation_slope": [Interval(Real, 0, 1, closed="both"), None],
        "precondition": [StrOptions({"fisher"}), None],
        "input_shape": [list, tuple, None],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "device": [str, None],
        "dtype": [StrOptions({"float32", "float64"}), None],
        "memory": [str, PathLike, HasMethods("cache"), None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    n_columns_: int
    n_outputs_: int
    parameter_names_: list[str] | None
    direction_: np.ndarray | None
    scale_: np.ndarray | None
    n_features_in_: int
    feature_names_in_: np.ndarray

    def __init__(
        self,
        backbone: torch.nn.Module | Callable[[], torch.nn.Module],
        *,
        parameters: str | Sequence[str] = "last",
        outputs: str = "random",
        n_components: int | None = None,
        activation_slope: float | None = None,
        precondition: str | None = None,
        input_shape: Sequence[int] | None = None,
        batch_size: str | int = "auto",
        device: str | None = None,
        dtype: str | None = None,
        memory: Any = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.backbone = backbone
        self.parameters = parameters
        self.outputs = outputs
        self.n_components = n_components
        self.activation_slope = activation_slope
        self.precondition = precondition
        self.input_shape = input_shape
        self.batch_size = batch_size
        self.device = device
        self.dtype = dtype
        self.memory = memory
        self.random_state = random_state
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002
        """Copy the network and prepare the computation of the features.

        Parameters
        ----------
        X : array-like, tensor, Dataset or DataLoader
            Training rows, as for `transform`.
        y : None
            Ignored.

        Returns
        -------
        JacobianFeaturizer
            The fitted featurizer.

        Raises
        ------
        TypeError
            If ``backbone`` is neither a module nor a callable that returns one.
        ValueError
            If X or the network is not as described.
        """
        rows = read_rows(X, self.input_shape, self, n_least=2)
        seed = draw_seed(self.random_state)
        module = build_module(self.backbone, seed)
        config = ExtractorConfig(
            dtype=self.dtype or floating_dtype(module),
            parameters=self.parameters if isinstance(self.parameters, str) else [*self.parameters],
            outputs=self.outputs,
            n_components=self.n_components,
            activation_slope=self.activation_slope,
            seed=seed,
        )
        probe = rows.probe()
        extractor = self._make_extractor(module, config, probe, computing_device(self.device, X))
        module = extractor.network.module
        if self.precondition is not None:
            key, place = ("scale", module, config), result_device(X)
            compute = partial(extractor.fisher_scale, rows)
            extractor.scale_by(cached(self.memory, key, rows, compute, place))
        record_columns(self, X, rows.given_shape, reset=True)
        self.n_columns_, self.n_outputs_ = extractor.n_columns, extractor.n_outputs
        self.parameter_names_, self.direction_ = extractor.names, extractor.direction
        self._module, self._config, self._probe = module, extractor.config, probe
        self._extractor, self.scale_ = extractor, extractor.config.scale
        return self

    def transform(self, X: Any) -> np.ndarray | torch.Tensor:
        """Compute the features.

        Parameters
        ----------
        X : array-like, tensor, Dataset or DataLoader
            Finite numbers with two to four dimensions, a numeric dataframe, or a data set of
            tensors, of tuples that begin with a tensor, or of dicts of tensors, which are passed as
            keywords.

        Returns
        -------
        ndarray or tensor of shape (n_rows, n_features)
            Features, of shape (n_rows, n_outputs, n_features) if they are computed per output. If X
            is a tensor, a tensor on the same device.

        Raises
        ------
        ValueError
            If X does not fit the network, or the features would not fit in memory.
        """
        check_is_fitted(self)
        container = _get_output_config("transform", self)["dense"]
        if container != "default" and self._config.per_output:
            raise ValueError(
                f"set_output(transform={container!r}) expects features with two dimensions; got "
                "outputs='each', which gives three. Use outputs='random', or "
                "set_output(transform='default')."
            )
        rows, place = self._read(X), result_device(X)
        key = "features", self._module, self._config
        features = cached(
            self.memory, key, rows, lambda: self._extractor_for(X).transform(rows, place), place
        )
        return features if is_tensor(X) and container == "default" else to_host(features)

    @available_if(_is_per_output)
    def initial_outputs(self, X: Any) -> np.ndarray | torch.Tensor:
        """Compute the outputs of the network, to which a linearized model is added.

        Parameters
        ----------
        X : array-like, tensor, Dataset or DataLoader
            As for `transform`.

        Returns
        -------
        ndarray or tensor of shape (n_rows, n_outputs)
            If X is a tensor, a tensor on the same device.
        """
        check_is_fitted(self)
        rows, place = self._read(X), result_device(X)
        key = "outputs", self._module, self._config
        outputs = cached(
            self.memory, key, rows, lambda: self._extractor_for(X).outputs(rows, place), place
        )
        return outputs if is_tensor(X) else to_host(outputs)

    @available_if(_is_exact)
    def jacobian_tiles(self, X: Any, max_bytes: int) -> Iterator[torch.Tensor]:
        """Yield the Jacobian of all outputs, some columns at a time.

        Parameters
        ----------
        X : array-like or tensor
            As for `transform`.
        max_bytes : int
            Largest size of a tile, unless a single column is larger.

        Yields
        ------
        tensor of shape (n_rows, n_outputs, n_tile_columns)
            On the device of the computation; together the tiles hold all `n_columns_` columns in
            order.
        """
        check_is_fitted(self)
        yield from self._extractor_for(X).jacobian_tiles(self._read(X), max_bytes)

    @available_if(_is_exact)
    def combine_jacobian(self, X: Any, coefficients: Any) -> torch.Tensor:
        """Sum the rows of the Jacobians, each multiplied by a coefficient.

        Parameters
        ----------
        X : array-like or tensor
            As for `transform`.
        coefficients : array-like or tensor of shape (n_rows, n_outputs)
            One for each row and output.

        Returns
        -------
        tensor of shape (n_columns,)
            On the device of the computation.
        """
        check_is_fitted(self)
        return self._extractor_for(X).combine(self._read(X), coefficients)

    @available_if(_is_exact)
    def apply_jacobian(self, X: Any, coef: Any) -> torch.Tensor:
        """Multiply the Jacobians by coefficients of the columns.

        Parameters
        ----------
        X : array-like, tensor, Dataset or DataLoader
            As for `transform`.
        coef : array-like or tensor of shape (n_columns,)
            One for each column.

        Returns
        -------
        tensor of shape (n_rows, n_outputs)
            On the device of the computation.
        """
        check_is_fitted(self)
        return self._extractor_for(X).apply(self._read(X), coef)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        tags.input_tags.three_d_array = True
        return tags

    def __sklearn_clone__(self) -> JacobianFeaturizer:
        """Clone all parameters except the network, which is shared by the clones."""
        bare = object.__new__(type(self))
        bare.__dict__.update(vars(self), backbone=None)
        twin = super(JacobianFeaturizer, bare).__sklearn_clone__()
        twin.backbone = self.backbone
        return twin

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without a device: networks are stored as NumPy arrays."""
        state = dict(super().__getstate__())
        state.pop("_extractor", None)
        return store_modules(state, ("backbone", "_module"))

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the state, with the networks on the CPU."""
        super().__setstate__(restore_modules(state))

    @property
    def _n_features_out(self) -> int:
        return self._config.n_components or self.n_columns_

    def _read(self, X: Any) -> NetworkRows:
        """Return the rows of X, checked against those of `fit`."""
        if hasattr(X, "columns"):  # a wrong column may be the reason for wrong values
            _check_feature_names(self, X, reset=False)
        rows = read_rows(X, self.input_shape, self)
        record_columns(self, X, rows.given_shape, reset=False)
        return rows

    def _make_extractor(
        self, module: torch.nn.Module, config: ExtractorConfig, probe: Any, device: torch.device
    ) -> NetworkExtractor:
        size = None if isinstance(self.batch_size, str) else self.batch_size
        progress = type(self).__name__ if self.verbose else None
        return NetworkExtractor(module, config, probe, device, size, progress)

    def _extractor_for(self, X: Any) -> NetworkExtractor:
        """Return the extractor on the device for X, made anew if there is none."""
        device = computing_device(self.device, X)
        extractor = getattr(self, "_extractor", None)  # absent after unpickling
        if extractor is None or extractor.device != device:
            extractor = self._make_extractor(self._module, self._config, self._probe, device)
            self._extractor, self._module = extractor, extractor.network.module
        return extractor
