"""JacobianFeaturizer: activations or Jacobians of a torch network, as features."""

from numbers import Integral, Real
from os import PathLike

import torch
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import _check_feature_names, check_is_fitted

from skdiva.arrays import choose_device, is_tensor, to_host
from skdiva.features._full_linearization import FullLinearization
from skdiva.features.network import (
    Computation,
    Recipe,
    SharedBackbone,
    build_module,
    cached,
    draw_seed,
    floating_dtype,
    is_stream,
    place_of,
    read_rows,
    record_columns,
    seeded,
    store,
)


class JacobianFeaturizer(
    FullLinearization,
    SharedBackbone,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    BaseEstimator,
):
    """Activations or Jacobians of a torch network.

    A linear model on the Jacobian of a network's outputs with respect to its parameters is the
    network, linearised around its weights; one on the activations before the last layer retrains
    that layer. The network is copied in `fit` and used in evaluation mode; it is not changed.

    Parameters
    ----------
    backbone : nn.Module or callable
        The network, or a function without arguments that makes one, with ``random_state`` as seed.
        It must return (rows, outputs), or an object with such ``logits``.
    parameters : {"last", "all"} or list of str, default="last"
        "last": the features are the inputs of the last Linear that is called. "all", or names of
        parameters or of modules (``"layer4"``, ``"head.weight"``): derivatives by these.
    outputs : {"random", "each", "sum"}, default="random"
        What is differentiated: a fixed random combination of the outputs, every output (features of
        shape (n, k, p)), or their sum, which hardly depends on the parameters after training with
        cross-entropy. Has no influence with ``parameters="last"``.
    n_components : int, default=None
        Number of columns after a random projection, which keeps inner products on average. None: no
        projection.
    activation_slope : float, default=None
        Slope given to ReLU and ReLU6 where they are flat. None: they stay as they are.
    precondition : {"fisher"}, default=None
        "fisher": columns are multiplied by (F + mean F)^-1/2, where F is the mean square of the
        column over the training rows.
    input_shape : tuple of int, default=None
        Shape of a row for the network, where X has two dimensions. None: as X has it.
    batch_size : "auto" or int, default="auto"
        Number of rows computed at a time; "auto": from the free memory. Halved whenever memory does
        not suffice.
    device : str, default=None
        "cpu", "cuda" or "cuda:<index>". None: where X is if that is a CUDA tensor, else CUDA if
        there is one, else the CPU.
    dtype : {"float32", "float64"}, default=None
        Precision of network and features. None: float64 if the network is, else float32.
    memory : str or joblib.Memory, default=None
        Folder for results of `transform`, found again by the content of network and X.
        A Dataset or DataLoader is computed anew.
    random_state : int, RandomState instance or None, default=None
        Decides combination, projection, and what a callable backbone draws. None is 0.
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
        Names of the columns, if they are all strings.

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

    def __init__(
        self,
        backbone,
        *,
        parameters="last",
        outputs="random",
        n_components=None,
        activation_slope=None,
        precondition=None,
        input_shape=None,
        batch_size="auto",
        device=None,
        dtype=None,
        memory=None,
        random_state=None,
        verbose=0,
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

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):  # noqa: ARG002
        """Copy the network, and prepare what is computed of it.

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
            If backbone does not give a module.
        ValueError
            If X or the network is not as described.
        """
        rows = self._read(X, reset=True)
        seed = draw_seed(self.random_state)
        with seeded(seed):
            module = build_module(self.backbone)
        dtype = self.dtype or floating_dtype(module)
        parameters = self.parameters if isinstance(self.parameters, str) else [*self.parameters]
        self._recipe = Recipe(
            dtype, parameters, self.outputs, self.n_components, self.activation_slope, seed
        )
        self._probe = rows.probe()
        work = self._start(module, self._device_for(X))
        if self.precondition is not None:
            scale = self._remembered(X, rows, "scale", lambda: work.fisher_scale(rows))
            self._recipe = self._recipe._replace(scale=to_host(scale))
            work.scale_by(self._recipe.scale)
        self.n_columns_, self.n_outputs_ = work.n_columns, work.n_outputs
        self.parameter_names_, self.direction_ = work.names, work.direction
        self.scale_ = self._recipe.scale
        return self

    def transform(self, X):
        """Compute the features.

        Parameters
        ----------
        X : array-like, tensor, Dataset or DataLoader
            Finite numbers of two to four dimensions, a numeric dataframe, or a data set of tensors,
            of tuples that begin with a tensor, or of dicts of tensors, passed as keywords.

        Returns
        -------
        ndarray or tensor of shape (n_rows, n_features)
            (n_rows, n_outputs, n_features) per output. A tensor, on the same device, if X is one.

        Raises
        ------
        ValueError
            If X does not suit the network, or the features would not fit in memory.
        """
        check_is_fitted(self)
        wanted = _get_output_config("transform", self)["dense"]
        if wanted != "default" and self._recipe.per_output:
            raise ValueError(
                f"set_output(transform={wanted!r}) expects features of two dimensions; got "
                "outputs='each', which gives three. Use outputs='random', or set_output(transform="
                "'default')."
            )
        rows = self._read(X)
        features = self._remembered(
            X, rows, "features", lambda: self._work_for(X).transform(rows, place_of(X))
        )
        return features if is_tensor(X) and wanted == "default" else to_host(features)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        tags.input_tags.three_d_array = True
        return tags

    @property
    def _n_features_out(self):
        return self._recipe.n_components or self.n_columns_

    def _read(self, X, reset=False):
        """Rows of X, checked; the columns of X are remembered, or compared."""
        if hasattr(X, "columns"):  # a wrong column may be why its values are wrong
            _check_feature_names(self, X, reset=reset)
        rows, array = read_rows(X, self.input_shape, self, n_least=1 + reset)
        record_columns(self, X, array, reset=reset)
        return rows

    def _device_for(self, X):
        device = choose_device(self.device, X)
        if device.type == "cuda" and device.index is None:
            device = torch.device("cuda", torch.cuda.current_device())
        return device

    def _start(self, module, device):
        """Bring a module to a device, with what computes there."""
        size = None if self.batch_size == "auto" else self.batch_size
        progress = type(self).__name__ if self.verbose else None
        self._work = Computation(module, self._recipe, self._probe, device, size, progress)
        self._module = self._work.network.module
        return self._work

    def _work_for(self, X):
        device = self._device_for(X)
        work = getattr(self, "_work", None)  # not in a pickle
        return work if work and work.device == device else self._start(self._module, device)

    def _remembered(self, X, rows, what, compute):
        """Result of ``compute``, a tensor; with ``memory``, looked for there first."""
        if self.memory is None or is_stream(X):
            return compute()
        result = cached(
            self.memory, lambda: to_host(compute()),
            lambda: (what, store(self._module), self._recipe, rows.X),
        )  # fmt: skip
        return torch.from_numpy(result).to(place_of(X))
