"""ExtensionDisplay: what every row added to a core did to the loss, and to the test error."""

from skdiva.inspection._drawing import (
    DARK,
    LIGHT,
    MIDDLE,
    add_legend,
    axes_to_draw_on,
    check_axes,
    check_has_pool,
    fitted_attribute,
    hide_frame,
    last_step,
)
from skdiva.inspection._error_curves import GrowingTraining, check_count, check_curve, check_repeats


class ExtensionDisplay:
    """Loss and test error against the number of rows added, beside rows added at random.

    The upper axes show the test error of a model trained on the core and the first rows of the
    ranking (figure 4 of [1]_), the lower ones the leave-one-out loss by which rows were chosen.
    Either may be left out.

    Parameters
    ----------
    n_added : array-like of shape (n_losses,), default=None
        Rows added up to each entry of ``loo_loss``, ``n_added_`` of a fitted extender.
    loo_loss : array-like of shape (n_losses,), default=None
        Mean leave-one-out loss, ``loo_loss_path_``. None: no loss is drawn.
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
    random_line_ : matplotlib Line2D or None
        Mean, over the repeats, of the test errors with rows added at random.
    random_band_ : matplotlib PolyCollection or None
        A standard deviation over the repeats to either side of the mean.
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
        self.random_error = random_error
        if random_error is not None:
            self.random_error = check_repeats(random_error, self.n_trained)
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
        X_test=None,
        y_test=None,
        estimator=None,
        metric=None,
        n_rows=10,
        n_repeats=5,
        random_state=0,
        n_jobs=None,
        loss_name="leave-one-out loss",
        ax=None,
    ):
        """Draw the losses of a fitted extender and, with test rows, errors of models trained here.

        Parameters
        ----------
        extender : DivaExtender or Pipeline
            Fitted on the core with a pool, or a Pipeline that ends in one.
        X : array-like of shape (n_samples, n_features), default=None
            Rows of the core, as given to `fit`. Needed with test rows only, as are ``y``,
            ``X_pool`` and ``y_pool``.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
            Their labels or targets.
        X_pool : array-like of shape (n_pool, n_features) or tuple of one, default=None
            Rows of the pool, as given to `fit`.
        y_pool : array-like of shape (n_pool,) or (n_pool, n_targets) or tuple of one, default=None
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
        loss_name : str, default="leave-one-out loss"
            What the axis of the losses is called; of an extender fitted with ``X_val`` they are
            validation losses.
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
            If it is not an extender; if ``ax`` is not one Axes.
        ValueError
            If it was fitted without a pool; if there are test rows, and the core, the pool or the
            model to train is missing or not as described.
        ImportError
            If matplotlib is not installed.
        """
        check_axes(ax, cls)
        n_added = fitted_attribute(extender, "n_added_", cls, "DivaExtender has")
        check_has_pool(extender, cls)
        curves = {"n_added": n_added, "loo_loss": last_step(extender).loo_loss_path_}
        if X_test is not None or y_test is not None:
            rows = {"X": X, "y": y, "X_pool": X_pool, "y_pool": y_pool}
            rows |= {"X_test": X_test, "y_test": y_test}
            training = GrowingTraining(extender, rows, estimator, metric, n_jobs)
            curves |= training.curves(n_rows, n_added[-1], n_repeats, random_state)
        return cls(**curves, loss_name=loss_name).plot(ax)

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
        self.error_ax_, self.loss_ax_ = _split(ax) if both else (ax, ax)
        self.error_line_ = self.loss_line_ = self.random_line_ = self.random_band_ = None
        if self.test_error is None:
            self.error_ax_ = None
        else:
            self._draw_errors(self.error_ax_)
        if self.loo_loss is None:
            self.loss_ax_ = None
        else:
            (self.loss_line_,) = self.loss_ax_.plot(
                self.n_added, self.loo_loss, color=DARK, marker="o", markersize=3.5
            )
            self.loss_ax_.set_ylabel(self.loss_name)
        self._finish([part for part in (self.error_ax_, self.loss_ax_) if part is not None])
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _draw_errors(self, ax):
        if self.random_error is not None:
            mean, spread = self.random_error.mean(axis=0), self.random_error.std(axis=0)
            self.random_band_ = ax.fill_between(
                self.n_trained, mean - spread, mean + spread, color=LIGHT, alpha=0.5, linewidth=0
            )
            n_repeats = len(self.random_error)
            name = f"at random (mean ± std of {n_repeats})" if n_repeats > 1 else "at random"
            (self.random_line_,) = ax.plot(
                self.n_trained, mean, color=MIDDLE, linestyle="--", marker="s", markersize=4,
                label=name,
            )  # fmt: skip
        (self.error_line_,) = ax.plot(
            self.n_trained, self.test_error, color=DARK, marker="o", markersize=4,
            label="in the order chosen",
        )  # fmt: skip
        ax.set_ylabel(self.error_name)

    def _finish(self, parts):
        """Mark where adding stopped, and label the axes."""
        n_chosen = self.n_chosen
        if n_chosen is None and self.n_added is not None:
            n_chosen = int(self.n_added[-1])
        how = {"color": "black", "linestyle": ":", "linewidth": 1.2}
        self.stop_lines_ = [
            part.axvline(n_chosen, label=f"stopped: {n_chosen:,} rows", **how)
            for part in parts
            if n_chosen is not None
        ]
        for part in parts:
            hide_frame(part)
        parts[-1].set_xlabel("rows added to the core")
        with_legend = parts[0]
        if len(parts) == 2:
            parts[1].sharex(parts[0])
            parts[0].tick_params(labelbottom=False)
            # Losses end where adding stopped: there is room beside them, unless it stopped late.
            with_legend = parts[int(self.n_added[-1] < 0.55 * self.n_trained[-1])]
        add_legend(with_legend, *parts[0].get_legend_handles_labels())


def _split(ax):
    """Put two axes into one, the second below the first."""
    ax.set_axis_off()
    return [ax.inset_axes([0, start, 1, 0.47]) for start in (0.53, 0)]
