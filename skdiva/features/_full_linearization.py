"""FullLinearization: what the estimators ask of a featurizer that has features per output."""

from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skdiva.arrays import is_tensor, to_host
from skdiva.features.network import place_of


def _is_per_output(featurizer):
    if featurizer.outputs == "each" and featurizer.parameters != "last":
        return True
    raise AttributeError(
        "only with outputs='each', and parameters other than 'last', does a model start from the "
        f"outputs of the network; got outputs={featurizer.outputs!r}, "
        f"parameters={featurizer.parameters!r}"
    )


def _is_exact(featurizer):
    if _is_per_output(featurizer) and featurizer.n_components is None:
        return True
    raise AttributeError("projected Jacobians are not exact: n_components must be None")


class FullLinearization:
    """Outputs, and exact Jacobians of all outputs, of a featurizer's network."""

    @available_if(_is_per_output)
    def initial_outputs(self, X):
        """Outputs of the network, from which a linearised model starts.

        Parameters
        ----------
        X : array-like, tensor, Dataset or DataLoader
            As for `transform`.

        Returns
        -------
        ndarray or tensor of shape (n_rows, n_outputs)
            A tensor, on the same device, if X is one.
        """
        check_is_fitted(self)
        rows = self._read(X)
        outputs = self._remembered(
            X, rows, "outputs", lambda: self._work_for(X).outputs(rows, place_of(X))
        )
        return outputs if is_tensor(X) else to_host(outputs)

    @available_if(_is_exact)
    def jacobian_tiles(self, X, max_bytes):
        """Jacobian of all outputs, some columns at a time.

        Parameters
        ----------
        X : array-like or tensor
            As for `transform`.
        max_bytes : int
            Largest size of a tile, unless a single column is larger.

        Yields
        ------
        tensor of shape (n_rows, n_outputs, n_tile_columns)
            On the device that computes; together they hold all `n_columns_` columns in order.
        """
        check_is_fitted(self)
        yield from self._work_for(X).jacobian_tiles(self._read(X), max_bytes)

    @available_if(_is_exact)
    def combine_jacobian(self, X, coefficients):
        """Sum of the rows of the Jacobians, each times a coefficient.

        Parameters
        ----------
        X : array-like or tensor
            As for `transform`.
        coefficients : array-like or tensor of shape (n_rows, n_outputs)
            One for each row and output.

        Returns
        -------
        tensor of shape (n_columns,)
            On the device that computes.
        """
        check_is_fitted(self)
        return self._work_for(X).combine(self._read(X), coefficients)

    @available_if(_is_exact)
    def apply_jacobian(self, X, coef):
        """Jacobians times coefficients of the columns.

        Parameters
        ----------
        X : array-like, tensor, Dataset or DataLoader
            As for `transform`.
        coef : array-like or tensor of shape (n_columns,)
            One for each column.

        Returns
        -------
        tensor of shape (n_rows, n_outputs)
            On the device that computes.
        """
        check_is_fitted(self)
        return self._work_for(X).apply(self._read(X), coef)
