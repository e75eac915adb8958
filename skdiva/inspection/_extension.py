"""ExtensionDisplay: what every row added to a core did to the loss, and to the test error."""

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
from skdiva.inspection._extension_curves import extension_curves


class ExtensionDisplay:
    """Loss and test error against the number of rows added, beside rows added at random.

    The upper axes show the test error of a model trained on the core and the first rows of the
    ranking (figure 4 of [1]_), the lower ones the leave-one-out loss by which rows were chosen,
    which ends where adding stopped. Either may be left out.

    Parameters
    ----------
    n_added : array-like of shape (n_losses,), default=None
        Rows added up to each entry of ``loo_loss``, ``n_added_`` of a fitted extender.
    loo_loss : array-like of shape (n_losses,), default=None
        Mean leave-one-out loss of the judges, ``loo_loss_path_``. None: no loss is drawn.
    random_loss : array-like of shape (n_repeats, n_losses), default=None
        The same with rows added at random; one line per repeat. None: not drawn.
    n_trained : array-like of shape (n_sizes,), default=None
        Rows added up to each entry of ``test_error``.
    test_error : array-like of shape (n_sizes,), default=None
        Error on test rows with the first rows of the ranking added. None: no error is drawn.
    random_error : array-like of shape (n_repeats, n_sizes), default=None
        The same with rows added at random; one line per repeat. None: not drawn.
    n_chosen : int, default=None
        Rows after which adding stopped, marked by a line. None: the last of ``n_added``.
    loss_name : str, default="leave-one-out loss"
        What the axis of the losses is called.
    error_name : str, default="test error"
        What the axis of the errors is called.

    Attributes
    ----------
    loss_line_ : matplotlib Line2D or None
        Losses.
    error_line_ : matplotlib Line2D or None
        Test errors.
    random_line_, random_loss_line_ : matplotlib Line2D or None
        Mean, over the repeats, of the test errors and of the losses with rows added at random.
    random_band_, random_loss_band_ : matplotlib PolyCollection or None
        A standard deviation over the repeats to either side of these means.
    stop_lines_ : list of matplotlib Line2D
        Where adding stopped, in the axes of the errors and of the losses.
    error_ax_ : matplotlib Axes or None
        Axes of the errors.
    loss_ax_ : matplotlib Axes or None
        Axes of the losses.
    ax_ : matplotlib Axes
        Axes drawn on; if both errors and losses are drawn, only its title shows.
    figure_ : matplotlib Figure
        Their figure.

    Raises
    ------
    ValueError
        If an argument is not as described, or neither losses nor errors are given.

    See Also
    --------
    DerivativeDisplay : Histogram of the derivatives of the rows of the pool.
    RankingDisplay : The rows of the pool that are ranked first and last.

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
        n_added=None,
        loo_loss=None,
        random_loss=None,
        n_trained=None,
        test_error=None,
        random_error=None,
        n_chosen=None,
        loss_name="leave-one-out loss",
        error_name="test error",
    ):
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
        extender,
        X=None,
        y=None,
        *,
        X_pool=None,
        y_pool=None,
        groups=None,
        X_val=None,
        y_val=None,
        X_test=None,
        y_test=None,
        estimator=None,
        metric=None,
        n_rows=10,
        n_repeats=5,
        random_state=0,
        n_jobs=None,
        loss_name=None,
        ax=None,
    ):
        """Draw the losses of a fitted extender, beside random choice where its rows are given.

        With test rows, errors of models that are trained here, too.

        Parameters
        ----------
        extender : DivaExtender or Pipeline
            Fitted on the core with a pool, or a Pipeline that ends in one.
        X : array-like of shape (n_samples, n_features), default=None
            Rows of the core, as given to `fit`. With ``y``, ``X_pool`` and ``y_pool``, the losses
            of random orders are drawn too. None: no losses of these, and no test errors.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
            Their labels or targets.
        X_pool : array-like of shape (n_pool, n_features) or tuple of one, default=None
            Rows of the pool, as given to `fit`.
        y_pool : array-like of shape (n_pool,) or (n_pool, n_targets) or tuple of one, default=None
            Their labels or targets.
        groups : array-like of shape (n_samples,), default=None
            Groups of the rows of the core, if given to `fit`.
        X_val : array-like of shape (n_val, n_features) or tuple of one, default=None
            Validation rows, if given to `fit`: the losses are theirs.
        y_val : array-like of shape (n_val,) or (n_val, n_targets) or tuple of one, default=None
            Their labels or targets.
        X_test : array-like of shape (n_test, n_features), default=None
            Rows on which the models are tested. None: only the losses are drawn.
        y_test : array-like of shape (n_test,) or (n_test, n_targets), default=None
            Their labels or targets.
        estimator : estimator, default=None
            Model that is trained. None: that of the extender.
        metric : callable, default=None
            Error of ``(y_true, y_predicted)``, smaller is better. None: share of wrong labels for
            a classifier, else mean squared error.
        n_rows : int or array-like of int, default=10
            Numbers of rows added at which models are trained. An int: so many, from 0 to the whole
            pool, and the number after which the extender stopped.
        n_repeats : int, default=5
            Random orders of the pool to compare with; 0: none.
        random_state : int, RandomState instance or None, default=0
            Decides these orders.
        n_jobs : int, default=None
            Models trained at a time; -1: one per processor.
        loss_name : str, default=None
            What the axis of the losses is called. None: "leave-one-out loss", or "validation loss"
            with ``X_val``.
        ax : matplotlib Axes, default=None
            Axes to draw on. None: those of a new figure.

        Returns
        -------
        ExtensionDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If ``extender`` is not fitted.
        TypeError
            If it is not an extender; if ``metric`` is not callable; if ``ax`` is not one Axes.
        ValueError
            If it was fitted without a pool; if some of the rows are missing, or not those it was
            fitted with, in their order; if there are test rows and no model to train.
        ImportError
            If matplotlib is not installed.
        """
        check_axes(ax, cls)
        n_added = fitted_attribute(extender, "n_added_", cls, "DivaExtender has")
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
            how = {"n_rows": n_rows, "n_repeats": n_repeats, "random_state": random_state}
            curves = extension_curves(extender, rows, training, **how)
        return cls(**losses, **curves, loss_name=loss_name).plot(ax)

    def plot(self, ax=None):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None: those of a new figure.

        Returns
        -------
        ExtensionDisplay
            The display itself.

        Raises
        ------
        TypeError
            If ``ax`` is not one Axes.
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
        # Losses end where adding stopped: there is room beside them, unless it stopped late.
        below = both and self.n_added[-1] < 0.55 * self.n_trained[-1]
        self.stop_lines_ = label_axes(parts, n_chosen, with_legend=parts[int(below)])
        self.ax_, self.figure_ = ax, ax.figure
        return self
