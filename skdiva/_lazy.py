"""Lazy loading of public names, so that importing a package loads no heavy dependency."""

from collections.abc import Callable
from importlib import import_module
from typing import Any


def lazy_names(
    package: str, modules: dict[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` for the ``__init__`` of a package.

    Parameters
    ----------
    package : str
        Name of the package.
    modules : dict of str to str
        For every name that is loaded on first use, the module that defines it.

    Returns
    -------
    tuple of callables
        To be bound to ``__getattr__`` and ``__dir__``.
    """

    def __getattr__(name: str) -> Any:
        if name in modules:
            return getattr(import_module(modules[name]), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*vars(import_module(package)), *modules})

    return __getattr__, __dir__
