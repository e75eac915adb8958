"""ExtensionDisplay: loss and test error as a function of the number of rows added to a core."""

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skdiva.inspection._curves import (
    check_count,
    check_curve,
    check_repeats,
    draw_curve,
    label_axes,
    split_axes,
)
from skdiva.inspection._drawing import (
    axes_to_draw_on,
    check_axes,
    check_has_pool,
    fitted_attribute,
    last_step,
)
from skdiva.inspection._extension_data import extension_data


class ExtensionDisplay:
    """Loss and test error as a function of the number of rows added, compared to random choice.

    The upper axes show the test error of a model trained on the core and the first rows of the
    ranking (figure 4 of [1]_). The lower axes show the leave-one-out loss that determined the
    choice of rows; this curve ends where adding stopped. Either of the two may be omitted.

    Parameters
    ----------
    n_added : array-like of shape (n_losses,), default=None
        Number of rows added for each entry of ``loo_loss``, ``n_added_`` of a fitted extender.
    loo_loss : array-like of shape (n_losses,), default=None
        Mean leave-one-out loss, ``loo_loss_path_`` of a fitted extender. If None, no loss is drawn.
    random_loss : array-like of shape (n_repeats, n_losses), default=None
        Losses with the rows added in random order, one row of the array per repeat. If None, they
        are not drawn.
    n_trained : array-like of shape (n_sizes,), default=None
        Number of rows added for each entry of ``test_error``.
    test_error : array-like of shape (n_sizes,), default=None
        Error on test rows after adding the first rows of the ranking. If None, no error is drawn.
    random_error : array-like of shape (n_repeats, n_sizes), default=None
        Errors with the rows added in random order, one row of the array per repeat. If None, they
        are not drawn.
    n_chosen : int, default=None
        Number of rows after which adding stopped, marked by a line. If None, the last entry of
        ``n_added``.
    loss_name : str, default="leave-one-out loss"
        Label of the axis of the losses.
    error_name : str, default="test error"
        Label of the axis of the errors.

    Attributes
    ----------
    loss_line_ : matplotlib Line2D or None
        Curve of the losses.
    error_line_ : matplotlib Line2D or None
        Curve of the test errors.
    random_line_, random_loss_line_ : matplotlib Line2D or None
        Curves of the test errors and of the losses of random orders, averaged over the repeats.
    random_band_, random_loss_band_ : matplotlib PolyCollection or None
        Bands of one standard deviation over the repeats above and below these means.
    stop_lines_ : list of matplotlib Line2D
        Vertical lines where adding stopped, in the axes of the errors and of the losses.
    error_ax_ : matplotlib Axes or None
        Axes of the errors.
    loss_ax_ : matplotlib Axes or None
        Axes of the losses.
    ax_ : matplotlib Axes
        Axes drawn on. If both errors and losses are drawn, only their title is visible.
    figure_ : matplotlib Figure
        Figure of ``ax_``.

    Raises
    ------
    ValueError
        If an argument is not as described, or if neither losses nor errors are given.

    See Also
    --------
    DerivativeDisplay : Histogram of the derivatives for the rows of the pool.
    RankingDisplay : First and last rows of the ranking of the pool.

    References
    ----------
    .. [1] Dukler, Achille, Paolini, Ravichandran, Polito and Soatto, "DIVA: Dataset Derivative of
       a Learning Task", ICLR 2022, https://arxiv.org/abs/2111.09785

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from skdiva import DivaExtender
    >>> from skdiva.datasets import flip_labels
    >>> from skdiva.inspection import ExtensionDisplay
    >>> X, y = load_digits(n_class=5, return_X_y=True)
    >>> core, pool, test = (X[:50], y[:50]), (X[50:300], y[50:300]), (X[300:], y[300:])
    >>> pool = pool[0], flip_labels(pool[1], 0.2, random_state=0)[0]
    >>> extender = DivaExtender(KNeighborsClassifier())
    >>> extender = extender.fit(*core, X_pool=pool[0], y_pool=pool[1])
    >>> display = ExtensionDisplay.from_estimator(
    ...     extender, *core, X_pool=pool[0], y_pool=pool[1], X_test=test[0], y_test=test[1]
    ... )
    >>> half = display.n_trained.searchsorted(125)
    >>> display.test_error[half] < display.random_error[:, half].mean()
    np.True_
    """

    def __init__(
        self,
        *,
        n_added: ArrayLike | None = None,
        loo_loss: ArrayLike | None = None,
        random_loss: ArrayLike | None = None,
        n_trained: ArrayLike | None = None,
        test_error: ArrayLike | None = None,
        random_error: ArrayLike | None = None,
        n_chosen: int | None = None,
        loss_name: str = "leave-one-out loss",
        error_name: str = "test error",
    ) -> None:
        self.n_added, self.loo_loss = check_curve("n_added", n_added, "loo_loss", loo_loss)
        self.n_trained, self.test_error = check_curve(
            "n_trained", n_trained, "test_error", test_error
        )
        if self.loo_loss is None and self.test_error is None:
            raise ValueError(
                "ExtensionDisplay expects losses or test errors to draw, got neither. "
                "Pass n_added and loo_loss, or n_trained and test_error."
            )
        self.random_loss = check_repeats(
            "random_loss", random_loss, ("loo_loss", "n_added"), self.n_added
        )
        self.random_error = check_repeats(
            "random_error", random_error, ("test_error", "n_trained"), self.n_trained
        )
        if n_chosen is not None:
            check_count("n_chosen", n_chosen)
        self.n_chosen = n_chosen
        self.loss_name, self.error_name = loss_name, error_name

    @classmethod
    def from_estimator(
        cls,
        extender: Any,
        X: Any = None,
        y: Any = None,
        *,
        X_pool: Any = None,
        y_pool: Any = None,
        groups: ArrayLike | None = None,
        X_val: Any = None,
        y_val: Any = None,
        X_test: Any = None,
        y_test: Any = None,
        estimator: Any = None,
        metric: Callable[[Any, Any], float] | None = None,
        n_rows: int | ArrayLike = 10,
        n_repeats: int = 5,
        random_state: int | np.random.RandomState | None = 0,
        n_jobs: int | None = None,
        loss_name: str | None = None,
        ax: Any = None,
    ) -> Self:
        """Draw the losses of a fitted extender, and optionally random choice and test errors.

        Given the rows of the fit, the losses of random orders are computed. Given test rows too,
        models are trained and their test errors are drawn.

        Parameters
        ----------
        extender : DivaExtender or Pipeline
            Extender fitted with a pool, or a Pipeline that ends with one.
        X : array-like of shape (n_samples, n_features), default=None
            Rows of the core, as passed to `fit`. With ``y``, ``X_pool`` and ``y_pool``, the losses
            of random orders are drawn too. If None, neither these losses nor test errors are drawn.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
            Labels or targets of the core.
        X_pool : array-like of shape (n_pool, n_features) or tuple of one, default=None
            Rows of the pool, as passed to `fit`.
        y_pool : array-like of shape (n_pool,) or (n_pool, n_targets) or tuple of one, default=None
            Labels or targets of the pool.
        groups : array-like of shape (n_samples,), default=None
            Groups of the rows of the core, if passed to `fit`.
        X_val : array-like of shape (n_val, n_features) or tuple of one, default=None
            Validation rows, if passed to `fit`. The losses are then those of these rows.
        y_val : array-like of shape (n_val,) or (n_val, n_targets) or tuple of one, default=None
            Labels or targets of the validation rows.
        X_test : array-like of shape (n_test, n_features), default=None
            Rows to test the trained models on. If None, only the losses are drawn.
        y_test : array-like of shape (n_test,) or (n_test, n_targets), default=None
            Labels or targets of the test rows.
        estimator : estimator, default=None
            Model to train. If None, the estimator of the extender.
        metric : callable, default=None
            Error as a function of ``(y_true, y_predicted)``; smaller is better. If None, the share
            of misclassified rows for a classifier and the mean squared error otherwise.
        n_rows : int or array-like of int, default=10
            Numbers of rows to add, with one model trained for each. An int stands for that many
            evenly spaced numbers from 0 to the size of the pool, plus the number after which the
            extender stopped.
        n_repeats : int, default=5
            Number of random orders of the pool to compare with; 0 for none.
        random_state : int, RandomState instance or None, default=0
            Determines these orders.
        n_jobs : int, default=None
            Number of models trained in parallel; -1 for one per processor.
        loss_name : str, default=None
            Label of the axis of the losses. If None, "leave-one-out loss", or "validation loss"
            with ``X_val``.
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, a new figure is created.

        Returns
        -------
        ExtensionDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If ``extender`` is not fitted.
        TypeError
            If it is not an extender; if ``metric`` is not callable; if ``ax`` is not a single Axes.
        ValueError
            If it was fitted without a pool; if some of the rows are missing or differ, in values or
            order, from those that it was fitted with; if there are test rows but no model to train.
        ImportError
            If matplotlib is not installed.
        """
        check_axes(ax, cls)
        n_added = fitted_attribute(extender, "n_added_", cls, "DivaExtender")
        check_has_pool(extender, cls)
        if loss_name is None:
            loss_name = "leave-one-out loss" if X_val is None else "validation loss"
        losses = {"n_added": n_added, "loo_loss": last_step(extender).loo_loss_path_}
        rows = {
            "X": X, "y": y, "X_pool": X_pool, "y_pool": y_pool, "groups": groups,
            "X_val": X_val, "y_val": y_val, "X_test": X_test, "y_test": y_test,
        }  # fmt: skip
        curves = {}
        if any(value is not None for value in rows.values()):
            training = {"model": estimator, "metric": metric, "n_jobs": n_jobs}
            curves = extension_data(
                extender, rows, training,
                n_rows=n_rows, n_repeats=n_repeats, random_state=random_state,
            )  # fmt: skip
        return cls(**losses, **curves, loss_name=loss_name).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, a new figure is created.

        Returns
        -------
        ExtensionDisplay
            The display itself.

        Raises
        ------
        TypeError
            If ``ax`` is not a single Axes.
        ImportError
            If matplotlib is not installed.
        """
        both = self.loo_loss is not None and self.test_error is not None
        ax = axes_to_draw_on(ax, self, figsize=(7, 5.6 if both else 3.6))
        error_ax, loss_ax = split_axes(ax) if both else (ax, ax)
        self.error_ax_, self.error_line_, self.random_line_, self.random_band_ = draw_curve(
            error_ax, self.n_trained, self.test_error, self.random_error, self.error_name
        )
        self.loss_ax_, self.loss_line_, self.random_loss_line_, self.random_loss_band_ = draw_curve(
            loss_ax, self.n_added, self.loo_loss, self.random_loss, self.loss_name
        )
        parts = [part for part in (self.error_ax_, self.loss_ax_) if part is not None]
        n_chosen = self.n_chosen
        if n_chosen is None and self.n_added is not None:
            n_chosen = int(self.n_added[-1])
        # Losses end where adding stopped: unless it stopped late, the legend fits beside them.
        losses_end_early = (
            self.n_added is not None
            and self.n_trained is not None
            and self.n_added[-1] < 0.55 * self.n_trained[-1]
        )
        self.stop_lines_ = label_axes(parts, n_chosen, with_legend=parts[int(losses_end_early)])
        self.ax_, self.figure_ = ax, ax.figure
        return self
