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
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        public = getattr(import_module(modules[name]), name)
        vars(import_module(package))[name] = public  # found without this function from now on
        return public

    def __dir__() -> list[str]:
        return sorted({*vars(import_module(package)), *modules})

    return __getattr__, __dir__
