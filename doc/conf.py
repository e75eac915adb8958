"""Configuration of the documentation: python -m sphinx -W -b html doc doc/_build/html."""

import functools
import inspect

import skdiva
import skdiva.features
import skdiva.inspection
import skdiva.loo

project = "skdiva"
author = "The skdiva developers"
copyright = "2026, The skdiva developers"
version = release = skdiva.__version__

extensions = [
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "sg_execution_times.rst"]


def is_own(member):
    """Return whether a method or property is defined in skdiva, and not in scikit-learn."""
    function = getattr(member, "fget", None) or getattr(member, "func", None) or member
    return (getattr(function, "__module__", None) or "").startswith("skdiva")


def own_members(public_class, kind):
    """Return the names of the public members of a kind that skdiva defines."""
    members = inspect.getmembers(public_class, kind)
    return [name for name, member in members if not name.startswith("_") and is_own(member)]


def is_property(member):
    """Return whether a member of a class is a property."""
    return isinstance(member, property | functools.cached_property)


public_classes = {
    name: public
    for module in (skdiva, skdiva.features, skdiva.inspection, skdiva.loo)
    for name, public in inspect.getmembers(module, inspect.isclass)
}
autosummary_generate = True
autosummary_context = {
    "own_methods": {n: own_members(c, callable) for n, c in public_classes.items()},
    "own_properties": {n: own_members(c, is_property) for n, c in public_classes.items()},
}
# Types are in the docstrings, where they are readable and come with shapes.
autodoc_typehints = "none"
# The template of a class lists its methods, so numpydoc need not do so again.
numpydoc_show_class_members = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "doc_module": "skdiva",
    "reference_url": {"skdiva": None},
    "show_memory": False,
    "abort_on_example_error": True,
    "capture_repr": (),  # examples print their results
}

html_theme = "pydata_sphinx_theme"
html_title = "skdiva"
html_show_sourcelink = False
html_sidebars = {"*": []}  # no page of the guide has subpages, so the text gets the space
html_theme_options = {"show_prev_next": False, "navbar_end": ["theme-switcher"]}
