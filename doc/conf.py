"""Configuration of the documentation: python -m sphinx -W -b html doc doc/_build/html."""

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


def own_methods(public_class):
    """Return the public methods that skdiva defines, without those of scikit-learn."""
    members = inspect.getmembers(public_class, callable)
    return [
        name
        for name, method in members
        if not name.startswith("_")
        and (getattr(method, "__module__", None) or "").startswith("skdiva")
    ]


autosummary_generate = True
autosummary_context = {
    "own_methods": {
        name: own_methods(public)
        for module in (skdiva, skdiva.features, skdiva.inspection, skdiva.loo)
        for name, public in inspect.getmembers(module, inspect.isclass)
    }
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
