"""The house rules: which way imports flow, how long things are, and what has a docstring."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import skdiva.loo

PACKAGE = Path(skdiva.__file__).parent
ROOT = PACKAGE.parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
# A package imports itself and those that follow.
LAYERS = [
    {"skdiva.estimators", "skdiva.inspection", "skdiva.datasets", "skdiva.augmentation"},
    {"skdiva.features"},
    {"skdiva.arrays"},
    {"skdiva.loo"},
]
OTHER_LIBRARIES_OF_LOO = {"torch"}
MAX_FILE, MAX_FUNCTION, MAX_FIT = 300, 40, 25


def name(path):
    return str(path.relative_to(ROOT))


def module_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(source):
    """Names of the modules that ``source`` imports, functions' own imports included."""
    modules = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            # `from skdiva import loo` imports skdiva.loo.
            modules |= {f"{node.module}.{alias.name}" for alias in node.names}
    return modules


def within(module, package):
    return module == package or module.startswith(package + ".")


def forbidden_imports(module, source):
    """What a module imports from packages above its own, or from what its package must not know."""
    level = next((i for i, layer in enumerate(LAYERS) if any(within(module, p) for p in layer)), -1)
    own = next((p for layer in LAYERS for p in layer if within(module, p)), "skdiva")
    above = {package for layer in LAYERS[: level + 1] for package in layer} - {own}
    found = {i for i in imports(source) if any(within(i, package) for package in above)}
    if own == "skdiva.loo":
        allowed = OTHER_LIBRARIES_OF_LOO | sys.stdlib_module_names | {"skdiva"}
        found |= {i for i in imports(source) if i.split(".")[0] not in allowed}
    return found


def body_lines(function):
    """Lines of a function's body, its docstring not counted."""
    body = function.body[ast.get_docstring(function) is not None :]
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def long_functions(source):
    """Functions with bodies of more lines than allowed."""
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    return {
        function.name: body_lines(function)
        for function in functions
        if body_lines(function) > (MAX_FIT if function.name == "fit" else MAX_FUNCTION)
    }


def undocumented(source):
    """Public functions, classes and methods of public classes without a docstring."""
    tree = ast.parse(source)
    found = [] if ast.get_docstring(tree) else ["the module"]
    definitions = (ast.FunctionDef, ast.ClassDef)

    def look(parent, prefix):
        for node in parent.body:
            if isinstance(node, definitions) and not node.name.startswith("_"):
                if not ast.get_docstring(node):
                    found.append(prefix + node.name)
                if isinstance(node, ast.ClassDef):
                    look(node, f"{node.name}.")

    look(tree, "")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_imports_flow_one_way(path):
    assert not forbidden_imports(module_of(path), path.read_text())


@pytest.mark.parametrize("path", SOURCES + TESTS, ids=name)
def test_files_and_functions_fit_on_a_screen(path):
    source = path.read_text()
    assert len(source.splitlines()) <= MAX_FILE
    assert not long_functions(source)


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_what_is_public_has_a_docstring(path):
    assert not undocumented(path.read_text())


@pytest.mark.parametrize("path", TESTS, ids=name)
def test_a_test_file_says_what_it_is_about(path):
    assert ast.get_docstring(ast.parse(path.read_text()))


@pytest.mark.parametrize("public", skdiva.loo.__all__)
def test_public_names_of_the_core(public):
    member = getattr(skdiva.loo, public)
    assert inspect.getdoc(member)
    assert member.__module__.startswith("skdiva.loo.")


def test_importing_the_library_is_free():
    """Torch and pandas take seconds: only a fit, or what needs them, pays for them."""
    code = "import sys, skdiva; print(*{'torch', 'pandas', 'sklearn'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("skdiva.loo._problem", "import numpy as np"),
        ("skdiva.loo._problem", "from scipy.linalg import solve"),
        ("skdiva.loo._problem", "def f():\n    import sklearn"),
        ("skdiva.loo._problem", "from skdiva import arrays"),
        ("skdiva.loo", "from skdiva.estimators import DivaReweighter"),
        ("skdiva.arrays._convert", "from skdiva.estimators._base import BaseDiva"),
        ("skdiva.arrays._convert", "import skdiva.estimators"),
        ("skdiva.features._kernel", "from skdiva.estimators import DivaReweighter"),
    ],
)
def test_imports_that_flow_the_wrong_way_are_found(module, source):
    assert forbidden_imports(module, source)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "skdiva.loo._problem",
            "import math\nimport torch\nfrom skdiva.loo._losses import LogLoss",
        ),
        ("skdiva.arrays._convert", "import numpy\nfrom skdiva.loo import evaluate"),
        ("skdiva.estimators._base", "import sklearn\nfrom skdiva.features import x"),
        ("skdiva.exceptions", "import warnings"),
    ],
)
def test_imports_that_flow_the_right_way_are_not(module, source):
    assert not forbidden_imports(module, source)


def test_relative_imports_are_found():
    with pytest.raises(AssertionError, match="absolute"):
        imports("from .losses import LogLoss")


def test_long_functions_are_found():
    docstring = '    """' + "\n" * 50 + '    """\n'
    for function, lines in (("fit", MAX_FIT), ("other", MAX_FUNCTION)):
        start = f"class A:\n  def {function}(self):\n" + docstring
        assert not long_functions(start + "    pass\n" * lines)
        assert long_functions(start + "    pass\n" * (lines + 1)) == {function: lines + 1}


def test_missing_docstrings_are_found():
    source = "def a(): pass\nclass B:\n  def c(self): pass\n  def _d(self): pass\n"
    assert undocumented(source) == ["the module", "a", "B", "B.c"]
    assert undocumented('"""M."""\ndef _a(): pass\n') == []
