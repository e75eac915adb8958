"""House rules: direction of the imports, size of files and functions, and docstrings."""

import ast
import inspect
import io
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

import skdiva.loo

PACKAGE = Path(skdiva.__file__).parent
ROOT = PACKAGE.parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
FOLDERS = sorted({path.parent for path in SOURCES})
# A package imports itself and those of later layers.
LAYERS = [
    {"skdiva.inspection"},
    {"skdiva.estimators", "skdiva.datasets", "skdiva.augmentation"},
    {"skdiva.features"},
    {"skdiva.targets"},
    {"skdiva.arrays"},
    {"skdiva.loo"},
]
OTHER_LIBRARIES_OF_LOO = {"torch"}
MAX_CODE_LINES, MAX_TEST_LINES, MAX_FUNCTION, MAX_FIT, MAX_MODULES = 200, 300, 40, 25, 15
QUESTIONS = ("What", "Where", "How", "Which", "When", "Whether", "Why", "Who")


def name(path):
    return str(path.relative_to(ROOT))


def module_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path) for path in SOURCES}


def imports(source):
    """Names of what ``source`` imports, in functions and for type checkers included."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            # `from skdiva import loo` imports skdiva.loo.
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def imported_modules(source):
    """Modules of this package that ``source`` imports, or imports from."""
    return {
        target if target in MODULES else target.rpartition(".")[0]
        for target in imports(source)
        if target.startswith("skdiva")
    }


def within(module, package):
    return module == package or module.startswith(package + ".")


def forbidden_imports(module, source):
    """Imports from packages above one's own, or of what one's package must not know."""
    level = next((i for i, layer in enumerate(LAYERS) if any(within(module, p) for p in layer)), -1)
    own = next((p for layer in LAYERS for p in layer if within(module, p)), "skdiva")
    above = {package for layer in LAYERS[: level + 1] for package in layer} - {own}
    if module == "skdiva":
        above = set()
    found = {i for i in imports(source) if any(within(i, package) for package in above)}
    if own == "skdiva.loo":
        allowed = OTHER_LIBRARIES_OF_LOO | sys.stdlib_module_names | {"skdiva"}
        found |= {i for i in imports(source) if i.split(".")[0] not in allowed}
    return found


def intrusions(module, source):
    """Private modules that are imported from outside the folder that they live in."""
    found = set()
    for target in imported_modules(source):
        parts = target.split(".")
        first_private = next((i for i, part in enumerate(parts) if part.startswith("_")), None)
        if first_private is not None and not within(module, ".".join(parts[:first_private])):
            found.add(target)
    return found


def circles(graph):
    """Modules that import themselves, directly or through others."""
    found = set()
    for start in graph:
        seen, waiting = set(), list(graph[start])
        while waiting:
            module = waiting.pop()
            if module not in seen:
                seen.add(module)
                waiting.extend(graph.get(module, ()))
        if start in seen:
            found.add(start)
    return found


def code_lines(source):
    """Number of lines that hold code: not blank, and not only comments or docstrings."""
    docstrings = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node
        ):
            docstrings |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    ignored = {
        tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
        tokenize.ENDMARKER,
    }  # fmt: skip
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in ignored:
            lines |= set(range(token.start[0], token.end[0] + 1))
    return len(lines - docstrings)


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

    def look(parent, prefix):
        for node in parent.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                if not ast.get_docstring(node):
                    found.append(prefix + node.name)
                if isinstance(node, ast.ClassDef):
                    look(node, f"{node.name}.")

    look(tree, "")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_imports_flow_one_way(path):
    assert not forbidden_imports(module_of(path), path.read_text())


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_private_modules_are_imported_by_their_own_room_only(path):
    assert not intrusions(module_of(path), path.read_text())


def test_there_is_no_import_circle():
    graph = {module_of(path): imported_modules(path.read_text()) for path in SOURCES}
    assert not circles(graph)


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_files_and_functions_are_short(path):
    source = path.read_text()
    assert code_lines(source) <= MAX_CODE_LINES
    assert not long_functions(source)


@pytest.mark.parametrize("path", TESTS, ids=name)
def test_test_files_are_short_and_say_what_they_are_about(path):
    source = path.read_text()
    assert len(source.splitlines()) <= MAX_TEST_LINES
    assert not long_functions(source)
    assert ast.get_docstring(ast.parse(source))


@pytest.mark.parametrize("folder", FOLDERS, ids=name)
def test_folders_have_few_modules_and_say_what_lives_there(folder):
    assert len(list(folder.glob("*.py"))) <= MAX_MODULES
    assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_what_is_public_has_a_docstring(path):
    assert not undocumented(path.read_text())


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_a_module_header_is_a_noun_phrase(path):
    header = ast.get_docstring(ast.parse(path.read_text()))
    assert not header.startswith(QUESTIONS)
    assert header.splitlines()[0].endswith(".")


@pytest.mark.parametrize("folder", [f for f in FOLDERS if f != PACKAGE], ids=name)
def test_every_room_has_its_folder_of_tests(folder):
    mirrored = ROOT / "tests" / folder.relative_to(PACKAGE)
    assert list(mirrored.glob("test_*.py"))


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
        ("skdiva.arrays._compute", "from skdiva.estimators._base import BaseDiva"),
        ("skdiva.arrays._compute", "import skdiva.estimators"),
        ("skdiva.features._kernel", "from skdiva.estimators import DivaReweighter"),
        ("skdiva.targets._reading", "from skdiva.features import KernelFeaturizer"),
        ("skdiva.estimators._base", "from skdiva.inspection import SourceDisplay"),
    ],
)
def test_imports_that_flow_the_wrong_way_are_found(module, source):
    assert forbidden_imports(module, source)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("skdiva.loo._problem", "import math\nimport torch\nfrom skdiva.loo._losses import Loss"),
        ("skdiva.arrays._compute", "import numpy\nfrom skdiva.loo import evaluate"),
        ("skdiva.estimators._base", "import sklearn\nfrom skdiva.features import x"),
        ("skdiva.exceptions", "import warnings"),
    ],
)
def test_imports_that_flow_the_right_way_are_not(module, source):
    assert not forbidden_imports(module, source)


def test_private_modules_of_other_rooms_are_found():
    source = "from skdiva.loo.ridge._primal import PrimalSmoother"
    assert not intrusions("skdiva.loo.ridge._dual", source)
    assert intrusions("skdiva.loo.pool._greedy", source) == {"skdiva.loo.ridge._primal"}
    assert not intrusions("skdiva.loo.pool._greedy", "from skdiva.loo._problem import Problem")
    assert not intrusions("skdiva.estimators._base", "from skdiva.loo.ridge import full_float32")


def test_circles_are_found():
    assert not circles({"a": {"b", "c"}, "b": {"c"}, "c": set()})
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == {"b", "c"}
    lazy = "def f():\n    from skdiva.loo._problem import Problem\n"
    assert imported_modules(lazy) == {"skdiva.loo._problem"}


def test_relative_imports_are_found():
    with pytest.raises(AssertionError, match="absolute"):
        imports("from ._losses import LogLoss")


def test_code_is_counted_without_comments_and_docstrings():
    assert code_lines('"""Header.\n\nMore.\n"""\n\n# A comment.\nx = 1\ny = (\n    2,\n)\n') == 4
    assert code_lines('def f():\n    """One.\n\n    Two.\n    """\n    return """a\nb"""\n') == 3


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
