"""Docstrings of public names follow numpydoc, package by package."""

import inspect

import pytest

import skdiva
import skdiva.datasets
import skdiva.features
import skdiva.inspection
import skdiva.loo

numpydoc_validate = pytest.importorskip(
    "numpydoc.validate", reason="numpydoc comes with the extra 'doc'"
)

NOT_CHECKED = {
    "ES01",  # an extended summary where one line says it all
    "EX01",  # examples of methods: those of the class show them
    "GL01",  # the summary starts on the line of the opening quotes, as ruff has it
    "SA01",  # see also
    "SS05",  # a summary may name the quantity that is returned
}
# Methods of the core are for those who read its code: a summary is enough.
SECTIONS = {"PR01", "PR02", "PR04", "PR07", "RT01", "RT03", "YD01"}
PACKAGES = [skdiva, skdiva.datasets, skdiva.features, skdiva.inspection, skdiva.loo]
PUBLIC = {
    f"{package.__name__}.{name}": getattr(package, name)
    for package in PACKAGES
    for name in package.__all__
    if name != "__version__"
}


def own_methods(public_class):
    """Names of the public methods and properties that this library defines for the class."""
    own = [base for base in public_class.__mro__ if base.__module__.startswith("skdiva")]
    members = {name: member for base in reversed(own) for name, member in vars(base).items()}
    return [
        name
        for name, member in members.items()
        if not name.startswith("_")
        and (isinstance(member, property | classmethod) or inspect.isfunction(member))
    ]


METHODS = [
    f"{path}.{method}"
    for path, public in PUBLIC.items()
    if inspect.isclass(public)
    for method in own_methods(public)
]


def mistakes(path, ignored=frozenset()):
    """Codes and messages of what numpydoc finds wrong."""
    found = numpydoc_validate.validate(path)["errors"]
    return [error for error in found if error[0] not in NOT_CHECKED | ignored]


@pytest.mark.parametrize("path", PUBLIC)
def test_public_names(path):
    # The fields of a record are its attributes, documented as such.
    is_record = hasattr(PUBLIC[path], "_fields") or getattr(PUBLIC[path], "_is_protocol", False)
    assert not mistakes(path, {"PR01"} if is_record else set())


@pytest.mark.parametrize("path", METHODS)
def test_methods_of_public_classes(path):
    assert not mistakes(path, SECTIONS if path.startswith("skdiva.loo.") else set())


def test_a_bad_docstring_is_found():
    assert {code for code, _ in mistakes(f"{__name__}.badly_documented")} >= {"SS03", "PR01"}


def badly_documented(argument):
    """Return the argument"""
    return argument
