"""Decorators of scikit-learn, which come without types, for the methods of estimators."""

from collections.abc import Callable
from typing import Any, TypeVar

from sklearn.base import _fit_context
from sklearn.utils import metaestimators

Method = TypeVar("Method", bound=Callable[..., Any])


def fit_context(*, prefer_skip_nested_validation: bool) -> Callable[[Method], Method]:
    """Return the decorator of `fit` that validates the parameters of the estimator.

    Parameters
    ----------
    prefer_skip_nested_validation : bool
        Whether estimators that are fitted inside skip the validation of theirs.

    Returns
    -------
    callable
        Decorator that keeps the type of the method.
    """
    return _fit_context(prefer_skip_nested_validation=prefer_skip_nested_validation)


def available_if(check: Callable[[Any], Any]) -> Callable[[Method], Method]:
    """Return the decorator of a method that exists only under a condition.

    Parameters
    ----------
    check : callable
        Takes the estimator; the method exists unless it returns False or raises AttributeError.

    Returns
    -------
    callable
        Decorator that keeps the type of the method.
    """
    return metaestimators.available_if(check)
